"""Allowed models, limits by the minute and breakers over REST: set, seen as far as one may, and removed."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from finops.orgs import services as orgs
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.interfaces.conftest import Api, refused, told

EACH = {"dimension": "person", "requests_per_minute": 60, "allowed_models": ["claude-*"]}
LOOPS = {"dimension": "session", "measure": "session_calls", "threshold": "500", "pause_minutes": 60}


def test_an_admin_limits_each_and_somebody_by_name(alice: Api) -> None:
    each = told(alice.post("limits", EACH))
    assert {name: each[name] for name in ("dimension", "each", "subject", "subject_name", "allowed_models")} == {
        "dimension": "person", "each": True, "subject": None, "subject_name": "", "allowed_models": ["claude-*"],
    }  # fmt: skip
    bobs = told(alice.post("limits", {"dimension": "person", "subject": "bob", "tokens_per_minute": 50_000}))
    assert (bobs["each"], bobs["subject"], bobs["subject_name"]) == (False, "bob", "Bob")
    nobodys = told(alice.post("limits", {"dimension": "key", "subject": None, "requests_per_minute": 5}))
    assert (nobodys["each"], nobodys["subject"], nobodys["subject_name"]) == (False, None, "Nobody")
    assert [one["id"] for one in told(alice.get("limits"))["items"]] == [each["id"], bobs["id"], nobodys["id"]]
    again = told(alice.post("limits", {"dimension": "person", "requests_per_minute": 30}))
    assert (again["id"], again["requests_per_minute"], again["allowed_models"]) == (each["id"], 30, None)
    at_once = told(alice.post("limits", {"dimension": "key", "max_concurrent": 8}))
    assert (at_once["max_concurrent"], at_once["requests_per_minute"]) == (8, None)
    assert told(alice.post(f"limits/{each['id']}/remove")) == {}
    assert refused(alice.post(f"limits/{each['id']}/remove"))[:2] == (404, "core.not_found")


def test_a_breaker_in_place_of_a_default_and_the_default_again(alice: Api) -> None:
    def by_default() -> list[str]:
        items = told(alice.get("breakers/defaults"))["items"]
        return [f"{one['dimension']} {one['measure']} {one['threshold']}" for one in items]

    assert "session session_calls 2000" in by_default()
    assert "session session_amount 250.000000000000" in by_default()
    made = told(alice.post("breakers", LOOPS))
    assert (made["threshold"], made["pause_minutes"], made["each"]) == ("500", 60, True)
    assert not [one for one in by_default() if one.startswith("session session_calls")]
    off = told(alice.post("breakers", LOOPS | {"threshold": None}))
    assert (off["id"], off["threshold"]) == (made["id"], None)
    assert [one["id"] for one in told(alice.get("breakers"))["items"]] == [made["id"]]
    told(alice.post(f"breakers/{made['id']}/remove"))
    assert "session session_calls 2000" in by_default()


def test_an_agents_sessions_are_named_by_the_agent(cast: Cast, alice: Api) -> None:
    orgs.add_agent(organization_id=cast.acme.id, name="Reviewer", by=HOUSE, at=NOON)
    made = told(alice.post("breakers", LOOPS | {"subject": "reviewer"}))
    assert (made["dimension"], made["each"], made["subject"], made["subject_name"]) == (
        "session", False, "reviewer", "Reviewer",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("address", "body", "status", "field"),
    [
        ("limits", {"dimension": "person"}, 422, "requests_per_minute"),
        ("limits", EACH | {"dimension": "customer"}, 400, "dimension"),
        ("limits", EACH | {"subject": "charlie"}, 422, "subject"),
        ("limits", EACH | {"requests_per_minute": 0}, 400, "requests_per_minute"),
        ("limits", EACH | {"max_concurrent": 0}, 400, "max_concurrent"),
        ("limits", EACH | {"allowed_models": ["*a*b*c*"]}, 422, "allowed_models"),
        ("limits", EACH | {"allowed_models": ["x"] * 101}, 400, "allowed_models"),
        ("breakers", LOOPS | {"measure": "depth", "dimension": "key"}, 422, "measure"),
        ("breakers", LOOPS | {"threshold": "0"}, 422, "threshold"),
        ("breakers", LOOPS | {"threshold": "1.5"}, 422, "threshold"),
        ("breakers", LOOPS | {"pause_minutes": 0}, 400, "pause_minutes"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(
    alice: Api, address: str, body: dict[str, Any], status: int, field: str
) -> None:
    assert refused(alice.post(address, body))[::2] == (status, field)


def test_who_does_not_manage_sees_what_concerns_them(alice: Api, bob: Api, viewer: Api) -> None:
    for body in (
        EACH,
        EACH | {"subject": "bob"},
        EACH | {"subject": "alice"},
        {"dimension": "team", "subject": "search", "requests_per_minute": 9},
        {"dimension": "team", "subject": "chat", "requests_per_minute": 9},
    ):
        told(alice.post("limits", body))
    assert refused(bob.post("limits", EACH))[:2] == (403, "orgs.permission_missing")
    assert refused(bob.post("breakers", LOOPS))[:2] == (403, "orgs.permission_missing")

    def seen(api: Api) -> list[str]:
        return [f"{one['dimension']} {one['subject']}" for one in told(api.get("limits"))["items"]]

    assert seen(bob) == ["person None", "person bob", "team search"]
    assert seen(viewer) == ["person None", "team search", "team chat"]
    told(alice.post("breakers", LOOPS))
    assert len(told(bob.get("breakers"))["items"]) == 1


def test_lists_take_as_few_questions_however_long(
    alice: Api, django_assert_max_num_queries: DjangoAssertNumQueries, cast: Cast
) -> None:
    for n in range(12):
        agent = orgs.add_agent(organization_id=cast.acme.id, name=f"Agent {n}", by=HOUSE, at=NOON)
        told(alice.post("limits", {"dimension": "agent", "subject": agent.slug, "requests_per_minute": 1}))
        told(alice.post("breakers", LOOPS | {"subject": agent.slug}))
    for address in ("limits", "breakers"):
        with django_assert_max_num_queries(12):
            assert len(told(alice.get(address))["items"]) == 12
