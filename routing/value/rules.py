"""What is a completed task, and what one costs. Pure."""

from __future__ import annotations

from decimal import Decimal
from statistics import NormalDist
from typing import Final

from finops.core.errors import FinopsError
from finops.core.money import to_ledger
from finops.core.periods import DayRange
from routing.evidence.statistics.paired import wilson
from routing.evidence.types import Interval

# What a task is worth is whether it was done: the mean of what was said of its calls is at least this.
COMPLETED: Final = 0.5
# Fewer scored tasks than this say little, as everywhere in routing.
FEW: Final = 20
CONFIDENCE: Final = 0.95
# By which the three are laid side by side, the most useful first.
BY: Final = ("person", "project", "task_type", "team", "agent", "customer")
# Each charge of the period is looked at.
MOST_DAYS: Final = 92


class PeriodTooLong(FinopsError):
    code = "value.period_too_long"
    status = 400


class TooMuch(FinopsError):
    """There are too many charges in the period to look at each while somebody waits."""

    code = "value.too_much"
    status = 422


def check_period(days: DayRange) -> None:
    """Raises PeriodTooLong."""
    if days.days > MOST_DAYS:
        raise PeriodTooLong(f"Tasks are looked at for {MOST_DAYS} days at most.", field="period")


def share(completed: int, scored: int) -> Interval:
    """Bounds of the share of tasks that are completed, of which `scored` are known."""
    return wilson(completed / scored, scored, NormalDist().inv_cdf((1 + CONFIDENCE) / 2))


def money_each(cost: Decimal, completed: int) -> Decimal:
    return to_ledger(cost / completed)
