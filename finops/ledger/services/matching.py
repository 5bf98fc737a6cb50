"""Calls that a source tells without the provider's request id, and another saw too: known by what they say.

The same model at the same provider, as many tokens read, cached and written, within ten minutes, and the same session
where both say one: that is one call, charged once. Each charge stands for one such call of a source, the nearest in
time. Of one source, one that has a request id may stand for one that has none: a collector passes on what an
application traces and what its tool logs. What was matched so is marked, for it is likely and not certain.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from msgspec.structs import replace

from finops.core.tokens import INPUT_SLICE, METER_INDEX, METERS, OUTPUT_SLICE
from finops.ledger.selectors import term_ids
from finops.ledger.services.post import SIGHTING, Batch, point_sightings, post
from finops.ledger.services.reverse import reverse_in_transaction
from finops.ledger.types import Posted, Posting

WINDOW: Final = timedelta(minutes=10)
# Who tells of a call later than that is told of by the bill.
KEPT: Final = timedelta(days=3)
_CACHED: Final = (METER_INDEX["cache_read"], METER_INDEX["cache_read_audio"])


def _sum(places: Sequence[int]) -> str:
    return " + ".join(f"coalesce(c.{METERS[place]}, 0)" for place in places)


# A hash of what is wanted is met by each charge of the time once; the bounds of time are constants for that.
_ALIKE: Final = f"""
SELECT w.n, c.id, c.occurred_at, coalesce(k.external_id, '')
FROM unnest(%(n)s::int[], %(at)s::timestamptz[], %(provider)s::int[], %(model)s::int[], %(input)s::bigint[],
    %(cached)s::bigint[], %(output)s::bigint[], %(session)s::text[], %(has_id)s::bool[])
    AS w(n, at, provider_id, model_id, input, cached, output, session, has_id)
JOIN ledger_charge AS c ON c.provider_id = w.provider_id AND c.model_id = w.model_id
    AND {_sum(INPUT_SLICE)} = w.input AND {_sum(_CACHED)} = w.cached AND {_sum(OUTPUT_SLICE)} = w.output
    AND c.occurred_at BETWEEN w.at - %(window)s AND w.at + %(window)s
    AND (c.session = w.session OR c.session = '' OR w.session = '')
LEFT JOIN ledger_term AS p ON p.id = c.provider_id
LEFT JOIN ledger_charge_key AS k ON k.organization_id = c.organization_id AND k.source_id = 0
    AND k.external_id = 'req:' || coalesce(p.value, '') || ':' || c.provider_request_id AND k.charge_id = c.id
WHERE c.organization_id = %(organization)s AND c.occurred_at >= %(since)s AND c.occurred_at <= %(until)s
    AND (c.source_id <> %(source)s OR (c.provider_request_id <> '' AND NOT w.has_id))
    AND c.reverses IS NULL AND c.calls = 1 AND c.reason <> 'allocation'
    AND NOT EXISTS (SELECT FROM ledger_charge_key AS r WHERE r.organization_id = c.organization_id
        AND r.source_id = 0 AND r.external_id = 'rev:' || c.id)
    AND NOT EXISTS (SELECT FROM ledger_sighting AS s WHERE s.organization_id = c.organization_id
        AND s.charge_id = c.id AND s.source_id = %(source)s AND s.matched_by = 'content')
ORDER BY abs(extract(epoch FROM c.occurred_at - w.at)), w.n, c.id
"""
_NOTE: Final = f"""
INSERT INTO ledger_sighting (organization_id, charge_id, source_id, external_id, occurred_at, seen_at, evidence, counts,
    billed_cost, currency, matched_by)
SELECT c.organization_id, m.becomes, c.source_id, c.external_id, c.occurred_at, %s, coalesce(e.value, ''),
    ARRAY[{", ".join(f"coalesce(c.{meter}, 0)" for meter in METERS)}], c.billed_cost, c.currency, 'content'
