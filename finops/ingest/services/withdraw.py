"""Takes back what a source told of a time and tells no more: a row that a later report leaves out, an event that was
told again under another id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Final

from msgspec.structs import replace

from finops.connectors.types import NO_COUNTS, GivenCost, Received, UsageEvent
from finops.ingest.services.take import BATCH_MOST, Within, take
from finops.ledger.selectors import standing
from finops.sources.models import Source
from finops.statements import selectors as statements

_WITHDRAWN: Final = (("withdrawn", "yes"),)


def digest(external_id: str) -> bytes:
    """What an id is remembered by: a window has many."""
    return hashlib.blake2b(external_id.encode(), digest_size=8).digest()


def withdraw(
    *,
    organization_id: int,
    source_id: int,
    parser: str,
    since: datetime,
    until: datetime,
    told: Collection[bytes],
    at: datetime,
    within: Within | None = None,
) -> int:
    """Make nothing of what a source said of `[since, until)` and is not among what it tells now (`told`, digests of
    ids); gives how many that were. They are revisions: told once more as they were, they are back.
    """
    source = Source.objects.get(organization_id=organization_id, id=source_id)
    found = _stated(source, since, until) if source.states else _charged(source, since, until)
    gone = (one for one in found if digest(one.external_id) not in told)
    number = 0
    while piece := list(islice(gone, BATCH_MOST)):
        number += len(piece)
        take(
            organization_id=organization_id,
            source_id=source_id,
            parser=parser,
            received=_records(piece),
            at=at,
            within=within,
            revises=True,
            sent=False,
        )
    return number


def _records(events: Sequence[UsageEvent]) -> list[Received]:
    return [Received(b"", event, None, event.external_id) for event in events]


def _stated(source: Source, since: datetime, until: datetime) -> Iterator[UsageEvent]:
    for event in statements.between(source, since, until):
        if event.cost is not None or any(event.counts):
            nothing = None if event.cost is None else GivenCost(0, event.cost.currency)
            made = replace(event, counts=NO_COUNTS, cost=nothing, tags=_WITHDRAWN, category="Usage")
            if made != event:
                yield made


def _charged(source: Source, since: datetime, until: datetime) -> Iterator[UsageEvent]:
    for one in standing(source.organization_id, source.id, since=since, until=until):
        yield UsageEvent(
            external_id=one.external_id,
            occurred_at=one.occurred_at,
            provider=one.provider,
            model=one.model,
            counts=NO_COUNTS,
            category="Adjustment",
            cost=GivenCost(0, one.currency),
            tags=_WITHDRAWN,
        )
