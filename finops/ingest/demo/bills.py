"""What one provider states of the demo company's last days: what was used, and what that cost.

It knows of a key that nobody told Capstan of, and bills cached input a little below its list: so there is something to
reconcile. The newest day has no bill yet, as anywhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final, NamedTuple

from finops.connectors.reports import METER
from finops.connectors.types import GivenCost, UsageEvent
from finops.core.periods import day_start
from finops.core.tokens import METERS
from finops.ingest.demo import incidents
from finops.ingest.demo.shapes import counts
from finops.ingest.demo.streams import Streams
from finops.ingest.demo.world import World
from finops.pricing.rules import explain
from finops.pricing.rules.pricer import Pricer

PROVIDER: Final = "openai"
DAYS: Final = 10
# By this much less than it is listed at is input billed that was read from a cache.
_CACHED_OFF: Final = 6
# Of every hundred tokens of this model so many more were used, with a key of nobody's.
_UNTOLD_MODEL: Final = "gpt-5.2"
_UNTOLD_PERCENT: Final = 9
# What models write is one thing on a bill.
_OUTPUT: Final = {"output_text": "output", "output_reasoning": "output"}


class _Group(NamedTuple):
    account: str
    model: str
    tier: str


class Bill(NamedTuple):
    """A day's rows of the report of usage, and of that of costs."""

    used: list[UsageEvent]
    cost: list[UsageEvent]


def bills(world: World, streams: Streams, pricer: Pricer) -> Iterator[tuple[date, Bill]]:
    """By UTC day, oldest first: whole days, but for the newest."""
    last = len(world.span.days) - 2
    stated = range(max(last - DAYS, 0), last)
    days = {world.span.days[number]: _Day() for number in stated}
    # Where it is late or early, a day's work falls on the UTC day beside it.
    for number in range(max(stated.start - 1, 0), stated.stop + 1):
        for event in _calls(world, streams, number):
            if found := days.get(event.occurred_at.date()):
                found.add(pricer, event, event.counts)
                if event.model == _UNTOLD_MODEL:
                    found.add(pricer, event, tuple(count * _UNTOLD_PERCENT // 100 for count in event.counts))
    for day, found in days.items():
        yield day, Bill(list(_used(found.used, day)), list(_costs(found.money, day)))


class _Day:
    def __init__(self) -> None:
        self.used: dict[_Group, list[int]] = defaultdict(lambda: [0] * len(METERS))
        self.money: dict[tuple[_Group, str], int] = defaultdict(int)

    def add(self, pricer: Pricer, event: UsageEvent, amounts: tuple[int, ...]) -> None:
        """Counted, and billed at what was agreed but for what a cache held."""
        group = _Group(event.provider_account, event.model, event.service_tier)
        total = self.used[group]
        for place, count in enumerate(amounts):
            total[place] += count
        found = pricer.find(event.provider, event.model, event.service_tier, event.host, event.occurred_at.date())
        for line in explain(found, amounts, event.occurred_at):
            off = _CACHED_OFF if line.meter == "cache_read" else 0
            self.money[group, _OUTPUT.get(line.meter, line.meter)] += line.contracted_pico * (100 - off) // 100


def _calls(world: World, streams: Streams, number: int) -> Iterator[UsageEvent]:
    for happenings in (streams.on(number), incidents.incidents(world, number)):
        for _, event in happenings:
            if event.provider == PROVIDER and event.category == "Usage" and not event.host:
                yield event


def _used(used: Mapping[_Group, list[int]], day: date) -> Iterator[UsageEvent]:
    for group, total in sorted(used.items()):
        yield UsageEvent(
            external_id=f"usage/{day.isoformat()}/{'/'.join(group)}",
            occurred_at=day_start(day),
            provider=PROVIDER,
            model=group.model,
            counts=tuple(total),
            service_tier=group.tier,
            provider_account=group.account,
        )


def _costs(money: Mapping[tuple[_Group, str], int], day: date) -> Iterator[UsageEvent]:
    for (group, meter), pico in sorted(money.items()):
        if pico:
            yield UsageEvent(
                external_id=f"cost/{day.isoformat()}/{'/'.join(group)}/{meter}",
                occurred_at=day_start(day),
                provider=PROVIDER,
                model=group.model,
                counts=counts(calls=0),
                provider_account=group.account,
                service_tier=group.tier,
                evidence="billed",
                cost=GivenCost(pico, "USD"),
                tags=((METER, meter),),
            )
