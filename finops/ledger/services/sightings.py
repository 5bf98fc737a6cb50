"""Views of a charge that other sources have: what they say, and where their keys lead."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db.backends.utils import CursorWrapper

from finops.core.money import from_pico
from finops.ledger.services.batch import Batch
from finops.ledger.services.claims import Lost

# The revision of a key whose call is charged under another source's key.
SIGHTING: Final = -1
_NOTED: Final = """
json_to_recordset(%(noted)s) AS w(key_source_id int, key text, charge_id uuid, source_id int, external_id text,
    occurred_at timestamptz, evidence text, counts bigint[], billed_cost numeric, currency text, matched_by text)
"""
_POINT_SIGHTED: Final = f"""
UPDATE ledger_charge_key AS k SET charge_id = w.charge_id, revision = %(sighting)s FROM {_NOTED}
WHERE k.organization_id = %(house)s AND k.source_id = w.key_source_id AND k.external_id = w.key
"""
_NOTE_SIGHTED: Final = f"""
INSERT INTO ledger_sighting (organization_id, charge_id, source_id, external_id, occurred_at, seen_at, evidence, counts,
    billed_cost, currency, matched_by)
SELECT %(house)s, w.charge_id, w.source_id, w.external_id, w.occurred_at, %(at)s, w.evidence, w.counts, w.billed_cost,
    w.currency, w.matched_by
FROM {_NOTED}
ON CONFLICT DO NOTHING
"""


def note_sightings(
    cursor: CursorWrapper,
    batch: Batch,
    sighted: Iterable[int],
    charges: Mapping[int, Lost],
    by_content: Collection[int],
    at: datetime,
) -> None:
    """These postings of a batch are views of charges: their keys lead there, and what they say is kept beside."""
    noted = [
        {
            "key_source_id": posting.key_source_id,
            "key": posting.key,
            "charge_id": charges[n].charge_id,
            "source_id": posting.shape.source_id,
            "external_id": posting.external_id,
            "occurred_at": posting.occurred_at,
            "evidence": posting.shape.evidence,
            "counts": posting.counts,
            "billed_cost": None if posting.priced.billed_pico is None else from_pico(posting.priced.billed_pico),
            "currency": posting.priced.currency,
            "matched_by": "content" if n in by_content else "request",
        }
        for n in sighted
        for posting in [batch.postings[n]]
    ]
    if noted:
        given: dict[str, Any] = {"house": batch.organization_id, "at": at, "noted": msgspec.json.encode(noted).decode()}
        cursor.execute(_POINT_SIGHTED, given | {"sighting": SIGHTING})
        cursor.execute(_NOTE_SIGHTED, given)


def point_sightings(cursor: CursorWrapper, organization_id: int, was: Sequence[UUID], becomes: Sequence[UUID]) -> None:
    """Other sources' views of charges that were replaced lead to the charges that stand now, and so do their keys."""
    moved = "unnest(%s::uuid[], %s::uuid[]) AS m(was, becomes)"
    cursor.execute(
        f"UPDATE ledger_charge_key AS k SET charge_id = m.becomes FROM {moved} JOIN ledger_sighting s"
        " ON s.organization_id = %s AND s.charge_id = m.was WHERE k.organization_id = s.organization_id"
        " AND k.source_id = s.source_id AND k.external_id = s.external_id AND k.charge_id = m.was",
        [list(was), list(becomes), organization_id],
    )
    cursor.execute(
        f"UPDATE ledger_sighting AS s SET charge_id = m.becomes FROM {moved}"
        " WHERE s.organization_id = %s AND s.charge_id = m.was",
        [list(was), list(becomes), organization_id],
    )
