"""Charges, corrections, folds and closings in any order: every statement, and what none says yet, are the ledger."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from finops.connectors.types import Dimensions, GivenCost
from finops.core.periods import month_start, next_month
from finops.ledger import services as ledger
from finops.months import rules, selectors
from finops.months.models import Closing
from finops.months.types import StatementRow
from finops.orgs import services as orgs
from finops.pricing.rules.terms import GivenRate
from finops.pricing.services import add_exchange_rates
from tests.factories.ledger import Book, event, rows, small_book
from tests.factories.months import JULY, charged, close, reopen, stated
from tests.factories.orgs import HOUSE
from tests.factories.pricing import counts

pytestmark = pytest.mark.timeout(300)

FIRST = datetime(2026, 7, 20, tzinfo=UTC)
# The edges of months, rather than any day.
DAYS = (0, 11, 12, 42, 43, 72, 73, 99)
COSTS = (None, None, GivenCost(2_500_000_000_000, "EUR"), GivenCost(-1_234_567_891_011, "USD"))
OWNERS = (Dimensions(), Dimensions(team="search"), Dimensions(project="answers"))
_numbers = count(1)

calls = st.builds(
    lambda number, day, model, cost, owner, tokens: event(
        f"call-{number}",
        occurred_at=FIRST + timedelta(days=DAYS[day], hours=23 if tokens % 2 else 0, microseconds=tokens),
        model=model,
        cost=cost,
        category="Credit" if cost and cost.pico < 0 else "Usage",
        counts=counts(input_uncached=tokens, output_text=7, requests=1),
        dimensions=owner,
    ),
    st.integers(0, 15),
    st.integers(0, len(DAYS) - 1),
    st.sampled_from(("gpt", "gpt-mini", "unheard-of")),
    st.sampled_from(COSTS),
    st.sampled_from(OWNERS),
    st.integers(1, 5_000),
)
batches = st.lists(calls, min_size=1, max_size=8)


class Months(RuleBasedStateMachine):
    """Every step ends committed. The clock stands on the first of November, so that four months are over."""

    def __init__(self) -> None:
        super().__init__()
        acme = orgs.create_organization(slug=f"acme-{next(_numbers)}", name="Acme", by=HOUSE, at=FIRST)
        self.book = Book(acme, at=datetime(2026, 11, 1, 12, tzinfo=UTC))

    @initialize()
    def found(self) -> None:
        mine: dict[str, Any] = {"organization_id": self.book.organization.id, "by": HOUSE, "at": FIRST}
        search = orgs.add_team(name="Search", **mine)
        orgs.add_project(name="Answers", team_id=search.id, **mine)
        rates = [
            GivenRate((FIRST + timedelta(d)).date(), "EUR", "USD", Decimal("1.0837") + Decimal(d) / 1_000)
            for d in range(105)
        ]
        add_exchange_rates(rates=rates, **mine)
        # Each month has some of each currency, folded and not, and the first is closed, not for the first time: what
        # follows changes something.
        for cost in COSTS[1:3]:
            begun = [
                event(
                    f"call-{2 * number + bool(cost)}",
                    occurred_at=FIRST + timedelta(days=day),
                    cost=cost,
                    dimensions=OWNERS[number % 3],
                )
                for number, day in enumerate(DAYS)
            ]
            assert set(self.book.take(*begun, source="report", revises=True)) == {"charged"}
            if cost is None:
                ledger.fold_all()
        close(self.book, JULY)
        reopen(self.book, JULY)
        close(self.book, JULY)

    @rule(batch=batches, revises=st.booleans())
    def ingest(self, batch: list[Any], revises: bool) -> None:
        self.book.take(*batch, source="report" if revises else "gateway", revises=revises)

    @rule(place=st.integers(0, 1_000))
    def reverse(self, place: int) -> None:
        if standing := self.book.standing():
            self.book.reverse(standing[place % len(standing)])

    @rule(most=st.sampled_from((1, 3, 200_000)))
    def fold(self, most: int) -> None:
        ledger.fold(most=most)

    @rule()
    def settle(self) -> None:
        ledger.fold_all()
        ledger.settle_days(organization_id=self.book.organization.id)

    @rule(again=st.booleans(), folded=st.booleans())
    def close_the_next(self, again: bool, folded: bool) -> None:
        """The one that is next; the first with spend where none is closed."""
        house = self.book.organization.id
        closed = selectors.closed_months(house)
        first = selectors.first_day(house)
        month = next_month(closed[-1]) if closed else month_start(first) if first else None
        if month is not None and month < date(2026, 11, 1):
            if folded:
                ledger.fold_all()
            close(self.book, month)
            if again:
                reopen(self.book, month)
                close(self.book, month)

    @rule()
    def reopen_the_last(self) -> None:
        if closed := selectors.closed_months(self.book.organization.id):
            reopen(self.book, closed[-1])

    @invariant()
    def statements_and_late_changes_are_the_ledger(self) -> None:
        house = self.book.organization.id
        closed = selectors.closed_months(house)
        found: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, Decimal(0), Decimal(0)])
        for key, values in stated(house).items():
            found[key] = [a + b for a, b in zip(found[key], values, strict=True)]
        for one in selectors.late(house):
            key = (month_start(one.day), *one[1:7])
            values = (one.calls, one.effective_cost, one.reporting_cost)
            found[key] = [a + b for a, b in zip(found[key], values, strict=True)]
        truth = {key: list(values) for key, values in charged(house).items() if key[0] in closed}
        assert {key: values for key, values in found.items() if any(values)} == truth

    @invariant()
    def the_list_says_the_same(self) -> None:
        house = self.book.organization.id
        late = rules.summed_by(selectors.late(house), lambda one: month_start(one.day))
        for one in selectors.listed(house, at=self.book.at):
            assert one.spent == sum((values[2] for values in charged(house, one.month).values()), Decimal(0))
            if one.state == "closed":
                assert one.spent == one.stated + one.later + one.late
                assert one.late == (late[one.month].amount if one.month in late else 0)

    @invariant()
    def each_source_says_its_own_part(self) -> None:
        house = self.book.organization.id
        every = selectors.late(house)
        for source in self.book.sources.values():
            own = [one for one in every if one.source_id == source.id]
            found = selectors.late_of_source(house, source.id)
            # What only moved between owners of a source is no change of the source's month.
            assert not found or rules.summed_by(found, lambda one: one.day)
            assert rules.summed(found).amount == rules.summed(own).amount

    @invariant()
    def every_statement_adds_up(self) -> None:
        for row in selectors.closings(self.book.organization.id):
            for by in ((), ("team",), selectors.OWNERS):
                said = list(selectors.statement(row, by=by))
                assert _amount(said, row) == (row.amount, row.carried)

    def teardown(self) -> None:
        """What was ever said stays as it was."""
        for row in Closing.objects.filter(organization=self.book.organization):
            ((cost, many),) = rows(
                "SELECT coalesce(sum(reporting_cost), 0), coalesce(sum(charges), 0) FROM months_line"
                " WHERE closing_id = %s",
                row.id,
            )
            assert (cost, many) == (row.amount + row.carried, row.charges + row.carried_charges)


def _amount(said: list[StatementRow], row: Closing) -> tuple[Decimal, Decimal]:
    own = sum((one.reporting_cost for one in said if one.of_month == row.month), Decimal(0))
    return own, sum((one.reporting_cost for one in said), Decimal(0)) - own


def test_statements_and_late_changes_are_the_ledger_in_any_order(transactional_db: None) -> None:
    small_book()
    run_state_machine_as_test(
        Months,
        settings=settings(
            max_examples=6,
            stateful_step_count=10,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            phases=(Phase.generate,),
        ),
    )
