"""The same charges in DuckDB: an answer made another way, and what scanning them costs there."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb

from bench import support
from finops.core.tokens import INPUT_METERS, OUTPUT_METERS
from finops.ledger.types import DIMENSIONS, Grain, SpendQuestion, SpendRow

_COSTS: Final = ("list_cost", "contracted_cost", "effective_cost", "reporting_cost")
_MEASURES: Final = ("calls", "input_tokens", "cached_tokens", "output_tokens", *_COSTS)
_BUCKET: Final = {
    Grain.TOTAL: "NULL::DATE",
    Grain.DAY: "day",
    Grain.WEEK: "date_trunc('week', day)::DATE",
    Grain.MONTH: "date_trunc('month', day)::DATE",
}


class Duck:
    """Charges exported from the ledger into a DuckDB file of their own. Money is DECIMAL(24,12), so sums are exact."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connection = duckdb.connect(str(folder / "charges.duckdb"))
        self._connection.execute("SET threads = 2")

    def load(self, organization_id: int, say: Callable[[str], Any]) -> int:
        """Copies the charges over; says how many there are."""
        path = self._folder / "charges.csv"
        sums = {
            "calls": "calls",
            "input_tokens": _sum(INPUT_METERS),
            "cached_tokens": _sum(("cache_read", "cache_read_audio")),
            "output_tokens": _sum(OUTPUT_METERS),
            **{cost: cost for cost in _COSTS},
        }
        columns = ", ".join([*(f"{name}_id" for name in DIMENSIONS), "currency", *sums.values()])
        with (
            support.connect() as connection,
            path.open("wb") as file,
            connection.cursor().copy(
                f"COPY (SELECT (occurred_at AT TIME ZONE 'UTC')::date, {columns} FROM ledger_charge"
                f" WHERE organization_id = {organization_id}) TO STDOUT (FORMAT csv)"
            ) as copy,
        ):
            for part in copy:
                file.write(part)
        say("charges written for DuckDB")
        types = {"day": "DATE", **dict.fromkeys(DIMENSIONS, "INTEGER"), "currency": "VARCHAR"}
        types |= {name: "DECIMAL(24,12)" if name in _COSTS else "BIGINT" for name in _MEASURES}
        self._connection.execute(
            "CREATE TABLE charges AS SELECT * FROM read_csv(?, header = false, columns = ?)", [str(path), types]
        )
        path.unlink()
        row = self._connection.execute("SELECT count(*) FROM charges").fetchone()
        return int(row[0]) if row else 0

    def answer(self, question: SpendQuestion) -> tuple[list[SpendRow], float]:
        """The answer in the selector's own order, and the seconds it took."""
        where, params = ["day >= ? AND day < ?"], [question.period.start, question.period.end]
        for name, allowed in question.filters.items():
            where.append(f"{name} IN ({', '.join(str(one) for one in sorted(allowed))})")
        names = ", ".join(question.group_by)
        source = f"(SELECT * FROM charges WHERE {' AND '.join(where)})"
        if question.limit is not None and question.group_by:
            largest = (
                f"SELECT {names} FROM {source} GROUP BY {names} HAVING {_not_nothing()}"
                f" ORDER BY sum(reporting_cost) DESC, {names} LIMIT {question.limit}"
            )
            source = f"(SELECT * FROM {source} SEMI JOIN ({largest}) USING ({names}))"
            params = params * 2
        keys = ", ".join([*question.group_by, "bucket", "currency"])
        statement = (
            f"SELECT {', '.join([*question.group_by, f'{_BUCKET[question.grain]} AS bucket', 'currency'])},"
            f" {', '.join(f'sum({measure}) AS {measure}' for measure in _MEASURES)} FROM {source}"
            f" GROUP BY {keys} HAVING {_not_nothing()}"
            f" ORDER BY {', '.join(['bucket', 'reporting_cost DESC', *question.group_by, 'currency'])}"
        )
        began = time.perf_counter()
        found = self._connection.execute(statement, params).fetchall()
        seconds = time.perf_counter() - began
        return [_row(row, len(question.group_by)) for row in found], seconds

    def close(self) -> None:
        self._connection.close()


def _row(row: tuple[Any, ...], width: int) -> SpendRow:
    calls, read, cached, written = (int(count) for count in row[width + 2 : width + 6])
    costs = [Decimal(cost) for cost in row[width + 6 :]]
    return SpendRow(row[:width], row[width], row[width + 1], calls, read, cached, written, *costs)


def _sum(columns: tuple[str, ...]) -> str:
    return " + ".join(f"coalesce({column}, 0)" for column in columns)


def _not_nothing() -> str:
    return " OR ".join(f"sum({measure}) <> 0" for measure in _MEASURES)
