"""Reads Devin's consumption by day: GET /v3/enterprise/consumption/daily and /v3/organizations/{org}/consumption/daily.

It is told in ACUs, by product, for days that begin at 08:00 UTC. What an ACU costs stands in the contract and in no
answer: whoever calls `cut` says it. See README.md beside this file.
"""

from __future__ import annotations

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
from finops.connectors.pages import Page
from finops.connectors.types import NO_COUNTS, Received, UsageEvent

PARSER: Final = "devin"
PROVIDER: Final = "devin"
_WHAT: Final = "a report of Devin's consumption"
# Of a day that no product answers for.
_REST: Final = ""


def parse(raw: bytes) -> Received:
    """One record of `cut`: a day and one of its products, the account, and what an ACU costs."""
    return received(raw, _event, _name)


def cut(body: bytes, *, account: str = "", rate: str = "", currency: str = "USD") -> Page:
    """A report by day; a record for each day and product that used anything. Raises BodyUnreadable.

    `rate` is the contract's price of one ACU as text, in `currency`. Without it what was used has no price, which is
    not the same as nothing. `account` is the organization the report was asked for.
    """
    days = rows_of(body_of(body, _WHAT), "consumption_by_date", _WHAT)
    head = {"account": account, "rate": rate, "currency": currency}
    rows = [encode({**head, "product": product, "day": day}) for day in days for product in _products(day)]
    return Page(tuple(rows))


def _products(day: Any) -> list[str]:
    """Those that used anything, and the rest where they do not add up to the day, or cannot be read."""
    told = day.get("acus_by_product") if isinstance(day, dict) else None
    parts = told if isinstance(told, dict) else {}
    named = [name for name, value in parts.items() if name and value]
    numbers = [value for value in parts.values() if type(value) in (int, Decimal)]
    whole = day.get("acus") if isinstance(day, dict) else None
    if not named and type(whole) in (int, Decimal) and not whole:
        return []
    adds_up = bool(parts) and type(whole) in (int, Decimal) and sum(numbers) == whole
    return named if adds_up else [*named, _REST]


def _name(record: Part) -> str:
    day = record.part("day")
    return key_of([day.of_seconds("date").isoformat(), record.text("account"), record.text("product")])


def _event(record: Part) -> UsageEvent:
    product = record.text("product")
    used = _used(record.part("day"), product)
    rate = record.decimal("rate")
    if rate is not None and rate < 0:
        raise record.invalid("rate", "a price is not below 0")
    currency = record.text("currency") or "USD"
    return UsageEvent(
        external_id=_name(record),
        occurred_at=record.part("day").of_seconds("date"),
        provider=PROVIDER,
        model=product or PROVIDER,
        counts=NO_COUNTS,
        provider_account=record.text("account"),
        tags=tags_of({"acus": plain(used), "product": product}),
        cost=None if rate is None else given_cost(used * rate, currency, "rate"),
    )


def _used(day: Part, product: str) -> Decimal:
    """ACUs of one product, or what no product answers for."""
    whole = day.decimal("acus")
    if whole is None:
        raise day.missing("acus")
    parts = day.part("acus_by_product")
    told = {name: parts.decimal(name) or Decimal(0) for name in parts.values}
    if whole < 0 or any(value < 0 for value in told.values()):
        raise day.invalid("acus", "nothing is used below 0")
    rest = whole - sum(told.values())
    if rest < 0:
        raise Wrong("subset_exceeds_total", "day.acus_by_product", "the products used more than the day")
    return told.get(product, Decimal(0)) if product else rest
