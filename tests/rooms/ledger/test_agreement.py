"""Rollups equal the sum of charges, to the last digit, after any mix of everything that writes to the ledger."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from finops.attribution.services import create_rule, promote_tag
from finops.attribution.types import Method
from finops.connectors.types import Dimensions, GivenCost
from finops.core.periods import DayRange, months, next_month
from finops.ingest import services as ingest
from finops.ingest.types import Status
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.ledger import services as ledger
from finops.orgs import services as orgs
from finops.pricing.rules.terms import GivenRate
from finops.pricing.services import Agreed, add_custom_model, add_exchange_rates, set_discount
from tests.factories.attribution import draft, shared_draft, shared_rule
from tests.factories.ledger import Book, event, rows, small_book
from tests.factories.orgs import HOUSE
from tests.factories.pricing import counts, steps

pytestmark = pytest.mark.timeout(300)

# 100 days, so that there are settled blocks of 4, 16 and 64 days.
FIRST = datetime(2026, 7, 20, tzinfo=UTC)
PERIOD = DayRange(date(2026, 7, 1), date(2026, 12, 1))
# Days at the edges of blocks and months, rather than any.
DAYS = (0, 1, 11, 12, 42, 71, 72, 73, 88, 99)
MODELS = (("openai", "gpt"), ("azure", "gpt-mini"), ("openai", "ours-7b"), ("nobody", "unheard-of"))
COSTS = (None, None, None, GivenCost(2_500_000_000_000, "EUR"), GivenCost(-1_234_567_891_011, "USD"))
OWNERS = (Dimensions(), Dimensions(team="search"), Dimensions(project="answers"), Dimensions(agent="crawler"))
WHO: tuple[tuple[tuple[str, str], ...], ...] = ((), (("email", "bob@acme.example"),), (("github", "newcomer"),))
_numbers = count(1)

calls = st.builds(
    lambda number, day, model, cost, owner, who, tokens, session, request, env: event(
        f"call-{number}",
        occurred_at=FIRST + timedelta(days=DAYS[day], hours=tokens % 24, microseconds=tokens),
        provider=model[0],
        model=model[1],
        cost=cost,
        category="Credit" if cost and cost.pico < 0 else "Usage",
        counts=counts(input_uncached=tokens, cache_read=tokens // 3, output_text=7, requests=1),
        dimensions=owner,
        identities=who,
        session=session,
        provider_request_id=request,
        tags=(("env", env),) if env else (),
    ),
    st.integers(0, 25),
    st.integers(0, len(DAYS) - 1),
    st.sampled_from(MODELS),
    st.sampled_from(COSTS),
    st.sampled_from(OWNERS),
    st.sampled_from(WHO),
    st.integers(1, 5_000),
    st.sampled_from(("", "", "s-1", "s-2")),
    st.sampled_from(("", "", "", "req_1", "req_2", "req_3")),
    st.sampled_from(("", "prod", "test")),
)
batches = st.lists(calls, min_size=1, max_size=12)


class Ledger(RuleBasedStateMachine):
    """Whatever may happen to acme's ledger, in any order. Every step ends committed."""

    def __init__(self) -> None:
        super().__init__()
        number = next(_numbers)
        acme = orgs.create_organization(slug=f"acme-{number}", name="Acme", by=HOUSE, at=FIRST)
        self.book = Book(acme, at=datetime(2026, 11, 1, 12, tzinfo=UTC))
        self.mine: dict[str, Any] = {"organization_id": acme.id, "by": HOUSE, "at": FIRST}
        self.changed = False
        self.months = iter(months(PERIOD))

    @initialize()
    def found(self) -> None:
        search = orgs.add_team(name="Search", **self.mine)
        self.chat = orgs.add_team(name="Chat", **self.mine)
        self.bob = orgs.add_person(name="Bob", email="bob@acme.example", team_id=search.id, **self.mine)
        project = orgs.add_project(name="Answers", team_id=self.chat.id, **self.mine)
        orgs.add_agent(name="Crawler", owner_id=self.bob.id, project_id=project.id, **self.mine)
        promote_tag(key="env", **self.mine)
        rates = [
            # Another rate every day: what is moved keeps what it was booked at.
            GivenRate((FIRST + timedelta(d)).date(), "EUR", "USD", Decimal("1.0837") + Decimal(d) / 1_000)
            for d in range(105)
        ]
        add_exchange_rates(rates=rates, **self.mine)
        shared_rule(self.book.organization.id, shared_draft(pool={"team": (search.id,)}, method=Method.USAGE), at=FIRST)

    @rule(batch=batches, source=st.sampled_from(("gateway", "tools")))
    def ingest(self, batch: list[Any], source: str) -> None:
        statuses = self.book.take(*batch, source=source)
        assert Status.QUARANTINED not in statuses

    @rule(batch=batches)
    def ingest_what_restates_itself(self, batch: list[Any]) -> None:
        self.book.take(*batch, source="report", revises=True)

    @rule(batch=batches)
    def send_twice(self, batch: list[Any]) -> None:
        self.book.take(*batch)
        before = self.book.total()
        again = self.book.take(*batch)
        assert not {Status.CHARGED, Status.REVISED, Status.SIGHTED} & set(again)
        assert self.book.total() == before

    @rule(place=st.integers(0, 1_000), how_many=st.integers(1, 3))
    def reverse(self, place: int, how_many: int) -> None:
        standing = self.book.standing()
        chosen = [standing[(place + n) % len(standing)] for n in range(how_many)] if standing else []
        assert self.book.reverse(*chosen) == {charge for charge, _ in chosen}

    @rule()
    def change_prices_and_rerate(self) -> None:
        mine = self.mine | {"at": self.book.now()}
        month = next(self.months, None)
        if not self.changed:
            self.changed = True
            about = Agreed(provider="openai", model="ours-7b", effective_from=PERIOD.start)
            prices = steps(input_uncached="0.5", cache_read="0.1", output_text="3", requests="0")
            add_custom_model(about=about, steps=[prices], **mine)
        elif month is not None:
            about = Agreed(provider="openai", effective_from=month, effective_to=next_month(month))
            set_discount(about=about, percent=Decimal("7.5"), **mine)
        self._work(ingest.RERATE)

    def _work(self, kind: str) -> None:
        mine: dict[str, Any] = {"organization_id": self.book.organization.id, "by": HOUSE}
        job = ingest.open_rework(kind=kind, period=PERIOD, at=self.book.now(), **mine)
        self._run(job)
        again = ingest.open_rework(kind=kind, period=PERIOD, at=self.book.now(), **mine)
        assert self._run(again).result["changed"] == 0

    def _run(self, job: Job) -> Job:
        claimed = jobs.claim(job_id=job.id, at=self.book.now())
        assert claimed is not None
        if job.kind == ingest.ALLOCATE:
            ingest.run_allocation(job=claimed, now=self.book.now)
        else:
            ingest.run_rework(job=claimed, now=self.book.now)
        done = Job.objects.get(id=job.id)
        assert done.state == Job.State.DONE
        return done

    @rule()
    def change_owners_and_reattribute(self) -> None:
        mine = self.mine | {"at": self.book.now()}
        number = next(_numbers)
        conditions = [("provider", "is", ("openai",)), ("tag:env", "is", ("prod",)), ("identity:github", "exists", ())]
        says = draft(conditions[number % 3], override=number % 2 == 0, team=self.chat.id, person=self.bob.id)
        create_rule(name=f"Rule {number}", draft=says, position=1, **mine)
        self._work(ingest.REATTRIBUTE)

    @rule(month=st.integers(7, 10))
    def share_costs(self, month: int) -> None:
        mine: dict[str, Any] = {"organization_id": self.book.organization.id, "by": HOUSE}
        total = self._totals()
        self._run(ingest.open_allocation(month=date(2026, month, 1), at=self.book.now(), **mine))
        assert self._totals() == total
        again = ingest.open_allocation(month=date(2026, month, 1), at=self.book.now(), **mine)
        assert self._run(again).result["changed"] == 0

    def _totals(self) -> list[tuple[Any, ...]]:
        """Effective and reporting cost by source and currency: allocation moves neither."""
        return rows(
            "SELECT source_id, currency, sum(effective_cost), sum(reporting_cost) FROM ledger_charge"
            " WHERE organization_id = %s GROUP BY source_id, currency ORDER BY source_id, currency",
            self.book.organization.id,
        )

    @rule(most=st.sampled_from((1, 3, 200_000)))
    def fold(self, most: int) -> None:
        ledger.fold(most=most)

    @rule()
    def fold_all(self) -> None:
        ledger.fold_all()

    @rule()
    def settle(self) -> None:
        ledger.settle_days(organization_id=self.book.organization.id)

    @rule(day=st.sampled_from(DAYS))
    def compact(self, day: int) -> None:
        ledger.compact_day(organization_id=self.book.organization.id, day=(FIRST + timedelta(days=day)).date())

    @precondition(lambda self: self.changed)
    @rule()
    def rebuild(self) -> None:
        ledger.rebuild(organization_id=self.book.organization.id)

    @invariant()
    def agrees(self) -> None:
        if self.book.sources:
            assert self.book.disagreements() == []

    def teardown(self) -> None:
        ledger.fold_all()
        assert self.book.disagreements() == []


def test_rollups_equal_charges_after_any_mix_of_writes(transactional_db: None) -> None:
    small_book()
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=15,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            # A failing mix is short already; shrinking it would run for minutes.
            phases=(Phase.generate,),
        ),
    )
