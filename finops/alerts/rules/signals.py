"""Signals of other rooms as what alerts go by. Pure, and total: whatever a signal holds, reading it fails never."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from finops.alerts.types import SIGNALLED, Finding, Kind, Severity

_SEVERITIES: Final = {
    Kind.CAP: Severity.CRITICAL,
    Kind.BREAKER: Severity.CRITICAL,
    Kind.STOP: Severity.WARNING,
    Kind.HOLD: Severity.WARNING,
    Kind.EXPIRED: Severity.INFO,
    Kind.BLOCKED: Severity.WARNING,
    Kind.NOT_BLOCKED: Severity.CRITICAL,
    Kind.STUCK: Severity.CRITICAL,
    Kind.RULE_PAUSED: Severity.WARNING,
    Kind.ROLLED_BACK: Severity.CRITICAL,
    Kind.DRIFTING: Severity.WARNING,
    Kind.CONCENTRATED: Severity.WARNING,
    Kind.FEED: Severity.CRITICAL,
}
# Without an end of its own, so long after it was last seen it is over. A stop, a block, a pause, too much with one
# maker and a feed that cannot be read last until somebody says that they are over.
_CALMS_DOWN: Final = {
    Kind.CAP: timedelta(days=1),
    Kind.BREAKER: timedelta(days=1),
    Kind.HOLD: timedelta(days=1),
    Kind.EXPIRED: timedelta(days=1),
    Kind.NOT_BLOCKED: timedelta(days=7),
    Kind.STUCK: timedelta(days=7),
    Kind.ROLLED_BACK: timedelta(days=7),
    # It is said again each week for as long as it goes on.
    Kind.DRIFTING: timedelta(days=14),
}
# Signals that tell the end of others with their key.
ENDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "cap.reset": (Kind.CAP,),
    "breaker.reset": (Kind.BREAKER,),
    "stop.lifted": (Kind.STOP, Kind.BREAKER),
    "enforcement.unblocked": (Kind.BLOCKED, Kind.NOT_BLOCKED),
    "rollout.resumed": (Kind.RULE_PAUSED, Kind.ROLLED_BACK),
    "rollout.ended": (Kind.RULE_PAUSED,),
    "classifier.trained": (Kind.DRIFTING,),
    "concentration.ended": (Kind.CONCENTRATED,),
    "feed.recovered": (Kind.FEED,),
}
_OWNERS: Final = ("team", "person", "project", "agent", "customer", "key", "source")
_SUBJECTS: Final = (*_OWNERS, "provider", "model", "session")
MOST_DETAILS: Final = 30
LONGEST_DETAIL: Final = 500


def finding_of(kind: str, key: str, details: object, at: datetime) -> Finding | None:
    """What a signal tells; None for a kind that nobody listens for."""
    if kind not in SIGNALLED:
        return None
    known = Kind(kind)
    said = clipped(details)
    dimension, subject = _about(key, said)
    return Finding(
        kind=known,
        key=key,
        severity=_SEVERITIES[known],
        details=said,
        budget_id=_budget(said.get("budget_id", said.get("budget"))),
        dimension=dimension,
        subject=subject,
        ends_at=_end(known, said, at),
    )


def clipped(details: object) -> dict[str, Any]:
    """Details as they are kept: plain, and of a bounded size."""
    if not isinstance(details, Mapping):
        return {}
    return {str(name)[:60]: _plain(value) for name, value in list(details.items())[:MOST_DETAILS]}


def _plain(value: object) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list):
        return [_plain(one) if not isinstance(one, list | dict) else str(one)[:100] for one in value[:MOST_DETAILS]]
    return str(value)[:LONGEST_DETAIL]


def _budget(said: object) -> int | None:
    return said if isinstance(said, int) and not isinstance(said, bool) and 0 < said < 2**31 else None


def _about(key: str, said: Mapping[str, Any]) -> tuple[str, str]:
    """Whom it concerns, as it says itself, or as its key does: `session:8f3a`."""
    dimension, subject = said.get("dimension"), said.get("subject")
    if isinstance(dimension, str) and dimension in _SUBJECTS and subject not in (None, ""):
        return dimension, str(subject)[:300]
    kind, colon, rest = key.partition(":")
    if colon and kind in _SUBJECTS and (rest.isdigit() or kind not in _OWNERS):
        return kind, rest[:300]
    return "", str(subject or "")[:300]


def _end(kind: Kind, said: Mapping[str, Any], at: datetime) -> datetime | None:
    for name in ("until", "resets_at", "ends_at"):
        try:
            found = datetime.fromisoformat(said[name])
        except (KeyError, TypeError, ValueError):
            continue
        if found.tzinfo is not None:
            return found
    return at + _CALMS_DOWN[kind] if kind in _CALMS_DOWN else None
