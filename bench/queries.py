"""`bench queries`: what the Overview and the Spend explorer ask, at 1 M and at 10 M charges of the same company.

Charges are loaded in bulk, rollups made by the product's own rebuild command. Questions are the selectors' calls of the
two pages over the periods a person picks, each asked warm; every answer is compared, to the last picodollar, with
DuckDB's over the charges themselves, whose time for the same questions is printed beside ours.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from bench import charges, support
from bench.duck import Duck
from finops.core.periods import DayRange
from finops.ledger.rules import CUBES, PAIRS, cube_for
from finops.ledger.types import Grain, SpendQuestion

SLUG: Final = "bench"
# The pages' own figures: dashboards.views.spend.TOP and TABLE_ROWS, dashboards.charts.spec.SLOTS.
OVERVIEW_ROWS, EXPLORER_ROWS, CHART_GROUPS = 6, 200, 8
ROUNDS: Final = 3
GROUPED: Final = ("team", "person", "project", "agent", "customer", "key", "source", "provider", "model")
MORE: Final = ("service_tier", "region", "provider_account", "task_type", "evidence", "state", "tag1", "tag2", "tag3")


# How many values the narrow dimensions of bench.charges have.
_SMALL: Final = {
    "source": 4,
    "provider": 6,
    "service_tier": 2,
    "region": 5,
    "provider_account": 6,
    "task_type": 12,
    "evidence": 2,
    "state": 3,
    "tag1": 2,
    "tag2": 40,
    "tag3": 120,
}


class Asked(NamedTuple):
    kind: str
    question: SpendQuestion


def run(parameters: dict[str, str], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys: p95_ms_1m, p95_ms_10m, growth, duckdb_ratio; and what they were made of."""
    small, large = (int(count) for count in parameters.get("charges", "1000000,10000000").split(","))
    odd = int(parameters.get("odd", "240"))
    results = [_measure(count, odd, say) for count in (small, large)]
    before, after = results
    return {
        "bench": "queries",
        "p95_ms_1m": before["page"]["p95_ms"],
        "p95_ms_10m": after["page"]["p95_ms"],
        "growth": round(after["page"]["p95_ms"] / before["page"]["p95_ms"], 3),
        "duckdb_ratio": round(after["page"]["duckdb_p95_ms"] / after["page"]["p95_ms"], 2),
        "small": before,
        "large": after,
        "machine": support.machine(),
    }


def _measure(count: int, odd: int, say: Callable[[str], Any]) -> dict[str, Any]:
    from django.core.management import call_command

    from finops.orgs.models import Organization

    with tempfile.TemporaryDirectory() as folder, support.scratch_database(f"{support.SCRATCH}_{count}"):
        organization_id = Organization.objects.create(slug=SLUG, name="Bench").id
        charges.load(organization_id, count, say)
        began = time.perf_counter()
        call_command("rebuild_rollups", organization=SLUG, verbosity=0)
        rebuilt = time.perf_counter() - began
        say(f"rollups rebuilt in {rebuilt:.0f} s")
        duck = Duck(Path(folder))
        try:
            if duck.load(organization_id, say) != count:
                raise AssertionError("not every charge was loaded")
            page = _time(list(page_questions(organization_id)), duck, say)
            wide = _time(list(odd_questions(organization_id, odd)), duck, say)
        finally:
            duck.close()
        return {
            "charges": count,
            "rebuild_s": round(rebuilt, 1),
            "page": page,
            "other": wide,
            "rows": _row_counts(),
        }


# --- What is asked ----------------------------------------------------------------------------------------------------
def periods() -> list[DayRange]:
    """What a person picks: months, the last days, quarters of a year, and dates of their own."""
    end = charges.LAST_DAY + timedelta(days=1)
    found = [DayRange(date(2026, month, 1), date(2026, month + 1, 1)) for month in (7, 8, 9)]
    found.append(DayRange(date(2026, 10, 1), end))
    found += [DayRange(end - timedelta(days=days), end) for days in (7, 30, 90)]
    found.append(DayRange(date(2026, 7, 1), date(2026, 10, 1)))
    rng = random.Random(7)
    for _ in range(4):
        start = charges.FIRST_DAY + timedelta(days=rng.randrange(60))
        found.append(DayRange(start, start + timedelta(days=rng.randrange(5, 60))))
    return found


