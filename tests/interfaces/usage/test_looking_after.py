"""Whoever looks after a source sees what its senders do: how much comes, how late, and what a door refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from django.test import Client

from finops.audit.models import AuditEvent
from finops.ingest.models import QuarantinedRecord, RefusedBody
from finops.sources.models import Source
from finops.sources.services import add_source
from tests.factories.ledger import small_book
from tests.factories.orgs import HOUSE, Cast
from tests.interfaces.conftest import BACKEND, Api, refused, told
from tests.interfaces.pages.conftest import text_of
from tests.interfaces.usage.conftest import Send, call, charged, said

NOW = datetime(2026, 10, 20, 12, 0, tzinfo=UTC)
PROTOBUF = "application/x-protobuf"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def words(page: str) -> str:
    """What a page says, without how."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.fixture
def page(cast: Cast) -> Any:
    """The page of a source, as its admin reads it."""
    client = Client()
    client.force_login(cast.alice_login, backend=BACKEND)

    def of(slug: str) -> str:
        return words(text_of(client.get(f"/o/acme/sources/{slug}/")))

    return of


def test_what_is_sent_is_counted_with_what_was_known_and_how_late_it_came(send: Send, page: Any, cast: Cast) -> None:
    small_book()
    hour, minute = (NOW - timedelta(hours=3)).isoformat(), (NOW - timedelta(hours=1)).isoformat()
    sent = [call(1, occurred_at=hour), call(2, occurred_at=minute), {"id": "bad"}]
    send("usage", sent)
    send("usage", sent)
    text = page("api")
    assert "Records 6 2 booked" in text
    assert "Known already 2 duplicates" in text
    assert "Told late by 2 hours at most 3 hours, last two days" in text
    assert "In quarantine 1" in text


@pytest.mark.parametrize(
    ("path", "body", "kind", "source", "code"),
    [
        ("otlp/v1/traces", b"\x0a\xff\xff", PROTOBUF, "otlp", "connectors.body_unreadable"),
        ("otlp/v1/logs", b"<html>", "application/json", "otlp", "connectors.body_unreadable"),
        ("otlp/v1/metrics", b"{}", "text/html", "otlp", "api.unsupported_media_type"),
        ("usage", b"{}", "text/plain", "api", "api.unsupported_media_type"),
        ("events", b"[]", "application/cloudevents+json", "cloudevents", "api.malformed"),
        ("litellm/events", b"<html>Bad gateway</html>", "application/json", "litellm", "connectors.body_unreadable"),
        ("google/answers", b"\x1f\x8bno gzip", "application/json", "google", "connectors.body_unreadable"),
    ],
)
def test_a_body_refused_at_a_door_is_told_at_its_source(
    send: Send, page: Any, path: str, body: bytes, kind: str, source: str, code: str
) -> None:
    for _ in range(2):
        answer = send(path, body, kind)
        assert 400 <= answer.status_code < 500
    row = RefusedBody.objects.select_related("source").get()
    assert (row.source.slug, row.code, row.times, row.last_at) == (source, code, 2, NOW)
    text = page(source)
    assert "Refused at the door" in text
    assert f"{row.message} {code} 2" in text


def test_a_refusal_of_protobuf_is_a_status_that_names_its_code(send: Send) -> None:
    answer = send("otlp/v1/traces", b"\x0a\xff\xff", PROTOBUF)
    assert answer["Content-Type"] == PROTOBUF
    assert answer.content.startswith(b"\x12")
    assert b"connectors.body_unreadable: The body is not OTLP" in answer.content


def test_who_is_nobody_and_what_is_nowhere_leaves_no_trace(send: Send, cast: Cast) -> None:
    assert Api(Client()).post("usage", b"{").status_code == 401
    assert send("usage?source=nobody", call()).status_code == 404
    assert send("usage?source=nobody", b"<html>", "text/html").status_code == 415
    assert not RefusedBody.objects.exists()


def test_of_a_paused_source_everything_waits_and_nothing_is_lost(send: Send, login: Any, cast: Cast, page: Any) -> None:
    small_book()
    alice: Api = login(cast.alice_login)
    assert said(send("usage", call(1)))["outcome"] == "charged"
    assert told(alice.post("sources/api/pause"))["paused_at"] == "2026-10-20T12:00:00Z"
    assert [one["status"] for one in said(send("usage", [call(2), call(3)]))["outcomes"]] == ["quarantined"] * 2
    assert charged(cast.acme) == 1
    text = page("api")
    assert "It is paused since" in text
    # Replayed while it is paused, it stays where it is.
    client = Client()
    client.force_login(cast.alice_login, backend=BACKEND)
    client.post("/o/acme/sources/api/replay/")
    assert charged(cast.acme) == 1
    answer = client.post("/o/acme/sources/api/resume/", follow=True)
    assert "2 of 2 records that waited are booked" in text_of(answer)
    assert charged(cast.acme) == 3
    assert QuarantinedRecord.objects.filter(state="held").count() == 0
    verbs = AuditEvent.objects.filter(organization_id=cast.acme.id, verb__startswith="source.").values_list(
        "verb", flat=True
    )
    assert {"source.paused", "source.resumed"} <= set(verbs)


def test_what_is_fetched_is_paused_by_its_feed(login: Any, cast: Cast) -> None:
    add_source(organization_id=cast.acme.id, slug="openai-usage", kind="account", by=HOUSE, at=NOW)
    alice: Api = login(cast.alice_login)
    assert refused(alice.post("sources/openai-usage/pause")) == (422, "sources.invalid", "source")
    assert Source.objects.get(slug="openai-usage").paused_at is None
