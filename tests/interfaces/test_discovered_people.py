"""Names nobody has, over REST and on the page of people."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from finops.audit.models import AuditEvent
from finops.orgs.models import Identity, Person, User
from tests.factories.ledger import Book, event, small_book
from tests.factories.orgs import Cast
from tests.interfaces.conftest import BACKEND, Api, refused, told

DISCOVERED = "people/discovered"
ASSIGN = "people/discovered/assign"
BOBBY = {"kind": "email", "value": "bob+claude@acme.example"}


def page(name: str) -> str:
    return reverse(f"dashboards:{name}", kwargs={"organization": "acme"})


@pytest.fixture
def book(cast: Cast) -> Book:
    """Of yesterday: two calls of a name like Bob's, one of a stranger."""
    small_book()
    book = Book(cast.acme, at=timezone.now())
    at = book.at - timedelta(days=1)
    names = [("email", BOBBY["value"])] * 2 + [("github", "quux<b>")]
    book.take(*(event(f"{place}", identities=(name,), occurred_at=at) for place, name in enumerate(names)))
    return book


@pytest.fixture
def browser(cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.alice_login, backend=BACKEND)
    return client


def test_names_are_listed_with_whom_they_may_be(
    book: Book, alice: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # Session, login, two for the organization, two for the caller as for every list; four for the names, one for the
    # currency.
    with django_assert_num_queries(10):
        answer = told(alice.get(DISCOVERED))
    first, second = answer["rows"]
    assert (first["kind"], first["value"], first["calls"]) == ("email", BOBBY["value"], 2)
    assert (first["reporting_cost"], first["sources"]) == ("0.024000000000", ["gateway"])
    assert (first["suggestion"]["person"], first["suggestion"]["name"]) == ("bob", "Bob")
    assert second["suggestion"] is None
    assert answer["reporting_currency"] == "USD"
    assert len(told(alice.get(f"{DISCOVERED}?limit=1"))["rows"]) == 1
    assert refused(alice.get(f"{DISCOVERED}?limit=201"))[0] == 400
    assert refused(alice.get(f"{DISCOVERED}?limits=2"))[0] == 400


def test_a_name_is_given_once_and_the_answer_says_how_history_follows(book: Book, alice: Api, cast: Cast) -> None:
    made = told(alice.post(ASSIGN, {**BOBBY, "person": "bob"}, Idempotency_Key="one"), 201)
    assert told(alice.post(ASSIGN, {**BOBBY, "person": "bob"}, Idempotency_Key="one"), 201) == made
    assert (made["person"], made["identity"]["value"]) == ("bob", BOBBY["value"])
    assert Identity.objects.filter(person=cast.bob, value=BOBBY["value"]).count() == 1
    assert AuditEvent.objects.filter(verb="person.identity_added", subject_id=str(cast.bob.id)).count() == 2
    assert [row["value"] for row in told(alice.get(DISCOVERED))["rows"]] == ["quux<b>"]
    job = told(alice.post(made["history"]["address"], made["history"]["body"]), 202)
    assert job["kind"] == "reattribute"


def test_a_new_person_is_made_of_a_name(book: Book, alice: Api) -> None:
    made = told(alice.post(ASSIGN, {"kind": "github", "value": "quux<b>", "name": "Quux"}), 201)
    assert made["person"] == "quux"
    assert told(alice.get("people/quux"))["identities"][0]["value"] == "quux<b>"


def test_what_is_unclear_taken_or_not_ours_is_refused(book: Book, alice: Api) -> None:
    assert refused(alice.post(ASSIGN, BOBBY)) == (422, "orgs.assignee_unclear", "person")
    assert refused(alice.post(ASSIGN, {**BOBBY, "person": "bob", "name": "B"}))[1] == "orgs.assignee_unclear"
    assert refused(alice.post(ASSIGN, {**BOBBY, "person": "charlie"}))[0] == 404
    taken = {"kind": "email", "value": "Dana@acme.example", "person": "bob"}
    assert refused(alice.post(ASSIGN, taken))[:2] == (409, "orgs.identity_taken")
    assert refused(alice.post(ASSIGN, {**BOBBY, "kind": "fax", "person": "bob"}))[0] == 400


def test_it_needs_people_and_the_spend_of_all(book: Book, by_key: Callable[..., Api]) -> None:
    may = ("people.manage", "spend.read", "spend.read_people")
    assert by_key(*may).get(DISCOVERED).status_code == 200
    for missing in may:
        key = by_key(*(one for one in may if one != missing))
        assert refused(key.get(DISCOVERED))[0] == 403
    assert refused(by_key("spend.read").post(ASSIGN, {**BOBBY, "person": "bob"}))[0] == 403


def test_globex_sees_none_of_it(book: Book, cast: Cast, login: Callable[[User], Api]) -> None:
    charlie = login(cast.charlie_login)
    assert told(charlie.get(DISCOVERED))["rows"] == []
    assert refused(charlie.post(ASSIGN, {**BOBBY, "person": "bob"}))[0] == 404


def test_the_page_of_people_has_a_section_that_comes_by_itself(book: Book, browser: Client) -> None:
    text = browser.get(page("people")).content.decode()
    assert f'hx-get="{page("discovered")}"' in text
    part = browser.get(page("discovered"), headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="discovered">')
    assert BOBBY["value"] in part
    assert "The same address as bob@acme.example" in part
    assert "quux&lt;b&gt;" in part
    assert "<html" not in part
    assert "<html" in browser.get(page("discovered")).content.decode()


def test_a_suggestion_is_taken_by_a_button(book: Book, browser: Client, cast: Cast) -> None:
    said: dict[str, Any] = {**BOBBY, "person": "bob"}
    answer = browser.post(page("discovered_take"), said, follow=True).content.decode()
    assert "Calls that name it are theirs from now on." in answer
    assert Identity.objects.filter(person=cast.bob, value=BOBBY["value"]).exists()
    again = browser.get(page("discovered")).content.decode()
    assert BOBBY["value"] not in again
    assert browser.post(page("discovered_take"), said | {"person": "no\0body"}).status_code == 404


def test_somebody_else_is_chosen_or_added_by_a_form(book: Book, browser: Client) -> None:
    form = browser.get(page("discovered_assign"), {"kind": "github", "value": "quux<b>"}).content.decode()
    assert 'value="quux&lt;b&gt;"' in form
    said = {"kind": "github", "value": "quux<b>"}
    assert browser.post(page("discovered_assign"), said).status_code == 422
    assert browser.post(page("discovered_assign"), {**said, "name": "Quux"}).status_code == 302
    assert Person.objects.get(slug="quux").identities.get().value == "quux<b>"


def test_who_may_not_see_it_has_no_section(book: Book, cast: Cast) -> None:
    client = Client()
    client.force_login(cast.dana_login, backend=BACKEND)
    assert "names nobody has" not in client.get(page("people")).content.decode().lower()
    assert client.get(page("discovered")).status_code == 403


def test_the_answers_are_as_the_schema_says(alice: Api) -> None:
    document = json.loads(alice.get("/api/schema/?format=json").content)
    assert set(document["paths"]["/api/v1/people/discovered"]) == {"get"}
    assert "/api/v1/people/{person}" in document["paths"]
