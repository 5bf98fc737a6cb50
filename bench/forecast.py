"""`bench forecast`: forecasts against what came, beside seasonal-naive's and a flat run rate.

Rolling origins: at many days of invented organizations' lives, and at many minutes of real traces, everything before is
history, and the spend from then to the period's end is forecast. Only what is still to come is compared, not what is
known to be spent. Seasonal-naive takes every day to come as the same weekday of the last week (the mean of all days
where there is no whole week); the run rate is the mean of the last 28 days.

The real traces are one hour of two services, so a minute stands for a day and there is no true season in them. The
constants of the forecast were set on seeds below 100; from 100 on they are measured.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from bench import support
from bench.organisations import FIRST_DAY, KINDS, Floats, organisation
from finops.alerts.rules.forecasting import Forecast, Past, crossing, forecasts
from finops.alerts.rules.seasons import DAYS_MOST, WEEK
from finops.core.money import PICO

SERIES: Final = 220
DAYS: Final = 230
FIRST_ORIGIN: Final = 5
STEP: Final = 9
MIDNIGHT: Final = datetime.combine(FIRST_DAY, datetime.min.time(), tzinfo=UTC)
CHECKOUT: Final = Path(__file__).resolve().parents[1]
TRACES: Final = Path(os.environ.get("CAPSTAN_TRACES") or CHECKOUT.parent / "shared" / "data" / "azure-llm-traces-2023")
# Dollars a token as the trace's models cost; any others would do, a ratio is what is read.
RATES: Final = {"code": (2.5e-6, 1e-5), "conv": (8e-7, 4e-6)}


class Told(NamedTuple):
    """One forecast beside what came; dollars. `known` is days of history, `ahead` days to come."""

    kind: str
    known: int
    ahead: int
    came: float
    point: float
    low: float
    high: float
    naive: float
    rate: float
    usual: float


def run(parameters: dict[str, str], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys: error, naive_error, ratio, coverage; by kind, by history and by horizon; and of the real traces."""
    first, count = int(parameters.get("first", "100")), int(parameters.get("organisations", "6"))
    told: list[Told] = []
    for seed in range(first, first + count):
        told += of_months(seed)
        say(f"organisation {seed}: {len(told)} forecasts so far")
    real = of_traces()
    say("ten thousand at once")
    return {
        "bench": "forecast",
        **figures(told),
        "by_kind": {kind: figures([one for one in told if one.kind == kind]) for kind in KINDS},
        "by_history": {name: figures([o for o in told if low <= o.known < high]) for name, low, high in _HISTORIES},
        "by_days_ahead": {name: figures([o for o in told if low <= o.ahead < high]) for name, low, high in _AHEADS},
        "traces": figures(real) if real else None,
        "seconds_for_10000": round(_ten_thousand(), 2),
        "machine": support.machine(),
    }


_HISTORIES: Final = (
    ("2-6 days", 2, 7),
    ("7-13", 7, 14),
    ("14-27", 14, 28),
    ("28-90", 28, 91),
    ("91 and more", 91, 10**6),
)
_AHEADS: Final = (("1-3 days", 1, 4), ("4-10", 4, 11), ("11-20", 11, 21), ("21-31", 21, 32))


def of_months(seed: int) -> list[Told]:
    """From every ninth day to the end of its month, at midnight."""
    company = organisation(seed, series=SERIES, days=DAYS)
    daily = company.daily
    began = (daily > 0).argmax(axis=1)
    found: list[Told] = []
    for origin in range(FIRST_ORIGIN, DAYS, STEP):
        now = MIDNIGHT + timedelta(days=origin)
        until = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
        ahead = (until - now).days
        if origin + ahead > DAYS:
            break
        # Who began but two days ago has no history to speak of.
        rows = [row for row in range(SERIES) if began[row] <= origin - 2]
        series = [daily[row, max(began[row], origin - DAYS_MOST) : origin] for row in rows]
        found += _against(series, [daily[row, origin : origin + ahead] for row in rows], now, until, [
            (company.kinds[row], origin - int(began[row])) for row in rows
        ])  # fmt: skip
    return found


