"""Slugs in, ids inside: how a request names a team, a person, a project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finops.core.errors import NotFound
from finops.orgs import selectors
from finops.orgs.services.checks import OwnerUnknown


def by_id(organization_id: int, said: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    """What was said, with each field of `kinds` (field to kind) turned from a slug into `<field>_id`.

    Null and '' say "none". Raises OwnerUnknown naming the field.
    """
    turned = {name: value for name, value in said.items() if name not in kinds}
    for field, kind in kinds.items():
        if field not in said:
            continue
        slug = said[field]
        try:
            turned[f"{field}_id"] = selectors.owner(organization_id, kind, slug).id if slug else None
        except NotFound:
            raise OwnerUnknown(f"{field} names no {kind} of this organization", field=field) from None
    return turned
