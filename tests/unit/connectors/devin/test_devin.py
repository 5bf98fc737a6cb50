"""Devin's days: they begin at 08:00 UTC, and an ACU costs what the contract says."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.devin.parse import cut, parse
from finops.connectors.pages import BodyUnreadable
from finops.connectors.types import content_hash
from tests.factories.agents import bent, checked, checked_page, dollars, meters, said
from tests.factories.examples import example

DAY = {"date": 1763625600, "acus": 42.5, "acus_by_product": {"devin": 40.0, "cascade": 2.5, "terminal": 0.0}}


def report(*days: Any) -> bytes:
    return json.dumps({"total_acus": 42.5, "consumption_by_date": list(days)}).encode()


def test_the_example_of_the_reference() -> None:
    made = [said(parse(raw)) for raw in cut(example("devin_daily"), account="org-1", rate="2.25").rows]
    assert [(one.model, dollars(one), dict(one.tags)["acus"]) for one in made] == [
        ("devin", "90", "40"), ("cascade", "5.625", "2.5"),
    ]  # fmt: skip
    assert {one.occurred_at.isoformat() for one in made} == {"2025-11-20T08:00:00+00:00"}
    assert {(one.provider, one.provider_account, one.evidence) for one in made} == {("devin", "org-1", "metered")}
    assert all(meters(one) == {} for one in made)


def test_a_day_begins_at_eight_in_the_morning_utc() -> None:
    (made,) = [said(parse(raw)) for raw in cut(report({"date": 1763625600, "acus": 1}), rate="1").rows]
    assert (made.occurred_at.hour, made.occurred_at.date().isoformat()) == (8, "2025-11-20")


def test_without_a_contract_it_has_no_price_and_is_not_free() -> None:
    made = [said(parse(raw)) for raw in cut(report(DAY)).rows]
    assert [one.cost for one in made] == [None, None]


def test_another_currency_is_the_contracts() -> None:
    (made,) = [
        said(parse(raw)) for raw in cut(report({"date": 1763625600, "acus": 2}), rate="1.5", currency="EUR").rows
    ]
    assert made.cost is not None
    assert (dollars(made), made.cost.currency) == ("3", "EUR")


def test_what_no_product_answers_for_is_told_too() -> None:
    day = DAY | {"acus": 50}
    made = [said(parse(raw)) for raw in cut(report(day), rate="1").rows]
    assert [(one.model, dollars(one)) for one in made] == [("devin", "40"), ("cascade", "2.5"), ("devin", "7.5")]
    assert len({one.external_id for one in made}) == 3


def test_products_that_used_more_than_the_day_are_a_problem() -> None:
    received = [parse(raw) for raw in cut(report(DAY | {"acus": 41}, DAY | {"date": 1763712000}), rate="1").rows]
    assert [one.problem.code for one in received if one.problem] == ["connectors.subset_exceeds_total"] * 3
    assert [bool(one.event) for one in received] == [False, False, False, True, True]


def test_a_day_told_again_is_a_revision() -> None:
    first = said(parse(cut(report({"date": 1763625600, "acus": 1}), rate="1").rows[0]))
    again = said(parse(cut(report({"date": 1763625600, "acus": 2}), rate="1").rows[0]))
    assert first.external_id == again.external_id
    assert content_hash(first) != content_hash(again)


def test_a_day_of_nothing_is_no_charge() -> None:
    assert cut(report({"date": 1763625600, "acus": 0, "acus_by_product": {"devin": 0}}), rate="1").rows == ()


@pytest.mark.parametrize("rate", ["many", "-1", "NaN"])
def test_a_price_that_is_none_is_a_problem(rate: str) -> None:
    received = parse(cut(report(DAY), rate=rate).rows[0])
    assert received.problem is not None
    assert received.problem.field == "rate"


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=5), st.integers(0, 10**6))
def test_what_is_told_sums_to_the_day(parts: list[int], rest: int) -> None:
    day = {
        "date": 1763625600,
        "acus": (sum(parts) + rest) / 4,
        "acus_by_product": {f"p{number}": part / 4 for number, part in enumerate(parts)},
    }
    made = [said(parse(raw)) for raw in cut(report(day), rate="1").rows]
    assert sum(Decimal(dollars(one)) for one in made) == Decimal(sum(parts) + rest) / 4


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"consumption_by_date": 7}'])
def test_what_is_no_report_is_refused(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        cut(body)


@given(bent({"total_acus": 42.5, "consumption_by_date": [DAY, DAY]}))
def test_anything_in_any_place_of_a_report(body: bytes) -> None:
    checked_page(body, partial(cut, account="org", rate="2"), parse)


@given(bent({"account": "org", "rate": "2", "currency": "USD", "product": "devin", "day": DAY}))
def test_anything_in_any_place_of_a_record(raw: bytes) -> None:
    checked(raw, parse)
