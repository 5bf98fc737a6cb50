"""Rules, shared costs and promoted tags over REST: slugs in and out, stable codes, permissions, query counts."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from finops.attribution import selectors
from finops.orgs import services as orgs
from finops.orgs.rules import Permission
from tests.factories.attribution import draft, promoted, rule, shared_draft, shared_rule
from tests.factories.attribution import source as make_source
from tests.factories.orgs import HOUSE, NOON, Cast, the_cast

CHAT_MODELS = {
    "name": "Chat models",
    "conditions": [{"field": "model", "operator": "starts_with", "values": ["gpt-"]}],
    "assignment": {"team": "chat"},
}
CLUSTER = {"name": "Cluster", "pool": {"provider": ["vllm"]}, "method": "even", "dimension": "team"}


@pytest.fixture
def cast(db: None) -> Cast:
    return the_cast()


def client(organization_id: int, *permissions: Permission) -> APIClient:
    issued = orgs.issue_key(organization_id=organization_id, name="Tests", permissions=permissions, by=HOUSE, at=NOON)
    made = APIClient()
    made.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.secret}")
    return made


@pytest.fixture
def dana(cast: Cast) -> APIClient:
    """Finance, by a key that may do what this room needs."""
    return client(cast.acme.id, Permission.ORG_READ, Permission.ATTRIBUTION_MANAGE)


def test_a_rule_from_first_to_last(cast: Cast, dana: APIClient) -> None:
    made = dana.post("/api/v1/attribution-rules", CHAT_MODELS, format="json")
    assert made.status_code == 201, made.content
    told = made.json()
    assert told["conditions"] == CHAT_MODELS["conditions"]
    assert told["assignment"]["team"] == "chat"
    assert (told["number"], told["position"], told["override"], told["retired_from"]) == (1, 1, False, None)
    address = f"/api/v1/attribution-rules/{told['id']}"

    changed = dana.patch(
        address,
        {"assignment": {"team": "search", "task_type": "chat"}, "active_from": "2026-11-01T00:00:00Z"},
        format="json",
    ).json()
    # What was not said is as it was.
    assert changed["conditions"] == CHAT_MODELS["conditions"]
    assert (changed["number"], changed["assignment"]["team"]) == (2, "search")
    assert [one["number"] for one in changed["versions"]] == [2, 1]
    assert changed["versions"][1]["assignment"]["team"] == "chat"

    stale = dana.patch(address, {"name": "x", "expected_number": 1}, format="json")
    assert (stale.status_code, stale.json()["code"]) == (409, "attribution.changed")

    second = dana.post("/api/v1/attribution-rules", CHAT_MODELS | {"name": "Second", "position": 1}, format="json")
    assert second.json()["position"] == 1
    moved = dana.post(f"{address}/move", {"position": 1}, format="json")
    assert moved.json()["position"] == 1
    listed = dana.get("/api/v1/attribution-rules").json()
    assert [one["name"] for one in listed["items"]] == ["Chat models", "Second"]
    assert listed["next"] is None

    retired = dana.post(f"{address}/retire", {"retired_from": "2026-12-01T00:00:00Z"}, format="json")
    assert retired.json()["retired_from"] == "2026-12-01T00:00:00Z"
    again = dana.post(f"{address}/retire", {}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "attribution.retired")
    names = [one["name"] for one in dana.get("/api/v1/attribution-rules").json()["items"]]
    assert names == ["Second"]
    assert len(dana.get("/api/v1/attribution-rules?retired=true").json()["items"]) == 2


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"name": ""}, 400, "name"),
        ({"conditions": "all"}, 400, "conditions"),
        ({"conditions": [{"field": "model", "operator": "like", "values": ["x"]}]}, 400, "conditions[0].operator"),
        ({"conditions": [{"field": "model", "operator": "is", "values": ["a\0"]}]}, 400, "conditions[0].values[0]"),
        ({"conditions": [{"field": "shoe", "operator": "is", "values": ["x"]}]}, 422, "conditions[0].field"),
        ({"conditions": [{"field": "model", "operator": "is"}]}, 422, "conditions[0].values"),
        (
            {"conditions": [{"field": "model", "operator": "matches", "values": ["(a+)+$"]}]},
            422,
            "conditions[0].values",
        ),
        ({"conditions": CHAT_MODELS["conditions"] * 21}, 422, "conditions"),  # type: ignore[operator]
        ({"assignment": {}}, 422, "assignment"),
        ({"assignment": {"team": "nobody"}}, 422, "assignment.team"),
        ({"assignment": {"person": "charlie"}}, 422, "assignment.person"),
        ({"assignment": {"shoe": "x"}}, 400, "assignment.shoe"),
        ({"active_from": "0001-01-01T00:00:00+14:00"}, 400, "active_from"),
        ({"active_from": "2026-10-01T00:00:00Z", "active_to": "2026-10-01T00:00:00Z"}, 422, "active_to"),
        ({"position": 2}, 422, "position"),
        ({"position": 2**40}, 400, "position"),
        ({"shoe": 1}, 400, "shoe"),
    ],
)
def test_a_bad_rule_is_a_problem_that_names_its_field(
    cast: Cast, dana: APIClient, changes: dict[str, Any], status: int, field: str
) -> None:
    refused = dana.post("/api/v1/attribution-rules", CHAT_MODELS | changes, format="json")
    assert refused.status_code == status, refused.content
    assert refused["Content-Type"] == "application/problem+json"
    assert refused.json()["field"] == field
    assert dana.get("/api/v1/attribution-rules").json()["items"] == []


def test_a_repeat_with_the_same_key_makes_one_rule(cast: Cast, dana: APIClient) -> None:
    for _ in range(2):
        made = dana.post("/api/v1/attribution-rules", CHAT_MODELS, format="json", headers={"Idempotency-Key": "one"})
        assert made.status_code == 201
    assert len(dana.get("/api/v1/attribution-rules").json()["items"]) == 1


def test_reading_needs_less_than_writing(cast: Cast) -> None:
    row = rule(cast.acme.id, draft(team=cast.chat.id))
    cost = shared_rule(cast.acme.id, shared_draft())
    tag = promoted(cast.acme.id, "env")
    reader = client(cast.acme.id, Permission.ORG_READ)
    for address in (
        "attribution-rules", f"attribution-rules/{row.id}", "shared-costs", f"shared-costs/{cost.id}", "promoted-tags",
    ):  # fmt: skip
        assert reader.get(f"/api/v1/{address}").status_code == 200
    for method, address in (
        ("post", "attribution-rules"),
        ("patch", f"attribution-rules/{row.id}"),
        ("post", f"attribution-rules/{row.id}/move"),
        ("post", f"attribution-rules/{row.id}/retire"),
        ("post", "shared-costs"),
        ("patch", f"shared-costs/{cost.id}"),
        ("post", f"shared-costs/{cost.id}/retire"),
        ("post", "promoted-tags"),
        ("post", f"promoted-tags/{tag.id}/retire"),
    ):
        assert getattr(reader, method)(f"/api/v1/{address}", {}, format="json").status_code == 403
    nobody = client(cast.acme.id, Permission.USAGE_WRITE)
    assert nobody.get("/api/v1/attribution-rules").status_code == 403
    assert APIClient().get("/api/v1/attribution-rules").status_code == 401


def test_another_organization_sees_none_of_it(cast: Cast) -> None:
    row = rule(cast.acme.id, draft(team=cast.chat.id))
    cost = shared_rule(cast.acme.id, shared_draft())
    tag = promoted(cast.acme.id, "env")
    charlie = client(cast.globex.id, Permission.ORG_READ, Permission.ATTRIBUTION_MANAGE)
    for address in ("attribution-rules", "shared-costs", "promoted-tags"):
        assert charlie.get(f"/api/v1/{address}").json()["items"] == []
    for method, address in (
        ("get", f"attribution-rules/{row.id}"),
        ("patch", f"attribution-rules/{row.id}"),
        ("post", f"attribution-rules/{row.id}/retire"),
        ("get", f"shared-costs/{cost.id}"),
        ("patch", f"shared-costs/{cost.id}"),
        ("post", f"shared-costs/{cost.id}/retire"),
        ("post", f"promoted-tags/{tag.id}/retire"),
    ):
        assert getattr(charlie, method)(f"/api/v1/{address}", {}, format="json").status_code == 404
    assert charlie.post(f"/api/v1/attribution-rules/{row.id}/move", {"position": 1}, format="json").status_code == 404


def test_a_list_costs_the_same_however_long(
    cast: Cast, dana: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    def queries(wanted: int) -> None:
        # The key, then rules, versions, and the slugs of teams and of people.
        with django_assert_num_queries(5):
            assert len(dana.get("/api/v1/attribution-rules").json()["items"]) == wanted

    dana.get("/api/v1/attribution-rules")  # the first call notes that the key was used
    rule(cast.acme.id, draft(team=cast.chat.id, person=cast.bob.id))
    queries(1)
    for _ in range(8):
        rule(cast.acme.id, draft(team=cast.search.id, person=cast.alice.id))
    queries(9)
    page = dana.get("/api/v1/attribution-rules?limit=4").json()
    rest = dana.get(f"/api/v1/attribution-rules?limit=500&cursor={page['next']}").json()
    assert [one["position"] for one in page["items"] + rest["items"]] == list(range(1, 10))


def test_a_shared_cost_from_first_to_last(cast: Cast, dana: APIClient) -> None:
    make_source(cast.acme)
    promoted(cast.acme.id, "env")
    said = CLUSTER | {
        "pool": {"source": ["gateway"], "team": [None, "chat"], "provider": ["vllm"], "tag:env": ["prod"]},
        "method": "fixed",
        "percentages": {"search": "66.6667", "chat": "33.3333"},
        "from_month": "2026-10-01",
    }
    made = dana.post("/api/v1/shared-costs", said, format="json")
    assert made.status_code == 201, made.content
    told = made.json()
    for name in ("pool", "method", "percentages", "from_month", "dimension"):
        assert told[name] == said[name]
    address = f"/api/v1/shared-costs/{told['id']}"
    changed = dana.patch(
        address, {"method": "usage", "targets": ["search"], "when_empty": "keep", "from_month": "2026-11-01"},
        format="json",
    ).json()  # fmt: skip
    assert (changed["number"], changed["percentages"], changed["targets"]) == (2, {}, ["search"])
    assert changed["pool"] == said["pool"]
    assert changed["versions"][1]["percentages"] == said["percentages"]
    # Another dimension would silently turn "search" into every active project.
    widened = dana.patch(address, {"dimension": "project"}, format="json")
    assert (widened.status_code, widened.json()["field"]) == (422, "targets")
    assert dana.patch(address, {"dimension": "project", "targets": []}, format="json").json()["targets"] == []
    retired = dana.post(f"{address}/retire", {"retired_from": "2027-01-01"}, format="json")
    assert retired.json()["retired_from"] == "2027-01-01"
    assert dana.get("/api/v1/shared-costs").json()["items"] == []
    assert len(dana.get("/api/v1/shared-costs?retired=1").json()["items"]) == 1


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"pool": {}}, 422, "pool"),
        ({"pool": {"provider": [None]}}, 422, "pool.provider"),
        ({"pool": {"shoe": ["x"]}}, 422, "pool.shoe"),
        ({"pool": {"team": ["nobody"]}}, 422, "pool.team"),
        ({"pool": {"person": ["charlie"]}}, 422, "pool.person"),
        ({"method": "fixed"}, 422, "percentages"),
        ({"method": "fixed", "percentages": {"search": "x"}}, 400, "percentages.search"),
        ({"method": "fixed", "percentages": {"search": "33.33333"}}, 400, "percentages.search"),
        ({"method": "fixed", "percentages": {"nobody": "1"}}, 422, "percentages"),
        ({"percentages": {"search": "1"}}, 422, "percentages"),
        ({"targets": ["chat", "chat"]}, 422, "targets"),
        ({"dimension": "model"}, 400, "dimension"),
        ({"from_month": "2026-10-02"}, 422, "from_month"),
        ({"from_month": "October"}, 400, "from_month"),
    ],
)
def test_a_bad_shared_cost_is_a_problem_that_names_its_field(
    cast: Cast, dana: APIClient, changes: dict[str, Any], status: int, field: str
) -> None:
    refused = dana.post("/api/v1/shared-costs", CLUSTER | changes, format="json")
    assert refused.status_code == status, refused.content
    assert refused.json()["field"] == field


def test_promoted_tags(cast: Cast, dana: APIClient) -> None:
    for number in range(10):
        made = dana.post("/api/v1/promoted-tags", {"key": f"key {number}"}, format="json")
        assert (made.status_code, made.json()["slot"]) == (201, number + 1)
    full = dana.post("/api/v1/promoted-tags", {"key": "eleven"}, format="json")
    assert (full.status_code, full.json()["code"]) == (409, "attribution.tag_slots_full")
    first = dana.get("/api/v1/promoted-tags?limit=1").json()
    retired = dana.post(f"/api/v1/promoted-tags/{first['items'][0]['id']}/retire", {}, format="json")
    assert retired.json()["retired_at"] is not None
    assert len(dana.get("/api/v1/promoted-tags").json()["items"]) == 10
    assert "key 0" not in selectors.load_snapshot(cast.acme.id).tag_slots
    assert dana.post("/api/v1/promoted-tags", {"key": "key 0"}, format="json").json()["slot"] == 1
    for key, status in (("", 400), ("  ", 422), ("a\nb", 422), ("a\0b", 400)):
        assert dana.post("/api/v1/promoted-tags", {"key": key}, format="json").status_code == status
