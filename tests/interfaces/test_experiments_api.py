"""Experiments over REST: drafted with an estimate, started by who may open captures, watched, stopped and resumed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from finops.orgs.models import User
from finops.orgs.services import add_project
from routing.experiments.models import Experiment, Item
from routing.recommend import services as recommending
from routing.recommend.models import Recommendation
from tests.factories.captures import captured, capturing
from tests.factories.experiments import drafted
from tests.factories.ledger import small_book
from tests.factories.orgs import HOUSE, Cast
from tests.factories.recommend import CHEAP, STRONG, known
from tests.factories.relaying import deployed
from tests.interfaces.conftest import Api, refused, told

SAID: dict[str, Any] = {
    "task_type": "triage", "incumbent": "gpt", "candidates": ["gpt-mini"], "tasks": 100, "margin": "0.05",
    "scoring": "judge", "judge": "claude", "most_cost": "5",
}  # fmt: skip


class Somewhere:
    address = "http://127.0.0.1:9"


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def ready(cast: Cast, settings: Any, now: datetime) -> Cast:
    """Three calls of triage are captured."""
    settings.INTERNAL_HOSTS = {"127.0.0.1"}
    small_book()
    deployed(cast.acme.id, Somewhere(), at=now)
    capturing(cast.acme.id, at=now)
    for number in range(3):
        captured(cast.acme.id, f"{number:024x}", at=now - timedelta(minutes=1), task_type="triage", tags={})
    return cast


def test_a_draft_says_what_it_is_likely_to_cost_before_anything_is_asked(
    alice: Api, ready: Cast, now: datetime
) -> None:
    made = told(alice.post("experiments", SAID), 201)
    assert (made["state"], made["mode"], made["measured"], made["currency"]) == ("draft", "replay", 0, "USD")
    assert (made["margin"], made["most_cost"]) == ("0.0500", "5.000000000000")
    estimate = made["estimate"]
    # Nothing was spent yet: nobody knows.
    assert (estimate["captured"], estimate["total"]) == (3, None)
    assert any("3 such calls are captured" in one for one in estimate["warnings"])
    assert made["verdicts"] == [
        {
            "model": "gpt-mini", "verdict": None, "pairs": 0, "difference": None, "lower": None, "upper": None,
            "needed": None, "cost_ratio": None, "flags": [],
        }
    ]  # fmt: skip
    assert told(alice.get(f"experiments/{made['id']}"))["estimate"] == estimate
    other = told(alice.post("experiments", SAID | {"judge": "embed"}), 201)
    assert any("embed is sold by whoever sells gpt, gpt-mini" in one for one in other["estimate"]["warnings"])


@pytest.mark.parametrize(
    ("given", "status", "field"),
    [
        ({"most_cost": None}, 400, "most_cost"),
        ({"most_cost": "-1"}, 400, "most_cost"),
        ({"most_cost": "0"}, 422, "most_cost"),
        ({"tasks": 0}, 400, "tasks"),
        ({"margin": "0.9"}, 400, "margin"),
        ({"judge": "gpt"}, 422, "judge"),
        ({"scoring": "guess"}, 400, "scoring"),
        ({"scoring": "gate", "judge": ""}, 422, "gate"),
        ({"scoring": "gate", "judge": "", "gate": {"kind": "schema", "schema": {"$id": "x"}}}, 422, "gate.schema"),
        ({"scoring": "gate", "judge": "", "gate": {"kind": "magic"}}, 422, "gate.kind"),
        ({"project": "nowhere"}, 422, "project"),
        ({"share": "0.5"}, 422, "share"),
        ({"surprise": 1}, 400, "surprise"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(
    alice: Api, ready: Cast, given: dict[str, Any], status: int, field: str
) -> None:
    said = {name: value for name, value in (SAID | given).items() if value is not None}
    answer = refused(alice.post("experiments", said))
    assert (answer[0], answer[2]) == (status, field)
    assert not Experiment.objects.exists()


def test_it_is_started_stopped_and_resumed(alice: Api, ready: Cast) -> None:
    made = told(alice.post("experiments", SAID, Idempotency_Key="one"), 201)
    assert told(alice.post("experiments", SAID, Idempotency_Key="one"), 201)["id"] == made["id"]
    path = f"experiments/{made['id']}"
    assert refused(alice.post(f"{path}/resume"))[:2] == (409, "experiments.wrong_state")
    assert told(alice.post(f"{path}/start"))["state"] == "running"
    shown = told(alice.get(path))
    assert (shown["estimate"], shown["spent"], shown["progress"]["measured"]) == (None, "0.000000000000", 0)
    assert "sealed" not in str(shown)
    assert told(alice.post(f"{path}/stop"))["state"] == "stopped"
    assert told(alice.post(f"{path}/resume"))["state"] == "running"
    assert refused(alice.get("experiments/999"))[0] == 404
    gone = told(alice.post("experiments", SAID | {"task_type": "chat"}), 201)
    assert refused(alice.post(f"experiments/{gone['id']}/start"))[:2] == (409, "experiments.captures_off")


def test_who_may(
    ready: Cast, alice: Api, login: Callable[[User], Api], by_key: Callable[..., Api], now: datetime
) -> None:
    row = drafted(ready.acme.id, at=now)
    bob = login(ready.bob_login)
    assert told(bob.get(f"experiments/{row.id}"))["state"] == "draft"
    assert refused(bob.post("experiments", SAID))[:2] == (403, "orgs.permission_missing")
    assert refused(bob.post(f"experiments/{row.id}/start"))[0] == 403
    # Whoever changes rules may not have captures opened by that alone.
    ruling = by_key("routing.read", "routing.manage")
    for path in ("experiments", f"experiments/{row.id}/start", f"experiments/{row.id}/resume"):
        said = SAID if path == "experiments" else {}
        assert refused(ruling.post(path, said))[:2] == (403, "orgs.permission_missing")
    opening = by_key("routing.read", "routing.manage", "captures.read")
    assert told(opening.post(f"experiments/{row.id}/start"))["state"] == "running"
    assert told(ruling.post(f"experiments/{row.id}/stop"))["state"] == "stopped"
    assert refused(by_key("captures.read").get("experiments"))[0] == 403


def test_the_list_is_filtered_and_paged_in_few_queries(
    alice: Api, ready: Cast, now: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    rows = [drafted(ready.acme.id, at=now, task_type=f"type-{number}") for number in range(3)]
    Item.objects.create(organization=ready.acme, experiment=rows[0], call_id="c", state="measured", at=now)
    drafted(ready.globex.id, at=now)
    found = told(alice.get("experiments"))["items"]
    assert [(one["task_type"], one["measured"]) for one in found] == [("type-2", 0), ("type-1", 0), ("type-0", 1)]
    first = told(alice.get("experiments?limit=2"))
    rest = told(alice.get(f"experiments?limit=2&cursor={first['next']}"))
    assert [one["id"] for one in first["items"] + rest["items"]] == [one["id"] for one in found]
    assert [one["id"] for one in told(alice.get("experiments?task_type=type-1"))["items"]] == [rows[1].id]
    assert told(alice.get("experiments?state=running"))["items"] == []
    assert refused(alice.get("experiments?state=lost"))[:2] == (400, "api.invalid")
    with django_assert_num_queries(7):
        alice.get("experiments")


def test_a_recommendation_to_experiment_is_tried(alice: Api, ready: Cast, now: datetime) -> None:
    known(ready.acme, {STRONG: 0.9, CHEAP: 0.9}, at=now, task_type="summary", number=50)
    known(ready.acme, {STRONG: 0.9, CHEAP: 0.9}, at=now, name="other")
    recommending.recompute(organization_id=ready.acme.id, by=HOUSE, at=now)
    trial = Recommendation.objects.get(kind="experiment")
    how = {"scoring": "judge", "judge": "claude", "most_cost": "12.5"}
    made = told(alice.post(f"recommendations/{trial.id}/experiment", how), 201)
    assert (made["task_type"], made["incumbent"], made["candidates"]) == ("summary", STRONG, [CHEAP])
    assert (made["recommendation_id"], made["tasks"]) == (trial.id, min(trial.document["trial"]["tasks"], 5_000))
    assert Decimal(made["margin"]) == pytest.approx(Decimal(str(trial.document["margin"])), abs=Decimal("0.0001"))
    fewer = told(alice.post(f"recommendations/{trial.id}/experiment", how | {"tasks": 30, "margin": "0.1"}), 201)
    assert (fewer["tasks"], fewer["margin"]) == (30, "0.1000")
    switch = Recommendation.objects.get(kind="switch")
    assert refused(alice.post(f"recommendations/{switch.id}/experiment", how))[:2] == (422, "experiments.invalid")
    recommending.dismiss(organization_id=ready.acme.id, recommendation_id=trial.id, reason="No.", by=HOUSE, at=now)
    assert refused(alice.post(f"recommendations/{trial.id}/experiment", how))[0] == 409


def test_one_project_alone(alice: Api, ready: Cast, now: datetime) -> None:
    legal = add_project(organization_id=ready.acme.id, name="Legal", by=HOUSE, at=now)
    captured(ready.acme.id, "9" * 24, at=now, task_type="triage", owners={"project": legal.id})
    made = told(alice.post("experiments", SAID | {"project": legal.slug}), 201)
    assert (made["project_id"], made["estimate"]["captured"]) == (legal.id, 1)
