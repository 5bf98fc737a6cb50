"""Claims the keys of a batch: what is charged is what has a key of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import psycopg
from django.db import transaction
from django.db.backends.utils import CursorWrapper

from finops.core.errors import FinopsError
from finops.ledger.services import rows
from finops.ledger.services.batch import Batch

_CLAIM_TABLE: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS ledger_claim (
    n int, source_id int, external_id text COLLATE "C", content_hash bytea, charge_id uuid, occurred_at timestamptz
) ON COMMIT DELETE ROWS
"""
# Sorted, so that two batches with keys in common wait for each other instead of deadlocking; and the first of a batch
# gets a key that stands in it twice.
_CLAIM: Final = """
INSERT INTO ledger_charge_key (organization_id, source_id, external_id, content_hash, charge_id, occurred_at)
SELECT %s, source_id, external_id, content_hash, charge_id, occurred_at FROM ledger_claim
ORDER BY source_id, external_id, n
ON CONFLICT DO NOTHING
"""
# LIMIT keeps the planner at one index probe per claim: it knows nothing of the claim table's size, and a hash join
# would read every key there is.
_LOST: Final = """
SELECT c.n, c.source_id = 0 AND c.external_id LIKE 'req:%%' AS is_request, k.content_hash, k.charge_id, k.occurred_at,
    k.revision
FROM (SELECT * FROM ledger_claim ORDER BY source_id, external_id) AS c
CROSS JOIN LATERAL (
    SELECT * FROM ledger_charge_key
    WHERE organization_id = %s AND source_id = c.source_id AND external_id = c.external_id
    LIMIT 1 {lock}
) AS k
WHERE k.charge_id <> c.charge_id
"""
_LOST_READ: Final = _LOST.format(lock="")
# Two revisions of one key at once must be made one after the other.
_LOST_LOCKED: Final = _LOST.format(lock="FOR UPDATE")

# (organization, source) whose last batch here met known keys. As many as there are sources; another process learns it
# for itself, at the price of one try.
_resending: set[tuple[int, int]] = set()


class Lost(NamedTuple):
    """A claim that somebody else holds."""

    content_hash: bytes
    charge_id: UUID
    occurred_at: datetime
    revision: int


class ClaimMoved(FinopsError):
    """Another transaction moved a key while this one claimed it. The whole batch may be posted again as it is."""

    code = "ledger.claim_moved"
    status = 503


def claim(
    cursor: CursorWrapper, batch: Batch, ids: list[str], times: list[str], *, lock: bool
) -> tuple[dict[int, Lost], dict[int, Lost]]:
    """Claim every key; gives the claims that were lost, by position: own keys, and request keys.

    Mostly all are new, and then they are simply copied in. A source whose last batch met known keys (something is being
    sent again) is asked key by key from the start.
    """
    source = (batch.organization_id, batch.postings[0].key_source_id)
    if source not in _resending and _claim_as_new(cursor, batch, ids, times):
        return {}, {}
    keys, requests = _claim_each(cursor, batch, ids, times, lock=lock)
    if keys or requests:
        _resending.add(source)
    else:
        _resending.discard(source)
    return keys, requests


def _claim_as_new(cursor: CursorWrapper, batch: Batch, ids: list[str], times: list[str]) -> bool:
    """Whether no key was known, and all are claimed. When one was, none is."""
    text = rows.keys(batch.organization_id, ids, batch.postings, times)
    try:
        with (
            transaction.atomic(),
            cursor.copy(f"COPY ledger_charge_key ({', '.join(rows.KEY_COLUMNS)}) FROM STDIN") as copy,
        ):
            copy.write(text)
    except psycopg.errors.UniqueViolation:
        return False
    return True


def _claim_each(
    cursor: CursorWrapper, batch: Batch, ids: list[str], times: list[str], *, lock: bool
) -> tuple[dict[int, Lost], dict[int, Lost]]:
    cursor.execute(_CLAIM_TABLE)
    text, count = rows.claims(ids, batch.postings, times)
    with cursor.copy(f"COPY ledger_claim ({', '.join(rows.CLAIM_COLUMNS)}) FROM STDIN") as copy:
        copy.write(text)
    cursor.execute(_CLAIM, [batch.organization_id])
    keys: dict[int, Lost] = {}
    requests: dict[int, Lost] = {}
    won = cursor.rowcount
    if won < count:
        cursor.execute(_LOST_LOCKED if lock else _LOST_READ, [batch.organization_id])
        for n, is_request, content_hash, charge_id, occurred_at, revision in cursor.fetchall():
            into = requests if is_request else keys
            into[n] = Lost(bytes(content_hash), charge_id, occurred_at, revision)
        if won + len(keys) + len(requests) < count:
            # The holder let go after our insert met its key: nobody holds it now, and nobody would next time.
            raise ClaimMoved("a key changed hands while it was claimed; post the batch again")
    # A caller may post twice in one transaction.
    cursor.execute("TRUNCATE ledger_claim")
    return keys, requests
