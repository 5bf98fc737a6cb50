"""Sends the demo's records through the corridor, day by day, as the company's sources would have sent them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from finops.connectors.types import Received, UsageEvent
from finops.core.periods import day_start
from finops.ingest.demo import incidents
from finops.ingest.demo.bills import bills
from finops.ingest.demo.company import company
from finops.ingest.demo.rhythm import span
from finops.ingest.demo.streams import BILLED, GATEWAY, LITELLM, REPORTED, Streams
from finops.ingest.demo.world import World
from finops.ingest.services import take
from finops.ingest.types import Status
from finops.orgs.models import VirtualKey
from finops.pricing.selectors import load_pricer
from finops.sources.models import Source

# By then it was midnight in every office, and what happened has been sent.
_SENT_AFTER: Final = timedelta(days=1, hours=8, minutes=20)
_RESENT_EVERY: Final = 7
# Days are booked together up to so many records, and never more than a week: a batch has costs of its own.
_TOGETHER: Final = 6_000
_WEEK: Final = 7
PARSER: Final = "capstan"


class Unbooked(RuntimeError):
    """A record of the demo that was meant to be booked was not: the demo, or what it is sent through, is broken."""


class Booking:
    """Books the demo for one organization, in stretches of days. Booking a stretch again adds nothing."""

    def __init__(self, organization_id: int, *, until: datetime, charges: int) -> None:
        self._organization_id = organization_id
        keys = dict(
            VirtualKey.objects.filter(organization_id=organization_id).order_by("id").values_list("name", "prefix")
        )
        self._world = World(company(), keys, span(until), charges)
        self._streams = Streams(self._world)
        self._sources = dict(Source.objects.filter(organization_id=organization_id).values_list("slug", "id"))
        self.outcomes: Counter[Status] = Counter()

    @property
    def stretches(self) -> list[range]:
        """The days in stretches that are booked together, by their numbers."""
        days = len(self._world.span.days)
        size = max(1, min(_WEEK, _TOGETHER * days // self._world.charges))
        return [range(first, min(first + size, days)) for first in range(0, days, size)]

    def book(self, stretches: Iterable[range], say: Callable[[], None]) -> Counter[Status]:
        """Book these stretches of days; what became of all their records."""
        for stretch in stretches:
            self._book(stretch)
            say()
        return self.outcomes

    def keep_statements(self) -> None:
        """What a provider states of the last days."""
        for day, stated in bills(self._world, self._streams, load_pricer(self._organization_id)):
            at = day_start(day) + _SENT_AFTER
            self._send(REPORTED, stated.used, at)
            self._send(BILLED, stated.cost, at)

    def _book(self, numbers: range) -> None:
        by_source: dict[str, list[UsageEvent]] = {}
        for number in numbers:
            for happenings in (self._streams.on(number), incidents.incidents(self._world, number)):
                for source, event in happenings:
                    by_source.setdefault(source, []).append(event)
        at = self._sent_at(numbers[-1])
        for source, events in by_source.items():
            self._send(source, events, at)
        self._send(GATEWAY, incidents.seen_twice(by_source.get(LITELLM, [])), at)
        if any(number % _RESENT_EVERY == 0 for number in numbers):
            self._send(GATEWAY, incidents.resent(by_source.get(GATEWAY, [])), at)
        for number in numbers:
            for source, record in incidents.damaged(self._world, number):
                self._take(source, [record], at)

    def _sent_at(self, number: int) -> datetime:
        return min(day_start(self._world.span.days[number]) + _SENT_AFTER, self._world.span.until)

    def _send(self, source: str, events: list[UsageEvent], at: datetime) -> None:
        statuses = self._take(source, [Received(b"", event) for event in events], at)
        lost = statuses[Status.QUARANTINED] + statuses[Status.CONFLICT]
        if lost:
            raise Unbooked(f"{lost} of {len(events)} records of {source} were not booked")

    def _take(self, source: str, received: list[Received], at: datetime) -> Counter[Status]:
        if not received:
            return Counter()
        outcomes = take(
            organization_id=self._organization_id,
            source_id=self._sources[source],
            parser=PARSER,
            received=received,
            at=at,
        )
        statuses = Counter(outcome.status for outcome in outcomes)
        self.outcomes += statuses
        return statuses
