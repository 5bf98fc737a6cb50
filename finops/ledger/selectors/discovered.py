"""Names that sources told and nobody has, with what was spent under them and whom they may be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from finops.core.periods import DayRange
from finops.orgs.likeness import Known, Likeness
from finops.orgs.models import Identity, Person
from finops.sources.models import Source

LOOKED_BACK_DAYS: Final = 90
MOST: Final = 200
# As the index that keeps an identity one person's compares: without case. Only charges that have no person: to them a
# name of somebody would make a difference.
_FOUND: Final = """
WITH said AS MATERIALIZED (
    SELECT DISTINCT o.id, name ->> 0 AS kind, lower(name ->> 1) AS folded, name ->> 1 AS value
    FROM ledger_interned AS o, jsonb_array_elements(o.body -> 'identities') AS name
    WHERE o.organization_id = %(organization)s AND o.kind = 'origin' AND name ->> 0 = ANY(%(kinds)s)
        AND length(name ->> 1) BETWEEN 1 AND 200
        AND NOT EXISTS (
            SELECT FROM orgs_identity AS known
            WHERE known.organization_id = %(organization)s AND known.archived_at IS NULL
                AND known.kind = name ->> 0 AND lower(known.value) = lower(name ->> 1)
        )
), spent AS MATERIALIZED (
    SELECT origin_id, source_id, sum(calls) AS calls, sum(reporting_cost) AS cost,
        sum(CASE WHEN reverses IS NULL THEN 1 ELSE -1 END) AS standing, max(occurred_at) AS last_seen
    FROM ledger_charge
    WHERE organization_id = %(organization)s AND occurred_at >= %(start)s AND occurred_at < %(end)s
        AND person_id = 0 AND origin_id IN (SELECT id FROM said)
    GROUP BY origin_id, source_id
    HAVING sum(CASE WHEN reverses IS NULL THEN 1 ELSE -1 END) > 0
)
SELECT kind, min(value), sum(calls)::bigint, sum(cost), max(last_seen), array_agg(DISTINCT source_id)
FROM said JOIN spent ON spent.origin_id = said.id
GROUP BY kind, folded ORDER BY sum(cost) DESC, sum(calls) DESC, kind, folded LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class Discovered:
    """A name nobody has. `cost` is in the organization's reporting currency; `sources` are slugs, in order.

    A call that tells two such names counts under both, so costs do not add up to anything.
    """

    kind: str
    value: str
    calls: int
    cost: Decimal
    last_seen: datetime
    sources: tuple[str, ...]
    # Whom it may be, and why; None and '' where nobody is much like it.
    person: Person | None
    reason: str

    @property
    def kind_label(self) -> str:
        return Identity.Kind(self.kind).label


def looked_back(at: datetime) -> DayRange:
    """The days that are looked at: the last 90 and today."""
    tomorrow = at.date() + timedelta(days=1)
    return DayRange(tomorrow - timedelta(days=LOOKED_BACK_DAYS + 1), tomorrow)


def discovered(organization_id: int, *, at: datetime, most: int = MOST) -> list[Discovered]:
    """The names told by the last 90 days' charges that have no person, and that are no active identity: the costliest
    first, at most `most`. One query; three more where anything was found, whatever its number.
    """
    start, end = looked_back(at).instants()
    asked: dict[str, Any] = {
        "organization": organization_id, "kinds": list(Identity.Kind.values), "start": start, "end": end, "most": most,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_FOUND, asked)
        rows = cursor.fetchall()
    if not rows:
        return []
    wanted = {source for row in rows for source in row[5]}
    slugs = dict(
        Source.objects.filter(organization_id=organization_id, id__in=wanted).order_by("id").values_list("id", "slug")
    )
    people = {
        row.id: row
        for row in Person.objects.filter(organization_id=organization_id, archived_at__isnull=True).order_by("id")
    }
    alike = Likeness(_known(organization_id, people.values()))
    found = []
    for kind, value, calls, cost, last_seen, sources in rows:
        like = alike.suggest(value)
        found.append(
            Discovered(
                kind=kind,
                value=value,
                calls=calls,
                cost=cost,
                last_seen=last_seen,
                sources=tuple(sorted(slugs[source] for source in sources if source in slugs)),
                person=people[like.person_id] if like else None,
                reason=like.reason if like else "",
            )
        )
    return found


def _known(organization_id: int, people: Iterable[Person]) -> list[Known]:
    names: dict[int, list[str]] = {}
    rows = Identity.objects.filter(organization_id=organization_id, archived_at__isnull=True).order_by("id")
    for person_id, value in rows.values_list("person_id", "value"):
        names.setdefault(person_id, []).append(value)
    return [Known(row.id, row.name, (*([row.email] if row.email else []), *names.get(row.id, ()))) for row in people]
