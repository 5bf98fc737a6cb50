"""More for a while is asked for, decided and withdrawn; money moves between budgets."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from finops.audit.models import AuditEvent
from finops.orgs import services as orgs
from tests.factories.ledger import Book
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.interfaces.budgets.conftest import PER_PERSON, SEARCH, made
from tests.interfaces.conftest import Api, refused, told


@pytest.fixture
def per_person(alice: Api, book: Book) -> int:
    return int(made(alice, PER_PERSON)["id"])


def limit_of(api: Api, budget: int, subject: str | None) -> str:
    items = told(api.get(f"budgets/{budget}/accounts"))["items"]
    return next(str(one["limit"]) for one in items if one["subject"] == subject)


def test_an_engineer_asks_and_an_admin_approves(alice: Api, bob: Api, per_person: int) -> None:
    wish = {"budget_id": per_person, "subject": "bob", "amount": "50", "reason": "The evaluation runs today"}
    asked = told(bob.post("increases", wish), 201)
    assert (asked["state"], asked["subject"], asked["budget"]) == ("asked", "bob", "A week each")
    assert asked["expires_at"] == "2026-11-02T00:00:00Z"
    assert refused(bob.post(f"increases/{asked['id']}/approve"))[:2] == (403, "orgs.permission_missing")
    assert limit_of(bob, per_person, "bob") == "200.000000000000"

    approved = told(alice.post(f"increases/{asked['id']}/approve", {"note": "Good luck"}))
    assert (approved["state"], approved["note"], approved["decided_at"] is None) == ("approved", "Good luck", False)
    assert limit_of(bob, per_person, "bob") == "250.000000000000"
    assert limit_of(alice, per_person, "alice") == "200.000000000000"
    assert refused(alice.post(f"increases/{asked['id']}/refuse"))[:2] == (409, "budgets.decided")
    verbs = AuditEvent.objects.filter(subject_kind="increase").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["budget.increase_asked", "budget.increase_approved"]


def test_one_asks_for_oneself_and_ones_team_only(cast: Cast, alice: Api, bob: Api, per_person: int) -> None:
    beyond = (403, "orgs.out_of_reach", "subject")
    for subject in ("alice", None):
        said = refused(bob.post("increases", {"budget_id": per_person, "subject": subject, "amount": "1"}))
        assert said == beyond
    project = orgs.add_project(organization_id=cast.acme.id, name="Answers", team_id=cast.search.id, by=HOUSE, at=NOON)
    agents_of: dict[str, dict[str, Any]] = {
        "Crawler": {"project_id": project.id},
        "Mine": {"owner_id": cast.bob.id},
        "Broker": {},
    }
    for name, of in agents_of.items():
        orgs.add_agent(organization_id=cast.acme.id, name=name, by=HOUSE, at=NOON, **of)
    agents = made(alice, PER_PERSON | {"name": "Agents", "each": "agent"})["id"]
    for agent in ("crawler", "mine"):
        told(bob.post("increases", {"budget_id": agents, "subject": agent, "amount": "1"}), 201)
    assert refused(bob.post("increases", {"budget_id": agents, "subject": "broker", "amount": "1"})) == beyond
    search = made(alice, SEARCH)["id"]
    told(bob.post("increases", {"budget_id": search, "amount": "1"}), 201)
    chat = made(alice, SEARCH | {"scope": {"team": ["chat"]}})["id"]
    assert refused(bob.post("increases", {"budget_id": chat, "amount": "1"}))[:2] == (404, "core.not_found")
    # All of them are Bob's, and an admin sees them; Alice's own does not concern him.
    told(alice.post("increases", {"budget_id": per_person, "subject": "alice", "amount": "1"}), 201)
    assert len(told(bob.get("increases"))["items"]) == 3
    assert len(told(alice.get("increases"))["items"]) == 4


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"amount": "0"}, 422, "amount"),
        ({"amount": "-1"}, 400, "amount"),
        ({"budget_id": 2**31}, 400, "budget_id"),
        ({"subject": "nobody-here"}, 422, "subject"),
        ({"expires_at": "2026-10-01T00:00:00Z"}, 422, "expires_at"),
        ({"reason": "x" * 2_001}, 400, "reason"),
    ],
)
def test_a_bad_request_for_more_names_its_field(
    alice: Api, per_person: int, changes: dict[str, object], status: int, field: str
) -> None:
    wish = {"budget_id": per_person, "subject": "bob", "amount": "1"}
    answer = refused(alice.post("increases", wish | changes))
    assert (answer[0], answer[2]) == (status, field)


def test_whoever_asked_withdraws(alice: Api, bob: Api, lead: Api, per_person: int) -> None:
    wish = {"budget_id": per_person, "subject": "bob", "amount": "1"}
    first, second = (told(bob.post("increases", wish), 201)["id"] for _ in range(2))
    # Lena sees what her team asks for, and leaves it to them.
    assert refused(lead.post(f"increases/{first}/withdraw"))[:2] == (403, "budgets.not_yours")
    assert told(bob.post(f"increases/{first}/withdraw"))["state"] == "withdrawn"
    assert told(alice.post(f"increases/{second}/withdraw"))["state"] == "withdrawn"
    hers = told(alice.post("increases", wish | {"subject": "alice"}), 201)["id"]
    assert refused(bob.post(f"increases/{hers}/withdraw"))[:2] == (404, "core.not_found")
    assert [one["id"] for one in told(alice.get("increases?state=asked"))["items"]] == [hers]
    assert refused(alice.get("increases?state=lost"))[2] == "state"


def test_a_list_of_requests_costs_the_same_however_long(
    bob: Api, per_person: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    def queries(wanted: int) -> None:
        # Session, login, organization, membership, person and teams; keys, projects and agents of the reach; which
        # budgets; the page; names.
        with django_assert_num_queries(12):
            assert len(told(bob.get("increases"))["items"]) == wanted

    wish = {"budget_id": per_person, "subject": "bob", "amount": "1"}
    told(bob.post("increases", wish), 201)
    queries(1)
    for _ in range(4):
        told(bob.post("increases", wish), 201)
    queries(5)


def test_money_moves_and_the_sum_stays(alice: Api, bob: Api, per_person: int) -> None:
    search = made(alice, SEARCH)["id"]
    move = {
        "source": {"budget_id": search},
        "target": {"budget_id": per_person, "subject": "bob"},
        "amount": "60",
        "reason": "The evaluation",
    }
    moved = told(alice.post("transfers", move, Idempotency_Key="move"), 201)
    assert (moved["target"]["subject"], moved["source"]["subject"], moved["amount"]) == ("bob", None, "60.000000000000")
    assert told(alice.post("transfers", move, Idempotency_Key="move"), 201) == moved
    assert limit_of(alice, search, None) == "40.000000000000"
    assert limit_of(alice, per_person, "bob") == "260.000000000000"
    assert refused(alice.post("transfers", move))[:2] == (409, "budgets.not_enough")
    assert refused(alice.post("transfers", move | {"amount": "0"}))[2] == "amount"
    assert refused(alice.post("transfers", move | {"target": {"budget_id": per_person}}))[2] == "target.subject"
    assert refused(bob.post("transfers", move))[:2] == (403, "orgs.permission_missing")
    alice.post(f"budgets/{search}/archive")
    assert refused(alice.post("transfers", move | {"amount": "1"}))[:2] == (409, "budgets.archived")
    assert refused(alice.post("increases", {"budget_id": search, "amount": "1"}))[:2] == (409, "budgets.archived")
