"""How a process stands at the moment somebody looks: nothing of it is counted as calls go by."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final, NamedTuple

from finops.budgets.desk import Desk
from finops.budgets.journal import Journal
from routing.gateway.calls import Calls
from routing.gateway.captured import Captured
from routing.gateway.configured import Configured
from routing.gateway.figures.figures import Figures
from routing.gateway.figures.tallies import Labels, Told
from routing.gateway.keeper import Keeper
from routing.gateway.logs import CallLog
from routing.gateway.proxy.health import Health
from routing.gateway.proxy.relay import Relay
from routing.gateway.sampled import Sampled
from routing.gateway.supply import Supply

_PICO: Final = 1e-12


class Parts(NamedTuple):
    """What is looked at."""

    figures: Figures
    desk: Desk
    journal: Journal
    keeper: Keeper
    calls: Calls
    supply: Supply
    configured: Configured
    relay: Relay
    health: Health
    log: CallLog
    captured: Captured
    sampled: Sampled


async def standing(parts: Parts) -> Told:
    """On the event loop; what has locks of its own is looked at beside it."""
    money, segments = await asyncio.to_thread(lambda: (_money(parts.desk), _segments(parts)))
    open_, streams, kept = parts.relay.open
    alone = {
        **money,
        "open_authorizations": len(parts.calls.book.open),
        "supply_questions": parts.supply.questions,
        "supply_waiting": parts.supply.waiting,
        "calls_open": open_,
        "streams_open": streams,
        "request_bytes_open": kept,
        "journal_waiting": parts.journal.last - parts.journal.durable,
        "journal_failed": int(parts.journal.failed),
        "configuration_age_seconds": monotonic() - parts.configured.looked_at,
        "log_lines_lost": parts.log.lost,
        "capture_bytes_open": parts.captured.open_bytes,
    }
    captures: list[tuple[Labels, list[float]]] = [((of,), [float(n)]) for of, n in parts.captured.counts.items()]
    samples: list[tuple[Labels, list[float]]] = [((of,), [float(n)]) for of, n in parts.sampled.counts.items()]
    several = {
        "journal_segments": segments, "breakers_open": _breakers(parts), "captures": captures, "samples": samples,
    }  # fmt: skip
    return parts.figures.told() | {name: [((), [float(value)])] for name, value in alone.items()} | several


def _money(desk: Desk) -> dict[str, float]:
    leased = desk.leased().values()
    free, held = sum(one[0] for one in leased), sum(one[1] for one in leased)
    return {"lease_accounts": len(leased), "lease_free": free * _PICO, "lease_held": held * _PICO}


def _segments(parts: Parts) -> list[tuple[Labels, list[float]]]:
    copied = parts.keeper.copied
    waiting = max(len(parts.journal.closed()) - copied, 0)
    return [(("waiting",), [float(waiting)]), (("brought_home",), [float(copied)])]


def _breakers(parts: Parts) -> list[tuple[Labels, list[float]]]:
    """Of every upstream that something is known of: none is a number too."""
    upstreams = {
        upstream.upstream_id: (str(house.id), upstream.name)
        for house in parts.configured.houses.values()
        for upstream in house.deployments.upstreams
    }
    found: dict[Labels, float] = {}
    for name in parts.health.names():
        labels = upstreams.get(name[0])
        if labels is not None:
            found[labels] = found.get(labels, 0.0) + parts.health.paused(name)
    return [(labels, [count]) for labels, count in found.items()]