def of_traces() -> list[Told]:
    """Minutes of the real traces as days: from every minute but the first three to each of the next 3, 7 and 14."""
    found: list[Told] = []
    for service in RATES:
        minutes = _minutes(service)
        for origin in range(3, len(minutes)):
            for ahead in (3, 7, 14):
                if origin + ahead <= len(minutes):
                    until = MIDNIGHT + timedelta(days=ahead)
                    found += _against(
                        [minutes[:origin]], [minutes[origin : origin + ahead]], MIDNIGHT, until, [(service, origin)]
                    )
    return found


def _against(
    series: list[Floats], came: list[Floats], now: datetime, until: datetime, about: list[tuple[str, int]]
) -> list[Told]:
    pasts = [Past([round(amount * PICO) for amount in one]) for one in series]
    made: list[Forecast] = forecasts(pasts, spent=[0] * len(pasts), now=now, until=until)
    return [
        Told(
            kind=kind,
            known=known,
            ahead=len(after),
            came=float(after.sum()),
            point=one.point / PICO,
            low=one.low / PICO,
            high=one.high / PICO,
            naive=_naive(before, len(after)),
            rate=float(before[-28:].mean()) * len(after),
            usual=max(float(before.mean()) * len(after), 1e-6),
        )
        for one, before, after, (kind, known) in zip(made, series, came, about, strict=True)
    ]


def _naive(before: Floats, ahead: int) -> float:
    if len(before) < WEEK:
        return float(before.mean()) * ahead
    return float(sum(before[len(before) - WEEK + day % WEEK] for day in range(ahead)))


def _minutes(service: str) -> Floats:
    """Dollars of each whole minute of a trace; nothing where the traces are not."""
    path = TRACES / f"AzureLLMInferenceTrace_{service}.csv"
    if not path.is_file():
        return np.zeros(0)
    read, written = RATES[service]
    spent: dict[int, float] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for at, tokens_in, tokens_out in _rows(csv.reader(file)):
            minute = int(datetime.fromisoformat(at[:19]).replace(tzinfo=UTC).timestamp()) // 60
            spent[minute] = spent.get(minute, 0.0) + tokens_in * read + tokens_out * written
    # The first and the last minute are parts.
    return np.array([spent.get(minute, 0.0) for minute in range(min(spent) + 1, max(spent))])


def _rows(reader: Iterator[list[str]]) -> Iterator[tuple[str, int, int]]:
    next(reader)
    for at, tokens_in, tokens_out in reader:
        yield at, int(tokens_in), int(tokens_out)


def figures(told: list[Told]) -> dict[str, Any]:
    """`error` is the money missed over the money that came (WAPE); `ratio` is that over seasonal-naive's, and
    `scaled_ratio` the same with every spender counting alike: each miss in what was usual for them.
    """
    if not told:
        return {"forecasts": 0}
    came, point, low, high, naive, rate, usual = (
        np.array([getattr(one, name) for one in told])
        for name in ("came", "point", "low", "high", "naive", "rate", "usual")
    )
    missed, missed_naive, missed_rate = (np.abs(one - came) for one in (point, naive, rate))
    return {
        "error": round(float(missed.sum() / came.sum()), 3),
        "naive_error": round(float(missed_naive.sum() / came.sum()), 3),
        "run_rate_error": round(float(missed_rate.sum() / came.sum()), 3),
        "ratio": round(float(missed.sum() / missed_naive.sum()), 3),
        "scaled_ratio": round(float((missed / usual).mean() / (missed_naive / usual).mean()), 3),
        "coverage": round(float(((came >= low - 1e-6) & (came <= high + 1e-6)).mean()), 3),
        "above": round(float((came > high + 1e-6).mean()), 3),
        "width": round(float(np.median((high - low) / np.maximum(point, 1e-6))), 2),
        "forecasts": len(told),
    }


def _ten_thousand() -> float:
    """Seconds for 10,000 accounts of 90 days to a month's end, crossings included."""
    daily = organisation(1, series=SERIES, days=90).daily
    rows = [[round(amount * PICO) for amount in daily[n % SERIES]] for n in range(10_000)]
    began = time.perf_counter()
    found = forecasts(
        [Past(row) for row in rows], spent=[0] * len(rows), now=MIDNIGHT, until=MIDNIGHT + timedelta(days=30)
    )
    for one in found:
        crossing(one, one.point)
    return time.perf_counter() - began
