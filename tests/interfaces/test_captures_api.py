"""Captures over REST: who may switch them on, who may read, and what a reading leaves behind."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from finops.audit.models import AuditEvent
from finops.orgs.models import User
from finops.orgs.services import add_project, issue_key
from routing.captures.models import Capture
from tests.factories.captures import ANSWER, PROMPT, captured, capturing
from tests.factories.orgs import HOUSE, NOON, Cast, actor
from tests.interfaces.conftest import Api, refused, told

CALL = "c" * 24


@pytest.fixture
def now() -> datetime:
    return timezone.now()


def verbs() -> list[str]:
    return list(AuditEvent.objects.filter(subject_kind="capture").order_by("id").values_list("verb", flat=True))


def test_it_is_off_switched_on_changed_and_off_again(alice: Api, cast: Cast) -> None:
    add_project(organization_id=cast.acme.id, name="Answers", by=HOUSE, at=NOON)
    off = told(alice.get("captures/settings"))
    assert (off["is_on"], off["in_words"]) == (False, "Off: no prompt and no answer is stored.")
    on = told(alice.patch("captures/settings", {"is_on": True, "share": "2.5", "projects": ["answers"]}))
    assert (on["share"], on["days_kept"], on["projects"]) == ("2.50", 7, ["answers"])
    assert "2.5 % of calls of the project answers" in on["in_words"]
    few = told(alice.patch("captures/settings", {"days_kept": 2, "task_types": ["triage"], "projects": []}))
    assert (few["is_on"], few["share"], few["days_kept"], few["task_types"]) == (True, "2.50", 2, ["triage"])
    assert told(alice.get("captures/settings")) == few
    assert told(alice.patch("captures/settings", {"is_on": False}))["is_on"] is False
    assert verbs() == ["captures.switched_on", "captures.changed", "captures.switched_off"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"share": "100.01"}, (400, "api.invalid", "share")),
        ({"share": "1.001"}, (400, "api.invalid", "share")),
        ({"days_kept": 31}, (400, "api.invalid", "days_kept")),
        ({"most_kib": 5_000}, (400, "api.invalid", "most_kib")),
        ({"projects": ["nobodys"]}, (422, "captures.invalid", "projects")),
        ({"task_types": ["two\nlines"]}, (422, "captures.invalid", "task_types")),
        ({"secret": 1}, (400, "api.invalid", "secret")),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(alice: Api, wrong: dict[str, Any], said: tuple[int, str, str]) -> None:
    assert refused(alice.patch("captures/settings", {"is_on": True} | wrong)) == said
    assert told(alice.get("captures/settings"))["is_on"] is False


def test_a_reading_gives_what_was_asked_and_answered_and_is_noted(alice: Api, cast: Cast, now: datetime) -> None:
    captured(cast.acme.id, CALL, task_type="triage", owners={"person": cast.bob.id}, at=now)
    captured(cast.acme.id, "d" * 24, body=b"\xff\x00", at=now)
    answer = alice.get(f"captures/{CALL}")
    one = told(answer)
    assert "no-store" in answer["Cache-Control"]
    assert (one["body"]["encoding"], PROMPT in one["body"]["text"], ANSWER in one["answer"]["text"]) == (
        "utf-8", True, True,
    )  # fmt: skip
    assert (one["dialect"], one["path"], one["task_type"], one["answer_whole"]) == (
        "openai.chat", "/v1/chat/completions", "triage", True,
    )  # fmt: skip
    assert (one["owners"], one["cost"], one["tokens"]["output_text"]) == (
        {"person": cast.bob.id}, "0.000150000000", 5,
    )  # fmt: skip
    other = told(alice.get(f"captures/{'d' * 24}"))["body"]
    assert (other["encoding"], base64.b64decode(other["text"])) == ("base64", b"\xff\x00")
    [first, second] = AuditEvent.objects.filter(verb="capture.read").order_by("id")
    assert (first.actor, first.subject_id) == (actor(cast.alice_login).reference, CALL)
    assert second.subject_id == "d" * 24
    assert PROMPT not in str(list(AuditEvent.objects.values()))
    assert refused(alice.get("captures/nothing"))[:2] == (404, "core.not_found")


def test_the_list_has_no_contents_and_is_filtered_and_paged(alice: Api, cast: Cast, now: datetime) -> None:
    for number, given in enumerate(({}, {"model": "claude"}, {"status": 429}, {"task_type": "triage"})):
        at = now - timedelta(minutes=number)
        captured(cast.acme.id, f"{number:024x}", at=at, **given)  # type: ignore[arg-type]
    captured(cast.acme.id, CALL, days=1, at=now - timedelta(days=2))
    page = alice.get("captures?limit=3")
    assert PROMPT not in page.content.decode()
    assert "sealed" not in page.content.decode()
    assert [int(one["call_id"], 16) for one in told(page)["items"]] == [0, 1, 2]
    rest = told(alice.get(f"captures?limit=3&cursor={told(page)['next']}"))
    assert [int(one["call_id"], 16) for one in rest["items"]] == [3]
    for query, number in (("model=claude", 1), ("status=429", 2), ("task_type=triage", 3)):
        assert [int(one["call_id"], 16) for one in told(alice.get(f"captures?{query}"))["items"]] == [number]
    assert refused(alice.get("captures?status=none")) == (422, "captures.invalid", "status")
    assert verbs() == []


def test_deleted_is_gone(alice: Api, cast: Cast, now: datetime) -> None:
    captured(cast.acme.id, CALL, at=now)
    captured(cast.globex.id, CALL, at=now)
    assert told(alice.post("captures/delete", Idempotency_Key="d1")) == {"deleted": 1}
    assert told(alice.post("captures/delete", Idempotency_Key="d1")) == {"deleted": 1}
    assert refused(alice.get(f"captures/{CALL}"))[0] == 404
    assert Capture.objects.get().organization_id == cast.globex.id
    assert verbs() == ["captures.deleted"]


def test_everybody_who_calls_may_know_and_only_few_read_or_switch(
    cast: Cast, login: Callable[[User], Api], by_key: Callable[..., Api], now: datetime
) -> None:
    capturing(cast.acme.id, at=now)
    captured(cast.acme.id, CALL, at=now)
    bob, dana, charlie = login(cast.bob_login), login(cast.dana_login), login(cast.charlie_login)
    assert told(bob.get("captures/settings"))["is_on"] is True
    for answer in (
        bob.get("captures"),
        bob.get(f"captures/{CALL}"),
        dana.get(f"captures/{CALL}"),
        bob.patch("captures/settings", {"is_on": False}),
        bob.post("captures/delete"),
        by_key("gateway.manage").get(f"captures/{CALL}"),
        by_key("captures.read").patch("captures/settings", {"is_on": False}),
        by_key("captures.read").post("captures/delete"),
    ):
        assert refused(answer)[:2] == (403, "orgs.permission_missing")
    assert refused(charlie.get(f"captures/{CALL}"))[0] == 404
    assert told(charlie.get("captures"))["items"] == []
    assert PROMPT in told(by_key("captures.read").get(f"captures/{CALL}"))["body"]["text"]
    assert AuditEvent.objects.get(verb="capture.read").actor.startswith("key:cap_")


def test_a_key_that_is_bound_to_a_team_reads_none(cast: Cast, now: datetime) -> None:
    captured(cast.acme.id, CALL, at=now)
    issued = issue_key(
        organization_id=cast.acme.id, name="Search", permissions=["captures.read"], team_id=cast.search.id, by=HOUSE,
        at=NOON,
    )  # fmt: skip
    bound = Api(Client(), Authorization=f"Bearer {issued.secret}")
    for path in ("captures", f"captures/{CALL}"):
        assert refused(bound.get(path))[:2] == (403, "orgs.out_of_reach")
    assert verbs() == []


def test_no_key_is_issued_that_may_switch_them_on(alice: Api) -> None:
    assert alice.post("keys", {"name": "Script", "permissions": ["captures.manage"]}).status_code in (400, 422)


def test_a_list_is_read_in_as_many_queries_whatever_its_length(
    alice: Api, cast: Cast, now: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    captured(cast.acme.id, CALL, at=now)
    alice.get("captures")
    with django_assert_num_queries(6) as one:
        alice.get("captures")
    for number in range(5):
        captured(cast.acme.id, f"{number:024x}", at=now)
    with django_assert_num_queries(len(one.captured_queries)):
        assert len(told(alice.get("captures"))["items"]) == 6
