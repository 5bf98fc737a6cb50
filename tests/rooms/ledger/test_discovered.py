"""Names that sources told and nobody has: found with what was spent under them, and gone once they are somebody's."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from finops.ingest import services as ingest
from finops.jobs import services as jobs
from finops.ledger import selectors
from finops.ledger.selectors.discovered import Discovered
from finops.orgs import services as orgs
from finops.orgs.models import Person
from finops.orgs.services.people import AssigneeUnclear, IdentityTaken
from tests.factories.ledger import AT, PRICE, THEN, Book, event
from tests.factories.orgs import HOUSE, NOON, Cast

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}


def by(*names: tuple[str, str], **given: Any) -> dict[str, Any]:
    return {"identities": names, **given}


def told(book: Book) -> dict[tuple[str, str], Discovered]:
    return {(one.kind, one.value): one for one in selectors.discovered(book.organization.id, at=AT)}


def test_a_name_nobody_has_is_found_with_what_was_spent_under_it(book: Book, cast: Cast) -> None:
    eve = ("email", "Eve@acme.example")
    book.take(event("a", **by(eve)), event("b", **by(eve), occurred_at=THEN + timedelta(hours=2)))
    book.take(event("c", **by(("email", "eve@ACME.example"))), source="proxy")
    book.take(event("d", **by(("github", "bob"))), event("e", **by(("email", "bob@acme.example"))), event("f"))
    first, second = selectors.discovered(cast.acme.id, at=AT)
    assert (first.kind, first.value.lower(), first.calls, first.cost) == ("email", eve[1].lower(), 3, PRICE * 3)
    assert (first.last_seen, first.sources, first.person) == (THEN + timedelta(hours=2), ("gateway", "proxy"), None)
    assert (second.value, second.calls, second.sources) == ("bob", 1, ("gateway",))
    assert second.person == cast.bob
    assert "bob@acme.example" in second.reason


def test_a_call_of_two_names_counts_under_both(book: Book) -> None:
    book.take(event("a", **by(("email", "x@y.example"), ("key_alias", "x-laptop"))))
    assert {name: one.cost for name, one in told(book).items()} == {
        ("email", "x@y.example"): PRICE,
        ("key_alias", "x-laptop"): PRICE,
    }


def test_what_has_a_person_was_reversed_or_is_long_past_is_not_found(book: Book, cast: Cast) -> None:
    stranger = by(("email", "x@y.example"))
    whose = selectors.looked_back(AT)
    first = whose.instants()[0]
    book.take(event("reversed", **stranger))
    book.reverse(*book.standing())
    book.take(
        event("long ago", **stranger, occurred_at=first - timedelta(seconds=1)),
        event("of bob", **by(("email", "bob@acme.example"), ("key_alias", "bobs-laptop"))),
    )
    assert told(book) == {}
    book.take(event("first day", **stranger, occurred_at=first))
    assert told(book)["email", "x@y.example"].calls == 1


def test_what_cannot_be_an_identity_is_not_found(book: Book) -> None:
    book.take(event("kind", **by(("fax", "1"))), event("long", **by(("email", "x" * 201))))
    assert told(book) == {}


def test_the_costliest_come_first_and_no_more_than_asked(book: Book, cast: Cast) -> None:
    for number in range(1, 5):
        book.take(*(event(f"{number}-{each}", **by(("github", f"gh{number}"))) for each in range(number)))
    found = selectors.discovered(cast.acme.id, at=AT, most=3)
    assert [one.value for one in found] == ["gh4", "gh3", "gh2"]


def test_a_name_that_was_given_up_is_nobodys_again(book: Book, cast: Cast) -> None:
    held = orgs.add_identity(organization_id=cast.acme.id, person_id=cast.bob.id, kind="github", value="bobby", **WHO)
    orgs.remove_identity(organization_id=cast.acme.id, identity_id=held.id, **WHO)
    book.take(event("a", **by(("github", "bobby"))))
    assert list(told(book)) == [("github", "bobby")]


def test_another_organizations_names_people_and_spend_are_not_seen(book: Book, cast: Cast) -> None:
    theirs = Book(cast.globex)
    orgs.add_identity(organization_id=cast.globex.id, person_id=cast.charlie.id, kind="github", value="eve", **WHO)
    book.take(event("a", **by(("github", "eve"))), event("b", **by(("github", "charlie"))))
    theirs.take(event("a", **by(("github", "mallory"))))
    mine = told(book)
    # Charlie's name in globex leaves it nobody's here, and whom it is like there is nothing to us.
    assert set(mine) == {("github", "eve"), ("github", "charlie")}
    assert mine["github", "charlie"].person is None
    assert set(told(theirs)) == {("github", "mallory")}


def test_four_queries_however_many_names(book: Book, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        assert told(book) == {}
    book.take(*(event(f"{number}", **by(("github", f"gh{number}"))) for number in range(30)))
    with django_assert_num_queries(4):
        assert len(told(book)) == 30


def test_given_to_a_person_it_moves_history_when_that_is_attributed_again(book: Book, cast: Cast) -> None:
    book.take(event("a", **by(("github", "bobby"))))
    mine: dict[str, Any] = {"organization_id": cast.acme.id, **WHO}
    made = orgs.assign_identity(kind="github", value="bobby", person_id=cast.bob.id, **mine)
    assert orgs.assign_identity(kind="github", value="Bobby", person_id=cast.bob.id, **mine) == made
    assert told(book) == {}
    assert [person for (person,) in book.charges("person_id")] == [0]
    whole: dict[str, Any] = {"organization_id": cast.acme.id, "by": HOUSE, "at": book.now()}
    job = ingest.open_rework(kind=ingest.REATTRIBUTE, period=selectors.looked_back(AT), **whole)
    claimed = jobs.claim(job_id=job.id, at=book.now())
    assert claimed is not None
    ingest.run_rework(job=claimed, now=book.now)
    lines = book.charges("person_id, effective_cost")
    assert sum(cost for person, cost in lines if person == cast.bob.id) == PRICE
    assert sum(cost for person, cost in lines if person == 0) == Decimal(0)


def test_a_new_person_of_an_address_has_it_as_theirs(cast: Cast) -> None:
    mine: dict[str, Any] = {"organization_id": cast.acme.id, **WHO}
    eve = orgs.assign_identity(kind="email", value="Eve@New.Example", name="Eve", **mine).person
    assert (eve.name, eve.slug, eve.email) == ("Eve", "eve", "eve@new.example")
    odd = orgs.assign_identity(kind="email", value="no address", name="Odd", **mine)
    assert (odd.value, odd.person.email) == ("no address", "")


def test_a_name_of_somebody_else_is_refused_and_nobody_is_added(cast: Cast) -> None:
    mine: dict[str, Any] = {"organization_id": cast.acme.id, **WHO}
    people = Person.objects.count()
    with pytest.raises(IdentityTaken):
        orgs.assign_identity(kind="email", value="BOB@acme.example", name="Bobby", **mine)
    with pytest.raises(IdentityTaken):
        orgs.assign_identity(kind="email", value="bob@acme.example", person_id=cast.dana.id, **mine)
    for unclear in ({}, {"person_id": cast.bob.id, "name": "Bobby"}, {"name": "  "}):
        with pytest.raises(AssigneeUnclear):
            orgs.assign_identity(kind="github", value="bobby", **unclear, **mine)
    assert Person.objects.count() == people


def test_nobody_is_called_as_an_address_below_people(cast: Cast) -> None:
    made = orgs.add_person(organization_id=cast.acme.id, name="Discovered", **WHO)
    assert made.slug == "discovered-person"
