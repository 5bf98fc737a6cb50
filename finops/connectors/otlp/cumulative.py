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


_canonical: Final = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


def increments(points: Iterable[Point], state: State) -> Increments:
    """Deltas pass as they are. Of a cumulative point what its stream told before is subtracted; the first of a stream
    counts whole, for it says what was used since it began. A point no newer than the last was told before.

    A sum that fell without a new beginning stays as the negative number it is: whoever reads it holds it as a Problem.
    """
    found: list[Point] = []
    ignored: list[str] = []
    changed = dict(state)
    for point in points:
        if not point.cumulative or point.value is None:
            found.append(point)
            continue
        name = stream(point)
        before = changed.get(name)
        if before is not None and point.time <= before.time:
            ignored.append("a cumulative data point told before")
            continue
        changed[name] = Seen(point.time, point.value, point.calls)
        grown, calls = (point.value, point.calls) if before is None else _since(before, point)
        found.append(msgspec.structs.replace(point, value=grown, calls=calls, cumulative=False))
    return Increments(found, ignored, changed)


def forgotten(state: State, before: int) -> dict[str, Seen]:
    """The memory without streams that were silent since a moment, in nanoseconds since 1970. One that speaks again
    after that is counted whole again, so let it be long: longer than any process runs in silence.
    """
    return {name: seen for name, seen in state.items() if seen.time >= before}


def stream(point: Point) -> str:
    """The name of the stream a point is of: 32 digits of hex."""
    said = [point.metric, point.scope, point.resource, point.attributes, point.start]
    return hashlib.blake2b(_canonical(said), digest_size=16).hexdigest()


def _since(before: Seen, point: Point) -> tuple[Number, int]:
    value = Decimal(0) if point.value is None else point.value
    return value - before.value, max(0, point.calls - before.calls)
