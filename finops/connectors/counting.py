"""Counts out of a provider's usage, which may hold anything: read one by one, and made into our meters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from finops.connectors.capstan.usage import INCLUSIVE_NAMES, disjoint
from finops.connectors.types import Problem
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


def meters(**counts: int) -> Meters | Problem:
    """Totals and their parts, as the inclusive convention names them, as disjoint meters; one request at least, so that
    what used nothing is not taken for what said nothing.
    """
    if not counts.keys() <= _NAMES:
        raise TypeError(f"no such counts: {', '.join(sorted(counts.keys() - _NAMES))}")
    made = disjoint({"requests": 1, **counts})
    if isinstance(made, Problem):
        return made
    return {name: number for name, number in zip(METERS, made, strict=True) if number}