FROM unnest(%s::uuid[], %s::timestamptz[], %s::uuid[]) AS m(was, occurred_at, becomes)
JOIN ledger_charge AS c ON c.id = m.was AND c.occurred_at = m.occurred_at
LEFT JOIN ledger_term AS e ON e.id = c.evidence_id
ON CONFLICT DO NOTHING
"""
_POINT: Final = """
UPDATE ledger_charge_key AS k SET charge_id = m.becomes, revision = %s
FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS m(was, becomes, external_id)
WHERE k.organization_id = %s AND k.source_id = %s AND k.external_id = m.external_id AND k.charge_id = m.was
"""


class _Wanted(NamedTuple):
    """A call that another source may have seen; `n` is its place."""

    n: int
    posting: Posting


class _Match(NamedTuple):
    """The charge that stands for it; `request_key` is '' where that has none."""

    charge_id: UUID
    occurred_at: datetime
    request_key: str


class _Lone(NamedTuple):
    external_id: str
    charge_id: UUID
    occurred_at: datetime


def post_lone(*, batch: Batch, revises: bool, at: datetime) -> list[Posted]:
    """As `post`, for a source whose calls may have no request id, or another than others know: what another source
    charged already is SIGHTED. Inside the caller's transaction; two of these wait for each other.
    """
    if not batch.postings:
        return []
    organization_id, source_id = batch.organization_id, batch.postings[0].shape.source_id
    with connection.cursor() as cursor:
        _one_at_a_time(cursor, organization_id)
        wanted = _unknown(cursor, batch)
        matches = _alike(cursor, organization_id, source_id, wanted)
        asked = copy(batch)
        asked.postings = list(batch.postings)
        for n, match in matches.items():
            if match.request_key:
                asked.postings[n] = replace(asked.postings[n], request_key=match.request_key)
        outcomes = post(batch=asked, revises=revises, at=at)
        by_name = {batch.postings[n].external_id: match for n, match in matches.items()}
        sighted = {batch.postings[n].external_id for n in matches if outcomes[n] is Posted.SIGHTED}
        _mark(cursor, organization_id, source_id, sighted)
        charged = [one.posting.external_id for one in wanted if outcomes[one.n] is Posted.CHARGED]
        lone = _standing(cursor, organization_id, source_id, charged)
        aside = {one: by_name[one.external_id] for one in lone if one.external_id in by_name}
        _stand_aside(cursor, organization_id, source_id, aside, at)
        _keep(cursor, organization_id, source_id, [one for one in lone if one not in aside], at)
    moved = {one.external_id for one in aside}
    return [
        Posted.SIGHTED if outcome is Posted.CHARGED and posting.external_id in moved else outcome
        for posting, outcome in zip(batch.postings, outcomes, strict=True)
    ]


def rematch(*, organization_id: int, since: datetime, at: datetime) -> int:
    """Look again for calls that were booked since and that nobody else had seen then; gives how many somebody has seen
    meanwhile. They are reversed, and become that charge's sightings.
    """
    found = 0
    with transaction.atomic(), connection.cursor() as cursor:
        _one_at_a_time(cursor, organization_id)
        cursor.execute(
            "SELECT DISTINCT source_id FROM ledger_lone WHERE organization_id = %s AND booked_at >= %s ORDER BY 1",
            [organization_id, since],
        )
        for (source_id,) in cursor.fetchall():
            lone = _alone_since(cursor, organization_id, source_id, since)
            matches = _ask(cursor, organization_id, source_id, [row[1] for row in lone])
            aside = {lone[n][0]: match for n, match in matches.items()}
            found += _stand_aside(cursor, organization_id, source_id, aside, at)
    return found


def with_lone(*, since: datetime) -> list[int]:
    """Organizations that have such calls, booked since."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT organization_id FROM ledger_lone WHERE booked_at >= %s ORDER BY 1", [since])
        return [organization_id for (organization_id,) in cursor.fetchall()]


def forget_lone(*, before: datetime) -> int:
    """Nobody will tell of these any more."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ledger_lone WHERE booked_at < %s", [before])
        return int(cursor.rowcount)


def _one_at_a_time(cursor: CursorWrapper, organization_id: int) -> None:
    """Two that look for the same charge at once would both get it."""
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"matching:{organization_id}"])


def _unknown(cursor: CursorWrapper, batch: Batch) -> list[_Wanted]:
    """Single calls of tokens that neither their own id nor a request's tells to be known."""
    own = {(one.key_source_id, one.key) for one in batch.postings}
    own |= {(0, one.request_key) for one in batch.postings if one.request_key}
    cursor.execute(
        "SELECT source_id, external_id FROM ledger_charge_key WHERE organization_id = %s AND (source_id, external_id)"
        " IN (SELECT * FROM unnest(%s::int[], %s::text[]))",
        [batch.organization_id, [source_id for source_id, _ in own], [key for _, key in own]],
    )
    known = set(cursor.fetchall())
    return [
        _Wanted(n, one)
        for n, one in enumerate(batch.postings)
        if one.calls == 1
        and any(one.counts[place] for place in (*INPUT_SLICE, *OUTPUT_SLICE))
        and (one.key_source_id, one.key) not in known
        and (0, one.request_key) not in known
    ]


def _alike(cursor: CursorWrapper, organization_id: int, source_id: int, wanted: Sequence[_Wanted]) -> dict[int, _Match]:
    words = {
        kind: term_ids(organization_id, kind, {getattr(one.posting.shape, kind) for one in wanted})
        for kind in ("provider", "model")
    }
    asked = []
    for n, one in wanted:
        provider, model = words["provider"].get(one.shape.provider), words["model"].get(one.shape.model)
        if provider is not None and model is not None:
            sums = [sum(one.counts[place] for place in places) for places in (INPUT_SLICE, _CACHED, OUTPUT_SLICE)]
            asked.append((n, one.occurred_at, provider, model, *sums, one.session, bool(one.provider_request_id)))
    return _ask(cursor, organization_id, source_id, asked)