def page_questions(organization_id: int) -> Iterator[Asked]:
    """The calls of both pages, as dashboards/ makes them, for every period."""
    for period in periods():
        grain = Grain.DAY if period.days <= 62 else Grain.WEEK
        yield Asked("total", SpendQuestion(organization_id, period))
        yield Asked("total", SpendQuestion(organization_id, period.previous()))
        yield Asked("total by state", SpendQuestion(organization_id, period, ("state",)))
        yield Asked("trend", SpendQuestion(organization_id, period, grain=grain))
        for name in ("team", "model", "person", "agent"):
            yield Asked("top of one", SpendQuestion(organization_id, period, (name,), limit=OVERVIEW_ROWS))
        for name in (*GROUPED, *MORE):
            yield Asked("one dimension", SpendQuestion(organization_id, period, (name,), limit=EXPLORER_ROWS))
        for pair in PAIRS.values():
            yield Asked("named pair", SpendQuestion(organization_id, period, pair, limit=EXPLORER_ROWS))
        for name in GROUPED:
            question = SpendQuestion(organization_id, period, (name,), grain=grain, limit=CHART_GROUPS)
            yield Asked("trend of the largest", question)


def odd_questions(organization_id: int, count: int) -> Iterator[Asked]:
    """Random groupings and filters; those that a narrow cube answers are asked too."""
    rng = random.Random(11)
    sizes = {
        "team": charges.TEAMS,
        "person": charges.PEOPLE,
        "project": charges.PROJECTS,
        "agent": charges.AGENTS,
        "customer": 50,
        "key": charges.KEYS,
        "model": charges.MODELS,
    } | _SMALL
    for _ in range(count):
        group_by = tuple(rng.sample(sorted(sizes), rng.choice([0, 1, 1, 2, 2])))
        filters = {}
        for name in rng.sample(sorted(sizes), rng.choice([0, 1, 1, 2])):
            most = min(sizes[name], rng.choice([1, 1, 3, 20]))
            filters[name] = frozenset(min(sizes[name], 1 + int(rng.paretovariate(0.6))) for _ in range(most))
        grain = rng.choice([Grain.TOTAL, Grain.TOTAL, Grain.DAY, Grain.WEEK, Grain.MONTH])
        limit = rng.choice([CHART_GROUPS, 50, EXPLORER_ROWS])
        if grain is not Grain.TOTAL:
            # As on the pages: a chart is of one dimension, and of the few largest.
            group_by, limit = group_by[:1], CHART_GROUPS
        question = SpendQuestion(organization_id, rng.choice(periods()), group_by, filters, grain, limit)
        yield Asked("narrow" if cube_for({*group_by, *filters}) is not None else "wide", question)


# --- How it is timed --------------------------------------------------------------------------------------------------
def _time(asked: list[Asked], duck: Duck, say: Callable[[str], Any]) -> dict[str, Any]:
    """Each question once to warm and to check, then ROUNDS times in another order each; milliseconds."""
    from finops.ledger.selectors import spend

    theirs: list[float] = []
    for one in asked:
        expected, _ = duck.answer(one.question)
        if spend(one.question) != expected:
            raise AssertionError(f"DuckDB says otherwise: {one.question}")
        theirs.append(1000 * duck.answer(one.question)[1])
    say(f"{len(asked)} answers equal DuckDB's")
    ours: dict[str, list[float]] = {}
    rng = random.Random(3)
    for _ in range(ROUNDS):
        for one in rng.sample(asked, len(asked)):
            began = time.perf_counter()
            spend(one.question)
            ours.setdefault(one.kind, []).append(1000 * (time.perf_counter() - began))
    every = [took for times in ours.values() for took in times]
    return {
        "questions": len(asked),
        "checked": len(asked),
        **_figures(every),
        "duckdb_p50_ms": round(median(theirs), 1),
        "duckdb_p95_ms": round(_p95(theirs), 1),
        "kinds": {kind: _figures(times) for kind, times in sorted(ours.items())},
    }


def _figures(times: list[float]) -> dict[str, float]:
    return {"p50_ms": round(median(times), 1), "p95_ms": round(_p95(times), 1), "max_ms": round(max(times), 1)}


def _p95(times: list[float]) -> float:
    return sorted(times)[max(0, -(-len(times) * 95 // 100) - 1)]


def _row_counts() -> dict[str, Any]:
    with support.connect() as connection:

        def number(statement: str) -> int:
            row = connection.execute(statement).fetchone()
            return int(row[0]) if row and row[0] is not None else 0

        def mib(pattern: str) -> int:
            return number(
                "SELECT sum(pg_total_relation_size(oid))::bigint >> 20 FROM pg_class"
                f" WHERE relkind = 'r' AND relname ~ '^ledger_{pattern}'"
            )

        narrow = {
            "+".join(dimensions) or "total": number(f"SELECT count(*) FROM ledger_cube_{cube}")
            for cube, dimensions in CUBES.items()
        }
        return {
            "wide": number("SELECT count(*) FROM ledger_daily"),
            "narrow": sum(narrow.values()),
            "hourly": number("SELECT count(*) FROM ledger_hourly"),
            "sessions": number("SELECT count(*) FROM ledger_session"),
            "largest_cubes": dict(sorted(narrow.items(), key=lambda item: -item[1])[:8]),
            "wide_mib": mib("daily$"),
            "narrow_mib": mib("cube_[0-9]+$"),
            "charges_mib": mib("charge_2"),
        }
