"""What may be asked of bills: a month, and what might have been otherwise. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from finops.core.errors import Invalid
from finops.core.periods import month_start, months_on
from routing.bills.types import Change, Drop, Move, Offer, Plan, Reprice

LONGEST_NAME: Final = 200
LONGEST_WORD: Final = 60
MOST_CHANGES: Final = 20
MOST_SUBSTITUTES: Final = 50
MOST_FEE: Final = Decimal(10**9)
# A price falls by all of it at the most, and is at most eleven times what it was.
LEAST_PERCENT: Final = Decimal(-100)
MOST_PERCENT: Final = Decimal(1_000)
MOST_DISCOUNT: Final = Decimal(100)
PERCENT_PLACES: Final = 4
# Rows of an answer; the rest is summed.
MOST_ROWS: Final = 200
_MONTH: Final = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")


class QuestionInvalid(Invalid):
    """Something asked that cannot be; `field` says where."""

    code = "bills.invalid"


def month_of(said: str, today: date) -> date:
    """`2026-10`; '' is the last month that is over. Raises QuestionInvalid."""
    if not said:
        return months_on(month_start(today), -1)
    found = _MONTH.fullmatch(said)
    if found is None or not said.isascii():
        raise QuestionInvalid("a month is written as 2026-10", field="month")
    month = date(int(found[1]), int(found[2]), 1)
    if month > today:
        raise QuestionInvalid("that month has not begun", field="month")
    return month


def check(changes: Sequence[Change]) -> Sequence[Change]:
    """Raises QuestionInvalid, naming the change."""
    if not 1 <= len(changes) <= MOST_CHANGES:
        raise QuestionInvalid(f"say 1 to {MOST_CHANGES} changes", field="changes")
    for place, one in enumerate(changes):
        at = f"changes[{place}]"
        if isinstance(one, Move):
            _check_move(one, at)
        elif isinstance(one, Reprice):
            _check_reprice(one, at)
        elif isinstance(one, Drop):
            _check_drop(one, at)
        else:
            _check_plan(one, at)
    return changes


def _check_move(one: Move, at: str) -> None:
    _name(one.model, f"{at}.model")
    _offer(one.to, at)
    if one.model == one.to.model and one.to.provider in ("", one.provider):
        raise QuestionInvalid("it would stay where it is", field=f"{at}.to")


def _check_reprice(one: Reprice, at: str) -> None:
    _name(one.model, f"{at}.model")
    for field in ("read", "cached", "written"):
        if not LEAST_PERCENT <= getattr(one, field) <= MOST_PERCENT:
            raise QuestionInvalid(
                f"a price changes by {LEAST_PERCENT} to {MOST_PERCENT} percent", field=f"{at}.{field}"
            )


def _check_drop(one: Drop, at: str) -> None:
    if not one.vendor or len(one.vendor) > LONGEST_WORD:
        raise QuestionInvalid("say whose models are gone", field=f"{at}.vendor")
    if len(one.instead) > MOST_SUBSTITUTES:
        raise QuestionInvalid(f"name at most {MOST_SUBSTITUTES} substitutes", field=f"{at}.instead")
    if not one.instead and one.otherwise is None:
        raise QuestionInvalid("say where its calls would have gone", field=f"{at}.otherwise")
    for model, offer in one.instead.items():
        _name(model, f"{at}.instead")
        _offer(offer, at)
    if one.otherwise is not None:
        _offer(one.otherwise, at)


def _check_plan(one: Plan, at: str) -> None:
    if bool(one.vendor) == bool(one.model):
        raise QuestionInvalid("a plan is of a maker or of a model", field=f"{at}.vendor")
    if not 0 <= one.percent <= MOST_DISCOUNT:
        raise QuestionInvalid("a discount is 0 to 100 percent", field=f"{at}.percent")
    if not 0 <= one.fee <= MOST_FEE:
        raise QuestionInvalid("a fee is not negative, and below a billion", field=f"{at}.fee")


def _name(said: str, field: str) -> None:
    if not said or len(said) > LONGEST_NAME or not said.isprintable():
        raise QuestionInvalid(f"a model is a name of 1 to {LONGEST_NAME} characters", field=field)


def _offer(one: Offer, at: str) -> None:
    _name(one.model, f"{at}.to")
    if len(one.provider) > LONGEST_WORD or not one.provider.isprintable():
        raise QuestionInvalid("a provider is a word", field=f"{at}.to_provider")
