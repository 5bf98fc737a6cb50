"""Contents of calls that are kept: the very bytes, sealed, of the calls that were meant, and never at a call's cost."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.conf import settings as django
from django.db import connection

from finops.orgs.services import add_project
from routing.captures.hot import WHOLE, Exchange, chosen, open_sealed, sealer
from routing.captures.models import Capture
from routing.captures.store import DAY_FULL, STORED, SWITCHED_OFF, Row, store
from routing.gateway import captured as module
from routing.gateway.answers import Asked
from routing.gateway.captured import DATABASE, NO_ROOM, NOT_MEANT, TOO_LARGE, UNANSWERED
from tests.factories.budgets import budget, database_address
from tests.factories.captures import PROMPT, capturing
from tests.factories.gateway import Gateway, published
from tests.factories.orgs import HOUSE, Cast
from tests.factories.relaying import Exchange as Call
from tests.factories.relaying import billed, chat, deployed, message
from tests.fakes.upstream.running import Upstream
from tests.fakes.upstream.script import Plan
from tests.rooms.gateway.conftest import Opens
from tests.waiting import until

SAYS = [{"role": "user", "content": PROMPT}]
TOLD = "What-the-model-told-7f3b"


@pytest.fixture(autouse=True)
def _answers(cast: Cast, provider: Upstream, now: datetime) -> None:
    deployed(cast.acme.id, provider, at=now)


@pytest.fixture
def gateway(cast: Cast, secret: str, gateways: Opens, now: datetime) -> Gateway:
    """Keeps every call of acme."""
    capturing(cast.acme.id, at=now)
    return gateways()


def counted(gateway: Gateway, outcome: str, count: int = 1) -> None:
    """Until that became of so many."""
    counts = gateway.process.captured.counts
    until(lambda: counts[outcome] >= count, lambda: counts)


def opened(call: Call | None = None) -> Exchange:
    """What was kept of this call, or of the newest."""
    rows = Capture.objects.all() if call is None else Capture.objects.filter(call_id=call.headers["x-capstan-call"])
    row = rows.latest("id")
    return open_sealed(sealer([django.SECRET_KEY], row.organization_id), row.sealed, row.call_id)


def sent(**given: Any) -> bytes:
    """What `chat` sends."""
    return json.dumps({"model": "gpt", "messages": [{"role": "user", "content": "Hello"}]} | given).encode()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("speak", [chat, message])
def test_what_is_kept_are_the_very_bytes_of_the_request_and_of_the_answer(
    cast: Cast, secret: str, gateway: Gateway, provider: Upstream, speak: Callable[..., Call], stream: bool
) -> None:
    told = {"x-capstan-task": "triage", "x-capstan-session": "s-1", "anthropic-beta": "b-1", "cookie": "c=1"}
    call = speak(gateway, secret, stream=stream, messages=SAYS, unknown={"field": [1]}, headers=told).whole()
    assert call.status == 200
    counted(gateway, STORED)
    kept = opened(call)
    assert kept.answer == call.raw
    assert (kept.whole, kept.status, kept.code, kept.stream) == (True, 200, "", stream)
    assert json.loads(kept.body)["unknown"] == {"field": [1]}
    if speak is chat:
        assert kept.body == sent(stream=stream, messages=SAYS, unknown={"field": [1]})
        assert (kept.dialect, kept.path, kept.model) == ("openai.chat", "/v1/chat/completions", "gpt")
    assert kept.answer_type.startswith("text/event-stream" if stream else "application/json")
    assert (kept.task_type, kept.session, kept.headers["anthropic-beta"]) == ("triage", "s-1", "b-1")
    assert kept.tokens["output_text"] == 40
    assert Decimal(kept.cost or 0) == billed(provider) > 0
    row = Capture.objects.get()
    assert (row.organization_id, row.model, row.task_type, row.status) == (cast.acme.id, kept.model, "triage", 200)
    assert (row.request_bytes, row.answer_bytes) == (len(kept.body), len(kept.answer))
    assert (row.expires_at - row.at).days == 7


def test_nothing_in_the_table_can_be_read_and_no_credential_is_in_it(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    capturing(cast.acme.id, at=now)
    gateway = gateways()
    provider.then(Plan(text=TOLD))
    told = {"authorization": f"Bearer {secret}", "x-my-own-token": "t0ken-of-mine", "cookie": "c00kie"}
    path = "/v1/chat/completions?api-version=1&api_key=k3y-of-mine"
    call = Call(gateway, path, sent(messages=SAYS), told).whole()
    assert TOLD in call.raw.decode()
    counted(gateway, STORED)
    with connection.cursor() as cursor:
        cursor.execute("SELECT c::text, encode(sealed, 'escape') FROM captures_capture AS c")
        [[text, escaped]] = cursor.fetchall()
    for word in (PROMPT, TOLD, secret, secret.split("_", 2)[-1]):
        assert word not in text
        assert word not in escaped
        assert word not in caplog.text
    assert opened().query == "api-version=1"
    kept = str(opened())
    assert PROMPT in kept
    for word in (secret, secret.split("_", 2)[-1], "sk-upstream", "t0ken-of-mine", "c00kie", "k3y-of-mine"):
        assert word not in kept


def test_nothing_is_kept_until_somebody_says_so_and_then_within_a_second(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    gateway = gateways()
    assert chat(gateway, secret).whole().status == 200
    assert not gateway.process.captured._aside.has_begun
    assert gateway.process.configured.houses[cast.acme.id].captures is None
    capturing(cast.acme.id, at=now)
    published()
    until(lambda: gateway.process.configured.houses[cast.acme.id].captures)
    after = chat(gateway, secret).whole()
    counted(gateway, STORED)
    assert opened().call_id == after.headers["x-capstan-call"]


def test_of_all_calls_the_share_is_kept_and_it_is_the_ids_that_decide(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    capturing(cast.acme.id, share=Decimal(50), at=now)
    gateway = gateways()
    ids = {chat(gateway, secret).whole().headers["x-capstan-call"] for _ in range(20)}
    meant = {one for one in ids if chosen(one, WHOLE // 2)}
    counted(gateway, STORED, len(meant))
    assert set(Capture.objects.values_list("call_id", flat=True)) == meant


def test_only_calls_of_the_task_types_and_projects_that_were_named(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    answers = add_project(organization_id=cast.acme.id, name="Answers", by=HOUSE, at=now)
    capturing(cast.acme.id, task_types=("triage", "review"), project_ids=(answers.id,), at=now)
    gateway = gateways()
    for told in (
        {"x-capstan-task": "triage"},
        {"x-capstan-project": "answers"},
        {"x-capstan-task": "other", "x-capstan-project": "answers"},
    ):
        chat(gateway, secret, headers=told).whole()
    meant = chat(gateway, secret, headers={"x-capstan-task": "review", "x-capstan-project": "answers"}).whole()
    counted(gateway, STORED)
    counted(gateway, NOT_MEANT, 3)
    assert opened(meant).owners["project"] == answers.id
    assert Capture.objects.get().project_id == answers.id


def test_a_larger_request_is_not_kept_and_of_a_larger_answer_its_beginning(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    capturing(cast.acme.id, most_kib=16, at=now)
    gateway = gateways()
    assert chat(gateway, secret, user="x" * 17_000).whole().status == 200
    counted(gateway, TOO_LARGE)
    provider.then(Plan(text="y" * 40_000))
    long = chat(gateway, secret, stream=True).whole()
    counted(gateway, STORED)
    kept = opened(long)
    assert kept.answer == long.raw[: 16 * 1024]
    assert not kept.whole


def test_an_answer_that_broke_off_is_not_whole_and_an_error_is_an_answer(
    secret: str, gateway: Gateway, provider: Upstream
) -> None:
    provider.then(Plan(holds_after=5))
    stream = chat(gateway, secret, stream=True).until(1)
    stream.leave()
    stream.whole()
    counted(gateway, STORED)
    kept = opened(stream)
    assert (kept.whole, kept.code) == (False, "client_gone")
    provider.then(Plan(fault="close"))
    broken = chat(gateway, secret, stream=True).whole()
    counted(gateway, STORED, 2)
    kept = opened(broken)
    assert (kept.answer, kept.whole, kept.status) == (broken.raw, False, 200)
    provider.then(Plan(status=400, message="not so"))
    refused = chat(gateway, secret).whole()
    counted(gateway, STORED, 3)
    kept = opened()
    assert (kept.status, kept.answer, kept.whole) == (400, refused.raw, True)


def test_what_is_over_before_anybody_was_asked_is_not_kept(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    capturing(cast.acme.id, at=now)
    budget(cast.acme.id, "0.000001", at=now)
    gateway = gateways()
    assert chat(gateway, secret).whole().status == 429
    counted(gateway, UNANSWERED)
    assert gateway.process.captured.open_bytes == 0


def test_switched_off_or_full_for_today_by_the_time_it_is_stored_it_is_not(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    capturing(cast.acme.id, most_a_day=2, at=now)
    gateway = gateways()
    for _ in range(3):
        chat(gateway, secret).whole()
    counted(gateway, STORED, 2)
    counted(gateway, DAY_FULL)
    assert Capture.objects.count() == 2
    gateway.process.captured._full.clear()
    capturing(cast.acme.id, is_on=False, at=now)
    # The gateway has not heard of it yet.
    chat(gateway, secret).whole()
    counted(gateway, SWITCHED_OFF)
    assert Capture.objects.count() == 2


def test_without_a_database_or_room_calls_go_on_and_what_is_lost_is_counted(
    secret: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    captured = gateway.process.captured
    with monkeypatch.context() as away:
        away.setattr(captured._aside, "_address", "host=127.0.0.1 port=1 dbname=nothing")
        assert chat(gateway, secret).whole().status == 200
        counted(gateway, DATABASE)
    with monkeypatch.context() as full:
        full.setattr(module, "MOST_KEPT", module.BESIDE + 300)
        chat(gateway, secret, user="x" * 300).whole()
        assert captured.counts[NO_ROOM] == 1
        # The request fits, and its answer does not.
        cut = chat(gateway, secret).whole()
        counted(gateway, STORED)
        assert (opened(cut).answer, opened(cut).whole) == (b"", False)
    assert chat(gateway, secret).whole().status == 200
    counted(gateway, STORED, 2)
    until(lambda: captured.open_bytes == 0, lambda: captured.open_bytes)
    assert Capture.objects.count() == 2


def test_what_a_gateway_cannot_seal_costs_no_other_call(
    secret: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> bytes:
        raise ValueError(PROMPT)

    with monkeypatch.context() as patched:
        patched.setattr(module, "seal", broken)
        assert chat(gateway, secret).whole().status == 200
        counted(gateway, "failed")
    assert chat(gateway, secret).whole().status == 200
    counted(gateway, STORED)


def test_a_gateway_that_stops_stores_what_waits(secret: str, gateway: Gateway) -> None:
    call = chat(gateway, secret).whole()
    gateway.stop()
    assert opened().call_id == call.headers["x-capstan-call"]


def test_the_same_call_is_stored_once(cast: Cast, secret: str, gateway: Gateway) -> None:
    chat(gateway, secret).whole()
    counted(gateway, STORED)
    row = Capture.objects.get()
    same = Row(row.call_id, row.at, row.dialect, "gpt", "", 0, 200, False, 1, 1, b"sealed anew")
    with psycopg.connect(database_address(), autocommit=True) as raw:
        store(raw, cast.acme.id, [same, same])
    assert bytes(Capture.objects.get().sealed) == bytes(row.sealed)


def test_captures_are_counted_in_the_figures(secret: str, gateway: Gateway) -> None:
    chat(gateway, secret).whole()
    counted(gateway, STORED)
    answer = gateway.run(gateway.process.door.answer(Asked("GET", "/metrics", {}, "", b"", local=True)))
    lines = answer.body.decode().splitlines()
    [line] = [one for one in lines if one.startswith("capstan_gateway_captures_total{") and '"stored"' in one]
    assert line.endswith(" 1.0")
