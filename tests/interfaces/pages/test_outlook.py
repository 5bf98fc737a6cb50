"""Pages say what is to come: a month on the overview, a period and its limit on a cap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from finops.budgets.types import Period
from tests.factories.budgets import budget
from tests.factories.company import Company, empty_company
from tests.factories.postings import ownership, post_all, posting
from tests.interfaces.pages.conftest import at, text_of


@pytest.fixture
def company(db: None) -> Company:
    """Ten dollars a day for Bob of Search, for fifty days."""
    made = empty_company(datetime.now(UTC).replace(microsecond=0))
    cast = made.cast
    days = [made.at - timedelta(days=day, seconds=1) for day in range(50)]
    owner = ownership(team=cast.search.id, person=cast.bob.id)
    post_all(cast.acme.id, [posting(f"call-{day}", day, pico=10 * 10**12, owner=owner) for day in days])
    return made


def test_the_overview_says_what_the_month_comes_to(company: Company, alice: Client) -> None:
    page = alice.get(at("overview"), {"period": "mtd"})
    assert f"At this rate {company.at:%B} comes to" in text_of(page)
    assert page.context["outlook"].low <= page.context["outlook"].expected <= page.context["outlook"].high
    # What is over is no forecast, and what nothing was spent on has none.
    assert page.context["outlook"].expected > 250
    assert "At this rate" not in text_of(alice.get(at("overview"), {"period": "last-month"}))
    assert "At this rate" not in text_of(
        alice.get(at("overview"), {"period": "mtd", "team": str(company.cast.chat.id)})
    )


def test_a_cap_says_when_it_ends(company: Company, alice: Client) -> None:
    each = budget(
        company.cast.acme.id,
        "310",
        each="person",
        period=Period.TOTAL,
        at=company.at,
        starts_at=company.at - timedelta(days=29),
    )
    [told] = alice.get(at("cap", budget_id=each.id)).context["outlooks"]
    assert told.name == "Bob"
    assert told.reached is not None
    assert told.reached < company.at + timedelta(days=4)
    assert told.tone == "bad"
    over = budget(company.cast.acme.id, "5", name="Over", period=Period.TOTAL, at=company.at, starts_at=each.starts_at)
    page = alice.get(at("cap", budget_id=over.id))
    assert [(one.over, one.tone) for one in page.context["outlooks"]] == [(True, "bad")]
    wide = budget(company.cast.acme.id, "100000", name="Wide", at=company.at)
    page = alice.get(at("cap", budget_id=wide.id))
    assert "holds" in text_of(page)
    assert [one.tone for one in page.context["outlooks"]] == [""]
