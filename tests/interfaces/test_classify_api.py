"""Task types over REST: labels taken, a classifier trained of them, and calls classified without a trace."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from finops.audit.models import AuditEvent
from finops.jobs.models import Job
from finops.orgs.models import User
from routing.classify import tasks
from routing.classify.hot import features
from routing.classify.models import LabelledCall, SampledCall
from routing.classify.words import counts
from routing.prospects import services as prospects
from routing.prospects.models import TrainedProspects
from tests.factories.classify import WORK, prompt
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.factories.prospects import foreseen, published_prospects, tried
from tests.interfaces.conftest import Api, refused, told

SECRET = "Zzyzx4711"


@pytest.fixture
def trained(alice: Api) -> Api:
    """Alice, whose organization labelled 120 calls and had them learned from."""
    draw = random.Random(1)
    for task_type in WORK:
        given = [
            {"call_id": f"{task_type}-{number}", "task_type": task_type, "text": prompt(task_type, draw)}
            for number in range(30)
        ]
        assert told(alice.post("task-types/labels", {"labels": given}))["new"] == 30
    job = told(alice.post("task-types/train"), 202)
    tasks.run_training(job_id=job["id"])
    return alice


def everything() -> str:
    """Every row of every table, as text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM {table} t")
            found.append(cursor.fetchone()[0] or "")
    return "\n".join(found)


def test_labels_are_learned_from_and_calls_are_named(trained: Api) -> None:
    found = told(trained.get("task-types"))
    assert found["task_types"] == [
        {"task_type": name, "labelled": 30, "by_source": {"api": 30}} for name in sorted(WORK)
    ]
    classifier = found["classifier"]
    assert (classifier["version"], classifier["calls"], classifier["drifting_at"]) == (1, 120, None)
    assert classifier["accuracy"] >= classifier["least_accuracy"] >= 0.9
    assert 0 <= classifier["error"] <= 1
    assert sum(one["number"] for one in classifier["reliability"]) <= 120
    assert (found["training"]["state"], found["training"]["result"]["version"]) == ("done", 1)
    said = told(trained.post("classify", {"text": prompt("translate", random.Random(5), about=0.8)}))
    assert (said["task_type"], said["version"], said["sensitivity"]["verdict"]) == ("translate", 1, "clear")
    assert said["confidence"] >= classifier["threshold"]


def test_messages_are_classified_by_what_is_asked_first_and_are_sensitive_by_all_of_it(trained: Api) -> None:
    asked = prompt("triage", random.Random(5), about=0.8)
    messages = [
        {"role": "user", "content": [{"type": "text", "text": asked}]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "bash", "arguments": '{"cmd": "env"}'}}]},
        {"role": "tool", "content": "DB_PASSWORD=x7Gq21pLmaQ9"},
    ]
    said = told(trained.post("classify", {"messages": messages}))
    assert (said["task_type"], said["sensitivity"]) == (
        "triage",
        {"verdict": "sensitive", "kinds": ["secret"], "reason": "", "stays_local": True},
    )
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]
    said = told(trained.post("classify", {"messages": image}))
    assert (said["task_type"], said["sensitivity"]["verdict"], said["sensitivity"]["stays_local"]) == (
        "unknown", "undecided", True,
    )  # fmt: skip
    labelled = told(trained.post("classify", {"messages": image, "labels": ["public"]}))
    assert labelled["sensitivity"]["verdict"] == "clear"


def test_without_a_classifier_everything_is_unknown(alice: Api) -> None:
    assert told(alice.get("task-types")) == {"task_types": [], "classifier": None, "training": None}
    said = told(alice.post("classify", {"text": "hello"}))
    assert (said["task_type"], said["confidence"], said["version"]) == ("unknown", 0.0, None)


def test_what_is_classified_or_labelled_is_nowhere_afterwards(alice: Api) -> None:
    told(alice.post("classify", {"text": f"about {SECRET}"}))
    before = everything()
    answer = alice.post("classify", {"text": f"about {SECRET} again", "system": SECRET})
    assert "no-store" in answer["Cache-Control"]
    assert everything() == before
    given = {"labels": [{"call_id": "c1", "task_type": "triage", "session": SECRET, "text": f"about {SECRET}"}]}
    told(alice.post("task-types/labels", given, Idempotency_Key="l1"))
    assert told(alice.post("task-types/labels", given, Idempotency_Key="l1"))["new"] == 1
    assert LabelledCall.objects.count() == 1
    assert SECRET.lower() not in everything().lower()
    assert AuditEvent.objects.filter(verb="task_types.labelled").count() == 1


