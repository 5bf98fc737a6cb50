"""What ids are called: owners by their rooms' names, words by the word."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import Model

from finops.ledger.models import Term
from finops.ledger.types import OWNERS
from finops.orgs.models import Agent, Customer, Person, Project, Team, VirtualKey
from finops.sources.models import Source

_MODELS: Final[dict[str, type[Model]]] = {
    "team": Team,
    "person": Person,
    "project": Project,
    "agent": Agent,
    "customer": Customer,
    "key": VirtualKey,
    "source": Source,
}
NONE_LABEL: Final = "(none)"


def labels(organization_id: int, dimension: str, ids: Iterable[int]) -> dict[int, str]:
    """Names of a dimension's ids, `(none)` for 0. Ids that are not this organization's are left out."""
    wanted = set(ids)
    found = {0: NONE_LABEL} if 0 in wanted else {}
    wanted.discard(0)
    if not wanted:
        return found
    if dimension in OWNERS:
        rows = _MODELS[dimension]._default_manager.filter(organization_id=organization_id, id__in=wanted)
        return found | dict(rows.values_list("id", "name"))
    terms = Term.objects.filter(organization_id=organization_id, kind=dimension, id__in=wanted)
    return found | dict(terms.values_list("id", "value"))


def options(
    organization_id: int,
    dimension: str,
    search: str = "",
    limit: int = 50,
    *,
    only: frozenset[int] | None = None,
) -> list[tuple[int, str]]:
    """Values a filter may choose from: (id, name), by name, those that contain `search` without case; of `only`."""
    within: dict[str, Any] = {} if only is None else {"id__in": only}
    if dimension in OWNERS:
        everyone = _MODELS[dimension]._default_manager
        owners = everyone.filter(organization_id=organization_id, name__icontains=search, **within)
        return list(owners.order_by("name", "id").values_list("id", "name")[:limit])
    terms = Term.objects.filter(organization_id=organization_id, kind=dimension, value__icontains=search, **within)
    return list(terms.order_by("value", "id").values_list("id", "value")[:limit])


def term_ids(organization_id: int, kind: str, values: Iterable[str]) -> dict[str, int]:
    """Ids of words that are known; '' is 0. Unknown words are left out: no charge has them."""
    wanted = set(values)
    found = {"": 0} if "" in wanted else {}
    terms = Term.objects.filter(organization_id=organization_id, kind=kind, value__in=wanted - {""})
    return found | dict(terms.values_list("value", "id"))


def freshness(organization_id: int) -> datetime | None:
    """When the newest charge happened, or None when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT occurred_at FROM ledger_charge WHERE organization_id = %s ORDER BY occurred_at DESC LIMIT 1",
            [organization_id],
        )
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row[0] if row else None
