"""Cursor's usage events: what is charged, what a seat includes, and the same event known again without an id."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given

from finops.connectors.cursor.parse import cut, parse
from finops.connectors.pages import BodyUnreadable
from finops.connectors.types import UsageEvent, content_hash
from tests.factories.agents import bent, checked, checked_page, dollars, meters, said
from tests.factories.examples import example

TOKENS = {"inputTokens": 126, "outputTokens": 450, "cacheWriteTokens": 6112, "cacheReadTokens": 11964}


def event(**changes: Any) -> dict[str, Any]:
    """A charged call of Bob's; None takes a field away."""
    told = {
        "timestamp": "1763625600123",
        "userEmail": "bob@acme.example",
        "model": "claude-opus-5-5",
        "kind": "Usage-based",
        "isChargeable": True,
        "tokenUsage": TOKENS | {"totalCents": 20.18232},
        "chargedCents": 21.36232,
        "cursorTokenFee": 1.18,
    } | changes
    return {name: value for name, value in told.items() if value is not None}


def page(*events: dict[str, Any], **pagination: Any) -> bytes:
    return json.dumps({"usageEvents": list(events), "pagination": pagination}).encode()


def read(*events: dict[str, Any]) -> list[UsageEvent]:
    return [said(parse(raw)) for raw in cut(page(*events)).rows]


def test_the_example_of_the_reference() -> None:
    found = cut(example("cursor_usage_events"))
    assert found.next == ""
    (raw,) = found.rows
    made = said(parse(raw))
    assert (made.provider, made.model, made.evidence, made.category) == ("cursor", "claude-opus-5-5", "billed", "Usage")
    assert made.occurred_at.isoformat() == "2025-11-20T08:00:00.123000+00:00"
    assert made.identities == (("email", "dev@example.com"),)
    assert meters(made) == {
        "input_uncached": 126, "cache_read": 11964, "cache_write_5m": 6112, "output_text": 450, "requests": 1,
    }  # fmt: skip
    assert dollars(made) == "0.2136232"
    assert dict(made.tags)["value_usd"] == "0.2018232"


def test_cents_are_decimals_and_never_floats() -> None:
    (made,) = read(event(chargedCents=0.1 + 0.2))
    assert dollars(made) == "0.003"
    raw = page(event()).replace(b"21.36232", b"21.363200000000000000000001")
    assert dollars(said(parse(cut(raw).rows[0]))) == "0.213632"


@pytest.mark.parametrize(
    ("told", "charged"),
    [
        ({"kind": "Included in Business"}, "0"),
        ({"kind": "Included in Pro+"}, "0"),
        ({"kind": "USAGE_EVENT_KIND_INCLUDED_IN_BUSINESS"}, "0"),
        ({"kind": "Errored, Not Charged"}, "0"),
        ({"kind": "Aborted, Not Charged"}, "0"),
        ({"isChargeable": False}, "0"),
        ({"isFreeBugbot": True}, "0"),
        ({"kind": "Some day's new kind"}, "0.2136232"),
        ({"kind": None}, "0.2136232"),
        # Before there was chargedCents.
        ({"chargedCents": None}, "0.2136232"),
        ({"chargedCents": None, "cursorTokenFee": None}, "0.2018232"),
        ({"chargedCents": 0}, "0"),
    ],
)
def test_what_is_paid_for_an_event(told: dict[str, Any], charged: str) -> None:
    (made,) = read(event(**told))
    assert dollars(made) == charged


def test_what_a_seat_includes_has_a_value_and_is_no_cash_openusage_213() -> None:
    (made,) = read(event(kind="Included in Business", isChargeable=False))
    assert (dollars(made), dict(made.tags)["value_usd"]) == ("0", "0.2018232")
    assert meters(made)["output_text"] == 450


def test_an_event_that_is_not_paid_by_tokens_is_a_request() -> None:
    (made,) = read(event(tokenUsage=None, chargedCents=4, requestsCosts=1))
    assert (meters(made), dollars(made)) == ({"requests": 1}, "0.04")


def test_an_event_that_says_no_price_is_not_free() -> None:
    received = parse(cut(page(event(chargedCents=None, tokenUsage=TOKENS))).rows[0])
    assert received.problem is not None
    assert (received.problem.code, received.problem.field) == ("connectors.field_missing", "event.chargedCents")
    assert received.external_id


def test_a_refund_is_a_credit() -> None:
    (made,) = read(event(chargedCents=-5))
    assert (made.category, dollars(made)) == ("Credit", "-0.05")


def test_equals_are_told_apart_by_their_place() -> None:
    made = read(event(), event(), event(model="gpt-5.2"))
    assert len({one.external_id for one in made}) == 3
    assert [one.external_id[-1] for one in made] == ["1", "2", "1"]


def test_another_order_of_the_same_page_makes_the_same_events() -> None:
    dear, cheap, other = event(), event(chargedCents=1), event(timestamp="1763625600999")
    first = {one.external_id: content_hash(one) for one in read(dear, cheap, other)}
    assert {one.external_id: content_hash(one) for one in read(other, cheap, dear)} == first


def test_equals_on_two_pages_of_a_snapshot_are_two() -> None:
    counted: Counter[str] = Counter()
    one = cut(page(event(), currentPage=1, hasNextPage=True), counted=counted)
    two = cut(page(event(), currentPage=2, hasNextPage=False), counted=counted)
    assert (one.next, two.next) == ("2", "")
    assert said(parse(one.rows[0])).external_id != said(parse(two.rows[0])).external_id


def test_a_count_of_none_that_is_left_out_is_the_same_event() -> None:
    usage = {"inputTokens": 1, "outputTokens": 2, "totalCents": 1}
    (short,) = read(event(tokenUsage=usage))
    (long,) = read(event(tokenUsage=usage | {"cacheReadTokens": 0, "cacheWriteTokens": 0}))
    assert (short.external_id, content_hash(short)) == (long.external_id, content_hash(long))


def test_one_bent_event_spoils_only_itself() -> None:
    bad = event(tokenUsage=TOKENS | {"inputTokens": -1})
    received = [parse(raw) for raw in cut(page(event(), bad, event(model="gpt-5.2"))).rows]
    assert [bool(one.event) for one in received] == [True, False, True]
    assert received[1].problem is not None
    assert received[1].problem.field == "event.tokenUsage.inputTokens"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"usageEvents": {}}', b'{"usageEvents": [{"a":'])
def test_what_is_no_page_is_refused(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        cut(body)


@given(bent({"usageEvents": [event(), event()], "pagination": {"currentPage": 1, "hasNextPage": True}}))
def test_anything_in_any_place_of_a_page(body: bytes) -> None:
    checked_page(body, cut, parse)


@given(bent({"event": event(), "ordinal": 2}))
def test_anything_in_any_place_of_a_record(raw: bytes) -> None:
    checked(raw, parse)
