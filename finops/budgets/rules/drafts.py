"""What may stand in a budget. Pure: whether its teams and people exist is asked elsewhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import available_timezones

from finops.budgets.types import DIMENSIONS, EACH, OWNERS, Draft, Enforcement, Period
from finops.core.errors import Invalid
from finops.core.money import MAX_PICO, from_pico, to_ledger

MOST_VALUES: Final = 500
MOST_THRESHOLDS: Final = 10
MOST_STEPS: Final = 10
LONGEST_WORD: Final = 300
# Of the instants a budget may say: beyond them calendars end.
_EARLIEST: Final = 2000
_LATEST: Final = 2200
_LARGEST: Final = from_pico(MAX_PICO)


class BudgetInvalid(Invalid):
    """A budget that cannot be; `field` says where."""

    code = "budgets.invalid"


def check_draft(draft: Draft) -> Draft:
    """The draft with its amounts in ledger places. Raises BudgetInvalid naming the field."""
    name = " ".join(draft.name.split())
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise BudgetInvalid("a name has 1 to 200 printable characters", field="name")
    check_scope(draft)
    if draft.timezone and draft.timezone not in available_timezones():
        raise BudgetInvalid(f"there is no time zone {draft.timezone[:60]!r}", field="timezone")
    _check_thresholds(draft.thresholds)
    _check_instants(draft)
    _check_downgrade(draft)
    limit = check_amount(draft.limit_amount, field="limit")
    rollover = check_amount(draft.rollover_amount, field="rollover")
    if rollover and draft.period in (Period.TOTAL, Period.SESSION):
        raise BudgetInvalid("nothing follows that could be carried over to", field="rollover")
    return replace(draft, name=name, limit_amount=limit, rollover_amount=rollover)


def check_amount(amount: Decimal, *, field: str) -> Decimal:
    """An amount of money from 0 on, in ledger places. Raises BudgetInvalid."""
    if not amount.is_finite() or not 0 <= amount <= _LARGEST:
        raise BudgetInvalid("an amount is a number from 0 to 999,999,999,999", field=field)
    return to_ledger(amount)


def check_scope(draft: Draft) -> None:
    """Raises BudgetInvalid unless scope and each are made of dimensions there are, and values that can be."""
    if draft.each and draft.each not in EACH:
        raise BudgetInvalid(f"a budget can be for each of {', '.join(EACH)}", field="each")
    if (draft.period is Period.SESSION) != (draft.each == "session"):
        raise BudgetInvalid("a budget for each session lasts as long as the session, and no other does", field="period")
    for dimension, values in draft.scope.items():
        path = f"scope.{dimension[:40]}"
        if dimension not in DIMENSIONS:
            raise BudgetInvalid(f"a scope is made of {', '.join(DIMENSIONS)}", field=path)
        if not 1 <= len(values) <= MOST_VALUES:
            raise BudgetInvalid(f"name 1 to {MOST_VALUES} values", field=path)
        for value in values:
            if dimension in OWNERS and not (value.isascii() and value.isdigit() and len(value) < 10):
                raise BudgetInvalid("an owner is named by its id, 0 for nobody", field=path)
            if not value or len(value) > LONGEST_WORD or "\0" in value:
                raise BudgetInvalid(f"a value has 1 to {LONGEST_WORD} characters", field=path)


def _check_thresholds(thresholds: tuple[int, ...]) -> None:
    if len(thresholds) > MOST_THRESHOLDS or len(set(thresholds)) != len(thresholds):
        raise BudgetInvalid(f"at most {MOST_THRESHOLDS} thresholds, each once", field="thresholds")
    if any(not 1 <= percent <= 1_000 for percent in thresholds):
        raise BudgetInvalid("a threshold is a percentage from 1 to 1000", field="thresholds")


def _check_instants(draft: Draft) -> None:
    for field, at in (("starts_at", draft.starts_at), ("ends_at", draft.ends_at)):
        if at is not None and at.utcoffset() is None:
            raise BudgetInvalid("say the time zone of the instant", field=field)
        if at is not None and not _EARLIEST <= at.year <= _LATEST:
            raise BudgetInvalid(f"say an instant of the years {_EARLIEST} to {_LATEST}", field=field)
    if draft.starts_at and draft.ends_at and draft.ends_at <= draft.starts_at:
        raise BudgetInvalid("a budget ends after it starts", field="ends_at")


def _check_downgrade(draft: Draft) -> None:
    """Whether they are priced, and how, is asked elsewhere."""
    steps = draft.downgrade_to
    if draft.enforcement is Enforcement.DOWNGRADE and not steps:
        raise BudgetInvalid("say which cheaper model the calls go to", field="downgrade_to")
    if len(steps) > MOST_STEPS or len(set(steps)) != len(steps):
        raise BudgetInvalid(f"at most {MOST_STEPS} models, each once", field="downgrade_to")
    for place, step in enumerate(steps):
        if any(not 1 <= len(word) <= LONGEST_WORD or not word.isprintable() for word in step):
            raise BudgetInvalid("a provider and a model, each by its name", field=f"downgrade_to[{place}]")
    if not 1 <= draft.downgrade_at <= 100:
        raise BudgetInvalid("a percentage of the limit from 1 to 100", field="downgrade_at")


def check_start(starts_at: datetime, window_start: datetime, *, field: str = "starts_at") -> None:
    """A budget starts within the present period or later: periods that are over cannot be capped any more."""
    if starts_at < window_start:
        raise BudgetInvalid(f"a budget starts in its present period, which began at {window_start}", field=field)
