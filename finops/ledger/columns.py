"""Columns the ledger's tables share, and sums of them as SQL: written by services, read by selectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from finops.core.tokens import INPUT_METERS, OUTPUT_METERS

MEASURES: Final = (
    *("calls", "input_tokens", "cached_tokens", "output_tokens"),
    *("list_cost", "contracted_cost", "effective_cost", "reporting_cost"),
)
COUNTS: Final = MEASURES[:4]

# The wide cube keeps one cost whole and the others as what they come to above it (null for nothing); see the table.
WHOLE: Final = "effective_cost"
EXTRAS: Final = {"list_cost": "list_extra", "contracted_cost": "contracted_extra", "reporting_cost": "reporting_extra"}
DAILY_MEASURES: Final = ", ".join([*COUNTS, WHOLE, *EXTRAS.values()])
# The same from whole costs, and whole costs from sums of the same.
EXTRAS_OF_COSTS: Final = ", ".join(f"nullif({cost} - {WHOLE}, 0) AS {extra}" for cost, extra in EXTRAS.items())
WHOLE_SUMS: Final = ", ".join(
    f"sum({WHOLE}) + coalesce(sum({EXTRAS[measure]}), 0) AS {measure}"
    if measure in EXTRAS
    else f"sum({measure}) AS {measure}"
    for measure in MEASURES
)
DAILY_SUMS: Final = ", ".join(
    [
        *(f"sum({name}) AS {name}" for name in (*COUNTS, WHOLE)),
        *(f"nullif(sum({extra}), 0) AS {extra}" for extra in EXTRAS.values()),
    ]
)


def _sum(columns: Sequence[str]) -> str:
    return " + ".join(f"coalesce({column}, 0)" for column in columns)


# What a charge adds to the rollups, as SQL, in the order of MEASURES; services.rows.Segments.deltas is the same in
# Python.
MEASURES_OF_CHARGE: Final = (
    "sum(calls)",
    f"sum({_sum(INPUT_METERS)})",
    f"sum({_sum(('cache_read', 'cache_read_audio'))})",
    f"sum({_sum(OUTPUT_METERS)})",
    "sum(list_cost)",
    "sum(contracted_cost)",
    "sum(effective_cost)",
    "sum(reporting_cost)",
)
