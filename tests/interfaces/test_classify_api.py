"""Task types over REST: labels taken, a classifier trained of them, and calls classified without a trace."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from finops.audit.models import AuditEvent
from finops.jobs.models import Job
from finops.orgs.models import User
from routing.classify import tasks
from routing.classify.models import LabelledCall
from routing.classify.words import counts
from tests.factories.classify import WORK, prompt
from tests.factories.orgs import Cast
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
    assert found["task_types"] == [{"task_type": name, "labelled": 30} for name in sorted(WORK)]
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
