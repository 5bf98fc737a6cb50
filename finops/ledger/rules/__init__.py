"""What follows from values alone: cubes and blocks, the names of periods, and the grammar of a question."""

from __future__ import annotations

from finops.ledger.rules.cubes import (
    CUBES,
    HOURLY,
    HOURLY_DAYS,
    LEVEL_SHIFT,
    LEVELS,
    PAIRS,
    Run,
    cube_for,
    finished,
    run_days,
    runs,
    settled_day,
)

__all__ = [
    "CUBES",
    "HOURLY",
    "HOURLY_DAYS",
    "LEVELS",
    "LEVEL_SHIFT",
    "PAIRS",
    "Run",
    "cube_for",
    "finished",
    "run_days",
    "runs",
    "settled_day",
]
