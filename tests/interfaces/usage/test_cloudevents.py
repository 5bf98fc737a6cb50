"""The door for CloudEvents."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection

from finops.ingest.models import QuarantinedRecord
from finops.ingest.services import replay
from finops.pricing.rules.terms import GivenRate
from finops.pricing.services import add_exchange_rates
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.interfaces.usage.conftest import Send, charged, event, is_problem, said

SINGLE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


def test_one_cloudevent_is_answered_as_openmeter_does(send: Send, cast: Cast) -> None:
    first, again = send("events", event(), SINGLE), send("events", event(), SINGLE)
    assert (first.status_code, again.status_code, first.content) == (204, 204, b"")
    assert charged(cast.acme) == 1
    other = event(data={"model": "gpt-4o", "input_tokens": 1})
    is_problem(send("events", other, SINGLE), 409, "ingest.conflict", "id")
    is_problem(send("events", event(2, specversion="0.3"), SINGLE), 422, "connectors.field_invalid", "specversion")
    assert QuarantinedRecord.objects.get(organization=cast.acme).parser == "cloudevents"


def test_a_cloudevent_without_a_time_counts_when_it_first_came(send: Send, cast: Cast) -> None:
    undated = {name: value for name, value in event().items() if name != "time"}
    for day in ("2026-11-20", "2026-12-24"):
        with time_machine.travel(f"{day}T10:00:00Z", tick=False):
            assert send("events", undated, SINGLE).status_code == 204
    with connection.cursor() as cursor:
        cursor.execute("SELECT occurred_at::date FROM ledger_charge WHERE organization_id = %s", [cast.acme.id])
        assert cursor.fetchall() == [(date(2026, 11, 20),)]
    is_problem(send("events", event(), SINGLE), 409, "ingest.conflict", "id")


def test_a_held_cloudevent_without_a_time_is_replayed_as_of_its_receipt(send: Send, cast: Cast) -> None:
    cost = {"cost": {"amount": "2.00", "currency": "EUR"}, "model": "gpt-4o"}
    undated = {name: value for name, value in event(data=cost).items() if name != "time"}
    with time_machine.travel("2026-11-20T10:00:00Z", tick=False):
        is_problem(send("events", undated, SINGLE), 422, "pricing.no_exchange_rate", "cost.currency")
    held = QuarantinedRecord.objects.get(organization=cast.acme)
    rate = GivenRate(date(2026, 11, 20), "EUR", "USD", Decimal("1.10"))
    add_exchange_rates(organization_id=cast.acme.id, rates=[rate], by=HOUSE, at=NOON)
    replay(organization_id=cast.acme.id, record_ids=[held.id], by=HOUSE, at=held.received_at + timedelta(days=30))
    with connection.cursor() as cursor:
        cursor.execute("SELECT occurred_at FROM ledger_charge WHERE organization_id = %s", [cast.acme.id])
        assert cursor.fetchall() == [(held.received_at,)]


def test_a_batch_of_cloudevents(send: Send, cast: Cast) -> None:
    answer = send("events", [event(1), event(1), event(2, data={}), event(3)], BATCH)
    shown = [(one["id"], one["status"]) for one in said(answer)["outcomes"]]
    assert shown == [
        ("gateway/eu-1#ev_1", "charged"),
        ("gateway/eu-1#ev_1", "duplicate"),
        ("gateway/eu-1#ev_2", "quarantined"),
        ("gateway/eu-1#ev_3", "charged"),
    ]


def test_a_cloudevent_in_headers_is_the_same_event(send: Send, cast: Cast) -> None:
    send("events", event(), SINGLE)
    headers = {f"ce_{name}": value for name, value in event().items() if name != "data"}
    assert send("events", event()["data"], **headers).status_code == 204
    assert charged(cast.acme) == 1
    assert send("events", b"\xff{", **headers | {"ce_id": "ev_9"}).status_code == 422


@pytest.mark.parametrize(("body", "kind"), [([event()], SINGLE), (event(), BATCH)])
def test_one_is_not_many(send: Send, body: Any, kind: str) -> None:
    is_problem(send("events", body, kind), 400, "api.malformed")
