"""Reads GitHub's billing of Copilot: AI credits and, before June 2026, premium requests; and seats.

A row says what was used (gross), what the included pool paid (discount) and what is charged (net), in dollars. It never
says by whom: whoever asked for one user's rows says so to `cut`. See README.md beside this file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from finops.connectors.foreign import (
    Part,
    Wrong,
    body_of,
    encode,
    given_cost,
    key_of,
    plain,
    received,
    rows_of,
    tags_of,
)
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.types import NO_COUNTS, Counts, Received, UsageEvent
from finops.core.tokens import METER_INDEX

PARSER: Final = "copilot"
# The catalogue's word for GitHub Copilot.
PROVIDER: Final = "github-copilot"
_CREDITS: Final = "aicredits"
_REQUESTS: Final = "requests"
_SEATS: Final = "usermonths"
_OWNERS: Final = ("organization", "enterprise")
_LETTERS: Final = re.compile(r"[^a-z]")
# What every group of a row is told by; with its period, account and user it names the row.
_GROUPS: Final = ("product", "sku", "model", "unitType", "costCenterId", "organizationName", "repositoryName")


def parse(raw: bytes) -> Received:
    """One record of `cut` or `cut_seats`: a row, the period and account it is of, and whose it is."""
    return received(raw, _event, _name)


def cut(body: bytes, *, user: str = "") -> Page:
    """A report of AI credits or of premium requests. Raises BodyUnreadable.

    `user` is the login the report was asked for, where it was asked for one. A report that says another's is refused.
    """
    report = body_of(body, "a report of Copilot's usage")
    rows = rows_of(report, "usageItems", "a report of Copilot's usage")
    told = report.get("user")
    if user and isinstance(told, str) and told.lower() != user.lower():
        raise BodyUnreadable(f"This report is of {told[:100]!r}; {user[:100]!r} was asked for.")
    return _page(report, [row for row in rows if _unit(row) != _SEATS], user or (told if isinstance(told, str) else ""))


def cut_seats(body: bytes) -> Page:
    """Copilot's seats in a report of all that GitHub bills; other rows are other reports'. Raises BodyUnreadable."""
    report = body_of(body, "a report of GitHub's billing")
    rows = rows_of(report, "usageItems", "a report of GitHub's billing")
    return _page(report, [row for row in rows if _unit(row) == _SEATS and _is_copilot(row)], "")


def _page(report: Mapping[str, Any], rows: list[Any], user: str) -> Page:
    head = {
        "period": report.get("timePeriod"),
        "account": next((report[name] for name in _OWNERS if isinstance(report.get(name), str)), ""),
        "user": user,
    }
    counted: Counter[str] = Counter()
    made = []
    for row in rows:
        record: dict[str, Any] = {**head, "row": row}
        # A row that says the same groups again is one more row.
        key = "" if not isinstance(row, dict) else repr([row.get(name) for name in (*_GROUPS, "date")])
        counted[key] += 1
        if counted[key] > 1:
            record["nth"] = counted[key]
        made.append(encode(record))
    return Page(tuple(made))


def _unit(row: Any) -> str:
    """`AI Credits`, `ai-credits` and `AiCredits` alike."""
    unit = row.get("unitType") if isinstance(row, dict) else None
    return _LETTERS.sub("", unit.lower()) if isinstance(unit, str) else ""


def _is_copilot(row: Mapping[str, Any]) -> bool:
    return any("copilot" in str(row.get(name, "")).lower() for name in ("product", "sku"))


def _name(record: Part) -> str:
    row = record.part("row")
    when = _when(record)
    nth = record.count("nth")
    groups = [row.text(name) for name in _GROUPS]
    return key_of([when[1], record.text("account"), record.text("user").lower(), *groups, str(nth) if nth else ""])


def _when(record: Part) -> tuple[datetime, str]:
    """When the row's period begins, and the period as text: a day, a month or a year. A row's own date goes first."""
    row = record.part("row")
    if row.has("date"):
        day = row.moment("date")
        return day, day.date().isoformat()
    period = record.part("period")
    numbers = [period.count(name) for name in ("year", "month", "day")]
    year, month, day_number = numbers
    if not year or (day_number and not month):
        raise period.missing("month" if year else "year")
    try:
        begins = datetime(year, month or 1, day_number or 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Wrong("field_invalid", "period", "period: there is no such day") from None
    told = "-".join(f"{number:02d}" for number in numbers if number)
    return begins, told


def _event(record: Part) -> UsageEvent:
    row = record.part("row")
    unit = _unit(row.values)
    net = row.decimal("netAmount")
    if net is None:
        raise row.missing("netAmount")
    gross, discount = row.decimal("grossAmount"), row.decimal("discountAmount")
    if gross is not None and discount is not None and gross >= 0 and discount > gross:
        raise Wrong("subset_exceeds_total", "row.discountAmount", "discountAmount is more than grossAmount")
    # A summary says grossQuantity, a report of all billing says quantity.
    quantity = row.decimal("grossQuantity")
    quantity = row.decimal("quantity") if quantity is None else quantity
    user = record.text("user")
    seats = unit == _SEATS
    return UsageEvent(
        external_id=_name(record),
        occurred_at=_when(record)[0],
        provider=PROVIDER,
        model=row.text("model"),
        counts=_counts(unit, quantity),
        provider_account=record.text("account") or row.text("organizationName"),
        category="Purchase" if seats and net >= 0 else "Usage" if net >= 0 else "Adjustment",
        evidence="billed",
        identities=(("github", user),) if user else (),
        tags=_tags(row, quantity, gross, discount),
        cost=given_cost(net, "USD", "row.netAmount"),
    )


def _tags(
    row: Part, quantity: Decimal | None, gross: Decimal | None, discount: Decimal | None
) -> tuple[tuple[str, str], ...]:
    told = {
        "product": row.text("product"),
        "sku": row.text("sku"),
        "unit": row.text("unitType"),
        "quantity": "" if quantity is None else plain(quantity),
        # What it would have cost without the included pool.
        "value_usd": "" if gross is None else plain(gross),
        "included_usd": plain(discount) if discount else "",
        "cost_center": row.text("costCenterName") or row.text("costCenterId"),
    }
    return tags_of(told)


def _counts(unit: str, quantity: Decimal | None) -> Counts:
    """Premium requests are requests, weighted by their model; credits and seats count nothing we meter."""
    if unit != _REQUESTS or quantity is None or quantity < 0 or quantity != int(quantity):
        return NO_COUNTS
    counts = list(NO_COUNTS)
    counts[METER_INDEX["requests"]] = min(int(quantity), 10**12)
    return tuple(counts)
