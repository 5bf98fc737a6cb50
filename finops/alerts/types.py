"""What crosses rooms about alerts: kinds of incidents, what was found, and what goes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, time
from enum import StrEnum
from typing import Any, Final, NamedTuple


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Kind(StrEnum):
    """What an incident is about, and what a rule listens for. The strings are public; signals go by the same names."""

    THRESHOLD = "budget.threshold"
    FORECAST = "budget.forecast"
    ANOMALY = "spend.anomaly"
    UNATTRIBUTED = "spend.unattributed"
    UNPRICED = "spend.unpriced"
    QUIET = "source.quiet"
    CAP = "cap.tripped"
    BREAKER = "breaker.tripped"
    STOP = "stop.made"
    HOLD = "hold.exceeded"
    EXPIRED = "authorization.expired"
    BLOCKED = "enforcement.blocked"
    NOT_BLOCKED = "enforcement.failed"
    STUCK = "inbox.stuck"
    RULE_PAUSED = "rollout.paused"
    ROLLED_BACK = "rollout.rolled_back"
    DRIFTING = "classifier.drifting"
    CONCENTRATED = "concentration.exceeded"
    FEED = "feed.stopped"
    MONTH = "month.changed"


# Kinds that rooms below announce; all others are looked for on schedule.
SIGNALLED: Final = frozenset(
    {
        *(Kind.CAP, Kind.BREAKER, Kind.STOP, Kind.HOLD, Kind.EXPIRED, Kind.BLOCKED, Kind.NOT_BLOCKED, Kind.STUCK),
        *(Kind.RULE_PAUSED, Kind.ROLLED_BACK, Kind.DRIFTING, Kind.CONCENTRATED, Kind.FEED),
    }
)


class Event(StrEnum):
    """What a delivery tells of its incident; `test` has none."""

    OPENED = "opened"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    TEST = "test"


class Medium(StrEnum):
    """What kind of channel it is."""

    EMAIL = "email"
    SLACK = "slack"
    TEAMS = "teams"
    PAGERDUTY = "pagerduty"
    WEBHOOK = "webhook"


# Machines are told of every end; people are not told that a month is over.
MACHINES: Final = (Medium.PAGERDUTY, Medium.WEBHOOK)


class Finding(NamedTuple):
    """Something that is so: an incident, while it is. `details` holds ids and amounts as text, never a name.

    `key` tells incidents of one kind apart. `step` grows as it gets worse (a threshold's percent). `ends_at` is when it
    is over by itself; None as long as nobody and nothing says so. `rule_id` where one rule alone is meant, else None.
    """

    kind: Kind
    key: str
    severity: Severity
    details: dict[str, Any]
    budget_id: int | None = None
    dimension: str = ""
    subject: str = ""
    step: int = 0
    ends_at: datetime | None = None
    rule_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDraft:
    """A rule as somebody writes it. `params` as `rules.kinds` has them for the kind."""

    name: str
    kind: str
    params: dict[str, Any] = field(default_factory=dict)
    channel_ids: tuple[int, ...] = ()
    every_channel: bool = False
    digest: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDraft:
    """A channel as somebody writes it. An empty `address` keeps the one there is. Quiet hours are of `timezone`, and
    go past midnight when they end before they begin; `digest_minutes` is how long a digest gathers.
    """

    name: str
    kind: str
    address: str = ""
    timezone: str = ""
    quiet_from: time | None = None
    quiet_until: time | None = None
    critical_always: bool = True
    digest_minutes: int = 60


class Story(NamedTuple):
    """One incident in words, for a person or a machine to read."""

    id: int
    kind: str
    key: str
    severity: str
    event: str
    title: str
    sentences: tuple[str, ...]
    details: dict[str, Any]
    opened_at: datetime
    seen: int
    href: str


class Letter(NamedTuple):
    """What one message says: of one incident, or of several at once (`more` beyond those told). `id` is the same when
    it is tried again.
    """

    id: str
    organization: str
    at: datetime
    stories: tuple[Story, ...]
    more: int = 0
    test: bool = False


class Outcome(NamedTuple):
    """What became of a try. `problem` is '' when it arrived; a permanent one is not tried again."""

    problem: str = ""
    permanent: bool = False
