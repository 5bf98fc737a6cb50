"""The page of rollouts and savings: what scores say of a rule under way, and what was saved, or why nobody can tell."""

from __future__ import annotations

import csv
import html
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from routing.rollouts import rules
from routing.rollouts.models import Rollout, SavingsMonth
from routing.rollouts.watching import Contrast, Detector, Known
from routing.rules.models import RoutingRule
from tests.factories.company import Company
from tests.factories.rules import saved, triage
from tests.interfaces.pages.conftest import at, text_of

FROZEN = Known(task_type="triage", model="strong", items=400, mean=0.9, deviation=0.3)


def course(company: Company, row: RoutingRule, seen: rules.Course, **given: Any) -> Rollout:
    usual: dict[str, Any] = {
        "organization_id": row.organization_id, "rule": row, "version": 1, "state": "watching", "since": company.at,
        "started_at": company.at, "stepped_at": company.at, "stage": "canary", "share": 0.05,
        "changed_at": company.at, "seen": rules.said(seen),
    }  # fmt: skip
    return Rollout.objects.create(**usual | given)


def month(company: Company, row: RoutingRule, **given: Any) -> SavingsMonth:
    told = {
        "expected_cost": "500", "saved": "400", "saved_lower": "350", "saved_upper": "450", "net": "395",
        "net_lower": "345", "net_upper": "445",
    }  # fmt: skip
    usual: dict[str, Any] = {
        "organization_id": row.organization_id, "rule": row, "month": date(2026, 10, 1), "currency": "USD",
        "treated_calls": 9_500, "treated_sessions": 950, "stayed_calls": 500, "stayed_sessions": 50,
        "treated_cost": Decimal(100), "failed_cost": Decimal(3), "beside_cost": Decimal(5), "by": "calls",
        "measured_at": company.at, **{name: Decimal(amount) for name, amount in told.items()},
    }  # fmt: skip
    return SavingsMonth.objects.create(**usual | given)


def seen_of(alice: Client) -> str:
    return html.unescape(text_of(alice.get(at("savings"))))


def rule(company: Company, name: str = "triage") -> RoutingRule:
    return saved(company.cast.acme.id, triage(name=name), at=company.at, stage="canary", held_back=None).row


def test_e_values_are_said_in_words(company: Company, alice: Client) -> None:
    row = rule(company)
    one = course(company, row, rules.Course())
    assert "Nothing is known of the incumbent to hold scores against" in seen_of(alice)
    stories = (
        (Detector(), "No treated session was scored yet."),
        (Detector(worth=-1.0, seen=312, mean=-0.01), "No drop seen in 312 scored sessions."),
        (
            Detector(worth=2.0, seen=90, mean=0.11),
            "Scores of 90 scored sessions are \u221211.0 points from the incumbent’s: evidence of 7.4 to 1",
        ),
    )
    for detector, said in stories:
        one.seen = rules.said(rules.Course(known=(FROZEN,), detector=detector))
        one.save()
        assert said in seen_of(alice)
    one.state, one.paused_at, one.stage, one.share = "paused", company.at, "paused", 0.5
    one.seen = rules.said(rules.Course(known=(FROZEN,), contrast=Contrast(differences=(-0.2, -0.1))))
    one.save()
    page = seen_of(alice)
    assert "after 2 pairs the treated half is \u221215.0 points from the other, which does not decide yet." in page
    assert "paused, 50\u202f%" in page
    assert "which does not decide yet." in text_of(alice.get(at("routing_rule", routing_rule_id=row.id)))


def test_how_a_rule_goes_on_is_changed_on_its_page(
    company: Company, alice: Client, browser: Callable[..., Client]
) -> None:
    row = rule(company)
    path = at("routing_rule_pace", routing_rule_id=row.id)
    said = {"least_scored": "200", "least_minutes": "1440"}
    assert alice.post(path, said).status_code == 404
    one = course(company, row, rules.Course())
    page = alice.get(at("routing_rule", routing_rule_id=row.id))
    assert page.context["pace"]["least_minutes"].value() == rules.LEAST_MINUTES
    assert alice.post(path, said | {"least_minutes": "-1"}).status_code == 422
    assert "Saved." in text_of(alice.post(path, said, follow=True))
    one.refresh_from_db()
    assert (one.by_itself, one.least_scored, one.least_minutes) == (False, 200, 1_440)
    assert browser(company.cast.bob_login).post(path, said).status_code == 403


