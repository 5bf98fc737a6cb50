"""Features of calls that pass a gateway: of whom they are, that no text is in them, and never at a call's cost."""

from __future__ import annotations

import logging
import random
from datetime import datetime
from typing import Any

import pytest
from django.db import connection

from routing.classify import services
from routing.classify.hot import draw_of, features, signs
from routing.classify.models import LabelledCall, SampledCall
from routing.classify.packed import unpack
from routing.classify.services import change_sampling, take_sampled
from routing.classify.store import STORED, SWITCHED_OFF
from routing.gateway import sampled as module
from routing.gateway.routes import MEASURES
from routing.gateway.sampled import DATABASE, FAILED, NO_ROOM, NOT_NEEDED, NOTHING_SAID, SENSITIVE
from routing.rules.models import Decision
from tests.factories.classify import labelled, labels, prompt
from tests.factories.gateway import Gateway, key, published
from tests.factories.orgs import HOUSE, Cast
from tests.factories.prospects import foreseen, published_prospects
from tests.factories.relaying import Exchange as Call
from tests.factories.relaying import chat, deployed, message
from tests.factories.rules import saved
from tests.fakes.upstream.running import Upstream
from tests.fakes.upstream.script import Plan
from tests.rooms.gateway.conftest import Opens
from tests.rooms.gateway.relaying.test_routed import cheap
from tests.waiting import until

TRIAGE = {"x-capstan-task": "triage"}
PROMPT = "Zzyzx complains that Initech never answered the ticket"


def counted(gateway: Gateway, outcome: str, count: int = 1) -> None:
    """Until that became of so many."""
    counts = gateway.process.sampled.counts
    until(lambda: counts[outcome] >= count, lambda: counts)


