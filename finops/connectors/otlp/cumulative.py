"""What cumulative sums grew by, from what they were when they were told before. Pure: the caller keeps the memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from finops.connectors.otlp.types import Number, Point


class Seen(NamedTuple):
    """The last that was told of a stream: when (nanoseconds since 1970), its sum, and of how many values it is."""

    time: int
    value: Number
    calls: int


# What is remembered by stream: a metric, its kind, its resource and attributes, and when it began. Another beginning is
# another stream, so a process that starts anew starts at nothing, and two of the same name are kept apart.
State = Mapping[str, Seen]
NOTHING_SEEN: Final[State] = MappingProxyType({})


class Increments(NamedTuple):
    """Points that are all deltas (or say not what they are), why others were left out, and the new memory."""

    points: list[Point]
    ignored: list[str]
    state: State


# A sum that began longer ago counts from where it is first heard of. Let it be longer than any process runs in silence.
REMEMBERED_DAYS: Final = 90
DAY: Final = 86_400 * 10**9
_FOREVER: Final = 2**63 - 1
_UNKNOWN: Final = "a sum whose beginning is not known, or too long ago: it counts from here on"
_AHEAD: Final = "a cumulative data point of a time that is still to come"
_AGAIN: Final = "a cumulative data point told before"
_canonical: Final = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


def increments(points: Iterable[Point], state: State, *, since: int = 0, until: int = _FOREVER) -> Increments:
    """Deltas pass as they are. Of a cumulative point what its stream told before is subtracted; the first of a stream
    counts whole, for it says what was used since it began. A point no newer than the last was told before.

    Where a stream began is not known when it says no beginning, or one at the very time of its point, as OpenTelemetry
    has it; or one up to `since` (nanoseconds since 1970), for such a stream may have been forgotten. The first of those
    is remembered and not counted. A point later than `until` is left, or all that is told until then would be old.

    A sum that fell without a new beginning stays as the negative number it is: whoever reads it holds it as a Problem.
    One that never said when it began has begun anew.
    """
    found: list[Point] = []
    ignored: list[str] = []
    changed = dict(state)
    for point in points:
        if not point.cumulative or point.value is None or point.time <= 0:
            found.append(point)
            continue
        name = stream(point)
        before = changed.get(name)
        if point.time > until:
            ignored.append(_AHEAD)
            continue
        if before is not None and point.time <= before.time:
            ignored.append(_AGAIN)
            continue
        changed[name] = Seen(point.time, point.value, point.calls)
        if before is None and not since < point.start < point.time:
            ignored.append(_UNKNOWN)
            continue
        grown, calls = (point.value, point.calls) if before is None else _since(before, point)
        found.append(msgspec.structs.replace(point, value=grown, calls=calls, cumulative=False))
    return Increments(found, ignored, changed)


def streams(points: Iterable[Point]) -> set[str]:
    """The names of the streams that a memory is needed of."""
    return {stream(point) for point in points if point.cumulative and point.value is not None and point.time > 0}


def stream(point: Point) -> str:
    """The name of the stream a point is of: 32 digits of hex."""
    said = [point.metric, point.scope, point.resource, point.attributes, point.start]
    return hashlib.blake2b(_canonical(said), digest_size=16).hexdigest()


def _since(before: Seen, point: Point) -> tuple[Number, int]:
    value = Decimal(0) if point.value is None else point.value
    if not point.start and value < before.value:
        return value, point.calls
    return value - before.value, max(0, point.calls - before.calls)
