"""Routing from the first evaluation to the last rollback: a real gateway, and upstreams whose quality the script knows.

Everything that somebody would do is done by REST, and what the house does by itself by its tasks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from finops.alerts.services.signals import take_signals
from routing.recommend import tasks as recommending
from routing.rollouts import tasks as following
from routing.rules.models import Decision, RoutingRule
from tests.factories.gateway import Gateway, key, published
from tests.factories.ledger import small_book
from tests.factories.orgs import Cast, the_cast
from tests.factories.relaying import charged, chat, deployed, idle
from tests.factories.small_book import SMALL_BOOK
from tests.fakes.upstream.running import Upstream, upstream
from tests.fakes.upstream.script import Plan
from tests.fakes.upstream.server import Seen
from tests.interfaces.conftest import BACKEND, Api, told
from tests.waiting import until

DEAR, CHEAP = "gpt", "gpt-mini"
# How often each model is right: what nobody but the script knows.
USUAL: Final = 0.9
DROP: Final = 0.15
ITEMS: Final = 600
AT_ONCE: Final = 25


class Answered(NamedTuple):
    """A call as the client saw it. `cost` is what it comes to at either model's prices, as the script bills it."""

    call_id: str
    session: str
    model: str
    rule: str
    cost: dict[str, Decimal]