def says(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def id_of(call: Call) -> str:
    return call.headers["x-capstan-call"]


def kept(call: Call) -> SampledCall:
    return SampledCall.objects.get(call_id=id_of(call))


def test_who_said_a_calls_type_is_kept_with_its_features_and_not_a_word_of_it(
    cast: Cast, gateways: Opens, provider: Upstream, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    plain = key(cast.acme.id, "calls.make", at=now)
    translates = key(cast.acme.id, "calls.make", at=now, task_type="translate")
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    tags = {"x-capstan-tags": "repository_files=1200,repository_languages=python:70;go:30"}
    tools = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
    by_header = chat(
        gateway, plain, headers=TRIAGE | tags | {"x-capstan-session": "s-1"}, messages=says(PROMPT), tools=tools
    ).whole()
    again = chat(gateway, plain, headers=TRIAGE | {"x-capstan-session": "s-1"}, messages=says("more")).whole()
    by_key = message(gateway, translates, messages=says("Wie sagt man das auf Englisch?")).whole()
    by_nobody = chat(gateway, plain, messages=says("What is this?")).whole()
    counted(gateway, STORED, 4)
    said = {one.call_id: (one.task_type, one.source) for one in SampledCall.objects.all()}
    assert said == {
        id_of(by_header): ("triage", "header"),
        id_of(again): ("triage", "header"),
        id_of(by_key): ("translate", "key"),
        id_of(by_nobody): ("", ""),
    }
    row = kept(by_header)
    known = features(PROMPT, tools=1, files=1200, languages=(("python", 0.7), ("go", 0.3)), turn=1)
    assert unpack(bytes(row.words), bytes(row.marks)) == signs(known)
    assert (row.draw, bytes(row.session)) == (draw_of(id_of(by_header)), bytes(kept(again).session))
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(t::text, ' ') FROM classify_sampledcall t")
        rows = cursor.fetchone()[0].lower()
    for word in ("zzyzx", "initech", "look_up", "python", "s-1"):
        assert word not in rows
        assert word.encode().hex() not in rows
    assert "zzyzx" not in caplog.text.lower()
    # As labels they are learned from.
    assert take_sampled(by=HOUSE, at=now) == 3
    assert {one.task_type: one.source for one in LabelledCall.objects.all()} == {"triage": "header", "translate": "key"}


def test_what_is_guessed_is_no_label(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    """Else a classifier would learn from itself."""
    labelled(cast.acme.id, labels(60), at=now)
    services.train(organization_id=cast.acme.id, by=HOUSE, at=now)
    saved(cast.acme.id, cheap(), at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    guessed = chat(gateway, secret, messages=says(prompt("triage", random.Random(1), about=0.9))).whole()
    assert guessed.headers["x-capstan-model"] == "gpt-mini"
    counted(gateway, STORED)
    assert (kept(guessed).task_type, kept(guessed).is_taken) == ("", True)
    assert take_sampled(by=HOUSE, at=now) == 0


@pytest.mark.parametrize(
    ("said", "told", "outcome"),
    [
        ("My card is 4111 1111 1111 1111, why was it declined?", {}, SENSITIVE),
        ("A ticket", {"x-capstan-tags": "sensitivity=confidential"}, SENSITIVE),
        ("A ticket", {"x-capstan-tags": "sensitivity=who-knows"}, SENSITIVE),
        ("... !!!", {}, NOTHING_SAID),
    ],
)
def test_what_is_sensitive_is_not_kept(
    gateway: Gateway, secret: str, said: str, told: dict[str, str], outcome: str
) -> None:
    assert chat(gateway, secret, headers=TRIAGE | told, messages=says(said)).whole().status == 200
    counted(gateway, outcome)
    chat(gateway, secret, headers=TRIAGE, messages=says("A ticket")).whole()
    counted(gateway, STORED)
    assert SampledCall.objects.count() == 1


def test_of_calls_that_were_not_answered_nothing_is_kept(gateway: Gateway, secret: str, provider: Upstream) -> None:
    provider.then(Plan(status=400, message="not so"))
    assert chat(gateway, secret, headers=TRIAGE).whole().status == 400
    assert chat(gateway, secret, model="nobody-has-it", headers=TRIAGE).whole().status == 404
    chat(gateway, secret, headers=TRIAGE, stream=True).whole()
    counted(gateway, STORED)
    assert SampledCall.objects.count() == 1


def test_what_measures_models_is_nobodys_work(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    measuring = key(cast.acme.id, "calls.make", MEASURES, at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    assert chat(gateway, measuring, headers=TRIAGE).whole().status == 200
    call = chat(gateway, secret, headers=TRIAGE).whole()
    counted(gateway, STORED)
    assert SampledCall.objects.get().call_id == id_of(call)


def test_a_type_that_has_all_it_wants_of_a_day_costs_a_call_nothing(
    cast: Cast, secret: str, gateway: Gateway, now: datetime
) -> None:
    change_sampling(organization_id=cast.acme.id, changes={"most_a_day": 1}, by=HOUSE, at=now)
    calls = [chat(gateway, secret, headers=TRIAGE).whole() for _ in range(6)]
    counts = gateway.process.sampled.counts
    until(lambda: counts[STORED] + counts[NOT_NEEDED] == 6, lambda: counts)
    assert SampledCall.objects.get().call_id == min(map(id_of, calls), key=draw_of)
    # From now on it is known which draws are of use.
    lowest = draw_of(SampledCall.objects.get().call_id)
    assert list(gateway.process.sampled._full.values()) == [lowest]
    more = [chat(gateway, secret, headers=TRIAGE).whole() for _ in range(4)]
    until(lambda: counts[STORED] + counts[NOT_NEEDED] == 10, lambda: counts)
    assert SampledCall.objects.get().call_id == min(map(id_of, [*calls, *more]), key=draw_of)


def test_switched_off_nothing_is_kept(cast: Cast, secret: str, gateway: Gateway, now: datetime) -> None:
    change_sampling(organization_id=cast.acme.id, changes={"is_on": False}, by=HOUSE, at=now)
    # The gateway has not heard of it yet: the database has.
    chat(gateway, secret, headers=TRIAGE).whole()
    counted(gateway, SWITCHED_OFF)
    published()
    until(lambda: not gateway.process.configured.houses[cast.acme.id].sampled)
    before = dict(gateway.process.sampled.counts)
    chat(gateway, secret, headers=TRIAGE).whole()
    assert not len(gateway.process.sampled._aside)
    assert gateway.process.sampled.counts == before
    assert SampledCall.objects.count() == 0


def test_without_a_database_or_room_calls_go_on_and_what_is_lost_is_counted(
    secret: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sampled = gateway.process.sampled
    with monkeypatch.context() as away:
        away.setattr(sampled._aside, "_address", "host=127.0.0.1 port=1 dbname=nothing")
        assert chat(gateway, secret, headers=TRIAGE).whole().status == 200
        counted(gateway, DATABASE)
    with monkeypatch.context() as full:
        full.setattr(module, "MOST_BYTES", 10)
        assert chat(gateway, secret, headers=TRIAGE).whole().status == 200
        counted(gateway, NO_ROOM)

    def broken(*_: Any) -> Any:
        raise ValueError(PROMPT)

    with monkeypatch.context() as patched:
        patched.setattr(module, "signs", broken)
        assert chat(gateway, secret, headers=TRIAGE, messages=says(PROMPT)).whole().status == 200
        counted(gateway, FAILED)
    assert "Zzyzx" not in caplog.text
    assert chat(gateway, secret, headers=TRIAGE).whole().status == 200
    counted(gateway, STORED)
    assert SampledCall.objects.count() == 1
    assert sampled._taken == sampled._given_back


def test_strangers_words_make_nothing_fail(gateway: Gateway, secret: str) -> None:
    odd = chat(gateway, secret, headers={"x-capstan-task": "é" + "x" * 190}).whole()
    assert odd.status == 200
    counted(gateway, STORED)
    assert kept(odd).task_type.startswith("éx")


def test_what_was_foreseen_of_a_call_is_kept_with_it_and_with_its_decision(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    published_prospects(cast.acme.id, at=now)
    saved(cast.acme.id, cheap(), at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    text = prompt("triage", random.Random(1), about=0.9)
    call = chat(gateway, secret, headers=TRIAGE, messages=says(text)).whole()
    assert call.headers["x-capstan-model"] == "gpt-mini"
    counted(gateway, STORED)
    expected = foreseen(cast.acme.id, features(text, turn=1))
    row = kept(call)
    assert row.chances == pytest.approx(expected.chances, abs=1e-3)
    assert row.foreseen_by == 1
    until(lambda: Decision.objects.exists())
    decision = Decision.objects.get()
    assert decision.difficulty == pytest.approx(expected.difficulty)
    assert decision.chance == pytest.approx(expected.chances["gpt-mini"])
    # A call that no rule decided has no decision, and what was foreseen of it all the same.
    other = chat(gateway, secret, messages=says(text)).whole()
    counted(gateway, STORED, 2)
    assert kept(other).chances == row.chances
