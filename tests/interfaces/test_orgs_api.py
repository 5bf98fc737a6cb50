"""Organizations, owners, people, keys and members over REST."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.http import HttpResponse
from django.test import Client
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from finops.audit.models import AuditEvent
from finops.orgs import services
from finops.orgs.models import Person, User, VirtualKey
from tests.factories.orgs import HOUSE, NOON, Cast, member
from tests.interfaces.conftest import Api

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}


def said(response: HttpResponse, status: int = 200) -> Any:
    assert response.status_code == status, response.content
    return json.loads(response.content) if response.content else None


def test_a_team_from_adding_to_archiving(alice: Api) -> None:
    made = said(alice.post("teams", {"name": "Ranking", "parent": "search", "cost_centre": "CC-7"}), 201)
    assert (made["slug"], made["parent"], made["cost_centre"]) == ("ranking", "search", "CC-7")
    assert said(alice.get("teams/ranking")) == made
    assert said(alice.patch("teams/ranking", {"name": "Ranking & Ads"}))["name"] == "Ranking & Ads"
    assert said(alice.post("teams/ranking/move", {"parent": "chat"}))["parent"] == "chat"
    assert said(alice.post("teams/ranking/move", {"parent": None}))["parent"] is None
    assert said(alice.post("teams/ranking/archive"))["archived_at"] is not None
    assert [team["slug"] for team in said(alice.get("teams"))["items"]] == ["chat", "search"]
    problem = said(alice.post("teams/search/move", {"parent": "search"}), 422)
    assert (problem["code"], problem["field"]) == ("orgs.team_cycle", "parent")


@pytest.mark.parametrize("kind", ["projects", "agents", "customers"])
def test_projects_agents_and_customers_alike(alice: Api, kind: str) -> None:
    made = said(alice.post(kind, {"name": "Apollo"}), 201)
    assert said(alice.get(f"{kind}/apollo")) == made
    assert said(alice.patch(f"{kind}/apollo", {"name": "Artemis"}))["name"] == "Artemis"
    assert said(alice.post(kind, {"name": "Other", "slug": "apollo"}), 409)["code"] == "orgs.slug_taken"
    said(alice.post(f"{kind}/apollo/archive"))
    assert said(alice.get(kind))["items"] == []


def test_references_go_by_slug(alice: Api, cast: Cast) -> None:
    said(alice.post("projects", {"name": "Apollo", "team": "search"}), 201)
    agent = said(alice.post("agents", {"name": "Crawler", "owner": "bob", "project": "apollo"}), 201)
    assert (agent["owner"], agent["project"]) == ("bob", "apollo")
    assert said(alice.patch("agents/crawler", {"owner": None}))["owner"] is None
    problem = said(alice.post("agents", {"name": "Other", "owner": "nobody"}), 422)
    assert (problem["code"], problem["field"]) == ("orgs.owner_unknown", "owner")


def test_a_list_is_read_in_pages_that_miss_and_repeat_nothing(
    alice: Api, cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(23):
        services.add_project(organization_id=cast.acme.id, name=f"P{number:02}", team_id=cast.search.id, **WHO)
    seen: list[str] = []
    address = "projects?limit=10"
    pages = 0
    while address:
        # Session, login, two for the organization, two for the caller, one for the page: whatever its size.
        with django_assert_num_queries(6):
            page = said(alice.get(address))
        seen += [row["slug"] for row in page["items"]]
        address = f"projects?limit=10&cursor={page['next']}" if page["next"] else ""
        pages += 1
    assert pages == 3
    assert seen == sorted(seen) == [f"p{number:02}" for number in range(23)]


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        ("teams", 6), ("people", 7), ("projects", 6), ("agents", 6), ("customers", 6), ("keys", 6), ("members", 7),
        ("sources", 6), ("jobs", 6), ("audit", 8), ("people/bob/identities", 7), ("organization", 6),
    ],
)  # fmt: skip
def test_a_list_costs_the_same_however_long(
    alice: Api, cast: Cast, django_assert_max_num_queries: DjangoAssertNumQueries, path: str, queries: int
) -> None:
    for number in range(8):
        here: dict[str, Any] = {"organization_id": cast.acme.id, **WHO}
        team = services.add_team(name=f"T{number}", parent_id=cast.search.id, **here)
        person = services.add_person(name=f"P{number}", email=f"p{number}@acme.example", team_id=team.id, **here)
        project = services.add_project(name=f"R{number}", team_id=team.id, **here)
        services.add_agent(name=f"A{number}", owner_id=person.id, project_id=project.id, **here)
        services.issue_key(name=f"K{number}", team_id=team.id, person_id=person.id, **here)
        member(cast.acme, f"M{number}", "team_lead")
    with django_assert_max_num_queries(queries):
        said(alice.get(path))


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "limit=-1", "limit=99999999999999999999", "cursor=nonsense",
              "cursor=%00", "limit=%EF%BC%91"],
)  # fmt: skip
def test_a_page_that_cannot_be_asked_for_is_refused(alice: Api, query: str) -> None:
    problem = said(alice.get(f"teams?{query}"), 400)
    assert problem["code"] in {"api.limit_invalid", "api.cursor_invalid"}
    assert problem["field"] in {"limit", "cursor"}


def test_a_person_with_identities_and_their_erasure(alice: Api, cast: Cast) -> None:
    made = said(
        alice.post(
            "people",
            {"name": "Erin", "email": "erin@acme.example", "team": "search",
             "identities": [{"kind": "github", "value": "erin-codes"}]},
        ),
        201,
    )  # fmt: skip
    assert {(each["kind"], each["value"]) for each in made["identities"]} == {
        ("email", "erin@acme.example"), ("github", "erin-codes"),
    }  # fmt: skip
    added = said(alice.post("people/erin/identities", {"kind": "key_alias", "value": "erin-ci"}), 201)
    said(alice.delete(f"identities/{added['id']}"), 204)
    assert len(said(alice.get("people/erin/identities"))["items"]) == 2
    assert said(alice.patch("people/erin", {"team": None}))["team"] is None
    erased = said(alice.post("people/erin/erase"))
    assert erased["name"] == f"Person {made['id']:04x}"
    assert erased["identities"] == []
    said(alice.get("people/erin"), 404)
    assert Person.objects.get(id=made["id"]).erased_at is not None


def test_an_engineer_sees_names_and_no_addresses(cast: Cast, login: Callable[[User], Api]) -> None:
    bob = login(cast.bob_login)
    shown = said(bob.get("people/dana"))
    assert shown["name"] == "Dana"
    assert "email" not in shown
    assert "identities" not in shown
    assert said(bob.get("people/dana/identities"), 403)["code"] == "orgs.permission_missing"
    assert said(bob.post("people", {"name": "Erin"}), 403)["code"] == "orgs.permission_missing"


def test_a_key_is_shown_once_used_rotated_and_revoked(alice: Api, cast: Cast) -> None:
    made = said(alice.post("keys", {"name": "CI", "permissions": ["org.read"], "team": "search", "person": "bob"}), 201)
    assert made["secret"].startswith(made["prefix"])
    assert "secret" not in said(alice.get(f"keys/{made['id']}"))
    script = Api(Client(), Authorization=f"Bearer {made['secret']}")
    assert said(script.get("organization"))["slug"] == "acme"
    assert said(Api(Client(), x_api_key=made["secret"]).get("teams"))["items"]
    assert said(script.get("keys"), 403)["code"] == "orgs.permission_missing"
    fresh = said(alice.post(f"keys/{made['id']}/rotate", {"grace_s": 60}), 201)
    assert (fresh["id"], fresh["team"], fresh["person"]) == (made["id"], "search", "bob")
    assert fresh["former_until"] is not None
    said(script.get("organization"))
    said(alice.post(f"keys/{made['id']}/revoke"))
    refused = script.get("organization")
    assert said(refused, 401)["code"] == "orgs.key_refused"
    assert refused["WWW-Authenticate"].startswith("Bearer")
    assert VirtualKey.objects.get(id=made["id"]).last_used_at is not None


def test_an_invitation_is_mailed_and_opens_the_door(
    alice: Api, cast: Cast, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        made = said(
            alice.post("members", {"email": "erin@acme.example", "role": "team_lead", "teams": ["search"]}), 201
        )
    assert (made["role"], made["teams"]) == ("team_lead", ["search"])
    assert "http" not in json.dumps(made)  # whoever invites holds no credential
    [letter] = mail.outbox
    assert letter.to == ["erin@acme.example"]
    link = re.search(r"http://testserver(/accounts/\S+)", str(letter.body))
    assert link is not None
    visitor = Client()
    page = visitor.get(link.group(1), follow=True)
    assert page.status_code == 200
    chosen = {"password1": "a-long-enough-secret", "password2": "a-long-enough-secret"}
    assert visitor.post(page.redirect_chain[-1][0], chosen).status_code == 302
    erin = User.objects.get(email="erin@acme.example")
    assert erin.check_password("a-long-enough-secret")
    entered = Client().post("/accounts/login/", {"login": "erin@acme.example", "password": "a-long-enough-secret"})
    assert (entered.status_code, entered["Location"]) == (302, "/")


def test_members_change_and_leave_but_the_last_owner(alice: Api, cast: Cast) -> None:
    dana = cast.dana_login.id
    assert said(alice.patch(f"members/{dana}", {"role": "viewer"}))["role"] == "viewer"
    said(alice.delete(f"members/{dana}"), 204)
    said(alice.delete(f"members/{dana}"), 404)
    assert said(alice.delete(f"members/{cast.alice_login.id}"), 409)["code"] == "orgs.last_owner"


def test_settings_of_the_organization(alice: Api) -> None:
    changed = said(alice.patch("organization", {"fiscal_calendar": "445", "fiscal_start_month": 2}))
    assert (changed["fiscal_calendar"], changed["fiscal_start_month"]) == ("445", 2)
    assert said(alice.patch("organization", {"timezone": "Mars/Olympus"}), 422)["field"] == "timezone"
    assert said(alice.patch("organization", {"slug": "other"}), 400)["field"] == "slug"


def test_the_trail_reads_with_names(alice: Api, cast: Cast) -> None:
    said(alice.post("teams", {"name": "Ranking"}), 201)
    newest = said(alice.get("audit?limit=1"))
    [event] = newest["items"]
    assert (event["verb"], event["actor_name"], event["subject_name"]) == ("team.added", "Alice", "Ranking")
    about = said(alice.get(f"audit?subject_kind=person&subject_id={cast.bob.id}"))["items"]
    assert {row["subject_name"] for row in about} == {"Bob"}
    # Every page of it, once.
    page = said(alice.get("audit?limit=7"))
    seen = len(page["items"])
    while page["next"]:
        page = said(alice.get(f"audit?limit=7&cursor={page['next']}"))
        seen += len(page["items"])
    assert seen == AuditEvent.objects.filter(organization_id=cast.acme.id).count()


def test_sources_and_jobs(alice: Api, cast: Cast) -> None:
    from finops.jobs import services as jobs

    assert said(alice.post("sources", {"slug": "gateway", "kind": "litellm"}), 201)["name"] == "gateway"
    assert said(alice.patch("sources/gateway", {"name": "The gateway"}))["name"] == "The gateway"
    assert said(alice.post("sources/gateway/archive"))["archived_at"]
    job = jobs.open_job(organization_id=cast.acme.id, kind="rerate", parameters={}, **WHO)
    assert said(alice.get(f"jobs/{job.id}"))["state"] == "queued"
    assert said(alice.post(f"jobs/{job.id}/stop"))["state"] == "stopped"
    assert said(alice.get("jobs?state=stopped&kind=rerate"))["items"][0]["id"] == job.id
    assert said(alice.post(f"jobs/{job.id}/resume"))["state"] == "queued"
    assert said(alice.get("jobs?state=asleep"), 400)["field"] == "state"
