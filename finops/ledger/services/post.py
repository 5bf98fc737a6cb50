"""Posts charges: claims their keys, copies the new ones, appends what they add to the rollups. All or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from datetime import UTC, datetime
from itertools import compress
from typing import Final, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.backends.utils import CursorWrapper
from msgspec.structs import replace

from finops.core.ids import uuid7_batch
from finops.ledger.services import rows
from finops.ledger.services.announce import Spending, announce
from finops.ledger.services.batch import Batch
from finops.ledger.services.claims import Lost, claim
from finops.ledger.services.reverse import reverse_in_transaction
from finops.ledger.services.sightings import SIGHTING, note_sightings, point_sightings
from finops.ledger.types import Posted, Posting

# A revision may name another request than the charge it replaces; the old one's key is free again.
_FREE_REQUESTS: Final = """
DELETE FROM ledger_charge_key AS k
USING unnest(%s::uuid[], %s::timestamptz[]) AS m(was, occurred_at)
JOIN ledger_charge AS c ON c.id = m.was AND c.occurred_at = m.occurred_at AND c.provider_request_id <> ''
LEFT JOIN ledger_term AS t ON t.id = c.provider_id
WHERE k.organization_id = %s AND k.source_id = 0 AND k.charge_id = m.was
    AND k.external_id = 'req:' || coalesce(t.value, '') || ':' || c.provider_request_id
"""


class Elsewhere(NamedTuple):
    """The charge that a call has already, which another source told."""

    charge_id: UUID
    occurred_at: datetime


# Which of a batch's new calls have a charge: asked with the batch's ids and the places of those calls, whose keys are
# claimed by then.
Sift = Callable[[CursorWrapper, Sequence[str], Sequence[int]], dict[int, Elsewhere]]


def post(*, batch: Batch, revises: bool, at: datetime, apart: bool = False, sift: Sift | None = None) -> list[Posted]:
    """Post a batch inside the caller's transaction; what became of each posting, in order.

    `revises`: the source restates itself, so that a known id with other content is a new revision (a correcting pair
    of charges) instead of a conflict. `apart`: another id of the source is another call, whatever request the provider
    says it was; some give one id to many. `sift` finds calls that are known otherwise than by a key. Each key may
    stand once in a batch; see `ingest.services`, which splits.
    """
    if not batch.postings:
        return []
    if not connection.in_atomic_block:
        raise RuntimeError("posting belongs inside a transaction")
    ids = uuid7_batch(len(batch.postings), unix_ms=int(at.timestamp() * 1000))
    times = rows.times_of(batch.postings)
    with connection.cursor() as cursor:
        lost_keys, lost_requests = claim(cursor, batch, ids, times, lock=revises)
        if apart and lost_requests:
            batch = _set_apart(cursor, batch, ids, lost_keys, lost_requests)
        outcomes = _judge(batch.postings, lost_keys, lost_requests, revises=revises)
        if lost_keys and lost_requests:
            _pass_on_requests(cursor, batch, ids, outcomes, lost_requests)
            outcomes = _judge(batch.postings, lost_keys, lost_requests, revises=revises)
        elsewhere = {} if sift is None else sift(cursor, ids, _places(outcomes, Posted.CHARGED))
        if elsewhere:
            _stand_behind(cursor, batch, ids, elsewhere, lost_requests)
            outcomes = _judge(batch.postings, lost_keys, lost_requests, revises=revises)
        if lost_keys or lost_requests:
            _settle_losses(cursor, batch, ids, outcomes, lost_keys, lost_requests, at)
            note_sightings(cursor, batch, _places(outcomes, Posted.SIGHTED), lost_requests, elsewhere, at)
            batch_postings = _with_revisions(batch.postings, outcomes, lost_keys)
        else:
            batch_postings = list(batch.postings)
        made = [outcome in (Posted.CHARGED, Posted.REVISED) for outcome in outcomes]
        ids, times = list(compress(ids, made)), list(compress(times, made))
        _copy_charges(cursor, batch, ids, list(compress(batch_postings, made)), times, at)
    return outcomes


def _judge(
    postings: Sequence[Posting], keys: dict[int, Lost], requests: dict[int, Lost], *, revises: bool
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
    cursor: CursorWrapper, batch: Batch, ids: list[str], keys: dict[int, Lost], requests: dict[int, Lost]
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
    cursor: CursorWrapper, batch: Batch, ids: list[str], outcomes: list[Posted], requests: dict[int, Lost]
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
    keys: dict[int, Lost],
    requests: dict[int, Lost],
    at: datetime,
) -> None:
    """Bring the key table in line with what was judged: release, repoint, revise; reverse revisions."""
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
        if outcome is Posted.REVISED:
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


def _stand_behind(
    cursor: CursorWrapper,
    batch: Batch,
    ids: list[str],
    elsewhere: dict[int, Elsewhere],
    requests: dict[int, Lost],
) -> None:
    """Calls that have a charge elsewhere lose to that one, as those do that lost a request to them. The request keys
    they claimed are free again: nothing would lead them on when that charge is replaced.
    """
    gone = {ids[n]: Lost(b"", found.charge_id, found.occurred_at, 0) for n, found in elsewhere.items()}
    for n, lost in requests.items():
        requests[n] = gone.get(lost.charge_id.hex, lost)
    requests.update({n: gone[ids[n]] for n in elsewhere})
    cursor.execute(
        "DELETE FROM ledger_charge_key WHERE organization_id = %s AND source_id = 0 AND external_id = ANY(%s)"
        " AND charge_id = ANY(%s::uuid[])",
        [batch.organization_id, [batch.postings[n].request_key for n in elsewhere], list(gone)],
    )


def _places(outcomes: Sequence[Posted], which: Posted) -> list[int]:
    return [n for n, outcome in enumerate(outcomes) if outcome is which]


def _with_revisions(postings: Sequence[Posting], outcomes: list[Posted], keys: dict[int, Lost]) -> list[Posting]:
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
