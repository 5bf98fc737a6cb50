"""Forecasts over REST: of budgets' accounts and of spend, as far as one may see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from finops.orgs.models import User
from tests.factories.budgets import budget
from tests.factories.orgs import Cast, member
from tests.factories.postings import ownership, post_all, posting
from tests.interfaces.conftest import Api, told

NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def a_thursday() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def spent(cast: Cast) -> None:
    """Fifty days of ten dollars a day for Bob of Search, and of thirty for Alice of Chat."""
    for person, team, dollars in ((cast.bob, cast.search, 10), (cast.alice, cast.chat, 30)):
        post_all(
            cast.acme.id,
            [
                posting(
                    f"{person.slug}-{day}",
                    NOON - timedelta(days=day, hours=2),
                    pico=dollars * 10**12,
                    owner=ownership(team=team.id, person=person.id),
                )
                for day in range(50)
            ],
        )


def test_accounts_say_what_they_come_to_and_when_they_end(alice: Api, cast: Cast, spent: None) -> None:
    each = budget(cast.acme.id, "700", each="person", name="Each", at=NOON)
    budget(cast.acme.id, "9000", name="All", at=NOON)
    first, *rest = told(alice.get("forecasts"))["items"]
    assert (first["budget"], first["subject"], first["spent"]) == ("Each", "alice", "570.000000000000")
    assert Decimal(first["low"]) <= Decimal(first["expected"]) <= Decimal(first["high"])
    assert 880 < Decimal(first["expected"]) < 920
    assert first["reached_at"].startswith("2026-11-24")
    assert first["reached_earliest"] <= first["reached_at"]
    assert first["until"] == "2026-12-01T00:00:00Z"
    assert "Level by weekday" in first["method"]
    assert [(one["budget"], one["subject"], one["reached_at"]) for one in rest] == [
        ("Each", "bob", None), ("All", None, None),
    ]  # fmt: skip
    only = told(alice.get(f"forecasts?budget_id={each.id}&limit=1"))["items"]
    assert [one["subject"] for one in only] == ["alice"]


def test_one_sees_ones_own(cast: Cast, spent: None, login: Callable[[User], Api]) -> None:
    budget(cast.acme.id, "700", each="person", name="Each", at=NOON)
    vera = member(cast.acme, "Vera", "viewer").user
    assert vera is not None
    assert [one["subject"] for one in told(login(cast.bob_login).get("forecasts"))["items"]] == ["bob"]
    assert told(login(vera).get("forecasts"))["items"] == []


def test_spend_of_the_month_by_team(alice: Api, cast: Cast, spent: None, login: Callable[[User], Api]) -> None:
    found = told(alice.get("forecasts/spend?group_by=team"))
    assert found["period"] == {"from": "2026-11-01", "to": "2026-12-01"}
    assert [one["group"]["team"]["value"] for one in found["rows"]] == ["chat", "search"]
    assert 1150 < sum(Decimal(one["expected"]) for one in found["rows"]) < 1250
    (whole,) = told(alice.get("forecasts/spend"))["rows"]
    assert whole["spent"] == "760.000000000000"
    assert whole["group"] == {}
    # An engineer reaches their own team.
    bob = login(cast.bob_login)
    assert [one["group"]["team"]["value"] for one in told(bob.get("forecasts/spend?group_by=team"))["rows"]] == [
        "search"
    ]
    assert told(bob.get("forecasts/spend?group_by=person"), 403)["code"] == "orgs.out_of_reach"
    few = told(alice.get("forecasts/spend?group_by=team&filter.team=search"))["rows"]
    assert [one["group"]["team"]["value"] for one in few] == ["search"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ("forecasts?budget_id=x", "budget_id"),
        ("forecasts?limit=201", "limit"),
        ("forecasts?colour=red", "colour"),
        ("forecasts/spend?group_by=team,model", "group_by"),
        ("forecasts/spend?group_by=colour", "group_by"),
        ("forecasts/spend?period=mtd", "period"),
    ],
)
def test_what_is_not_understood_is_named(alice: Api, asked: str, field: str) -> None:
    assert told(alice.get(asked), 400)["field"] == field


def test_many_accounts_cost_no_more_questions(
    alice: Api, cast: Cast, spent: None, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for name in ("One", "Two", "Three"):
        budget(cast.acme.id, "700", each="person", name=name, at=NOON)
    with django_assert_max_num_queries(16):
        assert len(told(alice.get("forecasts"))["items"]) == 6
