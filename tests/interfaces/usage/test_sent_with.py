"""Usage is the key's it is sent with, unless it names another, which only a collector's key may."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from finops.orgs import services
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.interfaces.conftest import Api
from tests.interfaces.usage.conftest import call, event


def issued(cast: Cast, name: str, *, team_id: int | None = None) -> tuple[Api, Any]:
    made = services.issue_key(organization_id=cast.acme.id, name=name, by=HOUSE, at=NOON, team_id=team_id)
    return Api(Client(), Authorization=f"Bearer {made.secret}"), made.key


def charges(cast: Cast) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT team_id, key_id FROM ledger_charge WHERE organization_id = %s", [cast.acme.id])
        return list(cursor.fetchall())


@pytest.mark.parametrize(("door", "said"), [("usage", call()), ("events", event())])
def test_a_record_that_names_no_key_is_the_senders(cast: Cast, door: str, said: dict[str, Any]) -> None:
    chat, key = issued(cast, "Chat", team_id=cast.chat.id)
    assert chat.post(door, said).status_code in (200, 204)
    assert charges(cast) == [(cast.chat.id, key.id)]


def test_a_renewed_key_sends_the_same_record(cast: Cast) -> None:
    old, key = issued(cast, "Old", team_id=cast.chat.id)
    new, _ = issued(cast, "New", team_id=cast.chat.id)
    old.post("usage", call())
    assert json.loads(new.post("usage", call()).content)["outcome"] == "duplicate"
    assert charges(cast) == [(cast.chat.id, key.id)]


def test_a_bound_key_may_not_tell_of_anothers_calls(cast: Cast) -> None:
    chat, chats = issued(cast, "Chat", team_id=cast.chat.id)
    search, _ = issued(cast, "Search", team_id=cast.search.id)
    answer = search.post("usage", call(key=chats.prefix))
    assert (answer.status_code, json.loads(answer.content)["code"]) == (422, "ingest.key_not_yours")
    assert charges(cast) == []
    assert chat.post("usage", call(key=chats.prefix)).status_code == 200
    assert charges(cast) == [(cast.chat.id, chats.id)]


def test_a_collectors_key_tells_of_all(cast: Cast) -> None:
    collector, _ = issued(cast, "Collector")
    _, chats = issued(cast, "Chat", team_id=cast.chat.id)
    assert collector.post("usage", call(key=chats.prefix)).status_code == 200
    assert charges(cast) == [(cast.chat.id, chats.id)]
