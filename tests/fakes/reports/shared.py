"""What providers that are made up have in common: questions that are looked at, pages with tokens, and sums."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from tests.fakes.http import Asked
from tests.fakes.reporting import Truth

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
# The ledger has pico of a dollar.
PICO_OF_CENT: Final = 10**10
PICO_OF_DOLLAR: Final = 10**12


class Wrong(Exception):
    """A question the provider does not understand. The fake answers it with its own 400."""


def midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def known(asked: Asked, names: Collection[str]) -> None:
    """Every parameter is one of `names`, and stands once but for lists (`name[]`). Raises Wrong."""
    for name, times in Counter(name for name, _ in asked.pairs).items():
        if name not in names:
            raise Wrong(f"{name}: there is no such parameter")
        if times > 1 and not name.endswith("[]"):
            raise Wrong(f"{name}: it is there {times} times")


def several(asked: Asked, name: str, allowed: Collection[str]) -> list[str]:
    """The values of a list. Raises Wrong."""
    said = [value for each, value in asked.pairs if each == name]
    for value in said:
        if value not in allowed:
            raise Wrong(f"{name}: there is no {value}")
    if len(said) != len(set(said)):
        raise Wrong(f"{name}: it says the same twice")
    return said


def needed(asked: Asked, name: str) -> str:
    """Raises Wrong."""
    if name not in asked.query:
        raise Wrong(f"{name}: it is required")
    return asked.query[name]


def at_most(asked: Asked, name: str, usual: int, most: int) -> int:
    """Raises Wrong."""
    said = asked.query.get(name, str(usual))
    if not said.isdecimal() or not 1 <= int(said) <= most:
        raise Wrong(f"{name}: it is between 1 and {most}")
    return int(said)


def instant(asked: Asked, name: str) -> datetime:
    """Of text as RFC 3339 has it, with its offset. Raises Wrong."""
    try:
        found = datetime.fromisoformat(needed(asked, name))
    except ValueError:
        raise Wrong(f"{name}: it is no time") from None
    if found.tzinfo is None:
        raise Wrong(f"{name}: it has no offset")
    return found


def buckets(since: datetime, until: datetime, width: timedelta) -> list[datetime]:
    """Beginnings of the buckets that begin at `since` or later, and end by `until`. `since` is snapped first."""
    at = since - (since - midnight(since)) % width
    found = []
    while at + width <= until:
        found.append(at)
        at += width
    return found


def paged(asked: Asked, rows: Sequence[T], size: int, *, name: str = "page") -> tuple[Sequence[T], str | None]:
    """The rows of the page that is asked for by the parameter `name`, and the token of the one after it.

    A token is good for the question it was given for, and for no other. Raises Wrong.
    """
    question = repr((asked.path, [pair for pair in asked.pairs if pair[0] != name], asked.body))
    own = hashlib.sha256(question.encode()).hexdigest()[:12]
    start = 0
    if name in asked.query:
        said, _, place = asked.query[name].removeprefix("page_").partition("-")
        if said != own or not place.isdecimal() or not 0 < int(place) < len(rows):
            raise Wrong(f"{name}: it is no page of this report")
        start = int(place)
    after = start + size
    return rows[start:after], f"page_{own}-{after}" if after < len(rows) else None


def grouped(rows: Iterable[T], by: Callable[[T], K]) -> dict[K, list[T]]:
    found: dict[K, list[T]] = {}
    for row in rows:
        found.setdefault(by(row), []).append(row)
    return found


def added(rows: Iterable[tuple[Mapping[str, int], Mapping[str, int]]]) -> Truth:
    """Of each row its meters, and its picodollars by currency."""
    number, counts, pico = 0, Counter[str](), Counter[str]()
    for of_row, money in rows:
        number += 1
        counts.update(of_row)
        for currency, value in money.items():
            pico[currency] += value
    return Truth(number, {name: count for name, count in counts.items() if count}, dict(pico))