def test_who_hashes_by_themselves_says_the_same(alice: Api) -> None:
    text = "a ticket of a customer"
    words = {str(bucket): often for bucket, often in counts(text).items()}
    hashed = {"words": words, "length": len(text), "tools": 2, "languages": {"Go": 1.0}}
    about = {"tools": 2, "languages": {"go": 1.0}}
    given = [
        {"call_id": "c1", "task_type": "triage", "text": text, "features": about},
        {"call_id": "c2", "task_type": "triage", "features": hashed},
    ]
    assert told(alice.post("task-types/labels", {"labels": given}))["new"] == 2
    one, other = LabelledCall.objects.order_by("call_id")
    assert (bytes(one.words), bytes(one.marks)) == (bytes(other.words), bytes(other.marks))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"task_type": ""}, (400, "api.invalid", "labels[0].task_type")),
        ({"task_type": "unknown"}, (422, "classify.invalid", "labels[0].task_type")),
        ({"text": None}, (400, "api.invalid", "labels[0].text")),
        ({"text": "x", "features": {"words": {"1": 1}}}, (422, "classify.invalid", "labels[0].text")),
        ({"features": {"words": {"x": 1}}}, (422, "classify.invalid", "labels[0].text")),
        ({"prompt": "x"}, (400, "api.invalid", "labels[0].prompt")),
        ({"call_id": "x" * 65}, (400, "api.invalid", "labels[0].call_id")),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(alice: Api, wrong: dict[str, Any], said: tuple[int, str, str]) -> None:
    good = {"call_id": "c1", "task_type": "triage", "text": "x"}
    assert refused(alice.post("task-types/labels", {"labels": [good | wrong]})) == said
    assert LabelledCall.objects.count() == 0


@pytest.mark.parametrize("words", [{"x": 1}, {"32768": 1}, {"-1": 1}, {"99999999999999999999": 1}])
def test_buckets_that_are_none_are_refused(alice: Api, words: dict[str, int]) -> None:
    given = {"call_id": "c1", "task_type": "triage", "features": {"words": words}}
    assert refused(alice.post("task-types/labels", {"labels": [given]})) == (
        422, "classify.invalid", "labels[0].features",
    )  # fmt: skip


@pytest.mark.parametrize("body", [{}, {"text": "x", "messages": []}])
def test_a_text_or_messages(alice: Api, body: dict[str, Any]) -> None:
    assert refused(alice.post("classify", body)) == (422, "classify.invalid", "text")


def test_too_many_at_once_and_too_little_to_learn_from(alice: Api) -> None:
    many = [{"call_id": str(number), "task_type": "triage", "text": "x"} for number in range(201)]
    assert refused(alice.post("task-types/labels", {"labels": many})) == (400, "api.invalid", "labels")
    assert refused(alice.post("task-types/labels", {"labels": []})) == (400, "api.invalid", "labels")
    assert refused(alice.post("task-types/train")) == (422, "classify.cannot_learn", "labels")
    assert Job.objects.count() == 0


def test_engineers_label_and_look_and_few_train(
    cast: Cast, trained: Api, login: Callable[[User], Api], by_key: Callable[..., Api]
) -> None:
    bob, charlie = login(cast.bob_login), login(cast.charlie_login)
    one = {"labels": [{"call_id": "c1", "task_type": "triage", "text": "x"}]}
    assert told(bob.get("task-types"))["classifier"]["version"] == 1
    assert told(bob.post("task-types/labels", one))["new"] == 1
    assert told(bob.post("classify", {"text": "hello"}))["version"] == 1
    for answer in (
        bob.post("task-types/train"),
        by_key("outcomes.write").get("task-types"),
        by_key("outcomes.write").post("classify", {"text": "x"}),
        by_key("routing.read").post("task-types/labels", one),
        by_key("routing.read").post("task-types/train"),
    ):
        assert refused(answer)[:2] == (403, "orgs.permission_missing")
    assert told(by_key("routing.manage").post("task-types/train"), 202)["state"] == "queued"
    assert told(charlie.get("task-types")) == {"task_types": [], "classifier": None, "training": None}
    assert told(charlie.post("classify", {"text": "hello"}))["version"] is None


def test_sampling_is_on_until_somebody_switches_it_off(
    cast: Cast, alice: Api, login: Callable[[User], Api], by_key: Callable[..., Api]
) -> None:
    assert told(alice.get("task-types/sampling")) == {"is_on": True, "most_a_day": 200, "kept": 0}
    tried(cast.acme.id, 80, at=NOON)
    assert told(alice.get("task-types/sampling"))["kept"] == 80
    assert told(alice.patch("task-types/sampling", {"most_a_day": 5})) == {"is_on": True, "most_a_day": 5, "kept": 80}
    for wrong in ({"most_a_day": 0}, {"most_a_day": 1_001}):
        assert refused(alice.patch("task-types/sampling", wrong)) == (400, "api.invalid", "most_a_day")
    assert refused(alice.patch("task-types/sampling", {"share": 1})) == (400, "api.invalid", "share")
    bob = login(cast.bob_login)
    assert told(bob.get("task-types/sampling"))["kept"] == 80
    for answer in (bob.patch("task-types/sampling", {}), by_key("outcomes.write").get("task-types/sampling")):
        assert refused(answer)[:2] == (403, "orgs.permission_missing")
    off = told(alice.patch("task-types/sampling", {"is_on": False}))
    assert off == {"is_on": False, "most_a_day": 5, "kept": 0}
    assert told(login(cast.charlie_login).get("task-types/sampling"))["is_on"]


