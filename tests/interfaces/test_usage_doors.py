"""The doors usage comes in by over HTTP: what each body is answered with, and what is charged or held after."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from finops.audit.models import AuditEvent
from finops.ingest.models import QuarantinedRecord
from finops.ingest.services import replay
from finops.orgs import services
from finops.orgs.models import Organization
from finops.pricing.rules.terms import GivenRate
from finops.pricing.services.exchange import add_exchange_rates
from finops.sources import services as sources
from finops.sources.models import Source
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.interfaces.conftest import Api

MEGABYTE = 1024 * 1024


def call(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"req_{number}",
        "occurred_at": "2026-10-20T10:15:00Z",
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "usage": {"input_uncached": 1200, "output_text": 340},
    } | changes


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"ev_{number}",
        "source": "gateway/eu-1",
        "type": "llm.request",
        "subject": "bob",
        "time": "2026-10-20T10:15:00Z",
        "data": {"provider": "anthropic", "model": "claude-sonnet-4-5", "input_tokens": "12", "output_tokens": "5"},
    } | changes


@pytest.fixture
def key(by_key: Callable[..., Api]) -> Api:
    return by_key("usage.write")


Send = Callable[..., HttpResponse]


@pytest.fixture
def send(key: Api) -> Send:
    """Posts bytes, or JSON of anything else; headers by keyword."""

    def post(path: str, body: Any, content_type: str = "application/json", **headers: str) -> HttpResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = key.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        client: Any = key.client
        answer: HttpResponse = client.post(f"/api/v1/{path}", data=data, content_type=content_type, headers=given)
        return answer

    return post


def said(answer: HttpResponse) -> Any:
    return json.loads(answer.content)


def charged(organization: Organization) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ledger_charge WHERE organization_id = %s", [organization.id])
        return int(cursor.fetchone()[0])


def is_problem(answer: HttpResponse, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    assert answer["Content-Type"] == "application/problem+json", answer.content
    body: dict[str, Any] = said(answer)
    assert (answer.status_code, body["code"]) == (status, code), body
    assert body.get("field") == field
    assert answer.status_code == body["status"]
    return body


# --- One record -------------------------------------------------------------------------------------------------------
def test_one_call_is_charged_once_however_often_it_is_sent(send: Send, cast: Cast) -> None:
    first, again = send("usage", call()), send("usage", call(), Idempotency_Key="abc")
    assert (first.status_code, said(first)) == (200, {"id": "req_1", "outcome": "charged"})
    assert (again.status_code, said(again)) == (200, {"id": "req_1", "outcome": "duplicate"})
    assert charged(cast.acme) == 1


def test_the_same_id_with_other_content_is_a_conflict(send: Send, cast: Cast) -> None:
    send("usage", call())
    is_problem(send("usage", call(model="gpt-4o")), 409, "ingest.conflict", "id")
    assert charged(cast.acme) == 1


def test_what_is_not_understood_names_its_field_and_is_kept(send: Send, cast: Cast) -> None:
    body = is_problem(
        send("usage", call(usage={"output_text": -1})), 422, "connectors.field_invalid", "usage.output_text"
    )
    assert "quarantine" in body["detail"]
    held = QuarantinedRecord.objects.get(organization=cast.acme)
    assert (held.external_id, held.parser, held.field) == ("req_1", "capstan", "usage.output_text")
    assert json.loads(bytes(held.raw)) == call(usage={"output_text": -1})
    assert charged(cast.acme) == 0


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
def test_an_absurd_time_is_held(send: Send, when: str) -> None:
    is_problem(send("usage", call(occurred_at=when)), 422, "ingest.time_out_of_range", "occurred_at")


def test_a_source_that_revises_answers_so(send: Send, cast: Cast) -> None:
    sources.add_source(organization_id=cast.acme.id, slug="report", revises=True, by=HOUSE, at=NOON)
    send("usage?source=report", call())
    assert said(send("usage?source=report", call(usage={"output_text": 1})))["outcome"] == "revised"


def test_the_same_provider_request_by_another_source_is_a_sighting(send: Send, cast: Cast) -> None:
    sources.add_source(organization_id=cast.acme.id, slug="gateway", by=HOUSE, at=NOON)
    send("usage", call(provider_request_id="r-1"))
    answer = send("usage?source=gateway", call(7, provider_request_id="r-1"))
    assert said(answer) == {"id": "req_7", "outcome": "sighted"}
    assert charged(cast.acme) == 1


# --- Many -------------------------------------------------------------------------------------------------------------
def test_a_batch_keeps_its_good_records_and_says_what_became_of_each(send: Send, cast: Cast) -> None:
    send("usage", call(1))
    answer = send("usage", [call(1), call(2), call(2, model="gpt-4o"), call(3, usage={}), 7, call(4)])
    assert answer.status_code == 200
    body = said(answer)
    assert [(one["index"], one["id"], one["status"]) for one in body["outcomes"]] == [
        (0, "req_1", "duplicate"),
        (1, "req_2", "charged"),
        (2, "req_2", "conflict"),
        (3, "req_3", "quarantined"),
        (4, "", "quarantined"),
        (5, "req_4", "charged"),
    ]
    assert body["outcomes"][3]["field"] == "usage"
    assert body["outcomes"][4]["field"] == "$"
    counts = {"charged": 2, "duplicate": 1, "conflict": 1, "revised": 0, "sighted": 0, "quarantined": 2}
    assert body["counts"] == counts
    assert charged(cast.acme) == 3


def test_lines(send: Send, cast: Cast) -> None:
    body = b"\n".join([json.dumps(call(1)).encode(), b"", b"{oops", "\ufeff{}".encode(), json.dumps(call(2)).encode()])
    answer = send("usage", body, "application/x-ndjson")
    assert [one["status"] for one in said(answer)["outcomes"]] == ["charged", "quarantined", "quarantined", "charged"]


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
def test_gzip(send: Send, cast: Cast, kind: str) -> None:
    text = json.dumps([call(1)]) if kind == "application/json" else json.dumps(call(1)) + "\n"
    answer = send("usage", gzip.compress(text.encode(), mtime=0), kind, Content_Encoding="gzip")
    assert said(answer)["counts"]["charged"] == 1


def test_gzip_of_several_members_is_one_body(send: Send) -> None:
    lines = [gzip.compress(json.dumps(call(n)).encode() + b"\n") for n in range(3)]
    answer = send("usage", b"".join(lines), "application/x-ndjson", Content_Encoding="gzip")
    assert said(answer)["counts"]["charged"] == 3


def test_ten_thousand_at_once_and_no_more(send: Send, cast: Cast) -> None:
    answer = send("usage", [call(n) for n in range(10_000)])
    assert said(answer)["counts"]["charged"] == 10_000
    is_problem(send("usage", [call(n) for n in range(10_001)]), 413, "connectors.too_many_records")
    assert charged(cast.acme) == 10_000


def test_an_empty_array_is_nothing_to_do(send: Send) -> None:
    assert said(send("usage", []))["outcomes"] == []


def test_emoji_everywhere(send: Send) -> None:
    odd = "🚀\u202e\t\n\\N'\"%s{}\x7f"
    names = ["id", "model", "provider", "service_tier", "region", "host", "provider_account", "provider_request_id",
             "session", "task_type", "team", "person", "project", "agent", "customer", "key"]  # fmt: skip
    record = call() | dict.fromkeys(names, odd) | {"tags": {odd: odd}, "identities": {"email": odd}}
    assert said(send("usage", [record]))["outcomes"][0]["status"] == "charged"
    assert said(send("usage", [record]))["outcomes"][0]["status"] == "duplicate"


# --- Bodies that are no bodies ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "kind", "headers", "status", "code"),
    [
        (b"", "application/json", {}, 400, "connectors.body_malformed"),
        (b"[1,", "application/json", {}, 400, "connectors.body_malformed"),
        (b"[" * 200_000, "application/json", {}, 400, "connectors.body_malformed"),
        (b"\xff\xfe", "application/json", {}, 422, "connectors.malformed"),
        (b"{" * 200_000, "application/json", {}, 422, "connectors.malformed"),
        (b'{"id":' * 200_000, "application/json", {}, 422, "connectors.field_invalid"),
        (b"{}", "text/plain", {}, 415, "api.unsupported_media_type"),
        (b"{}", "multipart/form-data; boundary=x", {}, 415, "api.unsupported_media_type"),
        (b"{}", "application/json; charset=latin-1", {}, 415, "api.unsupported_media_type"),
        (b"{}", "application/json", {"Content_Encoding": "br"}, 415, "api.unsupported_media_type"),
        (b"{}", "application/json", {"Content_Encoding": "gzip"}, 400, "api.malformed"),
        # The time in a gzip header would name these cases differently in every process that collects them.
        (gzip.compress(b"[]", mtime=0)[:-3], "application/json", {"Content_Encoding": "gzip"}, 400, "api.malformed"),
        (
            gzip.compress(b"[]", mtime=0) + b"tail",
            "application/json",
            {"Content_Encoding": "gzip"},
            400,
            "api.malformed",
        ),
    ],
)
def test_bodies_that_cannot_be_read(
    send: Send, body: bytes, kind: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = send("usage", body, kind, **headers)
    assert (answer.status_code, said(answer)["code"]) == (status, code)


def test_malformed_json_says_where(send: Send) -> None:
    body = is_problem(send("usage", b'[{"id": 1},\n {"id": }]'), 400, "connectors.body_malformed")
    assert "line 2, column 9" in body["detail"]


class Endless(io.RawIOBase):
    """A body that would fill any memory; counts what was read of it."""

    def __init__(self, size: int) -> None:
        self.size, self.given = size, 0

    def read(self, size: int = -1) -> bytes:
        piece = b" " * min(size if size >= 0 else self.size, self.size - self.given)
        self.given += len(piece)
        return piece


def test_a_body_of_100_mb_is_refused_without_reading_it(key: Api) -> None:
    body = Endless(100 * MEGABYTE)
    client: Any = key.client
    answer = client.generic(
        "POST", "/api/v1/usage", b"", "application/json", headers=key.headers,
        **{"wsgi.input": body, "CONTENT_LENGTH": str(100 * MEGABYTE)},
    )  # fmt: skip
    is_problem(answer, 413, "api.too_large")
    assert body.given == 0


def test_a_body_that_breaks_off_is_not_taken_for_whole(key: Api, cast: Cast) -> None:
    whole = json.dumps(call()).encode()
    client: Any = key.client
    answer = client.generic(
        "POST", "/api/v1/usage", b"", "application/json", headers=key.headers,
        **{"wsgi.input": io.BytesIO(whole), "CONTENT_LENGTH": str(len(whole) + 1)},
    )  # fmt: skip
    is_problem(answer, 400, "api.malformed")
    assert charged(cast.acme) == 0


def test_a_body_without_a_length_is_told_to_have_one(key: Api) -> None:
    client: Any = key.client
    answer = client.generic(
        "POST", "/api/v1/usage", b"", "application/json", headers=key.headers | {"Transfer-Encoding": "chunked"}
    )
    is_problem(answer, 411, "api.length_required")


def _bomb() -> Iterator[bytes]:
    zipper = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    for _ in range(200):
        yield zipper.compress(b" " * MEGABYTE)
    yield zipper.flush()


def test_a_gzip_bomb_stops_at_the_bound(send: Send) -> None:
    is_problem(send("usage", b"".join(_bomb()), Content_Encoding="gzip"), 413, "api.too_large")


# --- Sources and callers ----------------------------------------------------------------------------------------------
def test_the_doors_own_source_is_made_on_first_use_and_audited(send: Send, cast: Cast) -> None:
    send("usage", call(1))
    send("usage", call(2))
    source = Source.objects.get(organization=cast.acme, slug="api")
    assert (source.kind, source.last_received_at is not None) == ("api", True)
    noted = AuditEvent.objects.get(organization_id=cast.acme.id, verb="source.added")
    assert noted.actor.startswith("key:cap_")


@pytest.mark.parametrize("slug", ["nobody", "%00", "x" * 500, "%f0%9f%9a%80"])
def test_a_source_there_is_not(send: Send, slug: str) -> None:
    assert send(f"usage?source={slug}", call()).status_code == 404


def test_anothers_source_is_not_there(send: Send, cast: Cast) -> None:
    sources.add_source(organization_id=cast.globex.id, slug="theirs", by=HOUSE, at=NOON)
    assert send("usage?source=theirs", call()).status_code == 404


def test_an_archived_source_takes_nothing(send: Send, cast: Cast) -> None:
    row = sources.add_source(organization_id=cast.acme.id, slug="old", by=HOUSE, at=NOON)
    sources.archive_source(organization_id=cast.acme.id, source_id=row.id, by=HOUSE, at=NOON)
    is_problem(send("usage?source=old", call()), 409, "sources.archived", "source")


def test_a_key_without_the_permission_may_not_write(by_key: Callable[..., Api], cast: Cast) -> None:
    answer = by_key("spend.read").post("usage", call())
    is_problem(answer, 403, "orgs.permission_missing")
    assert charged(cast.acme) == 0


def test_nobody_may_not_write(cast: Cast) -> None:
    is_problem(Api(Client()).post("usage", call()), 401, "api.unauthenticated")


def test_two_organizations_may_use_the_same_id(send: Send, cast: Cast) -> None:
    issued = services.issue_key(
        organization_id=cast.globex.id, name="Theirs", permissions=["usage.write"], by=HOUSE, at=NOON
    )
    theirs = Api(Client(), Authorization=f"Bearer {issued.secret}")
    assert said(send("usage", call()))["outcome"] == "charged"
    assert said(theirs.post("usage", call()))["outcome"] == "charged"
    assert (charged(cast.acme), charged(cast.globex)) == (1, 1)


# --- CloudEvents ------------------------------------------------------------------------------------------------------
SINGLE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


def test_one_cloudevent_is_answered_as_openmeter_does(send: Send, cast: Cast) -> None:
    first, again = send("events", event(), SINGLE), send("events", event(), SINGLE)
    assert (first.status_code, again.status_code, first.content) == (204, 204, b"")
    assert charged(cast.acme) == 1
    other = event(data={"model": "gpt-4o", "input_tokens": 1})
    is_problem(send("events", other, SINGLE), 409, "ingest.conflict", "id")
    is_problem(send("events", event(2, specversion="0.3"), SINGLE), 422, "connectors.field_invalid", "specversion")
    assert QuarantinedRecord.objects.get(organization=cast.acme).parser == "cloudevents"


def test_a_cloudevent_without_a_time_counts_when_it_first_came(send: Send, dana: Api, cast: Cast) -> None:
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


# --- Quarantine -------------------------------------------------------------------------------------------------------
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
