"""Seats: purchases that sum to their price, a pool, and calls that a seat pays for."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.seats import Holder, SeatPlan, charges, covered, included_pico, over
from finops.connectors.types import GivenCost, UsageEvent, content_hash
from finops.core.money import PICO
from finops.core.periods import DayRange
from finops.core.tokens import METERS
from finops.ingest.rules import check
from tests.factories.agents import dollars

NOVEMBER = DayRange(date(2026, 11, 1), date(2026, 12, 1))


def plan(**changes: Any) -> SeatPlan:
    told: dict[str, Any] = {
        "name": "copilot-business", "provider": "github-copilot", "price": Decimal(19), "currency": "USD", "seats": 50,
        "start": date(2026, 11, 1), "included": Decimal(19),
    } | changes  # fmt: skip
    return SeatPlan(**told)


def pico(events: list[UsageEvent]) -> int:
    return sum(event.cost.pico for event in events if event.cost)


def test_a_month_of_seats_is_their_price() -> None:
    made = charges(plan(), NOVEMBER)
    assert len(made) == 30
    assert pico(made) == 950 * PICO
    assert {event.category for event in made} == {"Purchase"}
    assert [dollars(event) for event in charges(plan(), NOVEMBER, by="month")] == ["950"]
    assert all(check(event, now=datetime(2026, 12, 1, tzinfo=UTC)) is None for event in made)


def test_a_third_of_a_cent_is_lost_nowhere() -> None:
    made = charges(plan(price=Decimal("0.01"), seats=7), DayRange(date(2026, 11, 1), date(2026, 12, 1)))
    assert pico(made) == 7 * PICO // 100
    assert len({event.cost.pico for event in made if event.cost}) <= 2


def test_holders_have_a_charge_each_and_the_rest_is_nobodys() -> None:
    holders = (Holder("github", "octocat"), Holder("email", "bob@acme.example"))
    made = charges(plan(holders=holders), NOVEMBER, by="month")
    assert [(event.identities, dollars(event)) for event in made] == [
        ((), "912"), ((("github", "octocat"),), "19"), ((("email", "bob@acme.example"),), "19"),
    ]  # fmt: skip
    assert len({event.external_id for event in made}) == 3


def test_a_term_held_in_part_is_paid_by_the_day_or_whole() -> None:
    mid: dict[str, Any] = {"start": date(2026, 11, 16), "anchor": date(2026, 11, 1), "seats": 1, "price": Decimal(30)}
    assert pico(charges(plan(**mid), NOVEMBER)) == 15 * PICO
    assert pico(charges(plan(**mid, prorated=False), NOVEMBER)) == 30 * PICO
    (month,) = charges(plan(**mid), NOVEMBER, by="month")
    assert month.occurred_at == datetime(2026, 11, 16, tzinfo=UTC)


def test_a_plan_costs_nothing_before_it_starts_and_after_it_ends() -> None:
    ended = plan(end=date(2026, 11, 11))
    days = {event.occurred_at.date() for event in charges(ended, DayRange(date(2026, 10, 1), date(2027, 1, 1)))}
    assert (min(days), max(days), len(days)) == (date(2026, 11, 1), date(2026, 11, 10), 10)
    assert charges(plan(), DayRange(date(2026, 10, 1), date(2026, 11, 1)), by="month") == []


def test_a_year_is_told_by_month() -> None:
    year = plan(price=Decimal(365), seats=1, term_months=12, start=date(2027, 1, 1))
    made = charges(year, DayRange(date(2027, 1, 1), date(2028, 1, 1)), by="month")
    assert [dollars(event) for event in made[:3]] == ["31", "28", "31"]
    assert pico(made) == 365 * PICO


def test_a_term_that_begins_on_the_31st_begins_on_the_last_of_a_short_month() -> None:
    odd = plan(start=date(2026, 12, 31), seats=1, price=Decimal(31))
    made = charges(odd, DayRange(date(2026, 12, 31), date(2027, 5, 31)))
    assert pico(made) == 5 * 31 * PICO
    assert len({event.external_id for event in made}) == len(made) == 151


TERMS = st.integers(1, 12)
DAYS = st.integers(0, 800)


@given(
    price=st.integers(0, 10**6), seats=st.integers(1, 9), months=TERMS, start=DAYS, length=st.none() | DAYS,
    cuts=st.tuples(DAYS, DAYS, DAYS), prorated=st.booleans(), back=st.integers(0, 60),
)  # fmt: skip
def test_what_a_day_costs_does_not_depend_on_what_is_asked_for(
    price: int, seats: int, months: int, start: int, length: int | None, cuts: tuple[int, int, int], prorated: bool,
    back: int,
) -> None:  # fmt: skip
    zero = date(2026, 1, 1)
    begins = zero + timedelta(days=start)
    odd = plan(
        price=Decimal(price) / 100, seats=seats, term_months=months, start=begins, prorated=prorated,
        end=None if length is None else begins + timedelta(days=length), anchor=begins - timedelta(days=back),
        holders=(Holder("github", "octocat"),),
    )  # fmt: skip
    first, second, third = (zero + timedelta(days=day) for day in sorted(cuts))
    whole = charges(odd, DayRange(first, third))
    parts = charges(odd, DayRange(first, second)) + charges(odd, DayRange(second, third))
    assert [content_hash(event) for event in whole] == [content_hash(event) for event in parts]
    by_month: dict[str, int] = defaultdict(int)
    for event in charges(odd, DayRange(date(2026, 1, 1), date(2030, 1, 1))):
        by_month[event.occurred_at.strftime("%Y-%m")] += event.cost.pico if event.cost else 0
    for event in charges(odd, DayRange(first, third), by="month"):
        by_month[event.occurred_at.strftime("%Y-%m")] -= event.cost.pico if event.cost else 0
    touched = {event.occurred_at.strftime("%Y-%m") for event in charges(odd, DayRange(first, third), by="month")}
    assert all(by_month[month] == 0 for month in touched)


def test_the_pool_is_spent_to_its_last_cent_and_then_it_is_usage() -> None:
    pool = included_pico(plan(seats=2))
    assert pool == 38 * PICO
    assert over(pool, 0, 5 * PICO) == (5 * PICO, 0)
    assert over(pool, 36 * PICO, 5 * PICO) == (2 * PICO, 3 * PICO)
    assert over(pool, 38 * PICO, 5 * PICO) == (0, 5 * PICO)
    assert over(pool, 90 * PICO, 5 * PICO) == (0, 5 * PICO)


def test_tokens_of_a_subscription_are_an_equivalent_and_no_dollars_openusage_213() -> None:
    call = UsageEvent(
        external_id="msg_1", occurred_at=datetime(2026, 11, 20, tzinfo=UTC), provider="anthropic",
        model="claude-opus-5-5", counts=(62_000_000, *(0,) * (len(METERS) - 1)), tags=(("cwd", "/src"),),
    )  # fmt: skip
    made = covered(call)
    assert (made.cost, made.counts, made.category) == (GivenCost(0, "USD"), call.counts, "Usage")
    assert made.tags == (("billing", "subscription"), ("cwd", "/src"))
    paid = pico([*charges(plan(seats=1), NOVEMBER), made])
    assert paid == 19 * PICO


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"seats": -1},
        {"price": Decimal(-1)},
        {"included": Decimal(-1)},
        {"term_months": 0},
        {"currency": "usd"},
        {"seats": 0, "holders": (Holder("github", "octocat"),)},
        {"holders": (Holder("github", "octocat"), Holder("github", "Octocat"))},
        {"end": date(2026, 10, 1)},
        {"anchor": date(2026, 11, 2)},
    ],
)
def test_what_is_no_plan_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        plan(**changes)
