"""Which month may be closed or opened again, and how changes add up."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from finops.core.periods import DayRange, next_month
from finops.months import rules
from finops.months.types import Change, Check, Item, State, Sum

AUGUST, SEPTEMBER, OCTOBER, NOVEMBER = (date(2026, month, 1) for month in (8, 9, 10, 11))
TODAY = date(2026, 11, 3)


@pytest.mark.parametrize("said", ["", "2026", "2026-13", "2026-1", "1999-12", "2026-10-01", "2026-１0", "2026-10\n"])
def test_a_month_is_written_in_one_way(said: str) -> None:
    with pytest.raises(rules.MonthUnclear) as refused:
        rules.month_told(said)
    assert refused.value.field == "month"


def test_a_month_is_read_as_its_first_day_and_written_back() -> None:
    assert rules.month_told("2026-10") == OCTOBER
    assert rules.written(OCTOBER) == "2026-10"
    assert rules.days_of(OCTOBER) == DayRange(OCTOBER, NOVEMBER)


@pytest.mark.parametrize(
    ("month", "closed", "state"),
    [
        (OCTOBER, [], State.OVER),
        (NOVEMBER, [], State.RUNNING),
        (OCTOBER, [SEPTEMBER], State.OVER),
        (SEPTEMBER, [SEPTEMBER], State.CLOSED),
        (AUGUST, [SEPTEMBER], State.OVER),
    ],
)
def test_how_a_month_stands(month: date, closed: list[date], state: State) -> None:
    assert rules.state_of(month, closed, TODAY) is state


def test_a_month_is_over_on_the_first_day_after_it() -> None:
    assert rules.state_of(OCTOBER, [], date(2026, 10, 31)) is State.RUNNING
    assert rules.state_of(OCTOBER, [], NOVEMBER) is State.OVER


@pytest.mark.parametrize(
    ("month", "closed", "refusal"),
    [
        (NOVEMBER, [], rules.MonthNotOver),
        (NOVEMBER, [OCTOBER], rules.MonthNotOver),
        (OCTOBER, [OCTOBER], rules.AlreadyClosed),
        (OCTOBER, [AUGUST], rules.OutOfOrder),
        (AUGUST, [SEPTEMBER], rules.OutOfOrder),
        (date(2026, 7, 1), [], rules.OutOfOrder),
    ],
)
def test_what_is_not_next_is_not_closed(month: date, closed: list[date], refusal: type[Exception]) -> None:
    first = date(2026, 8, 20)
    with pytest.raises(refusal) as refused:
        rules.check_close(month, closed, first=first, today=TODAY)
    assert refused.value.field == "month"  # type: ignore[attr-defined]
    assert not rules.may_close(month, closed, first=first, today=TODAY)


def test_any_month_with_spend_before_it_may_be_the_first_and_then_there_is_one_order() -> None:
    first = date(2026, 8, 20)
    assert all(rules.may_close(month, [], first=first, today=TODAY) for month in (AUGUST, SEPTEMBER, OCTOBER))
    assert rules.may_close(OCTOBER, [AUGUST, SEPTEMBER], first=first, today=TODAY)
    assert not rules.may_close(OCTOBER, [], first=None, today=TODAY)


def test_months_are_opened_from_the_last_one_back() -> None:
    rules.check_reopen(OCTOBER, [SEPTEMBER, OCTOBER])
    with pytest.raises(rules.OutOfOrder, match="2026-10 is closed after it"):
        rules.check_reopen(SEPTEMBER, [SEPTEMBER, OCTOBER])
    with pytest.raises(rules.NotClosed):
        rules.check_reopen(NOVEMBER, [SEPTEMBER, OCTOBER])


def test_closed_days_have_no_gap() -> None:
    assert rules.closed_days([]) is None
    assert rules.closed_days([AUGUST, SEPTEMBER]) == DayRange(AUGUST, OCTOBER)
    assert next_month(date(2026, 12, 1)) == date(2027, 1, 1)


def test_a_reason_is_one_line_and_only_asked_for_where_it_is_needed() -> None:
    assert rules.reason_told("", needed="") == ""
    assert rules.reason_told("  the bill\n is late ", needed="say why") == "the bill is late"
    for said, needed in (("  ", "say why"), ("x" * 501, ""), ("nul\0", "")):
        with pytest.raises(rules.ReasonMissing) as refused:
            rules.reason_told(said, needed=needed)
        assert refused.value.field == "reason"


def test_only_what_has_a_count_is_open() -> None:
    items = [Item(Check.JOBS, 0), Item(Check.UNPRICED, 3)]
    assert rules.open_items(items) == items[1:]


def _change(amount: str, **given: Any) -> Change:
    usual: dict[str, Any] = {
        "day": OCTOBER, "source_id": 1, "category_id": 1, "team_id": 0, "person_id": 0, "project_id": 0,
        "currency": "USD", "charges": 1, "calls": 1, "effective_cost": Decimal(amount),
        "reporting_cost": Decimal(amount),
    }  # fmt: skip
    return Change(**usual | given)


def test_changes_are_summed_the_largest_first_and_what_moved_nothing_is_left_out() -> None:
    changes = [
        _change("2", team_id=1),
        _change("-5", team_id=2, calls=-1),
        _change("1", team_id=3, charges=2, calls=2),
        _change("-1", team_id=3, charges=-2, calls=-2),
    ]
    assert rules.summed(changes) == Sum(2, 1 - 1, Decimal(-3))
    assert rules.summed_by(changes, lambda one: one.team_id) == {
        2: Sum(1, -1, Decimal(-5)),
        1: Sum(1, 1, Decimal(2)),
    }
    assert list(rules.summed_by(changes, lambda one: one.team_id)) == [2, 1]


@pytest.mark.parametrize(
    ("amounts", "moved"),
    [
        ({}, "0"),
        ({1: "5"}, "5"),
        ({1: "-5"}, "5"),
        # From one owner to another.
        ({1: "5", 2: "-5"}, "5"),
        ({1: "5", 2: "-2", 3: "-1"}, "5"),
        ({1: "-5", 2: "2", 3: "1"}, "5"),
    ],
)
def test_what_moves_between_owners_counts_as_well_as_what_is_added(amounts: dict[int, str], moved: str) -> None:
    assert rules.moved(_change(amount, team_id=team) for team, amount in amounts.items()) == Decimal(moved)


@pytest.mark.parametrize(
    ("amount", "least", "step"),
    [("9.99", "10", 0), ("10", "10", 1), ("-10", "10", 1), ("19", "10", 1), ("20", "10", 2), ("-45", "10", 3),
     ("0", "0", 0), ("0.01", "0", 1), ("0", "10", 0)],
)  # fmt: skip
def test_a_change_is_told_again_when_it_has_doubled(amount: str, least: str, step: int) -> None:
    assert rules.worse_by(Decimal(amount), Decimal(least)) == step
