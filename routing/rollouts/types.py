"""What crosses rollouts: states, and what saved is."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple


class State(StrEnum):
    """Of a course, the way of one version of a rule. The strings are public."""

    WATCHING = "watching"
    # Half against half, until that decides.
    PAUSED = "paused"
    ROLLED_BACK = "rolled_back"
    # Nothing more is watched: the rule is retired, says something else, or holds for all.
    FINISHED = "finished"


UNDER_WAY = (State.WATCHING, State.PAUSED)


class Means(StrEnum):
    """What the calls that stayed are scaled by, to say what those that were treated would have cost."""

    CALLS = "calls"
    TOKENS = "tokens"


class Sums(NamedTuple):
    """Of a day's or a month's calls of one rule, by session (one that has none is one by itself). These may be added.

    Of calls that were treated: sessions, calls, input tokens, and their cost, of which `failed` for tries that another
    one had to answer. Of those that stayed: sessions, calls, what they cost, and sums for `savings`: of a session, c is
    what it cost, n its calls and x its tokens, each call weighted by how many treated ones it stands for; `cc` is the
    sum of c * c over sessions and so on, and `own_cc` the same over the session's mean weight.
    """

    treated_sessions: int = 0
    treated_calls: int = 0
    treated_tokens: float = 0.0
    treated_cost: Decimal = Decimal(0)
    failed_cost: Decimal = Decimal(0)
    stayed_sessions: int = 0
    stayed_calls: int = 0
    stayed_cost: Decimal = Decimal(0)
    c: float = 0.0
    n: float = 0.0
    x: float = 0.0
    cc: float = 0.0
    cn: float = 0.0
    nn: float = 0.0
    cx: float = 0.0
    xx: float = 0.0
    own_cc: float = 0.0
    own_cn: float = 0.0
    own_nn: float = 0.0
    own_cx: float = 0.0
    own_xx: float = 0.0
    # Charges that say by their tag that they were made for the rule.
    beside_cost: Decimal = Decimal(0)

    def plus(self, other: Sums) -> Sums:
        added: tuple[Any, ...] = tuple(mine + theirs for mine, theirs in zip(_any(self), _any(other), strict=True))
        return Sums(*added)


def _any(sums: Sums) -> tuple[Any, ...]:
    return tuple(sums)


class Verified(NamedTuple):
    """What a rule saved, in the reporting currency: what its calls would have cost, minus what they did, with a
    two-sided 95 % interval; `net` of what was spent beside them for the rule. None where the calls that stayed do not
    say it, and `why` says why not.
    """

    expected: Decimal | None = None
    saved: Decimal | None = None
    lower: Decimal | None = None
    upper: Decimal | None = None
    net: Decimal | None = None
    net_lower: Decimal | None = None
    net_upper: Decimal | None = None
    by: str = ""
    why: str = ""
