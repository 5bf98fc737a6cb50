"""GitHub's billing of Copilot: credits, what the pool paid, requests of before, seats, and what nobody answers for."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.copilot.parse import cut, cut_seats, parse
from finops.connectors.copilot.remainder import without
from finops.connectors.pages import BodyUnreadable
from finops.connectors.types import Problem, UsageEvent, content_hash
from finops.core.money import from_pico
from tests.factories.agents import bent, checked, checked_page, dollars, meters, said
from tests.factories.examples import example


def row(**changes: Any) -> dict[str, Any]:
    told = {
        "product": "Copilot", "sku": "Copilot AI Credits", "model": "GPT-5.2", "unitType": "ai-credits",
        "pricePerUnit": 0.01, "grossQuantity": 1200, "grossAmount": 12.0, "discountQuantity": 1000,
        "discountAmount": 10.0, "netQuantity": 200, "netAmount": 2.0,
    } | changes  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def seat(**changes: Any) -> dict[str, Any]:
    told = {
        "date": "2026-11-20T00:00:00Z", "product": "Copilot", "sku": "Copilot Business", "quantity": 1.6667,
        "unitType": "user-months", "pricePerUnit": 19.0, "grossAmount": 31.6673, "discountAmount": 0.0,
        "netAmount": 31.6673, "organizationName": "acme",
    } | changes  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def report(*rows: dict[str, Any], **changes: Any) -> bytes:
    told = {"timePeriod": {"year": 2026, "month": 11, "day": 20}, "organization": "acme", "usageItems": list(rows)}
    return json.dumps(told | changes).encode()


def read(body: bytes, **options: Any) -> list[UsageEvent]:
    return [said(parse(raw)) for raw in cut(body, **options).rows]


def wrong(body: bytes) -> Problem:
    received = parse(cut(body).rows[0])
    assert received.problem is not None
    return received.problem


def test_the_example_of_the_reference() -> None:
    (made,) = read(example("copilot_ai_credit_usage"))
    assert (made.provider, made.model, made.category, made.evidence) == ("github-copilot", "GPT-5.2", "Usage", "billed")
    assert (made.provider_account, made.occurred_at.isoformat()) == ("acme", "2026-11-20T00:00:00+00:00")
    assert dollars(made) == "2"
    assert dict(made.tags) | {"value_usd": "12", "included_usd": "10", "quantity": "1200"} == dict(made.tags)


def test_credits_are_githubs_ledger_and_no_estimate_of_ours_codeburn_943() -> None:
    """What is charged is the net amount, whatever the tokens would have cost; the credits used are there beside it."""
    (made,) = read(report(row(netAmount=0, netQuantity=0, discountAmount=12.0)))
    assert (dollars(made), dict(made.tags)["value_usd"], dict(made.tags)["quantity"]) == ("0", "12", "1200")
    assert meters(made) == {}


def test_rows_say_no_user_so_whoever_asked_for_one_does() -> None:
    (nobody,) = read(report(row()))
    (octocat,) = read(report(row()), user="octocat")
    assert (nobody.identities, octocat.identities) == ((), (("github", "octocat"),))
    assert nobody.external_id != octocat.external_id
    (told,) = read(report(row(), user="octocat"))
    assert content_hash(told) == content_hash(octocat)


def test_a_report_of_another_user_is_refused() -> None:
    with pytest.raises(BodyUnreadable, match="hubot"):
        cut(report(row(), user="hubot"), user="octocat")


def test_premium_requests_of_before_june_2026() -> None:
    (made,) = read(
        report(row(sku="Copilot Premium Request", unitType="requests", pricePerUnit=0.04, grossQuantity=100,
                   grossAmount=4.0, discountAmount=0, netAmount=4.0))
    )  # fmt: skip
    assert (meters(made), dollars(made)) == ({"requests": 100}, "4")


def test_a_period_may_be_a_month_and_is_another_row_than_its_days() -> None:
    (day,) = read(report(row()))
    (month,) = read(report(row(), timePeriod={"year": 2026, "month": 11}))
    assert month.occurred_at.isoformat() == "2026-11-01T00:00:00+00:00"
    assert day.external_id != month.external_id


def test_a_row_restated_is_the_same_row() -> None:
    (first,), (again,) = read(report(row())), read(report(row(netAmount=2.5)))
    assert first.external_id == again.external_id
    assert content_hash(first) != content_hash(again)


def test_rows_that_say_the_same_are_two_rows() -> None:
    assert len({made.external_id for made in read(report(row(), row()))}) == 2


def test_seats_are_purchases() -> None:
    body = report(seat(), seat(product="Actions", sku="Actions Linux", unitType="minutes"), row(), timePeriod=None)
    (raw,) = cut_seats(body).rows
    made = said(parse(raw))
    assert (made.category, dollars(made), made.model) == ("Purchase", "31.6673", "")
    assert (meters(made), made.occurred_at.isoformat()) == ({}, "2026-11-20T00:00:00+00:00")
    assert dict(made.tags)["quantity"] == "1.6667"
    assert cut(body).rows
    assert all(said(parse(one)).category == "Usage" for one in cut(report(seat(), row())).rows)


def test_a_unit_is_known_however_it_is_written() -> None:
    assert len(cut_seats(report(seat(unitType="UserMonths"), seat(unitType="User Months"))).rows) == 2


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"netAmount": None}, "field_missing", "row.netAmount"),
        ({"netAmount": "many"}, "field_invalid", "row.netAmount"),
        ({"netAmount": 10**12}, "field_invalid", "row.netAmount"),
        ({"discountAmount": 12.5}, "subset_exceeds_total", "row.discountAmount"),
        ({"model": 7}, "field_invalid", "row.model"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], code: str, field: str) -> None:
    found = wrong(report(row(**changes)))
    assert (found.code, found.field) == (f"connectors.{code}", field)


def test_a_day_that_is_none_is_a_problem() -> None:
    assert wrong(report(row(), timePeriod={"year": 2026, "month": 13})).field == "period"
    assert wrong(report(row(), timePeriod={"year": 10**10, "month": 1})).field == "period"
    assert wrong(report(row(), timePeriod={"year": 2026, "day": 5})).field == "period.month"
    assert wrong(report(row(), timePeriod=None)).field == "period.year"


# --- What nobody answers for ------------------------------------------------------------------------------------------
def total(*bodies: tuple[bytes, ...]) -> Decimal:
    events = [said(parse(raw)) for rows in bodies for raw in rows]
    return sum((from_pico(event.cost.pico) for event in events if event.cost), Decimal(0))


def test_people_and_what_is_left_are_the_whole() -> None:
    whole = cut(report(row(), row(model="Claude", netAmount=3.3, grossAmount=3.3, discountAmount=0))).rows
    bob = cut(report(row(netAmount=0.5, grossAmount=4.0, discountAmount=3.5)), user="bob").rows
    left = without(whole, bob)
    assert total(bob, left) == total(whole) == Decimal("5.3")
    assert [dollars(said(parse(raw))) for raw in left] == ["1.5", "3.3"]


def test_what_somebody_answers_for_wholly_leaves_nothing() -> None:
    whole, bob = cut(report(row())).rows, cut(report(row()), user="bob").rows
    assert without(whole, bob) == ()


def test_people_who_have_more_than_the_whole_leave_an_adjustment() -> None:
    whole, bob = cut(report(row())).rows, cut(report(row(netAmount=2.5)), user="bob").rows
    (made,) = [said(parse(raw)) for raw in without(whole, bob)]
    assert (made.category, dollars(made)) == ("Adjustment", "-0.5")


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=4), st.integers(0, 10**6))
def test_every_cent_is_somebodys_once(parts: list[int], rest: int) -> None:
    def cents(number: int) -> float:
        return number / 100

    whole = cut(report(row(netAmount=cents(sum(parts) + rest)))).rows
    people = [raw for n, part in enumerate(parts) for raw in cut(report(row(netAmount=cents(part))), user=f"u{n}").rows]
    assert total(tuple(people), without(whole, people)) == total(whole)


# --- Anything ---------------------------------------------------------------------------------------------------------
@given(bent(json.loads(report(row(), seat(), user="octocat"))))
def test_anything_in_any_place_of_a_report(body: bytes) -> None:
    checked_page(body, cut, parse)
    checked_page(body, cut_seats, parse)


@given(
    bent({"period": {"year": 2026, "month": 11, "day": 20}, "account": "acme", "user": "bob", "row": row(), "nth": 2})
)
def test_anything_in_any_place_of_a_record(raw: bytes) -> None:
    checked(raw, parse)
    without([raw], [raw])
