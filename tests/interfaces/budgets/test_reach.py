"""Who sees which budgets and accounts, and what is left to oneself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from finops.orgs import services as orgs
from tests.factories.ledger import AT, Book, event
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.interfaces.budgets.conftest import BOB, PER_PERSON, SEARCH, made
from tests.interfaces.conftest import Api, refused, told


@pytest.fixture
def per_person(alice: Api, book: Book) -> str:
    """The accounts of everybody's week."""
    return f"budgets/{made(alice, PER_PERSON)['id']}/accounts"


def subjects(api: Api, address: str) -> set[str | None]:
    return {one["subject"] for one in told(api.get(address))["items"]}


def test_an_account_says_how_it_stands(alice: Api, per_person: str) -> None:
    [bobs] = [one for one in told(alice.get(per_person))["items"] if one["subject"] == "bob"]
    assert bobs == {
        "subject": "bob",
        "subject_name": "Bob",
        "starts_at": "2026-10-26T00:00:00Z",
        "ends_at": "2026-11-02T00:00:00Z",
        "limit": "200.000000000000",
        "carried": "0.000000000000",
        "authorised": "0.000000000000",
        "leased": "0.000000000000",
        "observed": "0.024000000000",
        "spent": "0.024000000000",
        "left": "199.976000000000",
    }


def test_accounts_of_people_are_seen_by_themselves_and_who_may(
    alice: Api, bob: Api, viewer: Api, lead: Api, per_person: str
) -> None:
    assert subjects(alice, per_person) == {"alice", "bob", None}
    assert subjects(bob, per_person) == {"bob"}
    assert subjects(viewer, per_person) == set()
    # Bob is of Search, which Lena leads.
    assert subjects(lead, per_person) == {"bob"}


def test_accounts_of_teams_are_seen_within_reach(alice: Api, bob: Api, viewer: Api, book: Book) -> None:
    address = f"budgets/{made(alice, PER_PERSON | {'each': 'team'})['id']}/accounts"
    assert subjects(viewer, address) == {"search", "chat", None}
    assert subjects(bob, address) == {"search"}
    whole = f"budgets/{made(alice, SEARCH | {'scope': {}})['id']}/accounts"
    assert len(told(viewer.get(whole))["items"]) == 1
    assert told(bob.get(whole))["items"] == []


def test_budgets_of_other_teams_and_of_people_are_not_there(alice: Api, bob: Api, viewer: Api, lead: Api) -> None:
    whole = made(alice, SEARCH | {"scope": {}})["id"]
    search = made(alice, SEARCH)["id"]
    chat = made(alice, SEARCH | {"scope": {"team": ["chat"]}})["id"]
    bobs = made(alice, SEARCH | {"scope": {"person": ["bob"]}})["id"]

    def seen(api: Api) -> set[int]:
        return {one["id"] for one in told(api.get("budgets"))["items"]}

    assert seen(bob) == {whole, search, bobs}
    assert seen(lead) == {whole, search, bobs}
    assert seen(viewer) == {whole, search, chat}
    for address in (f"budgets/{chat}", f"budgets/{chat}/accounts"):
        assert refused(bob.get(address))[:2] == (404, "core.not_found")


def test_accounts_come_in_pages_and_a_page_costs_the_same_however_long(
    alice: Api, per_person: str, book: Book, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    page = told(alice.get(f"{per_person}?limit=2"))
    rest = told(alice.get(f"{per_person}?limit=2&cursor={page['next']}"))
    assert [len(page["items"]), len(rest["items"]), rest["next"]] == [2, 1, None]
    assert {one["subject"] for one in page["items"] + rest["items"]} == {"alice", "bob", None}
    assert refused(alice.get(f"{per_person}?cursor=x"))[:2] == (400, "api.cursor_invalid")
    for limit in (2, 3):
        # Session, login, its one organization, membership, person; the budget, own keys, accounts, and names.
        with django_assert_num_queries(9):
            assert len(told(alice.get(f"{per_person}?limit={limit}"))["items"]) == limit


def test_headroom_is_every_account_ones_calls_are_charged_to(cast: Cast, alice: Api, bob: Api, book: Book) -> None:
    made(alice, PER_PERSON)
    made(alice, SEARCH)
    made(alice, SEARCH | {"name": "Everything", "scope": {}, "period": "total", "starts_at": "2026-11-01T00:00:00Z"})
    made(alice, SEARCH | {"name": "Chat", "scope": {"team": ["chat"]}})
    made(alice, SEARCH | {"name": "Projects", "scope": {}, "each": "project"})
    made(alice, SEARCH | {"name": "A day each", "scope": {}, "each": "person", "period": "day", "limit": "0.02"})
    book.take(event("five", occurred_at=AT + timedelta(minutes=5), dimensions=BOB))
    found = {one["budget"]: one for one in told(bob.get("headroom"))["items"]}
    assert set(found) == {"A week each", "Search", "Everything", "A day each"}
    assert (found["Search"]["spent"], found["Search"]["resets_at"]) == ("0.036000000000", "2026-12-01T00:00:00Z")
    assert (found["Everything"]["left"], found["Everything"]["resets_at"]) == ("99.940000000000", None)
    assert (found["A day each"]["subject"], found["A day each"]["left"]) == ("bob", "-0.016000000000")


def test_headroom_of_a_key_is_of_its_person_and_of_what_it_is_bound_to(
    cast: Cast, alice: Api, by_key: Callable[..., Api], book: Book
) -> None:
    project = orgs.add_project(organization_id=cast.acme.id, name="Answers", by=HOUSE, at=NOON)
    issued = orgs.issue_key(
        organization_id=cast.acme.id,
        name="Bob's",
        permissions=["budgets.read"],
        person_id=cast.bob.id,
        project_id=project.id,
        by=HOUSE,
        at=NOON,
    )
    made(alice, PER_PERSON | {"each": "project"})
    made(alice, PER_PERSON | {"each": "key"})
    key = Api(Client(), Authorization=f"Bearer {issued.secret}")
    found = {one["each"]: one for one in told(key.get("headroom"))["items"]}
    # Nobody spent from either yet.
    assert {each: (one["subject"], one["spent"], one["left"]) for each, one in found.items()} == {
        "project": ("answers", "0.000000000000", "200.000000000000"),
        "key": (issued.key.prefix, "0.000000000000", "200.000000000000"),
    }
    nobody = by_key("budgets.read")
    assert refused(nobody.get("headroom"))[:2] == (409, "budgets.nobody")
