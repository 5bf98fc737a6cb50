"""What pages keep to themselves, and what they say truthfully: addresses, invitations, rules and jobs."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from finops.attribution import selectors as attribution
from finops.attribution.services import create_rule
from finops.attribution.types import Assignment, Condition, Operator, RuleDraft
from finops.connectors.types import GivenCost
from finops.jobs import services as jobs
from finops.ledger import selectors as ledger
from finops.orgs import services as orgs
from finops.orgs.models import Membership, User
from tests.factories.company import Company, book, empty_company, event
from tests.factories.orgs import HOUSE
from tests.interfaces.pages.conftest import at, days_of, text_of

DUMMY = "django.core.mail.backends.dummy.EmailBackend"


@pytest.fixture
def company(db: None) -> Company:
    return empty_company(datetime.now(UTC).replace(microsecond=0))


def test_addresses_and_identities_are_for_whoever_manages_people(
    company: Company, browser: Callable[[User], Client], alice: Client
) -> None:
    orgs.add_identity(
        organization_id=company.cast.acme.id, person_id=company.cast.dana.id, kind="github", value="dana-codes",
        by=HOUSE, at=company.at,
    )  # fmt: skip
    bob = browser(company.cast.bob_login)
    pages = [at("people"), at("person", person="dana")]
    for url in pages:
        assert "dana-codes" in text_of(alice.get(url))
        seen = text_of(bob.get(url))
        assert "Dana" in seen
        assert "dana-codes" not in seen
        assert "dana@acme.example" not in seen
    # Nor is an address found out by searching for pieces of it.
    assert ">Dana<" in text_of(alice.get(at("people"), {"q": "dana@acme"}))
    assert ">Dana<" not in text_of(bob.get(at("people"), {"q": "dana@acme"}))
    assert ">Dana<" in text_of(bob.get(at("people"), {"q": "dan"}))


def test_an_invitation_from_the_page_is_mailed(alice: Client) -> None:
    answer = alice.post(at("invite"), {"email": "erin@acme.example", "role": "viewer"}, follow=True)
    assert "handed to the mail server" in text_of(answer)
    [letter] = mail.outbox
    assert letter.to == ["erin@acme.example"]
    assert re.search(r"http://testserver/accounts/password/reset/key/\S+", str(letter.body))


def test_without_a_mail_server_the_page_says_that_no_letter_went_out(alice: Client, settings: Any) -> None:
    settings.EMAIL_BACKEND = DUMMY
    answer = alice.post(at("invite"), {"email": "erin@acme.example", "role": "viewer"}, follow=True)
    assert "No letter went out" in text_of(answer)
    assert "/reset/key/" not in text_of(answer)
    assert Membership.objects.filter(user__email="erin@acme.example").exists()


def test_a_mail_server_that_refuses_leaves_the_member_and_is_said(alice: Client, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    answer = alice.post(at("invite"), {"email": "erin@acme.example", "role": "viewer"}, follow=True)
    assert "did not take the letter" in text_of(answer)
    assert Membership.objects.filter(user__email="erin@acme.example").exists()


def test_saving_a_rule_unchanged_keeps_all_it_says(company: Company, alice: Client) -> None:
    conditions = tuple(Condition(f"tag:t{number}", Operator.ONE_OF, ("a, b", f"c{number}")) for number in range(7))
    draft = RuleDraft(
        conditions, Assignment({"team": company.cast.chat.id}),
        active_from=datetime(2026, 3, 1, 9, 30, tzinfo=UTC), active_to=datetime(2026, 9, 1, 17, 45, 1, tzinfo=UTC),
    )  # fmt: skip
    row = create_rule(organization_id=company.cast.acme.id, name="Many", draft=draft, by=HOUSE, at=company.at)
    url = at("rule_edit", rule_id=row.id)
    form = alice.get(url).context["form"]
    sent = {name: form[name].value() for name in form.fields if form[name].value() not in (None, "", False)}
    sent |= {name: f"{sent[name]:%Y-%m-%d}" for name in ("active_from", "active_to")}
    # As browsers do.
    sent = {name: str(value).replace("\n", "\r\n") for name, value in sent.items()}
    assert "field8" in form.fields
    assert alice.post(url, {**sent, "name": "Renamed", "number": "1", "act": "save"}).status_code == 302
    version = attribution.as_rule(attribution.rule(company.cast.acme.id, row.id)).versions[0]
    assert version.conditions == conditions
    assert (version.active_from, version.active_to) == (draft.active_from, draft.active_to)
    # A day that was changed is taken as typed.
    moved = {**sent, "active_to": "2026-10-01", "name": "Renamed", "number": str(version.number), "act": "save"}
    assert alice.post(url, moved).status_code == 302
    version = attribution.as_rule(attribution.rule(company.cast.acme.id, row.id)).versions[0]
    assert version.active_to == datetime(2026, 10, 1, tzinfo=UTC)


def test_a_stopped_import_is_not_resumed_from_the_page(company: Company, alice: Client) -> None:
    here: dict[str, Any] = {"organization_id": company.cast.acme.id, "by": HOUSE, "at": company.at}
    job = jobs.open_job(kind="import", parameters={}, **here)
    jobs.request_stop(job_id=job.id, **here)
    page = text_of(alice.get(at("jobs")))
    assert "import_usage" in page
    assert at("job_resume", job_id=job.id) not in page
    assert "Run import_usage again" in text_of(alice.post(at("job_resume", job_id=job.id), follow=True))
    answer = alice.post(f"/api/v1/jobs/{job.id}/resume")
    assert (answer.status_code, answer.json()["code"]) == (409, "jobs.not_resumable")


def test_jobs_over_rest_are_for_whoever_runs_them(company: Company, browser: Callable[[User], Client]) -> None:
    job = jobs.open_job(organization_id=company.cast.acme.id, kind="rerate", parameters={}, by=HOUSE, at=company.at)
    for url in ("/api/v1/jobs", f"/api/v1/jobs/{job.id}"):
        assert browser(company.cast.bob_login).get(url).status_code == 403
        assert browser(company.cast.dana_login).get(url).status_code == 200


def test_a_cost_its_source_stated_raises_no_alarm(company: Company, alice: Client) -> None:
    book(company, [event(1, company.at, cost=GivenCost(1_250_000_000_000, "USD"))])
    [row] = ledger.charges(company.cast.acme.id, days_of(company, 1), limit=5).rows
    assert row.billed_cost == Decimal("1.25")
    assert "do not add up" not in text_of(alice.get(at("charge", charge_id=row.id)))
