"""The door for CloudEvents."""

from __future__ import annotations

from typing import Any

import pytest

from finops.ingest.models import QuarantinedRecord
from tests.factories.orgs import Cast
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
