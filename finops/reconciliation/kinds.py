"""Kinds of what is paid for, as bills tell them apart: meters, but that all a model writes is one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from finops.connectors.reports import METER
from finops.connectors.types import Counts, UsageEvent
from finops.core.tokens import METER_INDEX, METERS

OUTPUT: Final = "output"
_OF: Final[Mapping[str, str]] = {"output_text": OUTPUT, "output_reasoning": OUTPUT}
# Nobody is billed for a request as such.
_LEFT_OUT: Final = frozenset({"requests", "tool_calls"})
KINDS: Final = frozenset({_OF.get(meter, meter) for meter in METERS} - _LEFT_OUT)


def kinds_of(counts: Sequence[int]) -> dict[str, int]:
    """Counts in the order of METERS, by kind; those that are not 0."""
    found: dict[str, int] = {}
    for meter, count in zip(METERS, counts, strict=True):
        if count and meter not in _LEFT_OUT:
            kind = _OF.get(meter, meter)
            found[kind] = found.get(kind, 0) + count
    return found


def counts_of(kinds: Mapping[str, int]) -> Counts:
    """The other way; what a model wrote counts as text."""
    counts = [0] * len(METERS)
    for kind, count in kinds.items():
        counts[METER_INDEX["output_text" if kind == OUTPUT else kind]] += count
    return tuple(counts)


def meter_of(event: UsageEvent) -> str:
    """The kind that a row of costs is for, '' where it says none that is known."""
    said = dict(event.tags).get(METER, "")
    return said if said in KINDS else ""
