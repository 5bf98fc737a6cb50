"""Slugs in and out, ids inside: how requests and answers name owners, keys and sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from finops.attribution import selectors
from finops.attribution.services.checks import OwnerUnknown


def ids(organization_id: int, kind: str, words: Iterable[str], *, field: str) -> list[int]:
    """The ids of words, in their order. Raises OwnerUnknown naming the first that is not of the organization."""
    asked = list(words)
    known = selectors.ids_of(organization_id, kind, asked)
    for index, word in enumerate(asked):
        if word not in known:
            path = f"{field}[{index}]" if len(asked) > 1 else field
            raise OwnerUnknown(f"there is no {kind} {word[:80]!r} in this organization", field=path)
    return [known[word] for word in asked]


class Words:
    """What ids are known as, for one answer: read at once, not row by row."""

    def __init__(self, organization_id: int, wanted: Iterable[tuple[str, int]]) -> None:
        by_kind: dict[str, set[int]] = {}
        for kind, row in wanted:
            by_kind.setdefault(kind, set()).add(row)
        self._known: Mapping[tuple[str, int], str] = selectors.known_as(organization_id, by_kind)

    def __call__(self, kind: str, row: int) -> str:
        # Owners are never deleted, so the id is there; were it not, it is shown rather than hidden.
        return self._known.get((kind, row), str(row))
