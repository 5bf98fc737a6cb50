"""Sessions as a page: the dearest first, a row opens to exactly its charges, and nobody sees whom they may not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from finops.connectors.types import Dimensions
from finops.orgs import services as orgs
from finops.orgs.models import User
from tests.factories.company import Company, book, counts, empty_company, event
from tests.factories.orgs import HOUSE, NOON, member
from tests.interfaces.conftest import BACKEND, Api, refused, told

SESSIONS = reverse("dashboards:sessions", kwargs={"organization": "acme"})


@pytest.fixture
def company(db: None) -> Company:
    """Bob's long session, which began before the week; one of Alice's; a call of none."""
    made = empty_company(datetime.now(UTC).replace(microsecond=0))
    cast, at = made.cast, made.at
    bob, alice = Dimensions(person=cast.bob.slug), Dimensions(person=cast.alice.slug)
    book(
        made,
        [
            event(1, at - timedelta(days=9), session="fix-the-build", dimensions=bob),
            event(2, at - timedelta(days=2), session="fix-the-build", dimensions=bob),
            event(3, at - timedelta(days=2), session="plan & <b>", dimensions=alice, counts=counts(input_uncached=9)),
            event(4, at - timedelta(days=1), dimensions=alice),
        ],
    )
    return made


def browser(user: User | None) -> Client:
    assert user is not None
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def listed(client: Client, **query: str) -> list[str]:
    answer = client.get(SESSIONS, {"period": "last-7d", **query})
    assert answer.status_code == 200
    return [one.row.session for one in answer.context["rows"]]


def test_the_costliest_come_first_and_open_to_their_charges(company: Company) -> None:
    alice = browser(company.cast.alice_login)
    page = alice.get(SESSIONS, {"period": "last-7d"})
    first, second = page.context["rows"]
    assert (first.row.session, first.row.calls, first.person) == ("fix-the-build", 2, "Bob")
    assert second.row.session == "plan & <b>"
    assert "plan &amp; &lt;b&gt;" in page.content.decode()
    for one in (first, second):
        charges = alice.get(one.href).context["rows"]
        assert sum((charge["row"].reporting_cost for charge in charges), Decimal(0)) == one.row.reporting_cost
        assert {charge["row"].session for charge in charges} == {one.row.session}


def test_a_filter_by_person_and_one_that_sessions_are_not_kept_by(company: Company) -> None:
    alice = browser(company.cast.alice_login)
    assert listed(alice, person=str(company.cast.alice.id)) == ["plan & <b>"]
    refused = alice.get(SESSIONS, {"team": str(company.cast.search.id)})
    assert (refused.status_code, "not kept by team" in refused.content.decode()) == (400, True)


def test_an_engineer_sees_their_own_sessions(company: Company) -> None:
    bob = browser(company.cast.bob_login)
    assert listed(bob) == ["fix-the-build"]
    assert bob.get(SESSIONS, {"person": str(company.cast.alice.id)}).status_code == 403


def test_a_viewer_and_a_lead_are_refused_and_not_led_there(company: Company) -> None:
    acme = company.cast.acme
    viewer, lead = member(acme, "Vera", "viewer"), member(acme, "Erin", "team_lead")
    teams = [company.cast.chat.id]
    assert lead.user is not None
    orgs.change_role(organization_id=acme.id, user_id=lead.user.id, role="team_lead", team_ids=teams, by=HOUSE, at=NOON)
    for person in (viewer, lead):
        client = browser(person.user)
        assert client.get(SESSIONS).status_code == 403
        overview = client.get(reverse("dashboards:overview", kwargs={"organization": "acme"})).content.decode()
        assert f'href="{SESSIONS}"' not in overview


def test_a_filter_picked_for_sessions_leads_back_to_them(company: Company) -> None:
    alice = browser(company.cast.alice_login)
    page = alice.get(SESSIONS, {"period": "last-7d"})
    assert {label for label, _ in page.context["bar"].pickers} == {"Person", "Agent", "Project"}
    (href,) = [href for label, href in page.context["bar"].pickers if label == "Person"]
    links = dict(alice.get(href).context["choices"])
    assert [one.row.session for one in alice.get(links["Bob"]).context["rows"]] == ["fix-the-build"]


def test_more_sessions_ask_no_more_questions(company: Company, django_assert_max_num_queries: object) -> None:
    alice = browser(company.cast.alice_login)
    alice.get(SESSIONS)
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        alice.get(SESSIONS, {"period": "last-30d"})


def test_a_session_is_a_tree_of_sub_agents_on_its_page_and_by_rest(company: Company) -> None:
    at, bob = company.at - timedelta(days=1), Dimensions(person=company.cast.bob.slug)
    sub = (("agent_id", "<read>"), ("subagent", "explore"))
    book(
        company,
        [
            event(5, at, session="fix-the-build", dimensions=bob, tags=sub),
            event(
                6,
                at,
                session="fix-the-build",
                dimensions=bob,
                tags=(("agent_id", "deep"), ("parent_agent_id", "<read>")),
            ),
        ],
    )
    alice = browser(company.cast.alice_login)
    first = alice.get(SESSIONS, {"period": "last-7d"}).context["rows"][0]
    page = alice.get(first.whole)
    drawn = [(one.branch.work.agent, one.branch.depth, one.branch.work.calls) for one in page.context["rows"]]
    assert drawn == [("", 0, 2), ("<read>", 1, 1), ("deep", 2, 1)]
    assert "&lt;read&gt;" in page.content.decode()
    listed = alice.get(page.context["charges"]).context["rows"]
    assert sum((one["row"].reporting_cost for one in listed), Decimal(0)) == page.context["found"].reporting_cost
    found = told(Api(alice).get("sessions/tree?session=fix-the-build"))
    assert [(row["agent_id"], row["parent_agent_id"], row["kind"]) for row in found["rows"]] == [
        ("", "", ""),
        ("<read>", "", "explore"),
        ("deep", "<read>", ""),
    ]
    assert [one["value"] for one in found["rows"][0]["models"]] == ["gpt-4o"]
    whole = Decimal(found["rows"][0]["reporting_cost_with_below"])
    assert whole == Decimal(found["reporting_cost"]) == page.context["found"].reporting_cost


def test_nobody_sees_the_tree_of_a_session_that_is_not_theirs(company: Company) -> None:
    bob = browser(company.cast.bob_login)
    one = reverse("dashboards:session", kwargs={"organization": "acme"})
    assert bob.get(one, {"session": "fix-the-build"}).status_code == 200
    for name in ("plan & <b>", "no-such", ""):
        assert bob.get(one, {"session": name}).status_code == 404
    assert refused(Api(bob).get("sessions/tree?session=plan%20%26%20%3Cb%3E"))[0] == 404
    assert refused(Api(bob).get("sessions/tree"))[0::2] == (400, "session")
