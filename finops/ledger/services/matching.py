"""Calls that a source tells without the provider's request id, and another saw too: known by what they say.

The same model at the same provider, as many tokens read, cached and written, within ten minutes, and the same session
where both say one: that is one call, charged once. Each charge stands for one such call of a source, the nearest in
time. Of one source, one that has a request id may stand for one that has none: a collector passes on what an
application traces and what its tool logs. What was matched so is marked, for it is likely and not certain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from finops.core.tokens import INPUT_SLICE, METER_INDEX, METERS, OUTPUT_SLICE
from finops.ledger.selectors import term_ids
from finops.ledger.services.batch import Batch
from finops.ledger.services.post import Elsewhere, post
from finops.ledger.services.reverse import reverse_in_transaction
from finops.ledger.services.rows import escape
from finops.ledger.services.sightings import SIGHTING, point_sightings
from finops.ledger.types import Posted, Posting

WINDOW: Final = timedelta(minutes=10)
# Who tells of a call later than that is told of by the bill.
KEPT: Final = timedelta(days=3)
_AT_A_TIME: Final = 5_000
_TOKENS: Final = (*INPUT_SLICE, *OUTPUT_SLICE)
_CACHED: Final = (METER_INDEX["cache_read"], METER_INDEX["cache_read_audio"])


def _sum(places: Sequence[int]) -> str:
    return " + ".join(f"coalesce(c.{METERS[place]}, 0)" for place in places)


_BIN: Final = "date_bin('10 minutes', {}, '2000-01-01 00:00:00+00')"
# Of so many calls that say the very same, each has a charge left when it is looked at as many. More are found later.
_MOST_ALIKE: Final = 500
# By the index `ledger_charge_alike`, whose expressions stand here word by word. LATERAL and LIMIT keep the planner at
# one look for each that is wanted.
_ALIKE: Final = f"""
SELECT w.n, c.id, c.occurred_at
FROM json_to_recordset(%(wanted)s) AS w(n int, at timestamptz, provider_id int, model_id int, input bigint,
    cached bigint, output bigint, session text, has_id bool)
CROSS JOIN LATERAL (
    SELECT c.id, c.occurred_at, abs(extract(epoch FROM c.occurred_at - w.at)) AS apart
    FROM ledger_charge AS c
    WHERE c.organization_id = %(organization)s
        AND {_BIN.format("c.occurred_at")} = ANY (ARRAY[{_BIN.format("w.at - %(window)s")}, {_BIN.format("w.at")},
            {_BIN.format("w.at + %(window)s")}])
        AND {_sum(INPUT_SLICE)} = w.input AND {_sum(OUTPUT_SLICE)} = w.output AND {_sum(_CACHED)} = w.cached
        AND c.calls = 1 AND c.reverses IS NULL AND c.reason <> 'allocation'
        AND c.occurred_at BETWEEN w.at - %(window)s AND w.at + %(window)s
        AND c.provider_id = w.provider_id AND c.model_id = w.model_id
        AND (c.session = w.session OR c.session = '' OR w.session = '')
        AND (c.source_id <> %(source)s OR (c.provider_request_id <> '' AND NOT w.has_id))
        AND NOT EXISTS (SELECT FROM ledger_charge_key AS r WHERE r.organization_id = c.organization_id
            AND r.source_id = 0 AND r.external_id = 'rev:' || c.id)
        AND NOT EXISTS (SELECT FROM ledger_sighting AS s WHERE s.organization_id = c.organization_id
            AND s.charge_id = c.id AND s.source_id = %(source)s AND s.matched_by = 'content')
    ORDER BY apart, c.id
    LIMIT %(alike)s
) AS c
ORDER BY c.apart, w.n, c.id
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


class _Wanted(msgspec.Struct, frozen=True, gc=False):
    """A call that another source may have seen, by its place: what it says in numbers, and whether it has an id."""

    n: int
    at: datetime
    provider_id: int
    model_id: int
    input: int
    cached: int
    output: int
    session: str
    has_id: bool


_what: Final = attrgetter("provider_id", "model_id", "input", "cached", "output")


class _Lone(NamedTuple):
    """A call nobody else saw, and its charge: as it was booked, or the one that a correction put in its place."""

    external_id: str
    charge_id: UUID
    occurred_at: datetime
    booked_as: UUID


def post_lone(*, batch: Batch, revises: bool, at: datetime) -> list[Posted]:
    """As `post`, for a source whose calls may have no request id, or another than others know: what another source
    charged already is SIGHTED. Inside the caller's transaction.
    """
    alone: list[tuple[str, str]] = []

    def sift(cursor: CursorWrapper, ids: Sequence[str], new: Sequence[int]) -> dict[int, Elsewhere]:
        calls = {
            n: one for n in new if (one := batch.postings[n]).calls == 1 and any(map(one.counts.__getitem__, _TOKENS))
        }
        found = _elsewhere(cursor, batch, calls)
        alone.extend(
            (f"{escape(one.external_id)}\t{ids[n]}", one.occurred_at.isoformat())
            for n, one in calls.items()
            if n not in found
        )
        return found

    outcomes = post(batch=batch, revises=revises, at=at, sift=sift)
    if alone:
        _keep(batch.organization_id, batch.postings[0].shape.source_id, alone, at)
    return outcomes


