"""What one process counts as calls go by."""

from __future__ import annotations

from typing import Final

from finops.connectors.types import UsageEvent
from finops.core.tokens import TOKEN_METERS
from routing.configuration.wire import Upstream
from routing.gateway.figures.families import FAMILIES
from routing.gateway.figures.tallies import Counter, Histogram, Told
from routing.gateway.proxy.course import Course

_PICO: Final = 1e-12
_BEFORE: Final = ("before",)
_AFTER: Final = ("after",)
_IN: Final = ("in",)
_OUT: Final = ("out",)
_METERS: Final = tuple(str(name) for name in TOKEN_METERS)
# Nobody knows its price, so nobody knows whether it is a model's name at all.
_UNKNOWN: Final = ("unknown", "unknown")


class Figures:
    """One for each process; used by its event loop alone."""

    def __init__(self) -> None:
        self._calls = Counter()
        self._overhead = Histogram(FAMILIES["overhead_seconds"].bounds)
        self._bytes = Counter()
        self._tries = Counter()
        self._upstream = Histogram(FAMILIES["upstream_seconds"].bounds)
        self._first_byte = Histogram(FAMILIES["upstream_first_byte_seconds"].bounds)
        self._probes = Counter()
        self._decisions = Counter()
        self._tokens = Counter()
        self._cost = Counter()

    def over(self, course: Course) -> None:
        """A call of a model is over."""
        self._calls.add((course.dialect, course.code or "answered"))
        if course.asked_bytes:
            self._bytes.add(_IN, course.asked_bytes)
        if course.said_bytes:
            self._bytes.add(_OUT, course.said_bytes)
        if course.sent_at:
            self._overhead.observe(_BEFORE, course.sent_at - course.began)
        if course.passed_at:
            self._overhead.observe(_AFTER, course.passed_at - course.ended_at)
        if course.upstream is not None and course.ended_at:
            labels = str(course.organization), course.upstream.name
            self._upstream.observe(labels, course.ended_at - course.last_sent_at)
            if course.first_byte_s is not None:
                self._first_byte.observe(labels, course.first_byte_s)

    def tried(self, organization_id: int, upstream: Upstream, outcome: str, *, first: bool) -> None:
        self._tries.add((str(organization_id), upstream.name, "first" if first else "fallback", outcome))

    def probed(self, organization_id: int, upstream: Upstream, outcome: str) -> None:
        self._probes.add((str(organization_id), upstream.name, outcome))

    def decided(self, said: str) -> None:
        """`allowed`, or the code of what refused it."""
        self._decisions.add((said,))

    def spent(self, event: UsageEvent, named: tuple[str, str] | None, cost: int | None, currency: str) -> None:
        """A call came to this; `named` is the provider and the model as the catalogue has them."""
        provider, model = named or _UNKNOWN
        for meter, count in zip(_METERS, event.counts, strict=False):
            if count:
                self._tokens.add((provider, model, meter), count)
        if cost:
            self._cost.add((provider, model, currency), cost)

    def told(self) -> Told:
        return {
            "calls": self._calls.told(),
            "overhead_seconds": self._overhead.told(),
            "bytes": self._bytes.told(),
            "tries": self._tries.told(),
            "upstream_seconds": self._upstream.told(),
            "upstream_first_byte_seconds": self._first_byte.told(),
            "probes": self._probes.told(),
            "decisions": self._decisions.told(),
            "tokens": self._tokens.told(),
            "cost": self._cost.told(_PICO),
        }
