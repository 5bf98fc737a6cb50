"""Who did something, in words: logins by their names, as the organization knows them."""

from __future__ import annotations

from collections.abc import Iterable

from dashboards.access import Here
from finops.orgs import selectors as orgs

_SYSTEM = "system:"


def names(here: Here, references: Iterable[str]) -> dict[str, str]:
    """By reference, `user:7` or `key:cap_ab12`. One query, none where there is no login among them."""
    every = {one for one in references if one}
    found = {one: "Capstan, by itself" if one.startswith(_SYSTEM) else one.replace(":", " ", 1) for one in every}
    logins = {int(one[5:]) for one in every if one.startswith("user:") and one[5:].isdigit()}
    if logins:
        rows = orgs.members(here.id).filter(user_id__in=logins)
        found |= {f"user:{one.user_id}": str(one.user) for one in rows}
    return found