def rematch(*, organization_id: int, since: datetime, at: datetime) -> int:
    """Look again for calls that were booked since and that nobody else had seen then; gives how many somebody has seen
    meanwhile. They are reversed, and become that charge's sightings.
    """
    found = 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT source_id FROM ledger_lone WHERE organization_id = %s AND booked_at >= %s ORDER BY 1",
            [organization_id, since],
        )
        sources = [source_id for (source_id,) in cursor.fetchall()]
    for source_id in sources:
        last: UUID | None = UUID(int=0)
        while last is not None:
            with transaction.atomic(), connection.cursor() as cursor:
                _one_at_a_time(cursor, organization_id)
                lone, last = _alone_since(cursor, organization_id, source_id, since, last)
                matches = _ask(cursor, organization_id, source_id, [wanted for _, wanted in lone])
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


def _elsewhere(cursor: CursorWrapper, batch: Batch, calls: Mapping[int, Posting]) -> dict[int, Elsewhere]:
    """Charges that stand for these calls, each for one. Who finds any looks again when nobody else does; who finds none
    waits for nobody: what two told at once is found later.
    """
    organization_id, source_id = batch.organization_id, batch.postings[0].shape.source_id
    words = {
        kind: term_ids(organization_id, kind, {getattr(one.shape, kind) for one in calls.values()})
        for kind in ("provider", "model")
    }
    wanted = []
    for n, one in calls.items():
        provider, model = words["provider"].get(one.shape.provider), words["model"].get(one.shape.model)
        if provider is not None and model is not None:
            tokens, cached, output = (
                sum(map(one.counts.__getitem__, places)) for places in (INPUT_SLICE, _CACHED, OUTPUT_SLICE)
            )
            has_id = bool(one.provider_request_id)
            wanted.append(_Wanted(n, one.occurred_at, provider, model, tokens, cached, output, one.session, has_id))
    if not _ask(cursor, organization_id, source_id, wanted):
        return {}
    _one_at_a_time(cursor, organization_id)
    return _ask(cursor, organization_id, source_id, wanted)


def _ask(
    cursor: CursorWrapper, organization_id: int, source_id: int, wanted: Sequence[_Wanted]
) -> dict[int, Elsewhere]:
    """By place, each charge for one only."""
    if not wanted:
        return {}
    alike = max(Counter(map(_what, wanted)).values())
    given: dict[str, Any] = {"wanted": msgspec.json.encode(wanted).decode(), "window": WINDOW}
    given["alike"] = min(alike, _MOST_ALIKE)
    cursor.execute(_ALIKE, given | {"organization": organization_id, "source": source_id})
    found: dict[int, Elsewhere] = {}
    taken: set[UUID] = set()
    for n, charge_id, occurred_at in cursor.fetchall():
        if n not in found and charge_id not in taken:
            found[n] = Elsewhere(charge_id, occurred_at)
            taken.add(charge_id)
    return found


def _keep(organization_id: int, source_id: int, alone: Sequence[tuple[str, str]], at: datetime) -> None:
    """`alone` are ids and charges as COPY reads them, and when they were."""
    columns = "organization_id, source_id, external_id, charge_id, occurred_at, booked_at"
    mine, booked = f"{organization_id}\t{source_id}", at.isoformat()
    text = "".join([f"{mine}\t{named}\t{occurred}\t{booked}\n" for named, occurred in alone])
    with connection.cursor() as cursor, cursor.copy(f"COPY ledger_lone ({columns}) FROM STDIN") as copy:
        copy.write(text)


def _alone_since(
    cursor: CursorWrapper, organization_id: int, source_id: int, since: datetime, after: UUID
) -> tuple[list[tuple[_Lone, _Wanted]], UUID | None]:
    """Some of them, in the order they were charged, and the last one's charge; None where there are no more."""
    cursor.execute(
        "SELECT l.external_id, c.id, c.occurred_at, l.charge_id, c.provider_id, c.model_id,"
        f" {_sum(INPUT_SLICE)}, {_sum(_CACHED)}, {_sum(OUTPUT_SLICE)}, c.session,"
        " c.provider_request_id <> ''"
        " FROM ledger_lone AS l JOIN ledger_charge_key AS k ON k.organization_id = l.organization_id"
        " AND k.source_id = l.source_id AND k.external_id = l.external_id AND k.revision >= 0"
        " JOIN ledger_charge AS c ON c.id = k.charge_id AND c.occurred_at = k.occurred_at"
        " WHERE l.organization_id = %s AND l.source_id = %s AND l.booked_at >= %s AND l.charge_id > %s"
        " ORDER BY l.charge_id LIMIT %s",
        [organization_id, source_id, since, after, _AT_A_TIME],
    )
    rows = cursor.fetchall()
    found = [(_Lone(*row[:4]), _Wanted(n, row[2], *row[4:])) for n, row in enumerate(rows)]
    return found, rows[-1][3] if len(rows) == _AT_A_TIME else None


def _stand_aside(
    cursor: CursorWrapper, organization_id: int, source_id: int, aside: dict[_Lone, Elsewhere], at: datetime
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
    # What was taken back meanwhile is somebody's decision, and not looked at again.
    cursor.execute(
        "DELETE FROM ledger_lone WHERE organization_id = %s AND source_id = %s AND charge_id = ANY(%s)",
        [organization_id, source_id, [one.booked_as for one in aside]],
    )
    return len(made)
