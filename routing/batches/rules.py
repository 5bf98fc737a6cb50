"""When a batch is looked at again, when it happened, and its results as events. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec.structs import replace

from finops.connectors.capstan.record import record_of
from finops.connectors.openai.batches import Result
from finops.connectors.types import NO_COUNTS, Problem, Received, UsageEvent
from finops.connectors.wording import problem
from finops.core.tokens import METERS

# Whoever looks at a batch has it to themselves for so long.
LEASE: Final = timedelta(minutes=10)
# After so many failures in a row, which are two days, nobody can say what it used.
MOST_FAILURES: Final = 52
# One whose answer was lost may still come up at the provider.
UNMADE_AFTER: Final = timedelta(days=1)
TIER: Final = "batch"
TAG: Final = "batch"
_SOONEST: Final = timedelta(seconds=20)
_LATEST: Final = timedelta(minutes=5)
_LONGEST_WAIT: Final = timedelta(hours=1)


def next_look(created_at: datetime, at: datetime) -> datetime:
    """Of one that goes on: the older, the later."""
    return at + min(max((at - created_at) / 10, _SOONEST), _LATEST)


def next_try(failures: int, at: datetime) -> datetime:
    """After so many failures in a row."""
    doubled: int = 2 ** min(failures, 12)
    return at + min(_SOONEST * doubled, _LONGEST_WAIT)


def ended_at(told: int | None, created_at: datetime, at: datetime) -> datetime:
    """When a batch ended: as the provider says, where that can be; else when it was seen to have."""
    try:
        said = at if told is None else datetime.fromtimestamp(told, UTC)
    except (ValueError, OverflowError, OSError):
        return at
    return said if created_at <= said <= at else at


def event_of(event: UsageEvent, call_id: str, batch_id: str, at: datetime) -> UsageEvent:
    """What all calls of a batch have in common. The provider's name of it is a tag, so that its charges are found."""
    tags = tuple(sorted({**dict(event.tags), TAG: batch_id}.items())) if batch_id else event.tags
    return replace(event, external_id=f"batch:{call_id}", occurred_at=at, service_tier=TIER, tags=tags)


def received(common: UsageEvent, result: Result, number: int) -> Received | None:
    """What is booked of one line of results, the `number`th; None where nothing is billed. A line that cannot be read
    is a record without usage: what was asked and answered is not kept.
    """
    external_id = f"{common.external_id}:{result.custom_id or f'line {number}'}"[:300]
    model = result.model or common.model
    event = replace(common, external_id=external_id, model=model, provider_request_id=result.request_id)
    if result.problem is not None:
        return unread(event, result.problem)
    if result.usage is None:
        return None
    if not model:
        return unread(event, problem("connectors.field_missing", "model", "the answer says no model"))
    event = replace(event, counts=tuple([result.usage.get(name, 0) for name in METERS]))
    return Received(record_of(event), event)


def unread(event: UsageEvent, wrong: Problem) -> Received:
    """What is held in quarantine: whose and when it was, and what is wrong."""
    return Received(record_of(replace(event, counts=NO_COUNTS)), None, wrong, event.external_id)
