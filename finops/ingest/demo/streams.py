"""How much of each kind of work there is on a day, and the day's records by source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from random import Random
from typing import Final, NamedTuple

from finops.connectors.types import UsageEvent
from finops.ingest.demo import shapes
from finops.ingest.demo.rhythm import Pace, counts_by_day, whole
from finops.ingest.demo.shapes import Fields
from finops.ingest.demo.world import World

GATEWAY: Final = "api"
LITELLM: Final = "litellm"
CLAUDE_CODE: Final = "claude-code"
INVOICES: Final = "invoices"
REPORTED: Final = "openai-usage"
BILLED: Final = "openai-costs"


class Stream(NamedTuple):
    """One kind of work: its source, its share of all records, its pace, and what draws one record of it."""

    name: str
    source: str
    share: float
    pace: Pace
    draw: Callable[[World, date, int, Random], Fields]


# Written by people, with agents beside them: the part that grows.
_TEAM: Final = Pace(0.06, 0.1)
_AGENTS: Final = Pace(0.06, 0.45)
_PRODUCT: Final = Pace(0.015, 0.62)
_STEADY: Final = Pace(0.005, 0.95)
_DESK: Final = Pace(0.02, 0.06)

# Shares of all records; what is left to 1 is what happens in `incidents`.
STREAMS: Final = (
    Stream("code", CLAUDE_CODE, 0.384, _TEAM, shapes.coding),
    Stream("agent", LITELLM, 0.150, _AGENTS, shapes.agent_coding),
    Stream("review", LITELLM, 0.060, _TEAM, shapes.reviews),
    Stream("support", GATEWAY, 0.090, _PRODUCT, shapes.support),
    Stream("answers", GATEWAY, 0.080, _PRODUCT, shapes.answers),
    Stream("assist", GATEWAY, 0.070, Pace(0.03, 0.5), shapes.assist),
    Stream("summary", GATEWAY, 0.012, _PRODUCT, shapes.summaries),
    Stream("batch", LITELLM, 0.022, _STEADY, shapes.batches),
    Stream("embed", GATEWAY, 0.026, _STEADY, shapes.embeddings),
    Stream("lab", LITELLM, 0.024, _DESK, shapes.research),
    Stream("open", LITELLM, 0.012, Pace(0.01, 0.5), shapes.open_models),
    Stream("office", LITELLM, 0.026, _DESK, shapes.office),
    Stream("contract", LITELLM, 0.006, _DESK, shapes.contracts),
    Stream("ci", LITELLM, 0.012, _STEADY, shapes.nobody),
)


class Streams:
    """The streams with their records counted out over the days."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._days = world.span.days
        self._expected = {
            stream.name: counts_by_day(self._days, stream.pace, world.charges * stream.share) for stream in STREAMS
        }

    def on(self, number: int) -> Iterator[tuple[str, UsageEvent]]:
        """(source, event) of the day with this number, stream by stream."""
        day = self._days[number]
        for stream in STREAMS:
            for event in self.of(stream, number, day):
                yield stream.source, event

    def of(self, stream: Stream, number: int, day: date) -> Iterator[UsageEvent]:
        """The stream's records of a day; what lies after the demo's end has not happened yet."""
        dice = self._world.dice(stream.name, day)
        for place in range(whole(self._expected[stream.name][number], dice)):
            fields = stream.draw(self._world, day, number, dice)
            if self._world.span.began <= fields["occurred_at"] < self._world.span.until:
                yield UsageEvent(external_id=f"{stream.name}-{day:%Y%m%d}-{place:05d}", **fields)
