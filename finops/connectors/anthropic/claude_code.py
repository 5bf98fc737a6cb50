"""Reads `GET /v1/organizations/usage_report/claude_code`: what Claude Code used, by who, terminal, day and model.

From Anthropic's Admin API as its documentation has it; its SDK has no types for this report. What it says of cost is an
estimate at list prices, in cents. Of a subscription it is no money at all: the seat is what is paid for.
"""

from __future__ import annotations

from typing import Final

from finops.connectors import cutting
from finops.connectors.anthropic.cost_report import CENTS
from finops.connectors.anthropic.reported import PROVIDER, fewest
from finops.connectors.pages import Page
from finops.connectors.reports import Row, Wrong, cost, counted, event, key, parsed, people, plain, tags
from finops.connectors.seats import BILLING, SUBSCRIPTION
from finops.connectors.types import Counts, GivenCost, Received, UsageEvent
from finops.core.money import from_pico

PARSER: Final = "anthropic_claude_code"
_REPORT: Final = "claude_code"
# What a record of a day says of every model in it. Sessions, lines and commits are of the day, and no spend.
_OF_DAY: Final = ("date", "actor", "organization_id", "customer_type", "subscription_type", "terminal_type")


def parse(raw: bytes) -> Received:
    """One model of one actor's day, `{"day": {"date", "actor", …}, "row": {"model", "tokens", "estimated_cost"}}`."""
    return parsed(raw, _event)


def cut(body: bytes) -> Page:
    """A page of the report; a record for each model of each day. Raises BodyUnreadable."""
    page = cutting.read(body)
    return Page(tuple([record for one in page.data for record in _models(bytes(one))]), page.next)


def _models(raw: bytes) -> list[bytes]:
    said = cutting.fields(raw)
    rows = None if said is None else cutting.elements(bytes(said.get("model_breakdown", b"null")))
    if said is None or rows is None:
        return [cutting.framed({"row": b"null", "day": raw})]
    day = cutting.framed({name: bytes(said[name]) for name in _OF_DAY if name in said})
    return [cutting.framed({"day": day, "row": row}) for row in rows]


def _event(record: Row) -> UsageEvent:
    row, of_day = record.needed("row"), record.needed("day")
    day, actor = of_day.day("date"), of_day.inside("actor")
    email, key_name = actor.text("email_address"), actor.text("api_key_name")
    said = {name: of_day.text(name) for name in _OF_DAY[2:]}
    model = row.text("model")
    groups = [("actor", email or key_name or actor.text("type")), *said.items(), ("model", model)]
    record.external_id = key(_REPORT, day, groups)
    given, estimate = _cost(row, said["customer_type"])
    seat = SUBSCRIPTION if said["customer_type"] == SUBSCRIPTION else ""
    shown = {"bucket": "1d", "product": _REPORT, "estimated_cost": estimate, "requests": "at least", BILLING: seat}
    return event(
        external_id=record.external_id,
        occurred_at=day,
        provider=PROVIDER,
        model=model,
        counts=_counts(row),
        provider_account="",
        evidence="reported",
        identities=people(email=email, key_alias=key_name),
        tags=tags(shown | said),
        cost=given,
    )


def _counts(row: Row) -> Counts:
    """Disjoint: the input leaves out the cache. Whatever its lifetime, a write counts as one of five minutes."""
    tokens = row.needed("tokens")
    if not any(tokens.has(name) for name in ("input", "output", "cache_read", "cache_creation")):
        raise Wrong("connectors.usage_unreadable", tokens.where.rstrip("."), "the row says no usage")
    read, written, out = tokens.count("cache_read"), tokens.count("cache_creation"), tokens.count("output")
    total = tokens.count("input") + read + written
    return counted(
        tokens,
        input_tokens=total,
        cache_read_tokens=read,
        cache_write_tokens=written,
        output_tokens=out,
        requests=fewest(total, out, ""),
    )


def _cost(row: Row, customer_type: str) -> tuple[GivenCost | None, str]:
    """What it cost, and the estimate as text. Of a subscription that is nothing more than its seat."""
    estimate = row.inside("estimated_cost")
    if not estimate.has("amount"):
        return (GivenCost(0, "USD") if customer_type == SUBSCRIPTION else None), ""
    given = cost(estimate, "amount", estimate.text("currency"), places=CENTS)
    shown = f"{plain(from_pico(given.pico)) or 0} {given.currency}"
    return (GivenCost(0, given.currency) if customer_type == SUBSCRIPTION else given), shown
