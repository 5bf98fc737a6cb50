"""What crosses rooms about months: how one stands, what is open of it, and what changed after it was closed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec


class State(StrEnum):
    """How a month stands. The strings are public."""

    RUNNING = "running"
    OVER = "over"
    CLOSED = "closed"


class Check(StrEnum):
    """What may be open of a month when it is closed. The strings are public."""

    BILLS = "bills_waiting"
    UNTIED = "days_untied"
    CURRENCIES = "currencies_differ"
    FEEDS = "feeds_behind"
    SEATS = "seats_behind"
    QUARANTINE = "quarantined"
    UNPRICED = "unpriced"
    UNATTRIBUTED = "unattributed"
    JOBS = "jobs_open"


class Item(msgspec.Struct, frozen=True):
    """One line of a month's checklist: nothing is open where `count` is 0. `count` is of days, feeds, records, calls or
    jobs; `amount` is in the reporting currency; `about` names providers, sources or kinds of job, never a person.
    """

    check: Check
    count: int
    amount: Decimal | None = None
    about: tuple[str, ...] = ()


class Change(NamedTuple):
    """What the ledger holds of one owner's day at one source and no statement says. Ids as charges carry them, 0 is
    none; `effective_cost` is in `currency`, `reporting_cost` in the organization's.
    """

    day: date
    source_id: int
    category_id: int
    team_id: int
    person_id: int
    project_id: int
    currency: str
    charges: int
    calls: int
    effective_cost: Decimal
    reporting_cost: Decimal


class Sum(msgspec.Struct, frozen=True):
    """Charges (lines of the ledger, reversals too), calls, and what they cost in the reporting currency."""

    charges: int = 0
    calls: int = 0
    amount: Decimal = Decimal(0)

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.charges + other.charges, self.calls + other.calls, self.amount + other.amount)


class Month(msgspec.Struct, frozen=True):
    """A month and how it stands, in the reporting currency. `spent` is what the ledger holds of it now: what its own
    statement says, what later statements say of it, and `late`, which none says yet. `carried_in` is what its own
    statement says of earlier months.
    """

    month: date
    state: State
    may_close: bool
    may_reopen: bool
    spent: Decimal
    stated: Decimal
    later: Decimal
    late: Decimal
    carried_in: Decimal


class StatementRow(msgspec.Struct, frozen=True):
    """One owner's part of a statement in one currency of bills. `of_month` is another one where it is a late change.
    Ids are 0 where nobody is known, and where the statement is not asked for by them.
    """

    of_month: date
    team_id: int
    person_id: int
    project_id: int
    category_id: int
    currency: str
    charges: int
    calls: int
    effective_cost: Decimal
    reporting_cost: Decimal