def _ask(
    cursor: CursorWrapper, organization_id: int, source_id: int, asked: Sequence[tuple[object, ...]]
) -> dict[int, _Match]:
    """By place, each charge for one only. `asked` are place, time, provider, model, tokens read, cached, written,
    session, and whether it has a request id.
    """
    if not asked:
        return {}
    names = ("n", "at", "provider", "model", "input", "cached", "output", "session", "has_id")
    columns = dict(zip(names, map(list, zip(*asked, strict=True)), strict=True))
    bounds = {"since": min(columns["at"]) - WINDOW, "until": max(columns["at"]) + WINDOW}
    cursor.execute(_ALIKE, columns | bounds | {"organization": organization_id, "source": source_id, "window": WINDOW})
    found: dict[int, _Match] = {}
    taken: set[UUID] = set()
    for n, charge_id, occurred_at, request_key in cursor.fetchall():
        if n not in found and charge_id not in taken:
            found[n] = _Match(charge_id, occurred_at, request_key)
            taken.add(charge_id)
    return found


def _mark(cursor: CursorWrapper, organization_id: int, source_id: int, external_ids: Collection[str]) -> None:
    if external_ids:
        cursor.execute(
            "UPDATE ledger_sighting SET matched_by = 'content' WHERE organization_id = %s AND source_id = %s"
            " AND external_id = ANY(%s)",
            [organization_id, source_id, list(external_ids)],
        )


def _standing(cursor: CursorWrapper, organization_id: int, source_id: int, external_ids: Sequence[str]) -> list[_Lone]:
    if not external_ids:
        return []
    cursor.execute(
        "SELECT external_id, charge_id, occurred_at FROM ledger_charge_key WHERE organization_id = %s"
        " AND source_id = %s AND external_id = ANY(%s) ORDER BY external_id",
        [organization_id, source_id, list(external_ids)],
    )
    return [_Lone(*row) for row in cursor.fetchall()]


def _keep(cursor: CursorWrapper, organization_id: int, source_id: int, lone: Sequence[_Lone], at: datetime) -> None:
    if lone:
        cursor.execute(
            "INSERT INTO ledger_lone (organization_id, source_id, external_id, charge_id, occurred_at, booked_at)"
            " SELECT %s, %s, l.*, %s FROM unnest(%s::text[], %s::uuid[], %s::timestamptz[]) AS l"
            " ON CONFLICT DO NOTHING",
            [organization_id, source_id, at, *(list(column) for column in zip(*lone, strict=True))],
        )


def _alone_since(
    cursor: CursorWrapper, organization_id: int, source_id: int, since: datetime
) -> list[tuple[_Lone, tuple[object, ...]]]:
    cursor.execute(
        "SELECT l.external_id, l.charge_id, l.occurred_at, c.provider_id, c.model_id,"
        f" {_sum(INPUT_SLICE)}, {_sum(_CACHED)}, {_sum(OUTPUT_SLICE)}, c.session,"
        " c.provider_request_id <> ''"
        " FROM ledger_lone AS l JOIN ledger_charge AS c ON c.id = l.charge_id AND c.occurred_at = l.occurred_at"
        " WHERE l.organization_id = %s AND l.source_id = %s AND l.booked_at >= %s ORDER BY l.external_id",
        [organization_id, source_id, since],
    )
    return [(_Lone(*row[:3]), (n, row[2], *row[3:])) for n, row in enumerate(cursor.fetchall())]


def _stand_aside(
    cursor: CursorWrapper, organization_id: int, source_id: int, aside: dict[_Lone, _Match], at: datetime
) -> int:
    """Charges that another source's stands for: reversed, and that one's sightings."""
    if not aside:
        return 0
    charges = [(one.charge_id, one.occurred_at) for one in aside]
    gone = reverse_in_transaction(organization_id=organization_id, charges=charges, at=at)
    made = [(one, match) for one, match in aside.items() if one.charge_id in gone]
    was, becomes = [one.charge_id for one, _ in made], [match.charge_id for _, match in made]
    names = [one.external_id for one, _ in made]
    point_sightings(cursor, organization_id, was, becomes)
    cursor.execute(_NOTE, [at, was, [one.occurred_at for one, _ in made], becomes])
    cursor.execute(_POINT, [SIGHTING, was, becomes, names, organization_id, source_id])
    # What was corrected or reversed meanwhile is somebody's decision, and not looked at again.
    cursor.execute(
        "DELETE FROM ledger_lone WHERE organization_id = %s AND source_id = %s AND external_id = ANY(%s)",
        [organization_id, source_id, [one.external_id for one in aside]],
    )
    return len(made)
