"""Limits and breakers as calls meet them: plain values, which `msgspec` carries from process to process."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

# Whom a limit can be for, whom a breaker can watch, and what can be stopped.
LIMITED: Final = ("key", "person", "team", "agent")
WATCHED: Final = ("session", "agent", "key")
STOPPABLE: Final = ("organization", "team", "person", "project", "agent", "customer", "key", "session")


class Measure(StrEnum):
    """What a breaker looks at. Amounts are of the organization's reporting currency."""

    IDENTICAL_CALLS = "identical_calls"
    CALLS_PER_MINUTE = "calls_per_minute"
    AMOUNT_PER_MINUTE = "amount_per_minute"
    DEPTH = "depth"
    SESSION_CALLS = "session_calls"
    SESSION_MINUTES = "session_minutes"
    SESSION_AMOUNT = "session_amount"


AMOUNTS: Final = frozenset({Measure.AMOUNT_PER_MINUTE, Measure.SESSION_AMOUNT})
_ANYBODY: Final = (Measure.IDENTICAL_CALLS, Measure.CALLS_PER_MINUTE, Measure.AMOUNT_PER_MINUTE)
MEASURES: Final[Mapping[str, tuple[Measure, ...]]] = {"session": tuple(Measure), "agent": _ANYBODY, "key": _ANYBODY}


class LimitTerms(NamedTuple):
    """What the calls of one subject may be; of each value of the dimension where the subject is ''. None is no limit.

    A team's limit is shared by all teams below it. `models` are names or patterns with `*`, of the model alone or of
    `provider/model`.
    """

    dimension: str
    subject: str
    models: tuple[str, ...] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    # Calls under way at once.
    max_concurrent: int | None = None


class BreakerTerms(NamedTuple):
    """A subject that goes beyond the threshold (picodollars for amounts) is stopped for `pause_s`; None is never.

    '' is each value of the dimension. For sessions the subject is an agent: the sessions of that agent.
    """

    dimension: str
    subject: str
    measure: str
    threshold: int | None
    pause_s: int


class GuardRules(NamedTuple):
    """An organization's limits and breakers at one moment, and its teams with all that are above each. The breakers
    are all that hold: defaults that nobody replaced are among them.
    """

    organization_id: int
    version: str = ""
    # The reporting currency, for words.
    currency: str = ""
    above: dict[int, tuple[int, ...]] = {}
    limits: tuple[LimitTerms, ...] = ()
    breakers: tuple[BreakerTerms, ...] = ()


class Default(NamedTuple):
    """A breaker that holds from the first day. `threshold` is whole dollars for amounts."""

    dimension: str
    measure: Measure
    threshold: int
    pause_minutes: int


# Wide of what people and their agents do in earnest (docs/guides/caps.md says how wide, a test plays it), and narrow
# enough to end a loop the same day. A key may be that of a whole production service, so its are the widest.
DEFAULTS: Final = (
    Default("session", Measure.IDENTICAL_CALLS, 20, 15),
    Default("session", Measure.CALLS_PER_MINUTE, 300, 15),
    Default("session", Measure.AMOUNT_PER_MINUTE, 25, 15),
    Default("session", Measure.DEPTH, 32, 15),
    Default("session", Measure.SESSION_CALLS, 2_000, 24 * 60),
    Default("session", Measure.SESSION_MINUTES, 12 * 60, 24 * 60),
    Default("session", Measure.SESSION_AMOUNT, 250, 24 * 60),
    Default("agent", Measure.CALLS_PER_MINUTE, 30_000, 15),
    Default("agent", Measure.AMOUNT_PER_MINUTE, 500, 15),
    Default("key", Measure.CALLS_PER_MINUTE, 60_000, 15),
    Default("key", Measure.AMOUNT_PER_MINUTE, 1_000, 15),
)
