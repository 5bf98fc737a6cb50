"""Posts charges: claims their keys, copies the new ones, appends what they add to the rollups. All or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from datetime import UTC, datetime
from itertools import compress
from typing import Final, NamedTuple
from uuid import UUID

import psycopg
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from msgspec.structs import replace

from finops.core.errors import FinopsError
from finops.core.ids import uuid7_batch
from finops.core.money import from_pico
from finops.core.periods import month_start
from finops.ledger.services import partitions, rows
from finops.ledger.services.announce import Spending, announce
from finops.ledger.services.reverse import reverse_in_transaction
from finops.ledger.types import Posted, Posting

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

# A revision may name another request than the charge it replaces; the old one's key is free again.
_FREE_REQUESTS: Final = """
DELETE FROM ledger_charge_key AS k
USING unnest(%s::uuid[], %s::timestamptz[]) AS m(was, occurred_at)
JOIN ledger_charge AS c ON c.id = m.was AND c.occurred_at = m.occurred_at AND c.provider_request_id <> ''
LEFT JOIN ledger_term AS t ON t.id = c.provider_id
WHERE k.organization_id = %s AND k.source_id = 0 AND k.charge_id = m.was
    AND k.external_id = 'req:' || coalesce(t.value, '') || ':' || c.provider_request_id
