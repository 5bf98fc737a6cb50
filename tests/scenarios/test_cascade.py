"""Triage by a cheap model, a gate on what it says, and the dear one where that does not pass; what that saves, net."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from routing.rollouts import tasks as following
from routing.rules.models import Decision, RoutingRule
from routing.rules.types import Gate, GateKind, Rule, Use, When
from tests.factories.gateway import Gateway, key, published
from tests.factories.ledger import small_book
from tests.factories.orgs import Cast, the_cast
from tests.factories.relaying import Exchange, charged, chat, deployed, idle
from tests.factories.rules import saved
from tests.factories.small_book import SMALL_BOOK
from tests.fakes.upstream.running import Upstream, upstream
from tests.fakes.upstream.script import Plan
from tests.fakes.upstream.server import Seen
from tests.interfaces.conftest import BACKEND, Api, told
from tests.waiting import until

DEAR, CHEAP = "gpt", "gpt-mini"
TEAMS: Final = ["search", "chat"]
SCHEMA: Final = {"type": "object", "required": ["team"], "properties": {"team": {"enum": TEAMS}}}
# How often the cheap model says what was asked for.
PASSES: Final = 0.8
SESSIONS: Final = 300
AT_ONCE: Final = 25


def luck(text: str) -> float:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def answers(seen: Seen) -> Plan:
    """The cheap model is as good as the script says, the dear one always right. Some tickets are long."""
    body = json.loads(seen.body)
    ticket = body["messages"][0]["content"]
    good = body["model"] == DEAR or luck(f"right {ticket}") < PASSES
    text = json.dumps({"team": TEAMS[int(2 * luck(ticket))]}) if good else "That is one for search, I would say."
    return Plan(text=text, output_tokens=20 + int(40 * luck(f"long {ticket}") ** 2))


class House:
    def __init__(self, cast: Cast, gateway: Gateway, provider: Upstream, secret: str, owner: Api) -> None:
        self.cast, self.gateway, self.provider, self.secret, self.owner = cast, gateway, provider, secret, owner

    def triages(self, session: str) -> Exchange:
        told = {"x-capstan-task": "triage", "x-capstan-session": session}
        ticket = [{"role": "user", "content": f"Where does ticket {session} go?"}]
        return chat(self.gateway, self.secret, headers=told, messages=ticket)


@pytest.fixture
def house(transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[House]:
    cache.clear()
    settings.INTERNAL_HOSTS = {"127.0.0.1"}
    small_book()
    cast, now = the_cast(), timezone.now()
    client = Client()
    client.force_login(cast.alice_login, backend=BACKEND)
    gate = Gate(kind=GateKind.SCHEMA, schema=SCHEMA)
    cascade = Rule(name="triage", when=When(task_types=("triage",)), use=(Use(model=CHEAP, gate=gate), Use(model=DEAR)))
    saved(cast.acme.id, cascade, at=now, held_back=0.2)
    secret = key(cast.acme.id, "calls.make", at=now)
    with upstream() as provider:
        provider.decides(answers)
        deployed(cast.acme.id, provider, at=now)
        published()
        gateway = Gateway(tmp_path)
        yield House(cast, gateway, provider, secret, Api(client))
        gateway.stop()


def test_triage_is_done_cheaply_where_that_is_good_enough_and_the_saving_is_net_of_what_was_not(house: House) -> None:
    calls: list[Exchange] = []
    for start in range(0, SESSIONS, AT_ONCE):
        asked = [house.triages(f"s-{number}") for number in range(start, start + AT_ONCE)]
        calls += [one.whole() for one in asked]
    # Whoever answered, everybody has what was asked for.
    assert {one.status for one in calls} == {200}
    assert {json.loads(one.body["choices"][0]["message"]["content"])["team"] for one in calls} == set(TEAMS)
    treated = [one for one in calls if "arm=treated" in one.headers["x-capstan-rule"]]
    escalated = [one for one in treated if one.headers["x-capstan-model"] == DEAR]
    held_back = [one for one in calls if one not in treated]
    assert {one.headers["x-capstan-model"] for one in held_back} == {DEAR}
    assert all(one.headers["x-capstan-tries"] == "2" for one in escalated)
    assert 0.1 < len(escalated) / len(treated) < 0.3

    idle(house.gateway, house.provider)
    until(lambda: Decision.objects.count() == SESSIONS)
    # Each try is a charge.
    assert len(charged(house.gateway)) == SESSIONS + len(escalated)
    following.measure_one(organization_id=house.cast.acme.id)
    rule = RoutingRule.objects.get(organization=house.cast.acme)
    [saving] = told(house.owner.get(f"savings?rule={rule.id}"))["items"]
    # What the script knows: a ticket at the dear model, less what its tries came to.
    usual = sum((_cost(DEAR, one) for one in treated), Decimal(0))
    spent = sum((_cost(CHEAP, one) for one in treated), Decimal(0)) + sum(_cost(DEAR, one) for one in escalated)
    assert saving["treated_calls"] == len(treated)
    assert Decimal(saving["treated_cost"]) == pytest.approx(spent, rel=Decimal("0.02"))
    assert Decimal(saving["saved_lower"]) <= usual - spent <= Decimal(saving["saved_upper"])
    assert 0 < Decimal(saving["net"]) < usual


def _cost(model: str, answered: Exchange) -> Decimal:
    """Of a ticket at a model: both read the same, and write as much."""
    usage: dict[str, int] = answered.body["usage"]
    prices = SMALL_BOOK["openai"][model]
    dollars = usage["prompt_tokens"] * Decimal(prices["input_mtok"])
    return (dollars + usage["completion_tokens"] * Decimal(prices["output_mtok"])) / 10**6
