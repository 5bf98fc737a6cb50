"""What crosses rooms about budgets: their terms, whom a call concerns, and what an account holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple


class Enforcement(StrEnum):
    """What happens at the limit. Only `hard` and `downgrade` are asked before a call; `alert` is told afterwards."""

    ALERT = "alert"
    DOWNGRADE = "downgrade"
    HARD = "hard"


class Period(StrEnum):
    """How often a budget begins anew, in its own time zone. A session's budget lives as long as the session."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    TOTAL = "total"
    SESSION = "session"


OWNERS: Final = ("team", "person", "project", "agent", "customer", "key")
WORDS: Final = ("provider", "model")
# What a scope may be made of, and what a budget may be for each of.
DIMENSIONS: Final = (*OWNERS, *WORDS)
EACH: Final = (*DIMENSIONS, "session")


class Call(NamedTuple):
    """Whom and what one call concerns: our ids (0 is nobody), the canonical provider and model, the session ('')."""

    team: int = 0
    person: int = 0
    project: int = 0
    agent: int = 0
    customer: int = 0
    key: int = 0
    provider: str = ""
    model: str = ""
    session: str = ""


class Window(NamedTuple):
    """One period of a budget as UTC instants, `[start, end)`; no end for a total or a session."""

    start: datetime
    end: datetime | None

    def __contains__(self, at: object) -> bool:
        return isinstance(at, datetime) and self.start <= at and (self.end is None or at < self.end)


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """A budget as calls meet it; compared by identity. Amounts are picodollars of the reporting currency.

    `scope` maps dimensions to the values allowed (ids as text for owners, words as they are); all must match, and a
    team stands for every team below it. `each` opens an account of the same limit for each value of a dimension.
    `limits` are the subjects with a limit of their own, `exempt` those it does not concern.
    """

    budget_id: int
    organization_id: int
    limit_pico: int
    period: Period
    enforcement: Enforcement
    starts_at: datetime
    ends_at: datetime | None = None
    zone: str = "UTC"
    scope: Mapping[str, frozenset[str]] = field(default_factory=dict)
    each: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)
    exempt: frozenset[str] = frozenset()
    # The most that may be carried over from the period before; 0 carries nothing.
    rollover_pico: int = 0
    # Whether calls go on when the database cannot be asked and the lease in hand is spent.
    fail_open: bool = False
    # Of a `downgrade` budget: the models its calls go to, (provider, model), each no dearer than the one before, once
    # `downgrade_at` percent of the limit are used. At the limit it is as `hard`.
    downgrade_to: tuple[tuple[str, str], ...] = ()
    downgrade_at: int = 80


class Account(NamedTuple):
    """Which account of a budget a call is charged to: of one subject ('' where the budget has one for all), in one
    period.
    """

    budget_id: int
    subject: str
    start: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A budget as somebody writes it. Amounts are of the organization's reporting currency; no `starts_at` is the
    beginning of the present period.
    """

    name: str
    limit_amount: Decimal
    period: Period
    enforcement: Enforcement
    scope: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    each: str = ""
    timezone: str = ""
    thresholds: tuple[int, ...] = (50, 80, 100)
    rollover_amount: Decimal = Decimal(0)
    fail_open: bool = False
    downgrade_to: tuple[tuple[str, str], ...] = ()
    downgrade_at: int = 80
    starts_at: datetime | None = None
    ends_at: datetime | None = None
