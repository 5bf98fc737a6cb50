"""Experiments from captured calls to a verdict: a real gateway, a judge, upstreams whose quality the script knows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone

from finops.audit.models import AuditEvent
from finops.budgets import selectors as budgets
from finops.orgs.models import VirtualKey
from finops.orgs.services import add_project
from routing.captures.models import Capture
from routing.evidence.models import Evaluation, Outcome
from routing.experiments.models import Experiment, Item
from routing.rules.types import Rule, Use, When, Within
from tests.factories.captures import capturing
from tests.factories.experiments import Through, turn
from tests.factories.gateway import Gateway, key, published
from tests.factories.ledger import small_book
from tests.factories.orgs import HOUSE, Cast, the_cast
from tests.factories.relaying import charged, chat, deployed, idle, sold_as
from tests.factories.rules import saved
from tests.fakes.upstream.running import Upstream, upstream
from tests.fakes.upstream.script import Plan
from tests.fakes.upstream.server import Seen
from tests.interfaces.conftest import BACKEND, Api, refused, told
from tests.waiting import until

DEAR, CHEAP, JUDGE = "gpt", "gpt-mini", "claude"
TASKS: Final = 40
ASKED: Final = {
    "mode": "replay", "task_type": "triage", "incumbent": DEAR, "candidates": [CHEAP], "tasks": TASKS,
    "margin": "0.1", "scoring": "judge", "judge": JUDGE, "most_cost": "5",
}  # fmt: skip
_SHOWN: Final = re.compile(r"<<(\w+) (\w+)>>\n(.*?)\n<<\1 end of \2>>", re.DOTALL)


def luck(text: str) -> float:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def answers(seen: Seen) -> Plan:
    """The cheap model is right four times of five, and the judge knows which answers are."""
    body = json.loads(seen.body)
    asked = body["messages"][0]["content"]
    if body["model"] == JUDGE:
        shown = {name: text for _, name, text in _SHOWN.findall(asked)}
        points = {name: 9 if "right" in shown[name] else 2 for name in ("first", "second")}
        return Plan(text=json.dumps(points), output_tokens=12)
    good = body["model"] == DEAR or luck(asked) < 0.8
    return Plan(text=f"{body['model']} is {'right' if good else 'lost'}", output_tokens=10)


class House:
    def __init__(self, cast: Cast, gateway: Gateway, provider: Upstream, secret: str, owner: Api) -> None:
        self.cast, self.gateway, self.provider, self.secret, self.owner = cast, gateway, provider, secret, owner
        self.transport = Through(gateway)
        self.calls = 0

    def works(self, number: int, **headers: str) -> None:
        """So many calls of triage, all of them captured."""
        said = {"x-capstan-task": "triage"} | {name.replace("_", "-"): value for name, value in headers.items()}
        before = Capture.objects.filter(task_type="triage").count()
        asked = []
        for _ in range(number):
            self.calls += 1
            question = [{"role": "user", "content": f"Where does ticket {self.calls} go?"}]
            asked.append(chat(self.gateway, self.secret, headers=said, messages=question, max_tokens=50))
        assert {one.whole().status for one in asked} == {200}
        until(lambda: Capture.objects.filter(task_type="triage").count() == before + number)

    def begun(self, **given: Any) -> Experiment:
        made = told(self.owner.post("experiments", ASKED | given), 201)
        told(self.owner.post(f"experiments/{made['id']}/start"))
        self.gateway.is_told()
        return Experiment.objects.get(id=made["id"])

    def shown(self, row: Experiment) -> dict[str, Any]:
        found: dict[str, Any] = told(self.owner.get(f"experiments/{row.id}"))
        return found

    def replayed(self) -> list[dict[str, Any]]:
        """What upstreams were asked of the candidate."""
        return [body for body in self.asked() if body["model"] == CHEAP]

    def asked(self) -> list[dict[str, Any]]:
        """Of models; upstreams that were silent are asked for their lists besides."""
        return [json.loads(one.body) for one in self.provider.seen if one.body]


@pytest.fixture
def house(transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[House]:
    cache.clear()
    settings.INTERNAL_HOSTS = {"127.0.0.1"}
    settings.GATEWAY_URL = "http://gateway.invalid"
    small_book()
    cast, now = the_cast(), timezone.now()
    client = Client()
    client.force_login(cast.alice_login, backend=BACKEND)
    secret = key(cast.acme.id, "calls.make", at=now)
    capturing(cast.acme.id, at=now)
    with upstream() as provider:
        provider.decides(answers)
        deployed(cast.acme.id, provider, at=now)
        published()
        gateway = Gateway(tmp_path)
        yield House(cast, gateway, provider, secret, Api(client))
        gateway.stop()


def test_captured_calls_are_replayed_judged_and_become_evidence(house: House) -> None:
    house.works(TASKS + 5)
    row = house.begun()
    while turn(row, house.transport):
        pass
    shown = house.shown(row)
    assert (shown["state"], shown["code"], shown["progress"]["measured"]) == ("done", "measured", TASKS)
    # As the script knows it: the cheap model, of those that were drawn.
    outcomes = Outcome.objects.filter(organization=house.cast.acme, task_type="triage")
    assert outcomes.count() == TASKS * 2 * 2
    scores = outcomes.filter(model=CHEAP, order_shown="ab").values_list("score", flat=True)
    assert set(scores) == {0.9, 0.2}
    [candidate] = shown["verdicts"]
    assert candidate["pairs"] == TASKS
    assert candidate["difference"] == pytest.approx(sum(scores) / TASKS - 0.9)
    assert Evaluation.objects.get().judge_model == JUDGE
    # Both costs are told, and the cheap model costs a tenth.
    costs = {one.model: one.cost for one in outcomes.filter(item=outcomes[0].item)}
    assert costs[DEAR] == 10 * (costs[CHEAP] or 0) > 0
    # Everything is charged to its own key and tag, and its cap knows of it.
    idle(house.gateway, house.provider)
    charges = charged(house.gateway)
    own = sum((cost for _, cost in charges[TASKS + 5 :]), Decimal(0))
    spent = Item.objects.filter(experiment=row)
    assert Decimal(house.shown(row)["spent"]) == own == sum(one.spent for one in spent)
    assert Decimal(house.shown(row)["judged"]) == sum(one.judged for one in spent) > 0
    # Its key is gone with it, no text stayed, and the trail says how many captures were opened.
    assert row.key_id is not None
    assert VirtualKey.objects.get(id=row.key_id).revoked_at is not None
    assert not Experiment.objects.get(id=row.id).sealed
    opened = AuditEvent.objects.filter(verb="captures.opened", subject_id=str(row.id))
    assert sum(one.details["captures"] for one in opened) >= TASKS
    # None of its own calls is captured.
    assert Capture.objects.count() == TASKS + 5


def test_a_cap_of_its_own_ends_it_and_is_never_passed(house: House) -> None:
    house.works(30)
    row = house.begun(most_cost="0.03")
    while turn(row, house.transport):
        pass
    shown = house.shown(row)
    assert (shown["state"], shown["code"]) == ("done", "cap_reached")
    assert 0 < shown["progress"]["measured"] < 30
    assert Outcome.objects.filter(model=CHEAP, order_shown="ab").count() == shown["progress"]["measured"]
    idle(house.gateway, house.provider)
    charged(house.gateway)
    [account] = budgets.open_accounts_of(house.cast.acme.id, row.budget_id or 0, timezone.now())
    assert 0 < account.spent <= Decimal("0.03")


def test_stopped_it_makes_no_call_and_resumed_it_makes_none_twice(house: House) -> None:
    house.works(24)
    row = house.begun(tasks=24, scoring="gate", gate={"kind": "pattern", "pattern": "right"}, judge="")
    asked: list[str] = []

    def heard(request: httpx2.Request) -> None:
        """By the thread that makes the call: whoever stops it does so while calls are under way."""
        asked.append(json.loads(request.read())["messages"][0]["content"])
        if len(asked) == 6:
            told(house.owner.post(f"experiments/{row.id}/stop"))
            connection.close()

    assert not turn(row, Through(house.gateway, heard))
    assert house.shown(row)["state"] == "stopped"
    # Those under way have ended, and are kept.
    assert 6 <= len(asked) <= 8
    assert Item.objects.filter(experiment=row, state="measured").count() == len(asked)
    assert refused(house.owner.post(f"jobs/{row.job_id}/resume"))[1] == "jobs.not_resumable"
    told(house.owner.post(f"experiments/{row.id}/resume"))
    while turn(row, Through(house.gateway, heard)):
        pass
    assert len(asked) == len(set(asked)) == 24
    shown = house.shown(row)
    assert (shown["state"], shown["progress"]["measured"]) == ("done", 24)
    # A gate gives every answer of the incumbent its own score, once.
    outcomes = Outcome.objects.filter(organization=house.cast.acme, task_type="triage", model=DEAR)
    assert set(outcomes.values_list("score", flat=True)) == {1.0}
    assert refused(house.owner.post(f"experiments/{row.id}/resume"))[1] == "experiments.wrong_state"
    # What was measured is not measured in the same way again.
    again = house.begun(tasks=24, scoring="gate", gate={"kind": "pattern", "pattern": "right"}, judge="")
    assert not turn(again, house.transport)
    assert house.shown(again)["code"] == "used_up"


def test_a_shadow_follows_captured_calls_as_they_come(house: House) -> None:
    house.works(4)
    row = house.begun(mode="shadow", tasks=6, scoring="gate", gate={"kind": "pattern", "pattern": "right"}, judge="")
    assert not turn(row, house.transport)
    assert house.replayed() == []
    house.works(4)
    # Nobody looks before it is due; then there is no more to do at once.
    assert not turn(row, house.transport, later=timedelta(minutes=1))
    assert (house.shown(row)["state"], len(house.replayed())) == ("running", 4)
    capturing(house.cast.acme.id, is_on=False, at=timezone.now())
    assert not turn(row, house.transport, later=timedelta(minutes=2))
    assert (house.shown(row)["state"], house.shown(row)["code"]) == ("paused", "captures_off")
    capturing(house.cast.acme.id, at=timezone.now())
    house.gateway.is_told()
    house.works(4)
    assert not turn(row, house.transport, later=timedelta(minutes=9))
    assert (house.shown(row)["state"], len(house.replayed())) == ("done", 6)


def test_what_rules_keep_from_a_candidate_is_never_asked_of_it(house: House) -> None:
    """By whose calls they were, by their tags, by what they say; and no rule makes another model of a candidate."""
    legal = add_project(organization_id=house.cast.acme.id, name="Legal", by=HOUSE, at=timezone.now())
    near = Within(only=("near",))
    for rule in (
        Rule(name="legal-is-near", when=When(projects=(legal.slug,)), within=near),
        Rule(name="secret-is-near", when=When(sensitive=True), within=near),
        Rule(name="asked-is-near", when=When(tags={"desk": ("inner",)}), within=near),
        # A replay of gpt-mini must not become one of gpt.
        Rule(name="mini-to-dear", when=When(models=(CHEAP,)), use=(Use(model=DEAR),)),
    ):
        saved(house.cast.acme.id, rule, at=timezone.now())
    sold_as(house.cast.acme.id, house.provider, DEAR, at=timezone.now(), name="near")
    house.gateway.is_told()
    house.works(3, x_capstan_project=legal.slug)
    house.works(3, x_capstan_tags="sensitivity=confidential")
    house.works(3, x_capstan_tags="desk=inner")
    house.works(3, x_capstan_only="near")
    house.works(4)
    row = house.begun(tasks=16, scoring="gate", gate={"kind": "pattern", "pattern": "right"}, judge="")
    while turn(row, house.transport):
        pass
    asked = house.asked()
    assert sum(body["model"] == CHEAP for body in asked) == 4
    assert sum(body["model"] == DEAR for body in asked) == 16
    shown = house.shown(row)
    codes = {one["code"]: one["calls"] for one in shown["progress"]["codes"]}
    assert codes == {"rules.excluded": 9, "gateway.model_not_found": 3}
    assert (shown["code"], shown["progress"]["measured"]) == ("used_up", 4)
