"""Shared costs as a page: told before saved, split as a job, ended, and by whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from finops.attribution.models import SharedCostRule
from finops.audit.models import AuditEvent
from finops.connectors.types import Dimensions
from finops.core.periods import DayRange
from finops.ingest.services import run_allocation
from finops.jobs.models import Job
from finops.jobs.services import claim
from finops.ledger import selectors as ledger
from finops.ledger.types import SpendQuestion
from finops.orgs.models import User
from tests.factories.attribution import shared_draft, shared_rule
from tests.factories.company import Company, book, empty_company, event
from tests.factories.orgs import member
from tests.interfaces.conftest import BACKEND


def at(name: str, **kwargs: Any) -> str:
    return reverse(f"dashboards:{name}", kwargs={"organization": "acme", **kwargs})


@pytest.fixture
def company(db: None) -> Company:
    """Last month Search spent three calls' worth and Chat one, and two calls of a cluster are nobody's."""
    made = empty_company(datetime.now(UTC).replace(microsecond=0))
    then = made.at.replace(day=1, hour=12, minute=0, second=0) - timedelta(days=10)
    teams = ["search", "search", "search", "chat", "", ""]
    book(made, [event(n, then, dimensions=Dimensions(team=team)) for n, team in enumerate(teams)])
    return made


@pytest.fixture
def alice(company: Company) -> Client:
    return browser(company.cast.alice_login)


def browser(user: User | None) -> Client:
    assert user is not None
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def month(company: Company) -> str:
    return f"{company.at.replace(day=1) - timedelta(days=1):%Y-%m}"


def said(company: Company, **changes: str) -> dict[str, str]:
    """By usage among the teams, of what no team answers for."""
    return {
        "name": "The cluster",
        "field0": "team",
        "values0": "(none)",
        "dimension": "team",
        "method": "usage",
        "targets": "",
        "when_empty": "keep",
        "month": month(company),
        "act": "preview",
        **changes,
    }


def by_team(company: Company) -> dict[int, Decimal]:
    day = company.at.date()
    rows = ledger.spend(SpendQuestion(company.cast.acme.id, DayRange(day - timedelta(days=62), day), ("team",)))
    return {row.values[0]: row.reporting_cost for row in rows}


def test_a_split_is_told_before_it_is_saved_and_the_job_does_what_was_told(company: Company, alice: Client) -> None:
    cast, before = company.cast, by_team(company)
    told = alice.post(at("shared_add"), said(company)).context["told"]
    assert not SharedCostRule.objects.exists()
    assert told.pool == told.moved == before[0]
    assert dict(told.shares) == {"Search": before[0] * 3 / 4, "Chat": before[0] / 4}

    saved = alice.post(at("shared_add"), said(company, act="save"), follow=True).content.decode()
    assert "The cluster" in saved
    assert "In proportion to usage" in saved
    assert AuditEvent.objects.filter(verb="shared_cost.created").count() == 1
    assert by_team(company) == before

    answer = alice.post(at("shared_split"), {"month": month(company)})
    assert answer["Location"] == at("jobs")
    assert f"{month(company)}-01" in alice.get(at("jobs")).content.decode()
    job = claim(job_id=Job.objects.get(kind="allocate").id, at=company.at)
    assert job is not None
    run_allocation(job=job, now=lambda: datetime.now(UTC))
    after = by_team(company)
    assert after.get(0, Decimal(0)) == 0
    assert after[cast.search.id] == before[cast.search.id] + before[0] * 3 / 4


def test_fixed_percentages_leave_the_rest_where_it_is(company: Company, alice: Client) -> None:
    fixed = said(company, method="fixed", targets="search 62.5\nchat 12.5 %")
    told = alice.post(at("shared_add"), fixed).context["told"]
    assert told.stays == told.pool / 4
    alice.post(at("shared_add"), {**fixed, "act": "save"})
    assert "Search 62.5" in alice.get(at("shared")).content.decode()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"values0": "no-such-team"}, "no-such-team"),
        ({"field0": "", "values0": ""}, "which cost is shared"),
        ({"method": "fixed", "targets": "search"}, "has no percentage"),
        ({"method": "fixed", "targets": "search 70\nchat 40"}, "more than 100"),
        ({"from_month": "October"}, "Write a month as 2026-10"),
        ({"from_month": "2026-10", "to_month": "2026-09"}, "to_month"),
        ({"field0": "provider", "values0": "a\0b"}, "Null characters are not allowed"),
    ],
)
def test_what_is_wrong_is_said_in_the_form(company: Company, alice: Client, changes: dict[str, str], says: str) -> None:
    for act in ("preview", "save"):
        answer = alice.post(at("shared_add"), said(company, **{**changes, "act": act}))
        assert answer.status_code == 422
        assert says in answer.content.decode() or says in str(answer.context["form"].errors)
    assert not SharedCostRule.objects.exists()


def test_a_pool_given_away_already_is_said_in_the_preview(company: Company, alice: Client) -> None:
    shared_rule(company.cast.acme.id, shared_draft(pool={"team": (0,)}), name="The first")
    answer = alice.post(at("shared_add"), said(company))
    assert (answer.status_code, "more than once: The first, The cluster" in answer.content.decode()) == (422, True)


def test_a_split_is_ended_with_its_month(company: Company, alice: Client) -> None:
    rule = shared_rule(company.cast.acme.id, shared_draft(), name="The cluster")
    assert alice.post(at("shared_end", shared_cost_id=rule.id), {"retired_from": "2026-10"}).status_code == 302
    rule.refresh_from_db()
    assert f"{rule.retired_from:%Y-%m}" == "2026-10"
    assert "The cluster" not in alice.get(at("shared")).content.decode()
    assert "splits no month from Oct 2026" in alice.get(at("shared"), {"retired": "1"}).content.decode()
    again = alice.post(at("shared_end", shared_cost_id=rule.id), {})
    assert (again.status_code, "was retired" in again.content.decode()) == (422, True)


def test_everybody_reads_them_and_finance_changes_them(company: Company) -> None:
    rule = shared_rule(company.cast.acme.id, shared_draft(), name="The cluster")
    viewer, dana = browser(member(company.cast.acme, "Vera", "viewer").user), browser(company.cast.dana_login)
    page = viewer.get(at("shared")).content.decode()
    assert "The cluster" in page
    assert at("shared_add") not in page
    assert at("shared_split") not in page
    for path in (at("shared_add"), at("shared_end", shared_cost_id=rule.id)):
        assert viewer.get(path).status_code == viewer.post(path).status_code == 403
        assert dana.get(path).status_code == 200
    assert viewer.post(at("shared_split"), {"month": month(company)}).status_code == 403
    assert not Job.objects.exists()


@pytest.mark.parametrize("odd", ["", "last-30d", "2026", "nonsense", "2026-13"])
def test_only_a_month_is_split(company: Company, alice: Client, odd: str) -> None:
    assert not odd or alice.post(at("shared_add"), said(company, month=odd)).status_code == 400
    assert alice.post(at("shared_split"), {"month": odd}).status_code == 400
    assert not Job.objects.exists()


def test_more_rules_ask_no_more_questions(company: Company, alice: Client, django_assert_max_num_queries: Any) -> None:
    cast = company.cast
    for number in range(6):
        draft = shared_draft(pool={"team": (cast.chat.id,)}, targets=(cast.search.id,))
        shared_rule(cast.acme.id, draft, name=f"Rule {number}")
    alice.get(at("shared"))
    with django_assert_max_num_queries(10):
        alice.get(at("shared"))
