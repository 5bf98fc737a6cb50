"""What rules saved in a month, as finance reads it: on the overview, and as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.http import StreamingHttpResponse

from dashboards.access import Here
from dashboards.exports.spend_csv import stream
from dashboards.scope import Scope
from finops.core.periods import next_month
from finops.core.sheets import guarded
from finops.orgs.rules import Permission
from routing.rollouts import selectors
from routing.rollouts.models import SavingsMonth

# Rows of one file: five hundred rules for twenty years.
EXPORTED_MOST: Final = 120_000
_AMOUNTS: Final = (
    "treated_cost", "failed_cost", "expected_cost", "saved", "saved_lower", "saved_upper", "beside_cost", "net",
    "net_lower", "net_upper",
)  # fmt: skip
_COUNTS: Final = ("treated_calls", "treated_sessions", "stayed_calls", "stayed_sessions")


@dataclass(frozen=True, slots=True)
class Saved:
    """A month's savings. `net` is over rules that are verified, None where none is; `closed_at` where all of it is
    closed.
    """

    month: date
    rows: Sequence[SavingsMonth]
    net: Decimal | None
    closed_at: datetime | None

    @property
    def unverified(self) -> int:
        return sum(one.net is None for one in self.rows)


def saved_in(here: Here, scope: Scope) -> Saved | None:
    """Of a question about all of a month, or all of it so far; None for any other, for who may not read routing, and
    where no rule treated anything. One query.
    """
    days = scope.period.days
    whole = days.start.day == 1 and days.end <= next_month(days.start) and (scope.period.open or days.end.day == 1)
    if scope.filters or not whole or not here.caller.can(Permission.ROUTING_READ):
        return None
    rows = list(selectors.savings(here.id, month=days.start))
    return _saved(days.start, rows) if rows else None


def _saved(month: date, rows: Sequence[SavingsMonth]) -> Saved:
    nets = [one.net for one in rows if one.net is not None]
    closed = [one.closed_at for one in rows if one.closed_at is not None]
    return Saved(
        month, rows, sum(nets, Decimal(0)) if nets else None, max(closed) if len(closed) == len(rows) else None
    )


def savings_csv(here: Here, month: date | None) -> StreamingHttpResponse:
    """A row for each rule and month, newest first, to the last place; where nothing is verified, with the reason."""
    rows = selectors.savings(here.id, month=month)[:EXPORTED_MOST]

    def table() -> Iterator[list[Any]]:
        yield ["month", "rule", "rule_id", "currency", *_COUNTS, *_AMOUNTS, "why", "measured_at", "closed_at"]
        for one in rows.iterator(chunk_size=2_000):
            yield [
                f"{one.month:%Y-%m}", guarded(one.rule.name), one.rule_id, one.currency,
                *(getattr(one, name) for name in _COUNTS),
                *(_plain(getattr(one, name)) for name in _AMOUNTS),
                guarded(one.why), one.measured_at.isoformat(),
                "" if one.closed_at is None else one.closed_at.isoformat(),
            ]  # fmt: skip

    name = "-".join(["savings", here.organization.slug, *([f"{month:%Y-%m}"] if month else [])])
    return stream(table(), f"{name}.csv")


def _plain(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:f}"
