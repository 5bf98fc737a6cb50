"""Names in both directions: what an id is called, and which id a slug, an id or a word of a request is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from django.db.models import Q

from finops.attribution import selectors as attribution
from finops.attribution.selectors import NAMED
from finops.ledger.models import Term
from finops.ledger.rules.questions import Dimensions
from finops.ledger.selectors.labels import NONE_LABEL, term_ids
from finops.ledger.types import OWNERS

_LARGEST_ID: Final = 2**31 - 1


class Named(NamedTuple):
    """One value of a dimension. `value` is what a filter takes: a slug, a key's prefix, or the word itself."""

    id: int
    value: str
    name: str


NOBODY: Final = Named(0, NONE_LABEL, NONE_LABEL)


def dimensions(organization_id: int) -> Dimensions:
    """Every name a question of this organization may use, retired tags too: their values can still be read."""
    return Dimensions((tag.key, tag.slot) for tag in attribution.promoted_tags(organization_id))


def named(organization_id: int, wanted: Mapping[str, Iterable[int]]) -> dict[str, dict[int, Named]]:
    """Names of ids by dimension (as columns: `tag1`). One query per kind of owner, and one for all words together.

    An id that is not the organization's is shown as the bare id.
    """
    asked = {dimension: set(ids) for dimension, ids in wanted.items()}
    words = {one for dimension, ids in asked.items() if dimension not in OWNERS for one in ids - {0}}
    terms: dict[int, str] = {}
    if words:
        terms = dict(Term.objects.filter(organization_id=organization_id, id__in=words).values_list("id", "value"))
    found: dict[str, dict[int, Named]] = {}
    for dimension, ids in asked.items():
        if dimension in OWNERS:
            known = _owners(organization_id, dimension, ids - {0})
        else:
            known = {one: Named(one, terms[one], terms[one]) for one in ids if one in terms}
        found[dimension] = {one: known.get(one) or _unknown(one) for one in ids}
    return found


def _owners(organization_id: int, dimension: str, ids: set[int]) -> dict[int, Named]:
    if not ids:
        return {}
    model, column = NAMED[dimension]
    rows = model._default_manager.filter(organization_id=organization_id, id__in=ids)
    return {row[0]: Named(*row) for row in rows.values_list("id", column, "name")}


def _unknown(one: int) -> Named:
    return Named(one, str(one), f"#{one}") if one else NOBODY


def ids_of(organization_id: int, dimension: str, words: Iterable[str]) -> dict[str, int]:
    """Ids of what a request names: owners by slug (a key by its prefix) or id, others by the word; `(none)` is 0.

    What is not the organization's is left out. Should a slug look like an id, the slug wins.
    """
    asked = set(words)
    found = {NONE_LABEL: 0} if NONE_LABEL in asked else {}
    asked.discard(NONE_LABEL)
    if not asked:
        return found
    if dimension not in OWNERS:
        return found | term_ids(organization_id, dimension, asked)
    model, column = NAMED[dimension]
    numbers = {int(word): word for word in asked if word.isascii() and word.isdigit() and int(word) <= _LARGEST_ID}
    rows = model._default_manager.filter(organization_id=organization_id)
    rows = rows.filter(Q(**{f"{column}__in": asked}) | Q(id__in=numbers))
    by_word: dict[str, int] = {}
    for one, word in rows.values_list("id", column):
        if one in numbers:
            by_word.setdefault(numbers[one], one)
        if word in asked:
            by_word[word] = one
    return found | by_word
