"""Who sees which account, what somebody has left, and how they ask for more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client

from finops.budgets.models import Budget, Increase
from finops.connectors.types import Dimensions
from finops.orgs import services as orgs
from finops.orgs.models import Person, User
from tests.factories.budgets import budget, standing
from tests.factories.company import Company, book, empty_company, event
from tests.factories.orgs import HOUSE, member
from tests.interfaces.pages.conftest import at, login_of, text_of

Browser = Callable[[User], Client]


@pytest.fixture
def company(db: None) -> Company:
    """Bob of Search, and Carla of Chat, each made a call a minute ago."""
    made = empty_company(datetime.now(UTC).replace(microsecond=0))
    cast = made.cast
    member(cast.acme, "Carla", "engineer", team=cast.chat)
    then = made.at - timedelta(minutes=1)
    book(
        made,
        [
            event(1, then, dimensions=Dimensions(person="bob", team="search")),
            event(2, then, dimensions=Dimensions(person="carla", team="chat")),
        ],
    )
    return made


@pytest.fixture
def caps(company: Company) -> dict[str, Budget]:
    cast, acme = company.cast, company.cast.acme.id
    return {
        "all": budget(acme, "10", at=company.at, name="Everything"),
        "person": budget(acme, "1", at=company.at, name="Each person", each="person"),
        "team": budget(acme, "2", at=company.at, name="Each team", each="team"),
        "chat": budget(acme, "3", at=company.at, name="Chat alone", scope={"team": (str(cast.chat.id),)}),
        "session": budget(acme, "3", at=company.at, name="By key", each="key"),
    }


def carla_of(company: Company) -> Person:
    return Person.objects.get(organization=company.cast.acme, slug="carla")


def seen(client: Client) -> dict[str, list[str]]:
    return {row.budget.name: [one.name for one in row.gauges] for row in client.get(at("caps")).context["rows"]}


def test_the_owner_sees_every_account(caps: dict[str, Budget], alice: Client) -> None:
    found = seen(alice)
    assert sorted(found["Each person"]) == ["Bob", "Carla"]
    assert sorted(found["Each team"]) == ["Chat", "Search"]
    assert len(found) == 5


def test_an_engineer_sees_what_decides_about_their_own_calls(
    company: Company, caps: dict[str, Budget], browser: Browser
) -> None:
    bob = browser(company.cast.bob_login)
    assert seen(bob) == {"Everything": ["Everybody together"], "Each person": ["Bob"], "Each team": ["Search"]}
    for url in (at("cap", budget_id=caps["person"].id), at("caps"), at("headroom"), at("overview")):
        page = text_of(bob.get(url))
        assert "Carla" not in page
        assert "Chat" not in page
    assert bob.get(at("cap", budget_id=caps["chat"].id)).status_code == 404


def test_a_viewer_sees_totals_and_no_person(company: Company, caps: dict[str, Budget], browser: Browser) -> None:
    viewer = browser(login_of(member(company.cast.acme, "Vera", "viewer")))
    found = seen(viewer)
    assert sorted(found["Each team"]) == ["Chat", "Search"]
    assert "By key" not in found
    # Her own, which is empty: nobody else's.
    assert found["Each person"] == []
    page = text_of(viewer.get(at("cap", budget_id=caps["person"].id)))
    assert "Bob" not in page
    assert viewer.get(at("increases")).status_code == 403


def test_a_lead_sees_their_teams(company: Company, caps: dict[str, Budget], browser: Browser) -> None:
    lead = member(company.cast.acme, "Erin", "team_lead")
    orgs.change_role(
        organization_id=company.cast.acme.id, user_id=lead.user_id or 0, role="team_lead",
        team_ids=[company.cast.chat.id], by=HOUSE, at=company.at,
    )  # fmt: skip
    found = seen(browser(login_of(lead)))
    assert found["Each team"] == ["Chat"]
    assert found["Chat alone"] == ["Everybody together"]
    assert found["Each person"] == []


def test_who_a_cap_is_about_is_not_named_to_who_may_not_see_people(
    company: Company, caps: dict[str, Budget], browser: Browser
) -> None:
    cast = company.cast
    carla = str(carla_of(company).id)
    both = budget(cast.acme.id, at=company.at, name="Two", scope={"person": (carla, str(cast.bob.id))})
    page = text_of(browser(cast.bob_login).get(at("cap", budget_id=both.id)))
    assert "2 people" in page
    assert "Carla" not in page
    other = budget(cast.acme.id, at=company.at, name="One", scope={"person": (carla,)})
    assert browser(cast.bob_login).get(at("cap", budget_id=other.id)).status_code == 404


@pytest.mark.parametrize("name", ["cap_add", "cap_change", "cap_exception", "cap_transfer", "cap_archive"])
def test_only_who_manages_caps_changes_them(
    company: Company, caps: dict[str, Budget], browser: Browser, name: str
) -> None:
    where = at(name) if name == "cap_add" else at(name, budget_id=caps["person"].id)
    for user in (company.cast.bob_login, company.cast.dana_login):
        client = browser(user)
        assert client.get(where).status_code == client.post(where).status_code == 403
    page = text_of(browser(company.cast.dana_login).get(at("cap", budget_id=caps["person"].id)))
    assert at("cap_change", budget_id=caps["person"].id) not in page


def test_headroom_is_what_is_left_of_every_cap_and_when_it_begins_anew(
    company: Company, caps: dict[str, Budget], browser: Browser
) -> None:
    answer = browser(company.cast.bob_login).get(at("headroom"))
    rows = answer.context["rows"]
    assert [row.budget.name for row in rows] == ["Each person", "Each team", "Everything"]
    assert rows[0].gauge.row.left == 1 - Decimal("0.0045")
    assert f"{rows[0].gauge.row.ends_at:%Y-%m-%d}" in text_of(answer)


def test_a_cap_nobody_has_spent_of_is_headroom_too(company: Company, browser: Browser) -> None:
    budget(company.cast.acme.id, "5", at=company.at, name="Search alone", scope={"team": (str(company.cast.chat.id),)})
    budget(company.cast.acme.id, "4", at=company.at, name="Each person", each="person")
    [row] = browser(company.cast.alice_login).get(at("headroom")).context["rows"]
    assert (row.gauge.row.left, row.gauge.name) == (4, "you")


def test_bob_asks_and_alice_approves(
    company: Company, caps: dict[str, Budget], browser: Browser, alice: Client
) -> None:
    bob = browser(company.cast.bob_login)
    mine = f"{caps['person'].id}:{company.cast.bob.id}"
    assert f'value="{mine}" selected' in text_of(bob.get(at("increase_ask"), {"account": mine}))
    asked = {"account": mine, "amount": "5", "reason": "The migration"}
    assert "You have asked" in text_of(bob.post(at("increase_ask"), asked, follow=True))
    [row] = Increase.objects.all()
    waiting = text_of(alice.get(at("increases")))
    assert "asked by Bob" in waiting
    assert "The migration" in waiting
    alice.post(at("increase_decide", increase_id=row.id), {"act": "approve", "note": "Until Friday\0"})
    assert alice.post(at("increase_decide", increase_id=row.id), {"act": "think"}).status_code == 404
    row.refresh_from_db()
    assert (row.state, row.note) == ("approved", "Until Friday")
    assert standing(caps["person"], company.at, str(company.cast.bob.id)).limit_amount == 6
    assert "Until Friday" in text_of(bob.get(at("increases")))
    again = text_of(alice.post(at("increase_decide", increase_id=row.id), {"act": "refuse"}, follow=True))
    assert "already" in again


def test_nobody_asks_for_others_or_touches_their_requests(
    company: Company, caps: dict[str, Budget], browser: Browser
) -> None:
    bob, carla = browser(company.cast.bob_login), browser(login_of(carla_of(company)))
    theirs = f"{caps['person'].id}:{carla_of(company).id}"
    for account in (theirs, f"{caps['chat'].id}:", "1:1:1", ""):
        assert bob.post(at("increase_ask"), {"account": account, "amount": "5", "reason": "x"}).status_code == 422
    carla.post(at("increase_ask"), {"account": theirs, "amount": "5", "reason": "Carla's reason"})
    row = Increase.objects.get()
    assert "reason" not in text_of(bob.get(at("increases")))
    assert bob.post(at("increase_withdraw", increase_id=row.id)).status_code == 404
    assert bob.post(at("increase_decide", increase_id=row.id), {"act": "approve"}).status_code == 403
    carla.post(at("increase_withdraw", increase_id=row.id))
    row.refresh_from_db()
    assert row.state == "withdrawn"
