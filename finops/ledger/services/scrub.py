"""Takes an erased person's names out of what sources said of owners, and of the steps that tell why. Charges keep
pointing at the same origins and traces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from django.db import connection, transaction

from finops.ledger.models import Interned
from finops.ledger.types import JsonObject
from finops.orgs.models import Identity, Person, VirtualKey

Name = tuple[str, str]

_ORIGINS: Final = """
SELECT id FROM ledger_interned WHERE organization_id = %s AND kind = 'origin' AND (
    lower(body #>> '{dimensions,person}') = ANY(%s)
    OR EXISTS (
        SELECT FROM jsonb_array_elements(body -> 'identities') AS said
        JOIN unnest(%s::text[], %s::text[]) AS gone(kind, value)
            ON said ->> 0 = gone.kind AND lower(said ->> 1) = gone.value
    )
) ORDER BY id FOR UPDATE
"""

# A name nobody had when the call came is kept in the step that says so, cut to this many characters.
_KEPT_OF_A_NAME: Final = 80
_TRACES: Final = """
SELECT id FROM ledger_interned WHERE organization_id = %s AND kind = 'trace' AND EXISTS (
    SELECT FROM jsonb_array_elements(body) AS step
    WHERE step ->> 0 = 'person' AND step ->> 2 = 'unknown' AND lower(step ->> 4) = ANY(%s)
) ORDER BY id FOR UPDATE
"""


@transaction.atomic
def forget_identities(
    *, organization_id: int, person_slug: str, old_slugs: Collection[str], identities: Iterable[Name]
) -> int:
    """Rewrite the origins that name an erased person; gives how many there were.

    `identities` are the (kind, value) pairs that were theirs, `old_slugs` what they were called outright, `person_slug`
    what they are called now. An origin that named them by an identity says the new slug instead, so that attributing
    history anew comes to the same person. Call it after the person was erased: an identity that is somebody else's by
    now, or was before, stays, for it still names that one.
    """
    names = {(kind, value.lower()) for kind, value in identities} - names_of_others(organization_id)
    gone = {slug.lower() for slug in old_slugs} | {value for _, value in names}
    kinds, values = [kind for kind, _ in sorted(names)], [value for _, value in sorted(names)]
    mine = _Person(organization_id, names, {slug.lower() for slug in old_slugs}, person_slug)
    noted = {name[:_KEPT_OF_A_NAME] for name in gone}
    _rewrite(_TRACES, [organization_id, sorted(noted)], lambda body: _unnamed(body, noted))
    return _rewrite(_ORIGINS, [organization_id, sorted(gone), kinds, values], mine.forgotten)


def _rewrite(find: str, parameters: list[Any], forgotten: Callable[[Any], Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(find, parameters)
        found = [row[0] for row in cursor.fetchall()]
    rows = list(Interned.objects.filter(id__in=found).order_by("id"))
    for row in rows:
        row.body = forgotten(row.body)
        # Not the digest of what it says now: two origins may say the same when their names are gone. And the old one
        # could be found out by trying addresses.
        row.digest = hashlib.blake2b(f"forgotten:{row.id}".encode(), digest_size=16).digest()
    Interned.objects.bulk_update(rows, ["body", "digest"], batch_size=500)
    return len(rows)


def _unnamed(steps: list[list[Any]], noted: Collection[str]) -> list[list[Any]]:
    """The steps of a trace, with the person's name left out of the note that nobody had it."""
    return [
        [*step[:4], "…"] if step[0] == "person" and step[2] == "unknown" and str(step[4]).lower() in noted else step
        for step in steps
    ]


def names_of_others(organization_id: int) -> set[Name]:
    """Identities that name somebody, now or for the calls of a time."""
    rows = Identity.objects.filter(organization_id=organization_id, person__erased_at__isnull=True)
    return {(kind, value.lower()) for kind, value in rows.values_list("kind", "value")}


class _Person:
    """Who is forgotten, and whatever else could have decided the person of a call in their place."""

    def __init__(self, organization_id: int, names: set[Name], old_slugs: set[str], slug: str) -> None:
        self.names = names
        self.old_slugs = old_slugs
        self.slug = slug
        self._others = names_of_others(organization_id)
        mine = {"organization_id": organization_id}
        self._keys = set(VirtualKey.objects.filter(**mine, person__isnull=False).values_list("prefix", flat=True))
        people = Person.objects.filter(**mine).values_list("id", "slug")
        self._people = {str(person_id) for person_id, _ in people} | {slug for _, slug in people}

    def forgotten(self, body: JsonObject) -> JsonObject:
        """An origin without the person's names, that still leads to them where it did."""
        told: dict[str, Any] = dict(body.get("dimensions", {}))
        said = [(kind, value) for kind, value in body.get("identities", [])]
        person = told.pop("person", "")
        if person.lower() in self.old_slugs:
            person = self.slug
        elif person.lower() not in self._people:
            # An unknown name decided nothing; what did is the key's person, or the first identity that names somebody.
            if body.get("key", "") not in self._keys and self._decided(said):
                person = self.slug
            elif person.lower() in {value for _, value in self.names}:
                person = ""
        if person:
            told["person"] = person
        left = [[kind, value] for kind, value in said if (kind, value.lower()) not in self.names]
        rest = {name: value for name, value in body.items() if name not in ("identities", "dimensions")}
        return rest | {name: value for name, value in (("dimensions", told), ("identities", left)) if value}

    def _decided(self, said: list[Name]) -> bool:
        for kind, value in said:
            name = (kind, value.lower())
            if name in self.names or name in self._others:
                return name in self.names
        return False
