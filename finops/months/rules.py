"""What may be closed and opened again, and how changes add up. Pure: no clock, no query."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, TypeVar

from finops.core.errors import FinopsError, Invalid
from finops.core.periods import DayRange, month_start, next_month
from finops.months.types import Change, Item, State, Sum

LONGEST_REASON: Final = 500
_MONTH: Final = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])", re.ASCII)
Key = TypeVar("Key", bound=Hashable)


class MonthUnclear(FinopsError):
    """What was asked for is no month."""

    code = "months.month_unclear"
    status = 400


class MonthNotOver(FinopsError):
    code = "months.not_over"
    status = 409


class AlreadyClosed(FinopsError):
    code = "months.already_closed"
    status = 409


class NotClosed(FinopsError):
    code = "months.not_closed"
    status = 409


class OutOfOrder(FinopsError):
    """Months are closed in order, and opened again from the last one back. The message says which is next."""

    code = "months.out_of_order"
    status = 409


class ReasonMissing(Invalid):
    """What is open of a month is closed over only by somebody who says why; so is one opened again."""

    code = "months.reason_missing"


def month_told(said: str) -> date:
    """`2026-10` as its first day. Raises MonthUnclear."""
    found = _MONTH.fullmatch(said)
    if found is None:
        raise MonthUnclear("A month is written as 2026-10.", field="month")
    return date(int(found[1]), int(found[2]), 1)


def written(month: date) -> str:
    return f"{month:%Y-%m}"


def days_of(month: date) -> DayRange:
    return DayRange(month, next_month(month))


def closed_days(closed: Sequence[date]) -> DayRange | None:
    """All days of months that are closed; there is no month between them that is not. None where none is."""
    return DayRange(closed[0], next_month(closed[-1])) if closed else None


def state_of(month: date, closed: Sequence[date], today: date) -> State:
    """`closed` are the months that are, oldest first."""
    if closed and closed[0] <= month <= closed[-1]:
        return State.CLOSED
    return State.OVER if next_month(month) <= today else State.RUNNING


def check_close(month: date, closed: Sequence[date], *, first: date | None, today: date) -> None:
    """Whether a month may be closed next. `first` is the first day anything was spent on: nobody closes what was
    before it. The first month that is closed may be any after that; from then on there is one order.

    Raises AlreadyClosed, MonthNotOver and OutOfOrder.
    """
    state = state_of(month, closed, today)
    if state is State.CLOSED:
        raise AlreadyClosed(f"{written(month)} is closed.", field="month")
    if state is State.RUNNING:
        raise MonthNotOver(f"{written(month)} is not over; the day after its last one is the first.", field="month")
    if closed and month != (following := next_month(closed[-1])):
        raise OutOfOrder(f"The next month to be closed is {written(following)}.", field="month")
    if not closed and (first is None or month < month_start(first)):
        begins = f"the first is {written(first)}" if first else "there is none yet"
        raise OutOfOrder(f"Nothing was spent in {written(month)}; of months with spend {begins}.", field="month")


def may_close(month: date, closed: Sequence[date], *, first: date | None, today: date) -> bool:
    try:
        check_close(month, closed, first=first, today=today)
    except FinopsError:
        return False
    return True


def check_reopen(month: date, closed: Sequence[date]) -> None:
    """Raises NotClosed, and OutOfOrder where a later month is closed, whose statement says what came of this one."""
    if month not in closed:
        raise NotClosed(f"{written(month)} is not closed.", field="month")
    if month != closed[-1]:
        raise OutOfOrder(f"{written(closed[-1])} is closed after it, and is opened first.", field="month")


def reason_told(said: str, *, needed: str) -> str:
    """A reason in one line, '' where none is needed. Raises ReasonMissing; `needed` says for what it is, or ''."""
    reason = " ".join(said.split())
    if needed and not reason:
        raise ReasonMissing(needed, field="reason")
    if len(reason) > LONGEST_REASON or "\0" in reason:
        raise ReasonMissing(f"A reason has at most {LONGEST_REASON} characters.", field="reason")
    return reason


def open_items(checklist: Iterable[Item]) -> list[Item]:
    return [item for item in checklist if item.count]


def summed(changes: Iterable[Change]) -> Sum:
    return sum((_sum(one) for one in changes), Sum())


def summed_by(changes: Iterable[Change], key: Callable[[Change], Key]) -> dict[Key, Sum]:
    """Sums by a key, those with the largest amounts first, whichever way they go; what moved nothing is left out."""
    found: defaultdict[Key, Sum] = defaultdict(Sum)
    for one in changes:
        found[key(one)] += _sum(one)
    moved = {each: total for each, total in found.items() if total != Sum()}
    return dict(sorted(moved.items(), key=lambda pair: (-abs(pair[1].amount), str(pair[0]))))


def _sum(one: Change) -> Sum:
    return Sum(one.charges, one.calls, one.reporting_cost)


def moved(changes: Iterable[Change]) -> Decimal:
    """How much is charged to somebody else or otherwise than before: what was added to owners, or what was taken from
    them, whichever is more. A change of owner moves money and sums to nothing.
    """
    owners = summed_by(changes, lambda one: (one.team_id, one.person_id, one.project_id, one.category_id))
    amounts = [total.amount for total in owners.values()]
    added = sum((one for one in amounts if one > 0), Decimal(0))
    return max(added, added - sum(amounts, Decimal(0)))


def worse_by(amount: Decimal, least: Decimal) -> int:
    """How often an amount has doubled beyond the least that is told of, from 1 on; 0 below it. What is told grows in
    such steps, so that a month that goes on changing is told of again and not each time.
    """
    if not amount or abs(amount) < least:
        return 0
    return 1 if not least else int(abs(amount) / least).bit_length()
