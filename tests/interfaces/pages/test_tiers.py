"""The page of tiers: what it tells of a month, what it says where nothing is known, and what-ifs in the address."""

from __future__ import annotations

import html
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.factories.company import Company
from tests.interfaces.pages.conftest import at, text_of


@pytest.fixture
def month(company: Company) -> str:
    """The last month that is over; the company's calls begin forty days ago."""
    return f"{company.at.date().replace(day=1) - timedelta(days=1):%Y-%m}"


def seen(alice: Client, query: str = "", status: int = 200) -> str:
    answer = alice.get(f"{at('tiers')}{query}")
    assert answer.status_code == status
    return html.unescape(text_of(answer))


def test_a_month_by_class_and_at_frontier(alice: Client, company: Company, month: str) -> None:
    page = seen(alice)
    assert "Where frontier is needed" in page
    assert "went to frontier models" in page
    assert "With every call at" in page
    assert "gpt-4o" in page
    assert "Anthropic" in page
    # No call has a task type, so that nobody knows.
    assert "nobody knows" in page
    assert "calls have no price" in page
    assert seen(alice, f"?month={month}").count("went to frontier models") == page.count("went to frontier models")


def test_what_ifs_are_asked_in_the_address(alice: Client, company: Company, month: str) -> None:
    moved = seen(alice, f"?month={month}&kind=move&model=gpt-4o&to=gpt-4o-mini&task_type=*")
    assert "The month would have come to" in moved
    assert "use as many tokens" in moved
    nobody = seen(alice, f"?month={month}&kind=move&model=gpt-4o&to=never-heard-of")
    assert "nobody knows what never-heard-of costs" in nobody
    for query in ("kind=price&model=gpt-4o&read=-50", "kind=drop&vendor=google&otherwise=gpt-4o-mini",
                  "kind=plan&vendor=openai&fee=10&percent=5"):  # fmt: skip
        assert "The month would have come to" in seen(alice, f"?month={month}&{query}"), query
    wrong = seen(alice, f"?month={month}&kind=price&model=gpt-4o&read=-500")
    assert "The month would have come to" not in wrong
    assert "greater than or equal to" in wrong
    assert "The month would have come to" not in seen(alice, "?kind=nothing")


def test_a_month_of_nothing_says_so_and_one_that_is_none_is_refused(alice: Client, company: Company) -> None:
    assert "No calls in this month" in seen(alice, "?month=2020-01")
    assert "a month is written as" in seen(alice, "?month=soon", status=422).lower()


def test_the_number_of_questions_is_bounded(alice: Client, company: Company, month: str) -> None:
    seen(alice)
    with CaptureQueriesContext(connection) as asked:
        seen(alice, f"?month={month}&kind=move&model=gpt-4o&to=gpt-4o-mini")
    assert len(asked) < 60