def test_savings_have_their_interval_or_say_why_there_are_none(company: Company, alice: Client) -> None:
    row, other = rule(company), rule(company, "chat")
    month(company, row)
    nothing = dict.fromkeys(
        ("expected_cost", "saved", "saved_lower", "saved_upper", "net", "net_lower", "net_upper"), None
    )
    month(company, other, **nothing, by="", why="No hold-back, no verified saving: nobody stayed.")
    page = seen_of(alice)
    for part in (
        "In October 2026 so far, rules saved <b class=\"num\" title=\"$395.00\">$395.00</b> net",
        "$345.00 to $445.00",
        "$3.00 on failed tries",
        "No hold-back, no verified saving: nobody stayed.",
        "In October 2026, triage saved $395.00 net, between $345.00 and $445.00.",
    ):  # fmt: skip
        assert part in page


def test_a_closed_month_says_when_and_an_open_one_that_it_may_change(company: Company, alice: Client) -> None:
    row = rule(company)
    month(company, row)
    month(company, row, month=date(2026, 9, 1), closed_at=company.at)
    page = seen_of(alice)
    assert "so far</span>" in page
    assert f"closed {company.at.day} {company.at:%b %Y}" in page


def test_the_overview_of_a_month_has_what_was_saved_in_it(
    company: Company, alice: Client, browser: Callable[..., Client]
) -> None:
    row, other = rule(company), rule(company, "chat")
    first = company.at.date().replace(day=1)
    month(company, row, month=first)
    nothing = dict.fromkeys(
        ("expected_cost", "saved", "saved_lower", "saved_upper", "net", "net_lower", "net_upper"), None
    )
    month(company, other, month=first, **nothing, by="", why="No hold-back, no verified saving: nobody stayed.")

    def overview(query: str, client: Client = alice) -> str:
        return html.unescape(text_of(client.get(f"{at('overview')}?{query}")))

    for query in (f"period={first:%Y-%m}", "period=mtd"):
        page = overview(query)
        assert f"In {first:%B %Y} so far, rules saved" in page
        assert "Of 1 more nobody can tell." in page
        assert "$345.00 to $445.00" in page
        assert "No hold-back, no verified saving: nobody stayed." in page
    # Of no other question, for it is known of whole months and rules alone.
    for query in ("period=last-30d", f"period=mtd&team={company.cast.search.id}", f"period={first.year}"):
        assert "Verified savings" not in overview(query)
    earlier = (first - timedelta(days=1)).replace(day=1)
    month(company, row, month=earlier, closed_at=company.at)
    page = overview(f"period={earlier:%Y-%m}")
    assert f"In {earlier:%B %Y}, rules saved" in page
    assert "it stays as it was said then" in page


def test_savings_as_csv_are_whole_and_say_what_is_not_known(
    company: Company, alice: Client, browser: Callable[..., Client]
) -> None:
    row = rule(company)
    month(company, row)
    month(company, row, month=date(2026, 9, 1), net=Decimal("1.123456789012"), closed_at=company.at)
    answer = alice.get(at("savings_csv"))
    assert answer["Content-Disposition"] == 'attachment; filename="savings-acme.csv"'
    lines = list(csv.DictReader(answer.getvalue().decode().splitlines()))
    assert [(one["month"], one["net"], one["closed_at"] != "") for one in lines] == [
        ("2026-10", "395.000000000000", False), ("2026-09", "1.123456789012", True),
    ]  # fmt: skip
    only = alice.get(at("savings_csv") + "?month=2026-09").getvalue().decode()
    assert only.count("triage") == 1
    assert alice.get(at("savings_csv") + "?month=september").status_code == 400
    assert browser(company.cast.charlie_login).get(at("savings_csv")).status_code == 404


def test_nothing_under_way_says_what_to_do(alice: Client) -> None:
    page = seen_of(alice)
    assert "No rule is under way" in page
    assert "Nothing is verified yet" in page


def test_more_months_ask_no_more_questions(company: Company, alice: Client) -> None:
    def asked() -> int:
        alice.get(at("savings"))
        with CaptureQueriesContext(connection) as queries:
            alice.get(at("savings"))
        return len(queries)

    row = rule(company)
    course(company, row, rules.Course())
    month(company, row)
    before = asked()
    for number in range(1, 5):
        month(company, row, month=date(2026, number, 1))
        course(company, rule(company, f"rule-{number}"), rules.Course())
    assert asked() == before <= 9