"""

# The revision of a key whose call is charged under another source's key.
SIGHTING: Final = -1


# (organization, source) whose last batch here met known keys. As many as there are sources; another process learns it
# for itself, at the price of one try.
_resending: set[tuple[int, int]] = set()


class _Lost(NamedTuple):
    """A claim that somebody else holds."""

    content_hash: bytes
    charge_id: UUID
    occurred_at: datetime
    revision: int


class ClaimMoved(FinopsError):
    """Another transaction moved a key while this one claimed it. The whole batch may be posted again as it is."""

    code = "ledger.claim_moved"
    status = 503


class Batch:
    """Charges to be posted together, with their words interned. Build it outside the transaction that posts it."""

    def __init__(self, *, organization_id: int, postings: Sequence[Posting]) -> None:
        self.organization_id = organization_id
        self.postings = postings
        partitions.ensure_months({month_start(posting.occurred_at.date()) for posting in postings})
        self.segments = rows.Segments(organization_id, postings)

    def only(self, positions: Sequence[int]) -> Batch:
        """The same batch with some of its postings."""
        part = copy(self)
        part.postings = [self.postings[n] for n in positions]
        return part


def post(*, batch: Batch, revises: bool, at: datetime, apart: bool = False) -> list[Posted]:
    """Post a batch inside the caller's transaction; what became of each posting, in order.

    `revises`: the source restates itself, so that a known id with other content is a new revision (a correcting pair
    of charges) instead of a conflict. `apart`: another id of the source is another call, whatever request the provider
    says it was; some give one id to many. Each key may stand once in a batch; see `ingest.services`, which splits.
    """
    if not batch.postings:
        return []
    if not connection.in_atomic_block:
        raise RuntimeError("posting belongs inside a transaction")
    ids = uuid7_batch(len(batch.postings), unix_ms=int(at.timestamp() * 1000))
    times = rows.times_of(batch.postings)
    with connection.cursor() as cursor:
        lost_keys, lost_requests = _claim(cursor, batch, ids, times, lock=revises)
        if apart and lost_requests:
            batch = _set_apart(cursor, batch, ids, lost_keys, lost_requests)
        outcomes = _judge(batch.postings, lost_keys, lost_requests, revises=revises)
        if lost_keys and lost_requests:
            _pass_on_requests(cursor, batch, ids, outcomes, lost_requests)
            outcomes = _judge(batch.postings, lost_keys, lost_requests, revises=revises)
        if lost_keys or lost_requests:
            _settle_losses(cursor, batch, ids, outcomes, lost_keys, lost_requests, at)
            batch_postings = _with_revisions(batch.postings, outcomes, lost_keys)
        else:
            batch_postings = list(batch.postings)
        made = [outcome in (Posted.CHARGED, Posted.REVISED) for outcome in outcomes]
        ids, times = list(compress(ids, made)), list(compress(times, made))
        _copy_charges(cursor, batch, ids, list(compress(batch_postings, made)), times, at)
    return outcomes


def _claim(
    cursor: CursorWrapper, batch: Batch, ids: list[str], times: list[str], *, lock: bool
) -> tuple[dict[int, _Lost], dict[int, _Lost]]:
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
) -> tuple[dict[int, _Lost], dict[int, _Lost]]:
    cursor.execute(_CLAIM_TABLE)
    text, count = rows.claims(ids, batch.postings, times)
    with cursor.copy(f"COPY ledger_claim ({', '.join(rows.CLAIM_COLUMNS)}) FROM STDIN") as copy:
        copy.write(text)
    cursor.execute(_CLAIM, [batch.organization_id])
    keys: dict[int, _Lost] = {}
    requests: dict[int, _Lost] = {}
    won = cursor.rowcount
    if won < count:
        cursor.execute(_LOST_LOCKED if lock else _LOST_READ, [batch.organization_id])
        for n, is_request, content_hash, charge_id, occurred_at, revision in cursor.fetchall():
            into = requests if is_request else keys
            into[n] = _Lost(bytes(content_hash), charge_id, occurred_at, revision)
        if won + len(keys) + len(requests) < count:
            # The holder let go after our insert met its key: nobody holds it now, and nobody would next time.
            raise ClaimMoved("a key changed hands while it was claimed; post the batch again")
    # A caller may post twice in one transaction.
    cursor.execute("TRUNCATE ledger_claim")
    return keys, requests


def _judge(
    postings: Sequence[Posting], keys: dict[int, _Lost], requests: dict[int, _Lost], *, revises: bool
) -> list[Posted]:
    outcomes = []
    for n, posting in enumerate(postings):
        lost = keys.get(n)
        if lost is not None:
            if lost.content_hash == posting.content_hash:
                outcomes.append(Posted.DUPLICATE)
            elif not revises or lost.revision == SIGHTING:
                # A sighting was never charged from here: the other source's charge stands, whatever this one now says.
                outcomes.append(Posted.CONFLICT)
            elif n in requests and requests[n].charge_id != lost.charge_id:
                # It now says to be a call that is charged already.
                outcomes.append(Posted.CONFLICT)
            else:
                outcomes.append(Posted.REVISED)
        else:
            outcomes.append(Posted.SIGHTED if n in requests else Posted.CHARGED)
    return outcomes


def _set_apart(
    cursor: CursorWrapper, batch: Batch, ids: list[str], keys: dict[int, _Lost], requests: dict[int, _Lost]
) -> Batch:
    """The batch, in which no call stands for another of the same source. Takes from `requests` those that would."""
    names = [(n, lost) for n, lost in requests.items() if n not in keys or keys[n].charge_id != lost.charge_id]
    cursor.execute(
        "SELECT c.id FROM unnest(%s::uuid[], %s::timestamptz[]) AS w(id, occurred_at)"
        " JOIN ledger_charge AS c ON c.id = w.id AND c.occurred_at = w.occurred_at"
        " WHERE c.organization_id = %s AND c.source_id = %s",
        [
            [lost.charge_id for _, lost in names],
            [lost.occurred_at for _, lost in names],
            batch.organization_id,
            batch.postings[0].shape.source_id,
        ],
    )
    own = {found.hex for (found,) in cursor.fetchall()} | set(ids)
    set_apart = copy(batch)
    set_apart.postings = postings = list(batch.postings)
    for n, lost in names:
        if lost.charge_id.hex in own:
            postings[n] = replace(postings[n], request_key="")
            del requests[n]
    return set_apart


def _pass_on_requests(
    cursor: CursorWrapper, batch: Batch, ids: list[str], outcomes: list[Posted], requests: dict[int, _Lost]
) -> None:
    """A request key that this batch claimed for a posting which is not charged after all goes to the next to name it.

    Takes from `requests` whoever got a key, and points those behind at them.
    """
    refused = {ids[n] for n, outcome in enumerate(outcomes) if outcome in (Posted.DUPLICATE, Posted.CONFLICT)}
    heirs: dict[str, int] = {}
    for n in sorted(requests):
        key = batch.postings[n].request_key
        if ids[n] in refused or requests[n].charge_id.hex not in refused:
            continue
        if key in heirs:
            requests[n] = requests[n]._replace(charge_id=UUID(ids[heirs[key]]))
            continue
        heirs[key] = n
        del requests[n]
        cursor.execute(
            "UPDATE ledger_charge_key SET charge_id = %s, occurred_at = %s"
            " WHERE organization_id = %s AND source_id = 0 AND external_id = %s",
            [ids[n], batch.postings[n].occurred_at, batch.organization_id, key],
        )


def _settle_losses(
    cursor: CursorWrapper,
    batch: Batch,
    ids: list[str],
    outcomes: list[Posted],
    keys: dict[int, _Lost],
    requests: dict[int, _Lost],
    at: datetime,
) -> None:
    """Bring the key table in line with what was judged: release, repoint, revise; note sightings, reverse revisions."""
    organization_id = batch.organization_id
    release = [ids[n] for n, outcome in enumerate(outcomes) if outcome in (Posted.DUPLICATE, Posted.CONFLICT)]
    if release:
        # A request key claimed by a posting whose own key was lost would point at a charge that is never made.
        cursor.execute(
            "DELETE FROM ledger_charge_key WHERE organization_id = %s AND source_id = 0"
            " AND charge_id = ANY(%s::uuid[])",
            [organization_id, release],
        )
    for n, outcome in enumerate(outcomes):
        posting = batch.postings[n]
        if outcome is Posted.SIGHTED:
            _note_sighting(cursor, organization_id, posting, requests[n].charge_id, at)
        elif outcome is Posted.REVISED:
            cursor.execute(
                "UPDATE ledger_charge_key SET content_hash = %s, revision = revision + 1, charge_id = %s,"
                " occurred_at = %s WHERE organization_id = %s AND (source_id, external_id) IN ((%s, %s), (0, %s))",
                [
                    posting.content_hash,
                    ids[n],
                    posting.occurred_at,
                    organization_id,
                    posting.key_source_id,
                    posting.key,
                    posting.request_key,
                ],
            )
    places = [n for n, outcome in enumerate(outcomes) if outcome is Posted.REVISED]
    revised = [keys[n] for n in places]
    if revised:
        was, when = [lost.charge_id for lost in revised], [lost.occurred_at for lost in revised]
        cursor.execute(_FREE_REQUESTS, [was, when, organization_id])
        reverse_in_transaction(
            organization_id=organization_id,
            charges=list(zip(was, when, strict=True)),
            at=at,
        )
        point_sightings(cursor, organization_id, was, [UUID(ids[n]) for n in places])


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


def _note_sighting(
    cursor: CursorWrapper, organization_id: int, posting: Posting, charge_id: UUID, at: datetime
) -> None:
    cursor.execute(
        "UPDATE ledger_charge_key SET charge_id = %s, revision = %s"
        " WHERE organization_id = %s AND source_id = %s AND external_id = %s",
        [charge_id, SIGHTING, organization_id, posting.key_source_id, posting.key],
    )
    billed = posting.priced.billed_pico
    cursor.execute(
        "INSERT INTO ledger_sighting (organization_id, charge_id, source_id, external_id, occurred_at, seen_at,"
        " evidence, counts, billed_cost, currency) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        [
            organization_id,
            charge_id,
            posting.shape.source_id,
            posting.external_id,
            posting.occurred_at,
            at,
            posting.shape.evidence,
            list(posting.counts),
            None if billed is None else from_pico(billed),
            posting.priced.currency,
        ],
    )


def _with_revisions(postings: Sequence[Posting], outcomes: list[Posted], keys: dict[int, _Lost]) -> list[Posting]:
    return [
        replace(posting, revision=keys[n].revision + 1, reason=posting.reason or "revision")
        if outcomes[n] is Posted.REVISED
        else posting
        for n, posting in enumerate(postings)
    ]


def _copy_charges(
    cursor: CursorWrapper, batch: Batch, ids: list[str], postings: list[Posting], times: list[str], at: datetime
) -> None:
    if not postings:
        return
    segments = batch.segments
    rollups, sessions = segments.deltas(postings, times)
    for table, columns, text in (
        ("ledger_charge", rows.CHARGE_COLUMNS, segments.charges(ids, postings, times, at.astimezone(UTC))),
        ("ledger_rollup_delta", rows.DELTA_COLUMNS, rollups),
        ("ledger_session_delta", rows.SESSION_COLUMNS, sessions),
    ):
        if text:
            with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
                copy.write(text)
    announce(batch.organization_id, lambda: map(_spending, postings), at)


def _spending(posting: Posting) -> Spending:
    shape = posting.shape
    return Spending(
        posting.occurred_at,
        posting.priced.reporting_pico,
        posting.ownership.ids,
        shape.provider,
        shape.model,
        posting.session,
    )
