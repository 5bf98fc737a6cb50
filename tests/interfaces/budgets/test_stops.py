"""Stop now over REST: one call, and who may make it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from finops.budgets.models import Stop
from finops.orgs import services as orgs
from tests.factories.ledger import Book, event
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.interfaces.budgets.conftest import BOB
from tests.interfaces.conftest import Api, refused, told

LOOP = {"dimension": "session", "subject": "s-1", "reason": "It loops"}


def test_an_admin_stops_a_session_and_lets_it_go_on(alice: Api) -> None:
    made = told(alice.post("stops", LOOP), 201)
    assert {name: made[name] for name in ("kind", "dimension", "subject", "reason", "until", "lifted_at")} == {
        "kind": "manual", "dimension": "session", "subject": "s-1", "reason": "It loops", "until": None,
        "lifted_at": None,
    }  # fmt: skip
    assert [one["id"] for one in told(alice.get("stops?open=true"))["items"]] == [made["id"]]
    lifted = told(alice.post(f"stops/{made['id']}/lift"))
    assert (lifted["lifted_at"] is None, lifted["lifted_by"]) == (False, made["by"])
    assert told(alice.get("stops?open=true"))["items"] == []
    assert [one["id"] for one in told(alice.get("stops"))["items"]] == [made["id"]]
    assert refused(alice.post(f"stops/{made['id']}/lift"))[:2] == (409, "budgets.already_lifted")


def test_the_same_request_again_stops_once(alice: Api) -> None:
    first = told(alice.post("stops", LOOP, **{"Idempotency-Key": "now"}), 201)
    again = told(alice.post("stops", LOOP, **{"Idempotency-Key": "now"}), 201)
    assert again["id"] == first["id"]
    assert Stop.objects.count() == 1


def test_the_whole_organization_and_its_owners_by_name(cast: Cast, alice: Api) -> None:
    whole = told(alice.post("stops", {"dimension": "organization"}), 201)
    assert (whole["subject"], whole["subject_name"]) == (None, "")
    bob = told(alice.post("stops", {"dimension": "person", "subject": "bob", "until": "2026-11-02T00:00:00Z"}), 201)
    assert (bob["subject"], bob["subject_name"], bob["until"]) == ("bob", "Bob", "2026-11-02T00:00:00Z")
    key = orgs.issue_key(organization_id=cast.acme.id, name="CI", by=HOUSE, at=NOON).key
    assert told(alice.post("stops", {"dimension": "key", "subject": key.prefix}), 201)["subject_name"] == "CI"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"dimension": "provider", "subject": "openai"}, 400, "dimension"),
        ({"dimension": "team"}, 422, "subject"),
        ({"dimension": "team", "subject": "nobody-here"}, 422, "subject"),
        ({"dimension": "person", "subject": "charlie"}, 422, "subject"),
        ({"dimension": "organization", "subject": "acme"}, 422, "subject"),
        (LOOP | {"until": "2026-10-01T00:00:00Z"}, 422, "until"),
        (LOOP | {"reason": "x" * 501}, 400, "reason"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(alice: Api, body: dict[str, Any], status: int, field: str) -> None:
    assert refused(alice.post("stops", body))[::2] == (status, field)
    assert not Stop.objects.exists()


def test_a_team_lead_stops_their_own_team_and_what_belongs_to_it(
    cast: Cast, book: Book, alice: Api, lead: Api, bob: Api
) -> None:
    book.take(event("bobs", dimensions=BOB, session="bobs-session"), event("whose", session="whose-session"))
    for body in (
        {"dimension": "team", "subject": "search"},
        {"dimension": "person", "subject": "bob"},
        {"dimension": "session", "subject": "bobs-session"},
    ):
        made = told(lead.post("stops", body), 201)
        told(lead.post(f"stops/{made['id']}/lift"))
    for body in (
        {"dimension": "organization"},
        {"dimension": "team", "subject": "chat"},
        {"dimension": "person", "subject": "alice"},
        {"dimension": "session", "subject": "whose-session"},
        {"dimension": "session", "subject": "never-heard-of"},
    ):
        assert refused(lead.post("stops", body)) == (403, "orgs.out_of_reach", "subject")
        theirs = told(alice.post("stops", body), 201)
        assert refused(lead.post(f"stops/{theirs['id']}/lift"))[:2] == (404, "core.not_found")
    assert refused(bob.post("stops", LOOP))[:2] == (403, "orgs.permission_missing")


def test_everybody_sees_what_stops_them(alice: Api, bob: Api) -> None:
    for body in (
        {"dimension": "organization"},
        {"dimension": "team", "subject": "search"},
        {"dimension": "team", "subject": "chat"},
        {"dimension": "person", "subject": "bob"},
        {"dimension": "person", "subject": "alice"},
        LOOP,
    ):
        told(alice.post("stops", body), 201)
    assert len(told(alice.get("stops"))["items"]) == 6
    seen = told(bob.get("stops"))["items"]
    assert [(one["dimension"], one["subject"]) for one in seen] == [
        ("person", "bob"), ("team", "search"), ("organization", None),
    ]  # fmt: skip


def test_a_key_stops_what_it_is_bound_to(cast: Cast) -> None:
    issued = orgs.issue_key(
        organization_id=cast.acme.id,
        name="Watchdog",
        permissions=["calls.stop"],
        team_id=cast.search.id,
        by=HOUSE,
        at=NOON,
    )
    api = Api(Client(), Authorization=f"Bearer {issued.secret}")
    told(api.post("stops", {"dimension": "team", "subject": "search"}), 201)
    assert refused(api.post("stops", {"dimension": "team", "subject": "chat"}))[:2] == (403, "orgs.out_of_reach")
    assert refused(api.post("stops", {"dimension": "organization"}))[:2] == (403, "orgs.out_of_reach")
