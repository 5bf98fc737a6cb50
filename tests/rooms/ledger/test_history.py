"""Days and hours of spend are what the charges say, folded or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from finops.core.periods import DayRange
from finops.ledger import services
from finops.ledger.selectors import daily_spend, hours_of_day
from finops.ledger.selectors.spend import UnknownDimension
from tests.factories.orgs import Cast
from tests.factories.postings import ownership, post_all, posting, random_postings

NOON = datetime(2026, 10, 20, 12, tzinfo=UTC)
DAYS = DayRange(NOON.date() - timedelta(days=29), NOON.date() + timedelta(days=1))


def by_hand(organization_id: int, bucket: str, by: str) -> dict[int, dict[object, Decimal]]:
    start, end = DAYS.instants()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {by}_id, {bucket}, sum(reporting_cost) FROM ledger_charge WHERE organization_id = %s"
            " AND occurred_at >= %s AND occurred_at < %s GROUP BY 1, 2 HAVING sum(reporting_cost) <> 0",
            [organization_id, start, end],
        )
        found: dict[int, dict[object, Decimal]] = {}
        for value, at, cost in cursor.fetchall():
            found.setdefault(value, {})[at] = cost
        return found


def test_days_and_hours_are_those_of_the_charges_folded_or_not(cast: Cast) -> None:
    acme = cast.acme.id
    post_all(cast.globex.id, random_postings(2, 50, [NOON.date()]))
    post_all(acme, random_postings(1, 400, [NOON.date() - timedelta(days=n) for n in range(40)]))
    for _ in range(2):
        assert daily_spend(acme, DAYS, by="team") == by_hand(acme, "(occurred_at AT TIME ZONE 'UTC')::date", "team")
        hours = by_hand(acme, "date_part('hour', occurred_at AT TIME ZONE 'UTC')::int", "person")
        found = hours_of_day(acme, *DAYS.instants(), by="person")
        assert {one: sum(shape) for one, shape in found.items()} == pytest.approx(
            {one: float(sum(max(Decimal(0), cost) for cost in shape.values())) for one, shape in hours.items()}
        )
        assert all(
            found[one][hour] == pytest.approx(max(0.0, float(cost)))
            for one, shape in hours.items()
            for hour, cost in shape.items()
            if isinstance(hour, int)
        )
        services.fold_all()


def test_everything_together_within_filters_and_the_largest(cast: Cast) -> None:
    acme = cast.acme.id
    post_all(
        acme,
        [
            posting(f"{team}-{day}", NOON - timedelta(days=day), pico=team * 10**12, owner=ownership(team=team))
            for team in (1, 2, 3)
            for day in range(3)
        ],
    )
    assert daily_spend(acme, DAYS)[0][NOON.date()] == 6
    assert daily_spend(acme, DAYS, filters={"team": frozenset({1, 2})})[0][NOON.date()] == 3
    assert set(daily_spend(acme, DAYS, by="team", limit=2)) == {2, 3}
    assert hours_of_day(acme, *DAYS.instants(), filters={"team": frozenset({3})})[0][12] == 9


def test_one_statement_each(cast: Cast, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    acme = cast.acme.id
    with django_assert_num_queries(1):
        daily_spend(acme, DAYS, by="person")
    with django_assert_num_queries(1):
        hours_of_day(acme, *DAYS.instants(), by="team")


def test_hours_are_not_kept_by_models(cast: Cast) -> None:
    with pytest.raises(UnknownDimension):
        hours_of_day(cast.acme.id, *DAYS.instants(), by="model")
