"""Which accounts a caller may see. Pure.

An account is confined by its budget's scope and by its subject: a budget of team Search for each person has accounts of
one person of one team. It is within reach when each dimension of the reach is confined to what is reached, or when it
is of a person, project or agent that belongs there. Accounts of people are their own, or of who may see people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from finops.budgets.types import OWNERS

Owners = Mapping[str, frozenset[int]]
# Dimensions whose values name a person; as in `orgs.rules`.
_PEOPLE: Final = ("person", "key")


@dataclass(frozen=True, slots=True)
class Sight:
    """`reach` as a caller has it; `own` is their person and keys, `belongs` what else belongs to their teams."""

    people: bool
    reach: Owners = field(default_factory=dict)
    own: Owners = field(default_factory=dict)
    belongs: Owners = field(default_factory=dict)
    # A login's own spend is its own wherever it fell; a key's is what it is bound to.
    own_anywhere: bool = False

    @property
    def everything(self) -> bool:
        return self.people and not self.reach


def sees(sight: Sight, scope: Mapping[str, Iterable[str]], each: str, subject: str) -> bool:
    """Whether one account of a budget is within sight."""
    return _within(sight, _confined(scope, each, subject))


def subjects_seen(sight: Sight, scope: Mapping[str, Iterable[str]], each: str) -> frozenset[str] | None:
    """Which subjects of a budget are within sight; None is all of them."""
    if _within(sight, _confined(scope, "", "")) and (sight.people or each not in _PEOPLE):
        return None
    if each not in OWNERS:
        return frozenset()
    known = (sight.reach, sight.own, sight.belongs)
    ids = frozenset[int]().union(*(by_kind.get(each, frozenset()) for by_kind in known))
    return frozenset(str(one) for one in ids if sees(sight, scope, each, str(one)))


def _confined(scope: Mapping[str, Iterable[str]], each: str, subject: str) -> dict[str, frozenset[int]]:
    found = {name: frozenset(int(value) for value in values) for name, values in scope.items() if name in OWNERS}
    if each in OWNERS:
        found[each] = frozenset({int(subject)})
    return found


def _within(sight: Sight, confined: Owners) -> bool:
    def only(dimension: str, ids: frozenset[int]) -> bool:
        held = confined.get(dimension, frozenset())
        return bool(held) and held <= ids

    owned = {name for name, ids in sight.own.items() if only(name, ids)}
    if not sight.people and any(name in confined and name not in owned for name in _PEOPLE):
        return False
    if owned and sight.own_anywhere:
        return True
    if all(only(name, ids) for name, ids in sight.reach.items()):
        return True
    return any(only(name, ids) for name, ids in sight.belongs.items())
