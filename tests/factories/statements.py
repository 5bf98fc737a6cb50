"""What a provider states of its days, and the books beside it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from finops.connectors.types import GivenCost, UsageEvent
from finops.core.money import to_pico
from finops.core.tokens import METER_INDEX
from finops.ingest.services import take
from finops.ingest.types import Received, Status
from finops.ledger.selectors import Used, used
from finops.reconciliation.models import ReconciledDay
from finops.reconciliation.services import reconcile
from finops.sources.services import add_source
from finops.statements.models import Statement
from tests.factories.company import Company
from tests.factories.ledger import THEN, Book, event, rows
from tests.factories.orgs import HOUSE
from tests.factories.pricing import counts

KINDS = ("input_uncached", "output_text")
MIDNIGHT = THEN.replace(hour=0, minute=0)


class Stated:
    """Reports of usage and of cost of one provider, into Acme's books."""

    def __init__(self, book: Book, name: str = "openai", *, form: str = "openai_report") -> None:
        self.book, self.form = book, form
        made = {
            states: add_source(
                organization_id=book.organization.id, slug=f"{name}-{states}", kind="account", revises=True,
                states=states, by=HOUSE, at=book.now(),
            )
            for states in ("money", "usage")
        }  # fmt: skip
        self.money_source, self.usage_source = made["money"], made["usage"]

    def billed(self, amount: str, meter: str = "", *, model: str = "gpt", **given: Any) -> Status:
        """A row of costs, of a day and a kind of token; some say what was used beside it."""
        used = {name: given.pop(name) for name in KINDS if name in given}
        at: datetime = given.pop("occurred_at", MIDNIGHT)
        account = given.get("provider_account", "")
        name = given.pop("name", f"cost/{at:%Y-%m-%d}/{account}/{model}/{meter}")
        currency = given.pop("currency", "USD")
        made = event(
            name, occurred_at=at, model=model, counts=counts(**used), evidence="billed",
            cost=GivenCost(to_pico(Decimal(amount)), currency), tags=(("meter", meter),) if meter else (), **given,
        )  # fmt: skip
        return self.told(self.money_source.id, made)

    def reported(self, *, model: str = "gpt", hour: int = 9, **given: Any) -> Status:
        """A row of usage, of an hour and a key."""
        used = {name: given.pop(name) for name in ("input_uncached", "cache_read", "output_text") if name in given}
        at: datetime = given.pop("occurred_at", MIDNIGHT + timedelta(hours=hour))
        identities = given.get("identities", ())
        account = given.get("provider_account", "")
        made = event(
            f"usage/{at:%Y-%m-%dT%H}/{account}/{model}/{identities}", occurred_at=at, model=model,
            counts=counts(**used), **given,
        )  # fmt: skip
        return self.told(self.usage_source.id, made)

    def told(self, source_id: int, made: UsageEvent) -> Status:
        (outcome,) = take(
            organization_id=self.book.organization.id, source_id=source_id, parser=self.form,
            received=[Received(made.external_id.encode(), made)], at=self.book.now(),
        )  # fmt: skip
        return outcome.status

    def reconciled(self) -> int:
        return reconcile(organization_id=self.book.organization.id, at=self.book.now())

    def day(self) -> ReconciledDay:
        return ReconciledDay.objects.get(organization_id=self.book.organization.id, day=MIDNIGHT.date())

    def by_person(self) -> dict[int, Decimal]:
        """What the books say each person cost; 0 is nobody."""
        return dict(
            rows(
                "SELECT person_id, sum(effective_cost) FROM ledger_charge WHERE organization_id = %s"
                " GROUP BY 1 HAVING sum(effective_cost) <> 0 ORDER BY 1",
                self.book.organization.id,
            )
        )


def billed_company(company: Company, *, days: int = 20, provider: str = "openai") -> Stated:
    """Of so many days before yesterday that had calls, bills of a company that saw most of it: its rates are a little
    lower than the price book's, and a tenth of what was used nobody saw. The newest day waits.
    """
    made = Stated(Book(company.cast.acme, at=company.at))
    back = 1
    while (
        Statement.objects.filter(source=made.money_source).values("day").distinct().count() < days and back < days + 10
    ):
        back += 1
        at = (company.at - timedelta(days=back)).replace(hour=0, minute=0, second=0, microsecond=0)
        seen: dict[str, list[Used]] = {}
        for row in used(company.cast.acme.id, provider=provider, day=at.date(), but_sources=()):
            seen.setdefault(row.model, []).append(row)
        for model, rows_of in seen.items():
            cost = sum((row.effective_cost for row in rows_of), Decimal(0))
            read, written = (sum(row.counts[METER_INDEX[name]] for row in rows_of) for name in KINDS)
            if cost and read and written:
                more = {"input_uncached": read * 11 // 10, "output_text": written * 11 // 10}
                made.reported(model=model, occurred_at=at, **more)
                made.billed(f"{cost * 6 / 10:.6f}", "input_uncached", model=model, occurred_at=at)
                made.billed(f"{cost * 46 / 100:.6f}", "output", model=model, occurred_at=at)
    made.reconciled()
    return made
