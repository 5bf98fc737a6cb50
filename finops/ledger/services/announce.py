"""Tells rooms above what a transaction spends, before it commits. They listen; the ledger does not know them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple


class Spending(NamedTuple):
    """What one charge adds to spend, or takes from it: picodollars of the reporting currency, and whose they are.

    `owners` are the ids of team, person, project, agent, customer and key.
    """

    occurred_at: datetime
    reporting_pico: int
    owners: tuple[int, ...]
    provider: str
    model: str
    session: str


# Called with the organization and a function that gives the spending, so that nobody pays for what nobody asks.
Listener = Callable[[int, Callable[[], Iterable[Spending]], datetime], None]
_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Have a function called inside every transaction that changes spend. Once, when the process starts."""
    if listener not in _listeners:
        _listeners.append(listener)


def announce(organization_id: int, spending: Callable[[], Iterable[Spending]], at: datetime) -> None:
    for listener in _listeners:
        listener(organization_id, spending, at)
