"""What proxies and tools of observation post, and exports of theirs: each record once, by its place, and nothing kept
of what people wrote.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from finops.audit.models import AuditEvent
from finops.ingest.models import QuarantinedRecord, SignedWebhook
from finops.orgs import services as orgs
from finops.sources.services import add_source, archive_source
from tests.factories.ledger import rows, small_book
from tests.factories.litellm import payload
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.interfaces.conftest import Api, refused, told
from tests.interfaces.usage.conftest import Send, said

LITELLM, PORTKEY, LANGFUSE = "litellm/events", "portkey/logs", "langfuse/observations"
SECRET = "the-hmac-key-of-helicone"
USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


@pytest.fixture(autouse=True)
def _prices(db: None) -> None:
    small_book()


def call(number: int, **changes: Any) -> dict[str, Any]:
    return payload(
        USAGE, id=f"chatcmpl-{number}", litellm_call_id=f"call-{number}", model="gpt", custom_llm_provider="openai",
        **changes,
    )  # fmt: skip


def statuses(answer: HttpResponse) -> list[tuple[int, str]]:
    assert answer.status_code == 200, answer.content
    return [(one["index"], one["status"]) for one in said(answer)["outcomes"]]


def charges() -> int:
    ((count,),) = rows("SELECT count(*) FROM ledger_charge")
    return int(count)


def nothing_secret() -> None:
    assert not [row for row in QuarantinedRecord.objects.all() if b"secret" in bytes(row.raw)]


@pytest.mark.parametrize("form", ["array", "lines", "single", "gzip"])
def test_litellms_log_formats_are_the_same_calls(cast: Cast, send: Send, form: str) -> None:
    calls = [call(1)] if form == "single" else [call(1), call(2)]
    lines = b"\n".join(json.dumps(one).encode() for one in calls)
    body: Any = lines if form in ("lines", "single") else json.dumps(calls).encode()
    headers = {"Content_Encoding": "gzip"} if form == "gzip" else {}
    sent = gzip.compress(body) if form == "gzip" else body
    for status in ("charged", "duplicate"):
        assert statuses(send(LITELLM, sent, **headers)) == [(n, status) for n in range(len(calls))]
    assert statuses(send(LITELLM, [call(1)])) == [(0, "duplicate")]
    assert charges() == len(calls)


def test_a_call_is_its_persons_and_says_its_team(cast: Cast, send: Send) -> None:
    orgs.add_identity(
        organization_id=cast.acme.id, person_id=cast.bob.id, kind="email", value="dev@acme.example", by=HOUSE, at=NOON
    )
    assert statuses(send(LITELLM, [call(1)])) == [(0, "charged")]
    ((person, tags),) = rows("SELECT person_id, tags FROM ledger_charge")
    assert person == cast.bob.id
    assert json.loads(tags)["litellm_team"] == "search"


def test_each_outcome_says_which_record_it_is_of(cast: Cast, send: Send) -> None:
    """One of two million tokens that were cached of a hundred, one that failed, one without usage, and one good."""
    details = {"prompt_tokens_details": {"cached_tokens": 2_000_000}}
    bent = call(2, metadata={"usage_object": USAGE | details})
    failed = call(3, status="failure", prompt_tokens=0, completion_tokens=0, total_tokens=0, response_cost=0.0,
                  cost_breakdown=None, metadata={"usage_object": None})  # fmt: skip
    answer = send(LITELLM, [call(1), bent, failed, call(4)])
    assert statuses(answer) == [(0, "charged"), (1, "quarantined"), (3, "charged")]
    assert said(answer)["ignored"] == 1
    assert said(answer)["outcomes"][1]["code"] == "connectors.subset_exceeds_total"
    assert charges() == 2
    nothing_secret()


def test_what_python_writes_and_json_has_not_is_read(cast: Cast, send: Send) -> None:
    body = json.dumps([call(1, response_time=float("nan")), call(2)]).encode()
    assert b"NaN" in body
    assert statuses(send(LITELLM, body)) == [(0, "charged"), (1, "charged")]


def test_a_line_that_is_cut_off_costs_its_neighbours_nothing(cast: Cast, send: Send) -> None:
    one = json.dumps(call(1)).encode()
    answer = send(LITELLM, one + b"\n" + one[:200] + b"\n" + json.dumps(call(2)).encode())
    assert statuses(answer) == [(0, "charged"), (1, "quarantined"), (2, "charged")]
    nothing_secret()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"<html>", "application/json", 422),
        (b"", "application/json", 422),
        (b'[{"id": 1}', "application/json", 422),
        (b"{}", "application/x-protobuf", 415),
        (b"[" + b"{}," * 10_000 + b"{}]", "application/json", 413),
        (b"{}\n" * 10_001, "application/json", 413),
        (b"[NaN" + b",NaN" * 10_000 + b"]", "application/json", 413),
        (b'{"data": [' + b"{}," * 10_000 + b"{}]}", "application/json", 413),
    ],
)
@pytest.mark.parametrize("door", [LITELLM, PORTKEY, LANGFUSE])
def test_what_is_no_such_body_is_refused(
    cast: Cast, send: Send, door: str, body: bytes, kind: str, status: int
) -> None:
    answer = send(door, body, kind)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), answer.content
    assert QuarantinedRecord.objects.count() == 0


def test_a_record_too_large_to_read_is_held_by_its_digest(cast: Cast, send: Send) -> None:
    huge = call(2, messages="a secret question " * 600_000)
    assert statuses(send(LITELLM, [call(1), huge])) == [(0, "charged"), (1, "quarantined")]
    nothing_secret()
    assert len(QuarantinedRecord.objects.get().raw) < 200


def test_an_export_of_portkeys(cast: Cast, send: Send) -> None:
    line: dict[str, Any] = {
        "id": "log-1", "trace_id": "t-1", "created_at": "2026-11-20T10:15:00.000Z", "is_success": 1,
        "ai_org": "openai", "ai_model": "gpt", "metadata": {"_user": "u-7", "team": "search"},
        "response": {"id": "chatcmpl-1", "choices": ["a secret answer"], "usage": USAGE},
    }  # fmt: skip
    body = b"\n".join(json.dumps(line | {"id": f"log-{n}", "response": line["response"] | {"id": f"c-{n}"}}).encode()
                      for n in range(3))  # fmt: skip
    assert statuses(send(PORTKEY, body, "application/x-ndjson")) == [(n, "charged") for n in range(3)]
    assert statuses(send(PORTKEY, body, "application/jsonl")) == [(n, "duplicate") for n in range(3)]


def observation(**usage: int) -> dict[str, Any]:
    return {
        "id": "obs-1", "traceId": "t-1", "type": "GENERATION", "startTime": "2026-11-20T10:15:00.123Z",
        "providedModelName": "gpt", "usageDetails": usage, "input": "a secret question",
    }  # fmt: skip


def test_observations_of_langfuses(cast: Cast, send: Send) -> None:
    span = {"id": "obs-2", "type": "SPAN"}
    page = {"data": [span, observation(input=10, output=2, total=12)], "meta": {"cursor": "more"}}
    answer = send(LANGFUSE, page)
    assert (statuses(answer), said(answer)["ignored"]) == ([(1, "charged")], 1)
    assert statuses(send(LANGFUSE, page["data"])) == [(1, "duplicate")]


def test_a_project_may_say_that_its_input_holds_what_was_cached(cast: Cast, send: Send) -> None:
    told = [observation(input=100, input_cached_tokens=90, output=5)]
    assert statuses(send(f"{LANGFUSE}?inclusive=true", told)) == [(0, "charged")]
    assert rows("SELECT input_uncached, cache_read FROM ledger_charge") == [(10, 90)]


@pytest.mark.parametrize("door", [LITELLM, PORTKEY, LANGFUSE])
def test_a_key_that_may_not_write_usage_is_refused(by_key: Callable[..., Api], door: str) -> None:
    assert refused(by_key("spend.read").post(door, []))[0] == 403


# --- Helicone signs, and sends no key ---------------------------------------------------------------------------------


@pytest.fixture
def address(cast: Cast, by_key: Callable[..., Api]) -> str:
    add_source(organization_id=cast.acme.id, slug="helicone", kind="helicone", by=HOUSE, at=NOON)
    admin = by_key("sources.manage", "org.read")
    made = told(admin.post("sources/helicone/webhook", {"sender": "helicone", "secret": SECRET}))
    assert SECRET not in json.dumps(made)
    found: str = made["address"]
    return found


def hook(number: int = 1, **changes: Any) -> bytes:
    answer = {"id": f"chatcmpl-{number}", "created": 1795169700, "model": "gpt", "usage": USAGE, "choices": ["secret"]}
    return json.dumps(
        {
            "request_id": f"request-{number}", "user_id": "dev@acme.example", "model": "gpt", "provider": "OPENAI",
            "request_body": "a secret question", "response_body": json.dumps(answer),
        }
        | changes
    ).encode()  # fmt: skip


def signed(address: str, body: bytes, secret: str = SECRET, **headers: str) -> HttpResponse:
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    client: Any = Client(raise_request_exception=False)
    given = {"Helicone-Signature": signature} | headers
    answer: HttpResponse = client.post(address, data=body, content_type="application/json", headers=given)
    return answer


def test_a_webhook_that_is_signed_is_charged_once(cast: Cast, address: str) -> None:
    assert statuses(signed(address, hook())) == [(0, "charged")]
    assert statuses(signed(address, hook())) == [(0, "duplicate")]
    assert rows("SELECT external_id FROM ledger_charge") == [("request-1",)]


def test_one_whose_answer_is_too_long_to_be_told_is_held(cast: Cast, address: str) -> None:
    assert statuses(signed(address, hook(response_body="too large, secret"))) == [(0, "quarantined")]
    assert QuarantinedRecord.objects.get().code == "connectors.usage_missing"
    nothing_secret()


def test_no_other_signature_opens_the_door(cast: Cast, address: str) -> None:
    right = hmac.new(SECRET.encode(), hook(), hashlib.sha256).hexdigest()
    nobody = address[:-12] + "000000000000"
    for answer in (
        signed(address, hook(), "another"),
        signed(address, hook(2), **{"Helicone-Signature": right}),
        signed(address, hook(), **{"Helicone-Signature": ""}),
        signed(address, hook(), **{"Helicone-Signature": "ä"}),
        signed(nobody, hook()),
    ):
        assert refused(answer)[:2] == (401, "ingest.signature_refused")
    assert charges() == 0


def test_a_new_secret_takes_the_place_of_the_former_and_the_address_stays(
    cast: Cast, address: str, by_key: Callable[..., Api]
) -> None:
    admin = by_key("sources.manage")
    again = told(admin.post("sources/helicone/webhook", {"sender": "helicone", "secret": "renewed"}))
    assert again["address"] == address
    assert refused(signed(address, hook()))[0] == 401
    assert statuses(signed(address, hook(), "renewed")) == [(0, "charged")]
    row = SignedWebhook.objects.get()
    assert b"renewed" not in bytes(row.sealed)
    trail = AuditEvent.objects.filter(verb="source.webhook_set")
    assert trail.count() == 2
    assert not [one for one in trail if "renewed" in json.dumps(one.details)]


def test_one_that_is_removed_and_one_whose_source_is_archived_take_nothing(
    cast: Cast, address: str, by_key: Callable[..., Api]
) -> None:
    source = SignedWebhook.objects.get().source
    archive_source(organization_id=cast.acme.id, source_id=source.id, by=HOUSE, at=NOON)
    assert refused(signed(address, hook()))[:2] == (409, "sources.archived")
    for _ in range(2):
        assert by_key("sources.manage").post("sources/helicone/webhook/remove").status_code == 204
    assert refused(signed(address, hook()))[0] == 401


@pytest.mark.parametrize("body", [{"sender": "nobody", "secret": "x"}, {"sender": "helicone", "secret": "a\nb"}, {}])
def test_a_secret_that_is_none_is_refused(
    cast: Cast, address: str, by_key: Callable[..., Api], body: dict[str, str]
) -> None:
    assert refused(by_key("sources.manage").post("sources/helicone/webhook", body))[0] in (400, 422)
    assert refused(by_key("usage.write").post("sources/helicone/webhook", body))[0] == 403
