"""Counts out of a provider's usage, which may hold anything: read one by one, and made into our meters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from finops.connectors.capstan.usage import INCLUSIVE_NAMES, disjoint
from finops.connectors.types import Counts, Problem
from finops.connectors.wording import problem
from finops.core.tokens import MAX_COUNT, METERS

Meters = dict[str, int]
_NAMES: Final = frozenset(INCLUSIVE_NAMES)
_NOTHING: Final[Mapping[str, Any]] = {}


class Unreadable(Exception):
    """A count that is none."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.problem = problem("connectors.usage_unreadable", field, message)


def count(said: Mapping[str, Any], name: str) -> int:
    """0 where it is not said. Raises Unreadable for what is no count."""
    value = said.get(name)
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise Unreadable(f"usage.{name}", f"{name} is not a count")
    return value


def inside(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of it that is an object. Raises Unreadable for what is neither that nor null."""
    value = said.get(name)
    if value is None:
        return _NOTHING
    if not isinstance(value, Mapping):
        raise Unreadable(f"usage.{name}", f"{name} is not an object")
    return value


def counts(**told: int) -> Counts | Problem:
    """Totals and their parts, as the inclusive convention names them, as counts in the order of METERS; one request at
    least, so that what used nothing is not taken for what said nothing.
    """
    if not told.keys() <= _NAMES:
        raise TypeError(f"no such counts: {', '.join(sorted(told.keys() - _NAMES))}")
    told.setdefault("requests", 1)
    return disjoint(told)


def meters(**told: int) -> Meters | Problem:
    """What `counts` gives, by name; those that are 0 are left out."""
    made = counts(**told)
    if isinstance(made, Problem):
        return made
    return {name: number for name, number in zip(METERS, made, strict=True) if number}


def ordered(made: Meters | Problem) -> Counts | Problem:
    """Meters by name as counts in the order of METERS; a Problem as it is."""
    return made if isinstance(made, Problem) else tuple([made.get(name, 0) for name in METERS])
