"""Recommendations over REST: read, looked into, applied, dismissed, worked out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from finops.audit.models import AuditEvent
from finops.orgs.models import User
from routing.recommend import services, tasks
from routing.recommend.models import Recommendation
from routing.rules.document import imported
from routing.rules.models import RoutingRule
from tests.factories.orgs import HOUSE, Cast, actor
from tests.factories.recommend import CHEAP, COSTS, STRONG, known
from tests.interfaces.conftest import Api, refused, told


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def worked(cast: Cast, now: datetime) -> Recommendation:
    """A switch of triage, and summaries of which too little is known."""
    known(cast.acme, {STRONG: 0.9, CHEAP: 0.9}, at=now)
    known(cast.acme, {STRONG: 0.9, CHEAP: 0.9}, at=now, task_type="summary", name="other", number=50)
    services.recompute(organization_id=cast.acme.id, by=HOUSE, at=now)
    return Recommendation.objects.get(kind="switch")


def test_the_list_is_filtered_paged_and_says_what_one_decides_by(alice: Api, worked: Recommendation) -> None:
    page = told(alice.get("recommendations"))
    assert {(one["kind"], one["task_type"]) for one in page["items"]} == {
        ("switch", "triage"),
        ("experiment", "summary"),
    }
    [one] = told(alice.get("recommendations?kind=switch&state=open&task_type=triage"))["items"]
    assert (one["incumbent"], one["candidate"], one["verdict"], one["pairs"]) == (STRONG, CHEAP, "pass", 1_200)
    assert one["in_words"] == "Switch 'triage' from strong to cheap."
    assert one["difference"]["lower"] > -one["margin"]
    assert one["cost"]["ratio"]["upper"] < 1
    assert one["saving"]["share"]["value"] == pytest.approx(0.9, abs=0.02)
    assert "rule" not in one
    first = told(alice.get("recommendations?limit=1"))
    rest = told(alice.get(f"recommendations?limit=1&cursor={first['next']}"))
    assert [row["id"] for row in first["items"] + rest["items"]] == [row["id"] for row in page["items"]]
    assert told(alice.get("recommendations?state=dismissed"))["items"] == []
    assert refused(alice.get("recommendations?kind=guess"))[:2] == (400, "api.invalid")


def test_one_has_its_rule_its_reasons_and_every_candidate(alice: Api, worked: Recommendation) -> None:
    one = told(alice.get(f"recommendations/{worked.id}"))
    assert one["rule"]["use"] == [{"model": CHEAP}, {"model": STRONG}]
    [said] = imported(one["yaml"])
    assert (said.name, said.when.task_types) == (one["rule"]["name"], ("triage",))
    assert [row["model"] for row in one["considered"]] == [CHEAP]
    assert any("tasks that both did" in reason for reason in one["reasons"])
    assert refused(alice.get("recommendations/999999"))[:2] == (404, "core.not_found")


def test_its_evidence_is_a_sequence_disagreements_and_a_frontier(alice: Api, worked: Recommendation) -> None:
    found = told(alice.get(f"recommendations/{worked.id}/evidence"))
    compared = found["comparison"]
    assert 100 < len(compared["points"]) <= 200
    assert compared["points"][-1]["pairs"] == 1_200
    assert compared["margin"] == worked.document["margin"]
    assert 0 < len(compared["disagreements"]) <= 100
    assert [(row["model"], row["tasks"], row["frontier"]) for row in found["models"] if row["model"] == CHEAP] == [
        (CHEAP, 1_200, True)
    ]
    trial = Recommendation.objects.get(kind="experiment")
    assert told(alice.get(f"recommendations/{trial.id}/evidence"))["comparison"]["verdict"] == "inconclusive"


def test_applied_once_whatever_is_repeated(alice: Api, cast: Cast, worked: Recommendation) -> None:
    path = f"recommendations/{worked.id}/apply"
    done = told(alice.post(path, {"stage": "shadow", "why": "Finance agreed"}, Idempotency_Key="a1"))
    assert told(alice.post(path, {"stage": "shadow", "why": "Finance agreed"}, Idempotency_Key="a1")) == done
    assert (done["state"], done["decided_by"]) == ("applied", actor(cast.alice_login).reference)
    rule = RoutingRule.objects.get(id=done["rule_id"])
    assert (rule.stage, rule.version and rule.version.why) == ("shadow", "Finance agreed")
    assert refused(alice.post(f"recommendations/{worked.id}/dismiss", {"reason": "no"}))[:2] == (
        409, "recommend.not_open",
    )  # fmt: skip
    trial = Recommendation.objects.get(kind="experiment")
    assert refused(alice.post(f"recommendations/{trial.id}/apply"))[:2] == (409, "recommend.nothing_to_apply")
    assert refused(alice.post(path, {"stage": "full"})) == (400, "api.invalid", "stage")
    assert AuditEvent.objects.filter(verb="recommendation.applied").count() == 1


def test_dismissed_with_a_reason(alice: Api, worked: Recommendation) -> None:
    path = f"recommendations/{worked.id}/dismiss"
    assert refused(alice.post(path)) == (400, "api.invalid", "reason")
    assert refused(alice.post(path, {"reason": "two\nlines"})) == (422, "recommend.invalid", "reason")
    gone = told(alice.post(path, {"reason": "The contract forbids it."}))
    assert (gone["state"], gone["reason"]) == ("dismissed", "The contract forbids it.")


def test_worked_out_at_once_or_by_a_worker(
    alice: Api, cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    known(cast.acme, {STRONG: 0.9, CHEAP: 0.9}, at=now)
    assert told(alice.post("recommendations/recompute")) == {
        "state": "done", "examined": 1, "opened": 1, "renewed": 0, "withdrawn": 0,
    }  # fmt: skip
    known(cast.acme, {STRONG: 0.9, CHEAP: 0.9}, at=now, name="more", number=100)
    monkeypatch.setattr(tasks, "MOST_AT_ONCE", 1_000)
    queued: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.recompute, "apply_async", lambda **given: queued.append(given))
    with django_capture_on_commit_callbacks(execute=True):
        assert told(alice.post("recommendations/recompute"))["state"] == "queued"
    assert queued[0]["kwargs"] == {"organization_id": cast.acme.id}
    tasks.recompute(**queued[0]["kwargs"])
    assert told(alice.post("recommendations/recompute"))["examined"] == 0


def test_who_may_read_and_who_may_act(
    cast: Cast, login: Callable[[User], Api], by_key: Callable[..., Api], worked: Recommendation
) -> None:
    bob, charlie = login(cast.bob_login), login(cast.charlie_login)
    assert len(told(bob.get("recommendations"))["items"]) == 2
    assert told(bob.get(f"recommendations/{worked.id}/evidence"))["id"] == worked.id
    for path in (f"{worked.id}/apply", f"{worked.id}/dismiss", "recompute"):
        assert refused(bob.post(f"recommendations/{path}", {"reason": "no"}))[:2] == (403, "orgs.permission_missing")
        assert refused(by_key("routing.read").post(f"recommendations/{path}"))[0] == 403
    assert told(charlie.get("recommendations"))["items"] == []
    for path in ("", "/evidence"):
        assert refused(charlie.get(f"recommendations/{worked.id}{path}"))[0] == 404
    for path, said in (("apply", {}), ("dismiss", {"reason": "no"})):
        assert refused(charlie.post(f"recommendations/{worked.id}/{path}", said))[0] == 404


def test_a_list_is_read_in_as_many_queries_whatever_its_length(
    alice: Api, cast: Cast, now: datetime, worked: Recommendation, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    alice.get("recommendations")
    with django_assert_num_queries(6) as one:
        assert len(told(alice.get("recommendations"))["items"]) == 2
    known(cast.acme, {STRONG: 0.9, CHEAP: 0.9}, at=now, task_type="third", name="third", number=50, costs=COSTS)
    services.recompute(organization_id=cast.acme.id, by=HOUSE, at=now)
    with django_assert_num_queries(len(one.captured_queries)):
        assert len(told(alice.get("recommendations"))["items"]) == 3
