"""What a provider states of its days, and the books beside it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from finops.connectors.types import GivenCost, UsageEvent
from finops.core.money import to_pico
from finops.ingest.services import take
from finops.ingest.types import Received, Status
from finops.reconciliation.models import ReconciledDay
from finops.reconciliation.services import reconcile
from finops.sources.services import add_source
from tests.factories.ledger import THEN, Book, event, rows
from tests.factories.orgs import HOUSE
from tests.factories.pricing import counts

MIDNIGHT = THEN.replace(hour=0, minute=0)


class Stated:
    """Reports of usage and of cost of one provider, into Acme's books."""

    def __init__(self, book: Book) -> None:
        self.book = book
        made = {
            states: add_source(
                organization_id=book.organization.id, slug=f"openai-{states}", kind="account", revises=True,
                states=states, by=HOUSE, at=book.now(),
            )
            for states in ("money", "usage")
        }  # fmt: skip
        self.money_source, self.usage_source = made["money"], made["usage"]

    def billed(self, amount: str, meter: str = "", *, model: str = "gpt", **given: Any) -> Status:
        """A row of costs, of a day and a kind of token."""
        at: datetime = given.pop("occurred_at", MIDNIGHT)
        account = given.get("provider_account", "")
        name = given.pop("name", f"cost/{at:%Y-%m-%d}/{account}/{model}/{meter}")
        currency = given.pop("currency", "USD")
        made = event(
            name, occurred_at=at, model=model, counts=counts(), evidence="billed",
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
            organization_id=self.book.organization.id, source_id=source_id, parser="openai_cost_report",
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
