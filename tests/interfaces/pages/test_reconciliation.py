"""The page of what was billed and seen: it adds up, says so in words, and leads to the lines."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboards.panels.tied import shown
from dashboards.templatetags.figures import money
from finops.core.periods import DayRange
from finops.ledger import selectors as ledger
from finops.orgs.models import Membership
from finops.reconciliation import selectors, tasks
from finops.reconciliation.models import CountingRule, ReconciledDay
from tests.factories.company import Company
from tests.factories.statements import Stated, billed_company
from tests.interfaces.pages.conftest import at, text_of


@pytest.fixture
def stated(company: Company) -> Stated:
    made = billed_company(company, days=4)
    # Yesterday is over, however early it is.
    CountingRule.objects.update(after_hours=0)
    return made


def seen(client: Client, **query: Any) -> str:
    return html.unescape(text_of(client.get(at("reconciliation"), {"period": "last-30d", **query})))


def test_without_a_bill_the_page_says_how_to_get_one(company: Company, alice: Client) -> None:
    page = seen(alice)
    assert "No bill is connected" in page
    assert f'href="{at("sources")}"' in page
    assert "Compare now" not in page


def test_the_figures_are_those_of_the_totals_and_every_day_is_in_words(
    company: Company, alice: Client, stated: Stated
) -> None:
    page = seen(alice)
    day = company.at.date()
    [total] = selectors.totals(company.cast.acme.id, DayRange(day - timedelta(days=30), day), at=company.at)
    figures = shown(total)
    for amount in (total.billed, figures.seen, figures.corrected, figures.unseen, figures.unattributed):
        assert money(amount, "USD") in page
    assert page.count(">Tied</span>") == 4 == total.tied
    assert "1 day with calls and no bill yet" in page
    assert "Nobody saw the calls of" in page


def test_nobodys_lead_to_just_those_lines(company: Company, alice: Client, stated: Stated) -> None:
    page = seen(alice)
    [total, *days] = re.findall(r'href="(/o/acme/charges/\?[^"]*state=\d+[^"]*)"', page)
    acme, rule = company.cast.acme.id, CountingRule.objects.get()
    unseen = ReconciledDay.objects.order_by("-day").values_list("unattributed", flat=True)
    assert len(days) == len(unseen) == 4
    for href, expected in [(total, sum(unseen, Decimal(0))), *zip(days, unseen, strict=True)]:
        answer = alice.get(href)
        assert answer.status_code == 200
        rows = answer.context["rows"]
        assert {one["row"].reason for one in rows} == {"trueup"}
        assert sum(one["row"].effective_cost for one in rows) == expected
    # What was corrected is not among them.
    all_of = ledger.charges(
        acme, DayRange(rule.since, company.at.date()), filters={"source": frozenset({rule.source_id})}
    )
    assert len(all_of.rows) > len(alice.get(total).context["rows"])


def test_a_line_explains_itself(company: Company, alice: Client, stated: Stated) -> None:
    rule = CountingRule.objects.get()
    days = DayRange(rule.since, company.at.date())
    lines = ledger.charges(company.cast.acme.id, days, filters={"source": frozenset({rule.source_id})}).rows
    corrected, unseen = (next(row for row in lines if any(row.counts) is used) for used in (False, True))
    page = html.unescape(text_of(alice.get(at("charge", charge_id=unseen.id))))
    assert "and nobody saw a call of it" in page
    assert f"openai’s {unseen.occurred_at.day} {unseen.occurred_at:%b %Y}" in page
    assert "The provider’s report names no owner" in page
    page = html.unescape(text_of(alice.get(at("charge", charge_id=corrected.id))))
    assert "less what they stood at" in page
    [href] = re.findall(r'href="([^"]+)">That day’s', page)
    assert alice.get(href).context["days"][0]["row"].day == corrected.occurred_at.date()


def test_one_provider_can_be_asked_about_and_nothing_else(company: Company, alice: Client, stated: Stated) -> None:
    terms = ledger.term_ids(company.cast.acme.id, "provider", ["openai", "anthropic"])
    assert "Tied" in seen(alice, provider=terms["openai"])
    assert "No bill of" in seen(alice, provider=terms["anthropic"])
    for wrong in ({"team": "1"}, {"period": "nonsense"}, {"provider": list(terms.values())}):
        assert alice.get(at("reconciliation"), wrong).status_code == 400


def test_days_in_other_currencies_are_in_no_figure(company: Company, alice: Client, stated: Stated) -> None:
    ReconciledDay.objects.update(state="currencies", billed=Decimal(987654))
    page = seen(alice)
    assert page.count("Currencies differ") == 4
    assert "4 days calls and bill are in different currencies" in page
    assert "987,654" not in page


def test_a_rule_is_changed_by_its_form(
    company: Company, alice: Client, stated: Stated, monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:  # fmt: skip
    asked: list[Any] = []
    monkeypatch.setattr(tasks.reconcile_one, "apply_async", lambda **given: asked.append(given["kwargs"]))
    rule = CountingRule.objects.get()
    path = at("counting_rule", counting_rule_id=rule.id)
    said = {"level": "metered", "since": rule.since.isoformat(), "after_hours": "12"}
    assert alice.post(path, said | {"until": rule.since.isoformat()}).status_code == 422
    assert alice.post(path, said | {"after_hours": "1000"}).status_code == 422
    assert asked == []
    with django_capture_on_commit_callbacks(execute=True):
        assert alice.post(path, said)["Location"] == at("reconciliation")
    rule.refresh_from_db()
    assert (rule.level, rule.after_hours, rule.whole) == ("metered", 12, False)
    with django_capture_on_commit_callbacks(execute=True):
        assert alice.post(at("reconciliation_run"))["Location"] == at("reconciliation")
    assert asked == [{"organization_id": company.cast.acme.id}] * 2
    stated.reconciled()
    page = seen(alice)
    assert page.count(">Compared</span>") == 4
    assert "not booked" in page


def test_finance_reads_and_only_admins_change(company: Company, browser: Callable[..., Client], stated: Stated) -> None:
    bob = browser(company.cast.bob_login)
    rule = at("counting_rule", counting_rule_id=CountingRule.objects.get().id)
    assert bob.get(at("reconciliation")).status_code == 403
    Membership.objects.filter(user=company.cast.bob_login).update(role="finance")
    page = seen(bob)
    assert "Compare now" in page
    assert rule not in page
    assert bob.get(rule).status_code == bob.post(rule, {"level": "metered"}).status_code == 403


def test_more_days_ask_no_more_questions(company: Company, alice: Client, stated: Stated) -> None:
    def asked() -> int:
        seen(alice)
        with CaptureQueriesContext(connection) as queries:
            seen(alice)
        return len(queries)

    before = asked()
    rows = list(ReconciledDay.objects.all())
    ReconciledDay.objects.bulk_create(
        [
            ReconciledDay(**{
                **{name: getattr(row, name) for name in ("organization", "provider", "state", "currency", "billed",
                    "seen", "unseen", "unattributed", "calls", "basis", "reconciled_at")},
                "day": row.day - timedelta(days=12 * back),
            })
            for row in rows
            for back in range(1, 3)
        ]
    )  # fmt: skip
    assert asked() == before <= 40
