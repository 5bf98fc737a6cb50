"""What the guard says of a call, and of what it saw."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias


class Stop(NamedTuple):
    """Somebody, or a breaker, stopped a subject. `until` is for people; it ends `left_s` seconds after it was told
    (None: when somebody lifts it). A breaker's own stop has no id until the database has it.
    """

    id: int
    organization_id: int
    dimension: str
    subject: str
    kind: str
    reason: str
    until: str | None
    left_s: float | None


class Stopped(NamedTuple):
    """The call concerns somebody who is stopped. `left_s` is None when it is until somebody lifts it."""

    dimension: str
    subject: str
    kind: str
    reason: str
    until: str | None
    left_s: float | None

    @property
    def code(self) -> str:
        return "budgets.stopped"


class ModelNotAllowed(NamedTuple):
    """One of the lists that hold for the call does not have the model."""

    dimension: str
    subject: str
    model: str
    allowed: tuple[str, ...]

    @property
    def code(self) -> str:
        return "budgets.model_not_allowed"


class RateLimited(NamedTuple):
    """As many requests or tokens as the limit have been in the last minute, or as many calls are under way
    (`concurrent`). `retry_after_s` is None when waiting does not help: the call alone is more than the limit.
    """

    dimension: str
    subject: str
    measure: str
    limit: int
    wanted: int
    retry_after_s: float | None

    @property
    def code(self) -> str:
        return "budgets.rate_limited"


# The measure of `RateLimited` that is no minute's.
CONCURRENT: Final = "concurrent"
Refusal: TypeAlias = Stopped | ModelNotAllowed | RateLimited


class RateKey(NamedTuple):
    """Whose calls are counted together, and what of them: `requests` or `tokens`."""

    organization_id: int
    dimension: str
    subject: str
    measure: str


class RateWant(NamedTuple):
    """Between `least` and `most` of a limit's minute are wanted by this process."""

    key: RateKey
    limit: int
    least: int
    most: int


class Lacking(NamedTuple):
    """Not refused: this process has too little of the minute in hand, and must ask for more (`Pulse.fetch`)."""

    wants: tuple[RateWant, ...]


class Trip(NamedTuple):
    """A breaker's subject went beyond its threshold: to be written (`Pulse` does). Amounts are picodollars."""

    organization_id: int
    dimension: str
    subject: str
    measure: str
    threshold: int
    seen: int
    pause_s: int
    reason: str
