"""Windsurf's balance: it only says how it stands, so what was used is the difference of two."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.pages import BodyUnreadable
from finops.connectors.types import UsageEvent, content_hash
from finops.connectors.windsurf.parse import cut, parse
from tests.factories.agents import bent, checked, checked_page, dollars, said
from tests.factories.examples import example

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BALANCE = {
    "promptCreditsPerSeat": 500, "numSeats": 50, "addOnCreditsAvailable": 10000, "addOnCreditsUsed": 2500,
    "billingCycleStart": "2026-11-01T00:00:00Z", "billingCycleEnd": "2026-12-01T00:00:00Z",
}  # fmt: skip


def balance(**changes: Any) -> bytes:
    return json.dumps(BALANCE | changes).encode()


def used(before: bytes, after: bytes, **options: Any) -> UsageEvent | None:
    rows = cut(after, before=before, taken_at=NOON, rate="0.04", **options).rows
    return said(parse(rows[0])) if rows else None


def test_the_first_balance_tells_the_cycle_so_far() -> None:
    (raw,) = cut(example("windsurf_balance"), taken_at=NOON, rate="0.04").rows
    made = said(parse(raw))
    assert (made.provider, made.model, dollars(made)) == ("windsurf", "add-on credits", "100")
    assert dict(made.tags) == {"credits": "2500", "cycle": "2026-11-01", "included_credits": "25000"}


def test_two_balances_tell_what_was_used_between_them() -> None:
    made = used(balance(), balance(addOnCreditsUsed=2600))
    assert made is not None
    assert (dollars(made), dict(made.tags)["credits"]) == ("4", "100")


def test_where_nothing_was_used_nothing_is_told() -> None:
    assert used(balance(), balance()) is None
    assert used(balance(), balance(numSeats=51)) is None


def test_a_new_cycle_begins_at_nothing() -> None:
    december = {"billingCycleStart": "2026-12-01T00:00:00Z", "billingCycleEnd": "2027-01-01T00:00:00Z"}
    made = used(balance(), balance(addOnCreditsUsed=30, **december))
    assert made is not None
    assert dict(made.tags) | {"credits": "30", "cycle": "2026-12-01"} == dict(made.tags)
    assert made.occurred_at == datetime(2026, 12, 1, tzinfo=UTC)


def test_the_same_credits_up_to_a_later_moment_are_a_revision() -> None:
    one, two = used(balance(), balance(addOnCreditsUsed=2600)), used(balance(), balance(addOnCreditsUsed=2700))
    assert one is not None
    assert two is not None
    assert one.external_id == two.external_id
    assert content_hash(one) != content_hash(two)


def test_a_balance_that_went_back_is_a_problem() -> None:
    received = parse(cut(balance(addOnCreditsUsed=1), before=balance(), taken_at=NOON).rows[0])
    assert received.problem is not None
    assert received.problem.code == "connectors.balance_went_back"


def test_without_a_contract_it_has_no_price_and_is_not_free() -> None:
    assert said(parse(cut(balance(), taken_at=NOON).rows[0])).cost is None


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6))
def test_a_cycle_of_balances_sums_to_its_last(steps: list[int]) -> None:
    told = sorted(steps)
    bodies = [b"", *(balance(addOnCreditsUsed=step) for step in told)]
    made = [used(before, after) for before, after in pairwise(bodies)]
    assert sum((Decimal(dict(one.tags)["credits"]) for one in made if one), Decimal(0)) == told[-1]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}"])
def test_what_is_no_balance_is_refused(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        cut(body, taken_at=NOON)
    with pytest.raises(BodyUnreadable):
        cut(balance(), before=body or b" ", taken_at=NOON)


@given(bent(BALANCE))
def test_anything_in_any_place_of_a_balance(body: bytes) -> None:
    checked_page(body, partial(cut, taken_at=NOON, before=balance(), rate="1"), parse)


@given(bent({"rate": "1", "currency": "USD", "taken_at": "2026-11-20T12:00:00Z", "before": BALANCE, "after": BALANCE}))
def test_anything_in_any_place_of_a_record(raw: bytes) -> None:
    checked(raw, parse)