def luck(*words: str) -> float:
    """Even from 0 to 1, and always the same of the same words."""
    digest = blake2b(" ".join(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def answers(seen: Seen) -> Plan:
    """Some calls are long, whichever model is asked."""
    said = json.loads(seen.body)["messages"][0]["content"]
    return Plan(output_tokens=5 + int(40 * luck("length", said) ** 2))


@dataclass
class House:
    """Acme: its gateway, the provider behind it, and whoever looks after routing."""

    cast: Cast
    gateway: Gateway
    provider: Upstream
    secret: str
    owner: Api
    quality: dict[str, float] = field(default_factory=lambda: {DEAR: USUAL, CHEAP: USUAL})
    sessions: int = 0
    calls: list[Answered] = field(default_factory=list)

    @property
    def rule(self) -> RoutingRule:
        return RoutingRule.objects.get(organization=self.cast.acme)

    def works(self, number: int, task: str = "triage") -> list[Answered]:
        """So many sessions of one call each."""
        made: list[Answered] = []
        while len(made) < number:
            names = [f"s-{self.sessions + place}" for place in range(min(AT_ONCE, number - len(made)))]
            self.sessions += len(names)
            asked = [
                chat(
                    self.gateway,
                    self.secret,
                    headers={"x-capstan-task": task, "x-capstan-session": name},
                    messages=[{"role": "user", "content": f"Where does this ticket go? {name}"}],
                )
                for name in names
            ]
            for name, one in zip(names, asked, strict=True):
                one.whole()
                assert one.status == 200, one.raw
                usage = one.body["usage"]
                made.append(
                    Answered(
                        one.headers["x-capstan-call"],
                        name,
                        one.headers["x-capstan-model"],
                        one.headers.get("x-capstan-rule", ""),
                        {model: bill(model, usage) for model in (DEAR, CHEAP)},
                    )
                )
        self.calls += made
        return made

    def scores(self, calls: list[Answered]) -> None:
        """Each answer is right or wrong, and somebody says so."""
        outcomes = [
            {
                "item": one.call_id,
                "model": one.model,
                "score": float(luck("right", one.session) < self.quality[one.model]),
            }
            for one in calls
        ]
        said = {"kind": "feedback", "source": "thumbs", "task_type": "triage", "outcomes": outcomes}
        assert set(told(self.owner.post("outcomes", said))["outcomes"]) == {"recorded"}
        # Decisions come to the database a moment after their calls.
        ids = [one.call_id for one in calls if one.rule]
        until(lambda: Decision.objects.filter(call_id__in=ids).count() == len(ids))

    def follows(self) -> dict[str, Any]:
        """What the house does every few seconds; then gateways have what came of it."""
        following.follow_one(organization_id=self.cast.acme.id)
        self.hears()
        found: dict[str, Any] = told(self.owner.get(f"rollouts/{self.rule.id}"))
        return found

    def hears(self) -> None:
        published()
        row = self.rule
        share = None if row.stage == "rolled_back" else row.share

        def heard() -> bool:
            has = [one.published for one in self.gateway.process.configured.houses[self.cast.acme.id].rules._rules]
            return [one.share for one in has if one.rule_id == row.id] == ([] if share is None else [share])

        until(heard)

    def books(self) -> None:
        idle(self.gateway, self.provider)
        charged(self.gateway)


def bill(model: str, usage: dict[str, int]) -> Decimal:
    prices = SMALL_BOOK["openai"][model]
    dollars = usage["prompt_tokens"] * Decimal(prices["input_mtok"])
    return (dollars + usage["completion_tokens"] * Decimal(prices["output_mtok"])) / 10**6


@pytest.fixture
def house(transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[House]:
    cache.clear()
    settings.INTERNAL_HOSTS = {"127.0.0.1"}
    small_book()
    cast, now = the_cast(), timezone.now()
    client = Client()
    client.force_login(cast.alice_login, backend=BACKEND)
    secret = key(cast.acme.id, "calls.make", at=now)
    with upstream() as provider:
        provider.decides(answers)
        deployed(cast.acme.id, provider, at=now)
        published()
        gateway = Gateway(tmp_path)
        yield House(cast, gateway, provider, secret, Api(client))
        gateway.stop()


def measured(house: House) -> None:
    """An evaluation arrives: both models on the same items, as good as each other, by their own mistakes."""
    outcomes = [
        {
            "item": f"item-{number}",
            "model": model,
            "score": float(luck("item", str(number), model if luck("own", str(number)) < 0.3 else "") < USUAL),
            "cost": str(Decimal("0.002") if model == DEAR else Decimal("0.0002")),
        }
        for number in range(ITEMS)
        for model in (DEAR, CHEAP)
    ]
    run = {"name": "nightly", "evaluator": "suite", "task_type": "triage", "margin": "0.05", "outcomes": outcomes}
    assert told(house.owner.post("evaluations", run), 201)["recorded"] == 2 * ITEMS


def advised(house: House, **wished: str) -> list[dict[str, Any]]:
    words = {"state": "open", **wished}
    found: list[dict[str, Any]] = told(
        house.owner.get("recommendations?" + "&".join(f"{name}={value}" for name, value in words.items()))
    )["items"]
    return found


def test_a_rule_is_advised_applied_ramps_saves_gets_worse_and_rolls_itself_back(house: House) -> None:
    # Triage is done by the dear model; an evaluation says that the cheap one is as good.
    before = house.works(25)
    assert {one.model for one in before} == {DEAR}
    house.books()
    measured(house)
    recommending.recompute(organization_id=house.cast.acme.id)
    [switch] = advised(house, kind="switch")
    assert (switch["task_type"], switch["incumbent"], switch["candidate"]) == ("triage", DEAR, CHEAP)
    applied = told(house.owner.post(f"recommendations/{switch['id']}/apply", {}))
    assert applied["state"] == "applied"

    # A canary, which goes up by itself.
    assert house.follows()["stage"] == "canary"
    pace = {"least_scored": 5, "least_minutes": 0}
    assert told(house.owner.patch(f"rollouts/{house.rule.id}", pace))["least_scored"] == 5
    stages = [(house.rule.stage, house.rule.share)]
    while house.rule.stage != "full":
        house.scores(house.works(50))
        house.follows()
        if stages[-1] != (house.rule.stage, house.rule.share):
            stages.append((house.rule.stage, house.rule.share))
        assert house.sessions < 1_000, told(house.owner.get(f"rollouts/{house.rule.id}"))
    assert stages == [("canary", 0.05), ("ramp", 0.25), ("ramp", 0.5), ("full", 1.0)]
    moved = house.works(400)
    house.scores(moved)
    assert house.follows()["state"] == "watching"
    assert sum(one.model == CHEAP for one in moved) >= 350
    assert {one.model for one in moved if "held_back" in one.rule} == {DEAR}

    # What was saved is verified by those that stayed, and the script knows the truth.
    house.books()
    following.measure_one(organization_id=house.cast.acme.id)
    saved_is_true(house)

    # The cheap model gets worse by 15 points: half and half, and then nothing.
    house.quality[CHEAP] -= DROP
    degraded = 0
    while (now := house.follows())["state"] == "watching":
        calls = house.works(25)
        degraded += sum(one.model == CHEAP for one in calls)
        house.scores(calls)
        assert degraded < 500, now
    assert (now["state"], now["stage"], now["share"]) == ("paused", "paused", 0.5)
    contrasted = 0
    while (now := house.follows())["state"] == "paused":
        house.scores(house.works(50))
        contrasted += 50
        assert contrasted < 1_500, now
    assert (now["state"], now["stage"], now["share"]) == ("rolled_back", "rolled_back", 0.0)
    assert now["contrast"]["difference"] < -0.05
    take_signals(at=timezone.now())
    incidents = {one["kind"]: one for one in told(house.owner.get("incidents"))["items"]}
    assert "was rolled back" in incidents["rollout.rolled_back"]["title"]
    assert incidents["rollout.rolled_back"]["severity"] == "critical"
    after = house.works(25)
    assert {(one.model, one.rule) for one in after} == {(DEAR, "")}


def saved_is_true(house: House) -> None:
    treated = [one for one in house.calls if "arm=treated" in one.rule]
    truth = sum((one.cost[DEAR] - one.cost[CHEAP] for one in treated), Decimal(0))
    [saving] = told(house.owner.get(f"savings?rule={house.rule.id}"))["items"]
    assert saving["month"] == f"{timezone.now():%Y-%m}"
    assert saving["treated_calls"] == len(treated)
    assert Decimal(saving["treated_cost"]) == sum(one.cost[CHEAP] for one in treated)
    lower, upper = Decimal(saving["saved_lower"]), Decimal(saving["saved_upper"])
    assert 0 < lower <= truth <= upper, (truth, saving)
    # Within it, and the interval says something.
    assert (upper - lower) / truth < 1
    assert saving["net"] == saving["saved"]


def test_a_confounded_log_is_never_more_than_a_reason_to_try(house: House) -> None:
    """Hard tickets went to the dear model, and easy ones to the cheap one: so the cheap one looks better."""
    at: datetime = timezone.now()
    outcomes = [
        {
            "item": f"ticket-{number}",
            "model": DEAR if hard else CHEAP,
            "score": float(luck("logged", str(number)) < (0.6 if hard else 0.95)),
            "cost": "0.002" if hard else "0.0002",
            "occurred_at": at.isoformat(),
        }
        for number in range(1_000)
        for hard in [number % 2 == 0]
    ]
    said = {"kind": "feedback", "source": "thumbs", "task_type": "triage", "outcomes": outcomes}
    assert set(told(house.owner.post("outcomes", said))["outcomes"]) == {"recorded"}
    recommending.recompute(organization_id=house.cast.acme.id)
    found = advised(house)
    assert [one["kind"] for one in found] == ["experiment"]
    refused: Callable[..., Any] = house.owner.post
    answer = refused(f"recommendations/{found[0]['id']}/apply", {})
    assert (answer.status_code, json.loads(answer.content)["code"]) == (409, "recommend.nothing_to_apply")
    assert not RoutingRule.objects.exists()
