"""What a provider's day comes to, as it was billed, reported and seen."""

from __future__ import annotations

from collections.abc import Mapping
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
