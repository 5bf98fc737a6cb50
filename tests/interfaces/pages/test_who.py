"""Who may open which page, and what each person sees there."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from finops.ledger import selectors as ledger
from finops.orgs import services as orgs
from tests.factories.company import Company
from tests.factories.orgs import HOUSE, member
from tests.interfaces.pages.conftest import ADMIN_PAGES, SPEND_PAGES, at, days_of, login_of, text_of


def test_a_stranger_is_asked_to_log_in(company: Company) -> None:
    for name in (*SPEND_PAGES, *ADMIN_PAGES):
        response = Client().get(at(name))
        assert response.status_code == 302, name
        assert response["Location"].startswith("/accounts/login/")


def test_charlie_of_globex_does_not_even_learn_that_acme_exists(
    company: Company, browser: Callable[..., Client]
) -> None:
    charlie = browser(company.cast.charlie_login)
    for name in (*SPEND_PAGES, *ADMIN_PAGES):
        assert charlie.get(at(name)).status_code == 404, name


def test_alice_opens_every_page(alice: Client) -> None:
    for name in (*SPEND_PAGES, *ADMIN_PAGES):
        response = alice.get(at(name))
        assert response.status_code == 200, name
        assert "<h1" in text_of(response)


def test_the_start_leads_to_the_only_organization(alice: Client) -> None:
    assert alice.get("/")["Location"] == at("overview")


def test_an_engineer_sees_totals_of_the_team_and_only_calls_of_their_own(
    company: Company, browser: Callable[..., Client]
) -> None:
    bob = browser(company.cast.bob_login)
    overview = text_of(bob.get(at("overview"), {"period": "last-30d"}))
    assert ">People<" not in overview
    assert ">Chat<" not in overview
    page = ledger.charges(company.cast.acme.id, days_of(company, 40), limit=500)
    whose = {row.dimensions["person"] for row in page.rows}
    assert company.cast.alice.id in whose
    for row in page.rows[:60]:
        expected = 200 if row.dimensions["person"] == company.cast.bob.id else 404
        assert bob.get(at("charge", charge_id=row.id)).status_code == expected
    assert bob.get(at("spend"), {"group": "person"}).status_code == 403
    assert bob.get(at("audit")).status_code == 403


def test_a_viewer_sees_totals_and_no_single_call(company: Company, browser: Callable[..., Client]) -> None:
    viewer = browser(login_of(member(company.cast.acme, "Vera", "viewer")))
    overview = viewer.get(at("overview"))
    assert overview.status_code == 200
    assert at("charges") not in text_of(overview)
    assert viewer.get(at("charges")).status_code == 403
    assert viewer.get(at("spend_csv")).status_code == 403


def test_a_team_lead_sees_their_team_and_nothing_else(company: Company, browser: Callable[..., Client]) -> None:
    cast = company.cast
    lead = member(cast.acme, "Erin", "team_lead")
    orgs.change_role(
        organization_id=cast.acme.id, user_id=lead.user_id or 0, role="team_lead", team_ids=[cast.chat.id], by=HOUSE,
        at=company.at,
    )  # fmt: skip
    erin = browser(login_of(lead))
    page = text_of(erin.get(at("spend"), {"group": "team", "period": "last-30d"}))
    assert ">Chat<" in page
    assert ">Search<" not in page
    assert erin.get(at("spend"), {"team": cast.search.id}).status_code == 403