def test_what_was_guessed_in_production_is_told_by_day_and_pair(
    cast: Cast, trained: Api, login: Callable[[User], Api], by_key: Callable[..., Api]
) -> None:
    assert told(trained.get("task-types/confusion")) == {"days": [], "pairs": []}
    given = [
        {"call_id": f"n-{number}", "task_type": "legal", "text": prompt("translate", random.Random(number), about=0.9)}
        for number in range(10)
    ]
    told(trained.post("task-types/labels", {"labels": given}))
    found = told(trained.get("task-types/confusion"))
    [day] = found["days"]
    assert (day["calls"], day["right"]) == (10, 0)
    assert found["pairs"][0] == {"task_type": "legal", "guessed": "translate", "number": day["named"]}
    assert day["named"] >= 5
    assert told(login(cast.charlie_login).get("task-types/confusion"))["pairs"] == []
    assert refused(by_key("outcomes.write").get("task-types/confusion"))[:2] == (403, "orgs.permission_missing")


def test_prospects_are_told_with_how_honest_they_are(
    cast: Cast, alice: Api, login: Callable[[User], Api], by_key: Callable[..., Api]
) -> None:
    assert told(alice.get("prospects")) == {"prospects": None}
    row = published_prospects(cast.acme.id, at=NOON)
    tried(cast.acme.id, 60, at=NOON + timedelta(days=1), seed=2)
    prospects.follow(organization_id=cast.acme.id, by=HOUSE, at=NOON + timedelta(days=1))
    found = told(alice.get("prospects"))["prospects"]
    assert (found["version"], found["light"], found["light_by"], found["outcomes"]) == (2, "gpt-mini", "cost", 460)
    strong, light = found["models"]
    assert (light["model"], light["calls"], strong["model"]) == ("gpt-mini", 230, "gpt")
    assert sum(one["number"] for one in light["reliability"]) == 230
    assert 0 <= light["error"] <= 1
    assert light["since"] is None
    TrainedProspects.objects.filter(version=1).update(is_in_force=False)
    prospects.follow(organization_id=cast.acme.id, by=HOUSE, at=NOON + timedelta(days=1))
    since = told(alice.get("prospects"))["prospects"]["models"][1]["since"]
    assert (since["calls"], since["is_off"]) == (30, False)
    assert sum(one["number"] for one in since["reliability"]) == 30
    assert row.version == 1
    assert told(login(cast.bob_login).get("prospects"))["prospects"]["version"] == 2
    assert told(login(cast.charlie_login).get("prospects"))["prospects"] is None
    assert refused(by_key("outcomes.write").get("prospects"))[:2] == (403, "orgs.permission_missing")


def test_a_call_is_told_how_difficult_it_is_as_a_gateway_would_keep_it(cast: Cast, alice: Api) -> None:
    text = prompt("code-search", random.Random(3), about=0.9)
    before = told(alice.post("route", {"model": "gpt", "text": text}))
    assert (before["difficulty"], before["chances"]) == (None, {})
    published_prospects(cast.acme.id, at=NOON)
    said = told(alice.post("route", {"model": "gpt", "text": text}))
    expected = foreseen(cast.acme.id, features(text, turn=1))
    assert said["difficulty"] == pytest.approx(expected.difficulty)
    assert said["chances"] == pytest.approx(dict(expected.chances))
    assert said["difficulty"] > 0.5
    easy = told(alice.post("route", {"model": "gpt", "text": prompt("triage", random.Random(3), about=0.9)}))
    assert easy["difficulty"] < 0.3
    # Of a text that nobody shows nothing is foreseen.
    assert told(alice.post("route", {"model": "gpt"}))["difficulty"] is None
    # What a client says besides counts as it does for a call that passes.
    about = {"tags": {"repository_files": "1200"}, "recent_tools": ["bash"]}
    told_more = told(alice.post("route", {"model": "gpt", "text": text, **about}))
    known = features(text, turn=1, files=1200, recent_tools=("bash",))
    assert told_more["difficulty"] == pytest.approx(foreseen(cast.acme.id, known).difficulty)
    many = {"model": "gpt", "text": text, "recent_tools": ["bash"] * 11}
    assert refused(alice.post("route", many))[:2] == (422, "rules.invalid")


def test_a_call_that_passed_is_labelled_by_its_id_alone(cast: Cast, alice: Api) -> None:
    [call] = tried(cast.acme.id, 1, at=NOON)
    assert told(alice.post("task-types/labels", {"labels": [{"call_id": call, "task_type": "triage"}]}))["new"] == 1
    row, sample = LabelledCall.objects.get(), SampledCall.objects.get()
    for name in ("words", "marks", "session"):
        assert bytes(getattr(row, name)) == bytes(getattr(sample, name))
    assert (row.task_type, row.source) == ("triage", "api")
    # Of another organization's call, as of one that never was, there are no features.
    tried(cast.globex.id, 1, at=NOON, seed=2)
    for unknown in ("suite-2-0", "nothing"):
        asked = {"labels": [{"call_id": unknown, "task_type": "triage"}]}
        assert refused(alice.post("task-types/labels", asked)) == (422, "classify.invalid", "labels[0].text")
