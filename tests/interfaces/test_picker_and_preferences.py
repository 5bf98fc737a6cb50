"""What a filter offers to whom, and what a login prefers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from finops.audit.models import AuditEvent
from finops.connectors.types import Dimensions
from finops.orgs import services as orgs
from finops.orgs.models import User
from finops.orgs.services.preferences import PreferenceInvalid, change_preferences
from tests.factories.company import Company, book, empty_company, event
from tests.factories.orgs import HOUSE, NOON, member

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
PICK = reverse("dashboards:pick", kwargs={"organization": "acme"})


@pytest.fixture
def company(db: None) -> Company:
    """Search calls gpt-4o for Answers, Chat calls gpt-4o-mini for Assistant."""
    made = empty_company(datetime.now(UTC).replace(microsecond=0))
    answers, assistant = (Dimensions(project=project.slug) for project in made.projects)
    book(
        made,
        [
            event(1, made.at, model="gpt-4o", dimensions=answers),
            event(2, made.at, model="gpt-4o-mini", dimensions=assistant),
        ],
    )
    return made


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def offered(client: Client, name: str, **query: str) -> list[str]:
    answer = client.get(PICK, {"pick": name, **query})
    assert answer.status_code == 200
    return [label for label, _ in answer.context["choices"]]


def leading_chat(company: Company) -> Client:
    lead = member(company.cast.acme, "Erin", "team_lead")
    assert lead.user is not None
    acme, chat = company.cast.acme, company.cast.chat
    orgs.change_role(
        organization_id=acme.id, user_id=lead.user.id, role="team_lead", team_ids=[chat.id], by=HOUSE, at=NOON
    )
    return browser(lead.user)


def test_alice_may_filter_by_every_value(company: Company) -> None:
    alice = browser(company.cast.alice_login)
    assert offered(alice, "model") == ["gpt-4o", "gpt-4o-mini"]
    assert offered(alice, "project") == ["Answers", "Assistant"]


def test_a_lead_is_offered_what_the_teams_spend_had(company: Company) -> None:
    erin = leading_chat(company)
    assert offered(erin, "team") == ["Chat"]
    assert offered(erin, "model") == ["gpt-4o-mini"]
    assert offered(erin, "project") == ["Assistant"]
    assert offered(erin, "project", q="answ") == []


def test_nobody_is_offered_only_where_the_reach_has_it(company: Company) -> None:
    alice = browser(company.cast.alice_login).get(PICK, {"pick": "customer"})
    assert alice.context["nobody"][0] == "No customer"
    erin = leading_chat(company)
    assert erin.get(PICK, {"pick": "customer"}).context["nobody"] is not None
    assert erin.get(PICK, {"pick": "team"}).context["nobody"] is None


def test_a_changed_preference_is_in_the_trail_and_an_unchanged_one_is_not(company: Company) -> None:
    user = company.cast.alice_login
    alice = browser(user)
    for _ in range(2):
        alice.post("/preferences/", {"theme": "dark", "shortcuts": "on"})
    event_ = AuditEvent.objects.get(verb="user.preferences_changed")
    assert event_.organization_id == company.cast.acme.id
    assert (event_.actor, event_.subject_id) == (f"user:{user.id}", str(user.id))
    assert event_.details == {"before": {"theme": "system"}, "after": {"theme": "dark"}}


def test_a_theme_nobody_knows_is_refused(company: Company) -> None:
    with pytest.raises(PreferenceInvalid):
        change_preferences(user_id=company.cast.alice_login.id, theme="pink", by=HOUSE, at=NOON)
