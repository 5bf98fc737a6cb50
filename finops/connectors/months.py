"""Reports that are one file a month, which is written anew as a whole: what of it is of a window. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, TypeVar

from finops.connectors.fetching import Window

T = TypeVar("T")
_LONGEST: Final = timedelta(days=31)
_LAST: Final = timedelta(seconds=1)


def months(window: Window) -> Iterator[datetime]:
    """First days of the months that a window has a part of, UTC."""
    month = window.since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while month < window.until:
        yield month
        month = following(month)


def following(month: datetime) -> datetime:
    return (month + _LONGEST).replace(day=1)


def is_within(at: datetime | None, month: datetime, window: Window) -> bool:
    """Whether a line of a month's file is of a window. One that is dated outside of the month it is billed in is of its
    first or last moment: each line is of one window, and none is lost.
    """
    counted = min(max(at or month, month), following(month) - _LAST)
    return window.since <= counted < window.until


def several(rows: Iterable[T], most: int) -> Iterator[list[T]]:
    """Rows in lists of at most so many."""
    taken = iter(rows)
    while found := list(islice(taken, most)):
        yield found
