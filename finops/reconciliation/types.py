"""What a provider's day comes to, as it was billed, reported and seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

# Ids of team, person, project, agent, customer and key; 0 is nobody.
Owner = tuple[int, ...]
NOBODY: Owner = (0,) * 6


class Group(NamedTuple):
    """What money is shared within: an account of a provider ('' is all of them together) and a model."""

    account: str
    model: str


class Use(NamedTuple):
    """What was used: counts by kind of token, and what they are worth, in picodollars: of calls, as they stand in the
    books; of what was reported, by the price book.
    """

    pico: int
    counts: Mapping[str, int]

    def of(self, kind: str) -> int:
        """What money of a kind is shared by: tokens, and where it does not say which, what they are worth."""
        return self.counts.get(kind, 0) if kind else max(self.pico, 0)


class Day(NamedTuple):
    """A provider's day, in one currency. `money` is what was billed, in picodollars, by group and kind of token ('' is
    money nobody says the tokens of); `reported` what the provider says was used, by group and by whose it is as far as
    that can be told; `seen` what calls came to that somebody saw.
    """

    money: Mapping[Group, Mapping[str, int]]
    reported: Mapping[Group, Mapping[Owner, Use]]
    seen: Mapping[Group, Mapping[Owner, Use]]


class Kind(StrEnum):
    # What seen calls really cost, less what they stand at.
    CORRECTION = "correction"
    # What was billed and nobody saw a call of.
    UNSEEN = "unseen"


class Line(NamedTuple):
    """A charge that makes the books what was billed. `counts` are tokens that nobody saw, by kind."""

    kind: Kind
    group: Group
    owner: Owner
    pico: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Compared:
    """A day's amounts in one currency, of all providers or of one."""

    day: date
    currency: str
    billed: Decimal
    seen: Decimal
    unseen: Decimal
    unattributed: Decimal

    @property
    def corrected(self) -> Decimal:
        return self.billed - self.seen - self.unseen


@dataclass(frozen=True, slots=True)
class Total:
    """What a provider's days of a period come to, in one currency ('' where no day was compared yet).

    Amounts are of days that are tied or compared. `apart` are days whose calls and bill are in different currencies,
    and in no amount; `waiting` are days with calls that nobody stated the cost of yet.
    """

    provider: str
    currency: str
    billed: Decimal = Decimal(0)
    seen: Decimal = Decimal(0)
    unseen: Decimal = Decimal(0)
    unattributed: Decimal = Decimal(0)
    calls: int = 0
    tied: int = 0
    compared: int = 0
    apart: int = 0
    waiting: tuple[date, ...] = ()

    @property
    def corrected(self) -> Decimal:
        """What the calls that were seen really cost, less what they stood at; booked on tied days."""
        return self.billed - self.seen - self.unseen

    @property
    def drift(self) -> Decimal | None:
        """How far what was seen is from what was billed, as a part of the bill; None without a bill."""
        return self.seen / self.billed - 1 if self.billed else None
