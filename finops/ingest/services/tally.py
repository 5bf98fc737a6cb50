"""Counts what each source sends, and the bodies that are refused, for those who look after sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import connection

from finops.connectors.wording import clean
from finops.ingest.types import Outcome, Received, Status
from finops.sources.kinds import ACCOUNT, SEATS
from finops.sources.models import Source

_DAY: Final = """
INSERT INTO ingest_sourceday AS t (organization_id, source_id, day, records, charged, duplicates, revised, sighted,
    held, late_s, latest_s)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (source_id, day) DO UPDATE SET records = t.records + excluded.records,
    charged = t.charged + excluded.charged, duplicates = t.duplicates + excluded.duplicates,
    revised = t.revised + excluded.revised, sighted = t.sighted + excluded.sighted, held = t.held + excluded.held,
    late_s = t.late_s + excluded.late_s, latest_s = greatest(t.latest_s, excluded.latest_s)
"""
_REFUSED: Final = """
INSERT INTO ingest_refusedbody AS t (organization_id, source_id, code, message, times, first_at, last_at)
VALUES (%s, %s, %s, %s, 1, %s, %s)
ON CONFLICT (source_id, code) DO UPDATE SET times = t.times + 1, message = excluded.message,
    last_at = greatest(t.last_at, excluded.last_at)
"""
_LONGEST_CODE: Final = 80
_LONGEST_MESSAGE: Final = 300


def tally(source: Source, received: Sequence[Received], outcomes: Sequence[Outcome], at: datetime) -> None:
    """Of what somebody sent; a feed counts what it fetches itself. One statement, of its own: were it in the batch's
    transaction, two batches of a source would wait for each other.
    """
    if not received or source.kind in (ACCOUNT, SEATS):
        return
    became = Counter(outcome.status for outcome in outcomes)
    late = [
        max(int((at - one.event.occurred_at).total_seconds()), 0)
        for one, outcome in zip(received, outcomes, strict=True)
        if outcome.status is Status.CHARGED and one.event is not None
    ]
    counts = (
        len(received), became[Status.CHARGED], became[Status.DUPLICATE], became[Status.REVISED], became[Status.SIGHTED],
        became[Status.QUARANTINED] + became[Status.CONFLICT], sum(late),
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_DAY, [source.organization_id, source.id, at.date(), *counts, max(late, default=0)])


def note_refused(source: Source, *, code: str, message: str, at: datetime) -> None:
    """A body was refused whole. What it held is not kept."""
    said = clean(message)[:_LONGEST_MESSAGE]
    with connection.cursor() as cursor:
        cursor.execute(_REFUSED, [source.organization_id, source.id, code[:_LONGEST_CODE], said, at, at])
