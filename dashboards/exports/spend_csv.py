"""The Spend explorer's table as CSV: every group, full precision, ISO dates, a currency in every row."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.http import StreamingHttpResponse

from dashboards.access import Here
from dashboards.scope import Scope
from finops.core.sheets import guarded


class _Echo:
    """A file that gives back what is written to it, so that rows can be streamed."""

    def write(self, text: str) -> str:
        return text


def stream(rows: Iterable[list[Any]], filename: str) -> StreamingHttpResponse:
    writer = csv.writer(_Echo())
    parts: Iterator[str] = (writer.writerow(row) for row in rows)
    response = StreamingHttpResponse(parts, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def spend_csv(here: Here, scope: Scope) -> StreamingHttpResponse:
    """One row per group and billing currency; the reporting cost adds up to the screen's total."""
    rows = here.reader.ask(scope.question(here.caller, group_by=scope.group))
    called = [
        here.reader.names(scope, name, {row.values[index] for row in rows}) for index, name in enumerate(scope.group)
    ]
    first, last = scope.period.days.start, scope.period.days.end - timedelta(days=1)

    def table() -> Iterator[list[Any]]:
        heads = [text for name in scope.group for text in (name, f"{name}_id")]
        yield [
            "from",
            "to",
            *heads,
            "calls",
            "input_tokens",
            "cached_tokens",
            "output_tokens",
            "billing_currency",
            "list_cost",
            "contracted_cost",
            "effective_cost",
            "reporting_currency",
            "reporting_cost",
        ]
        for row in rows:
            values: list[Any] = []
            for index, value in enumerate(row.values):
                values += [guarded(called[index][value]), value]
            yield [
                first.isoformat(),
                last.isoformat(),
                *values,
                row.calls,
                row.input_tokens,
                row.cached_tokens,
                row.output_tokens,
                row.currency,
                f"{row.list_cost:f}",
                f"{row.contracted_cost:f}",
                f"{row.effective_cost:f}",
                here.currency,
                f"{row.reporting_cost:f}",
            ]

    name = "-".join(["spend", here.organization.slug, first.isoformat(), last.isoformat(), *scope.group])
    return stream(table(), f"{name.replace(':', '_')}.csv")
