"""Columns the ledger's tables share, and sums of them as SQL: written by services, read by selectors."""

from __future__ import annotations

from typing import Final

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
