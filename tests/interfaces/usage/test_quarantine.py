"""What is held: listed, shown whole, replayed or given up."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from finops.audit.models import AuditEvent
from finops.ingest.models import QuarantinedRecord
from finops.pricing.rules.terms import GivenRate
from finops.pricing.services.exchange import add_exchange_rates
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.interfaces.conftest import Api
from tests.interfaces.usage.conftest import Send, call, charged, is_problem, said


@pytest.fixture
def dana(cast: Cast, login: Callable[..., Api]) -> Api:
    """Finance, who looks after quarantine."""
    return login(cast.dana_login)


def test_held_records_are_listed_and_shown_whole(send: Send, dana: Api) -> None:
    send("usage", [call(1, usage={}), call(2, modle="x"), b"\xff".hex(), call(3)])
    listed = said(dana.get("quarantine?state=held&limit=2"))
    assert len(listed["items"]) == 2
    rest = said(dana.get(f"quarantine?state=held&limit=2&cursor={listed['next']}"))
    rows = listed["items"] + rest["items"]
    assert {row["external_id"] for row in rows} == {"", "req_1", "req_2"}
    one = next(row for row in rows if row["external_id"] == "req_2")
    assert "raw" not in one
    whole = said(dana.get(f"quarantine/{one['id']}"))
    assert (whole["code"], whole["field"], whole["source"]) == ("connectors.field_unknown", "modle", "api")
    assert json.loads(whole["raw"]) == call(2, modle="x")
    assert said(dana.get("quarantine?code=connectors.field_missing"))["items"][0]["external_id"] == "req_1"
    assert said(dana.get("quarantine?source=elsewhere"))["items"] == []


def test_the_same_bad_record_is_held_once(send: Send, cast: Cast) -> None:
    for _ in range(3):
        send("usage", call(usage={}))
    assert QuarantinedRecord.objects.filter(organization=cast.acme).count() == 1


def test_a_record_is_booked_by_replay_once_its_reason_is_gone(send: Send, dana: Api, cast: Cast) -> None:
    stated = {"amount": "1.50", "currency": "CHF"}
    for number in (1, 2):
        answer = send("usage", call(number, cost=stated))
        is_problem(answer, 422, "pricing.no_exchange_rate", "cost.currency")
    held = list(QuarantinedRecord.objects.filter(organization=cast.acme).order_by("id"))
    assert said(dana.post(f"quarantine/{held[0].id}/replay"))["state"] == "held"
    give_a_rate(cast)
    assert said(dana.post(f"quarantine/{held[0].id}/replay"))["state"] == "booked"
    is_problem(dana.post(f"quarantine/{held[0].id}/replay"), 409, "ingest.already_settled")
    assert said(dana.post("quarantine/replay", {"code": "pricing.no_exchange_rate"})) == {
        "replayed": 1, "booked": 1, "held": 0, "next": None,
    }  # fmt: skip
    assert said(dana.post("quarantine/replay")) == {"replayed": 0, "booked": 0, "held": 0, "next": None}
    assert charged(cast.acme) == 2


def give_a_rate(cast: Cast) -> None:
    given = GivenRate(date(2026, 10, 20), "CHF", "USD", Decimal("1.1"))
    add_exchange_rates(organization_id=cast.acme.id, rates=[given], by=HOUSE, at=NOON)


def test_a_record_is_given_up_by_somebody_who_says_so(send: Send, dana: Api, cast: Cast) -> None:
    send("usage", call(usage={}))
    held = QuarantinedRecord.objects.get(organization=cast.acme)
    assert said(dana.post(f"quarantine/{held.id}/discard"))["state"] == "discarded"
    is_problem(dana.post(f"quarantine/{held.id}/discard"), 409, "ingest.already_settled")
    noted = AuditEvent.objects.get(organization_id=cast.acme.id, verb="quarantine.discarded")
    assert noted.actor == f"user:{cast.dana.user_id}"


def test_an_engineer_may_not_touch_quarantine(send: Send, cast: Cast, login: Callable[..., Api]) -> None:
    send("usage", call(usage={}))
    bob, held = login(cast.bob_login), QuarantinedRecord.objects.get(organization=cast.acme)
    for answer in (
        bob.get("quarantine"),
        bob.get(f"quarantine/{held.id}"),
        bob.post(f"quarantine/{held.id}/replay"),
        bob.post(f"quarantine/{held.id}/discard"),
        bob.post("quarantine/replay"),
    ):
        is_problem(answer, 403, "orgs.permission_missing")
