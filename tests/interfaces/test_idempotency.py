"""A repeated POST gets the first answer and changes nothing, even when both arrive at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from finops.api import idempotency
from finops.api.models import FirstAnswer
from finops.orgs.models import Team, User, VirtualKey
from finops.orgs.services import checks, owners
from tests.factories.orgs import Cast, the_cast
from tests.interfaces.conftest import BACKEND, Api

RANKING = {"name": "Ranking"}


def test_a_repeat_is_answered_as_the_first_time(alice: Api) -> None:
    first = alice.post("teams", RANKING, Idempotency_Key="k1")
    again = alice.post("teams", RANKING, Idempotency_Key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert json.loads(first.content) == json.loads(again.content)
    assert "Idempotent-Replayed" not in first.headers
    assert again["Idempotent-Replayed"] == "true"
    assert Team.objects.filter(name="Ranking").count() == 1
    assert alice.post("teams", RANKING).status_code == 201  # without a key it is another request


@pytest.mark.parametrize(
    ("path", "body"),
    [("teams", {"name": "Other"}), ("projects", RANKING), ("teams", '{"name":  "Ranking"}')],
)
def test_the_same_key_for_another_request_is_a_conflict(alice: Api, path: str, body: Any) -> None:
    alice.post("teams", RANKING, Idempotency_Key="k1")
    answer = alice.post(path, body, Idempotency_Key="k1")
    assert (answer.status_code, json.loads(answer.content)["code"]) == (409, "api.idempotency_conflict")


def test_a_refusal_is_not_kept(alice: Api) -> None:
    taken = {"name": "Ranking", "slug": "search"}
    assert alice.post("teams", taken, Idempotency_Key="k1").status_code == 409
    Team.objects.filter(slug="search").update(slug="moved-away")
    assert alice.post("teams", taken, Idempotency_Key="k1").status_code == 201


def test_keys_of_different_callers_do_not_meet(cast: Cast, login: Callable[[User], Api]) -> None:
    alice, charlie = login(cast.alice_login), login(cast.charlie_login)
    assert alice.post("teams", RANKING, Idempotency_Key="k1").status_code == 201
    theirs = charlie.post("teams", RANKING, Idempotency_Key="k1")
    assert theirs.status_code == 201
    assert "Idempotent-Replayed" not in theirs.headers


def test_a_secret_shown_once_is_not_kept_for_the_replay(alice: Api) -> None:
    first = json.loads(alice.post("keys", {"name": "CI"}, Idempotency_Key="k1").content)
    again = json.loads(alice.post("keys", {"name": "CI"}, Idempotency_Key="k1").content)
    assert first["secret"].startswith("cap_")
    assert again == first | {"secret": None}
    assert VirtualKey.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(answer::text, '') FROM api_idempotency")
        [kept] = cursor.fetchone()
    assert first["secret"] not in kept


@pytest.mark.parametrize("key", ["x" * 201, "tab\there", "ünïcode"])
def test_a_key_that_is_none_is_refused(alice: Api, key: str) -> None:
    answer = alice.post("teams", RANKING, Idempotency_Key=key)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (400, "api.idempotency_key_invalid")


def test_answers_are_forgotten_after_a_week(alice: Api) -> None:
    alice.post("teams", RANKING, Idempotency_Key="k1")
    kept = FirstAnswer.objects.get()
    assert idempotency.forget(before=kept.created_at) == 0
    assert idempotency.forget(before=kept.created_at + timedelta(seconds=1)) == 1


@pytest.mark.django_db(transaction=True)
def test_twins_at_once_make_one_change(monkeypatch: pytest.MonkeyPatch) -> None:
    cast = the_cast()
    inside, done = threading.Event(), threading.Event()
    real = checks.save_new

    def slow(*args: Any, **kwargs: Any) -> None:
        # The first twin stands in the middle of its change until the second has been answered.
        inside.set()
        assert done.wait(timeout=20)
        real(*args, **kwargs)

    monkeypatch.setattr(owners, "save_new", slow)
    answers: dict[str, int] = {}

    def first() -> None:
        try:
            client = Client()
            client.force_login(cast.alice_login, backend=BACKEND)
            answers["first"] = Api(client).post("teams", RANKING, Idempotency_Key="k1").status_code
        finally:
            connections.close_all()

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert inside.wait(timeout=20)
        client = Client()
        client.force_login(cast.alice_login, backend=BACKEND)
        twin = Api(client).post("teams", RANKING, Idempotency_Key="k1")
    finally:
        done.set()
        thread.join(timeout=30)
    assert (twin.status_code, json.loads(twin.content)["code"]) == (409, "api.idempotency_in_progress")
    assert twin["Retry-After"] == "1"
    assert answers == {"first": 201}
    late = Api(client).post("teams", RANKING, Idempotency_Key="k1")
    assert (late.status_code, late["Idempotent-Replayed"]) == (201, "true")
    assert Team.objects.filter(name="Ranking").count() == 1
