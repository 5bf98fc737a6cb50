"""Slices of minutes in SQL: all or nothing, an eighth beyond the least, and what went back is free again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from finops.budgets.guard.slices import WINDOW_S
from finops.budgets.services import forget_minutes
from tests.factories.ledger import rows

pytestmark = pytest.mark.django_db

Grants = list[tuple[Any, ...]]


def grant(*wants: tuple[str, int, int, int]) -> Grants:
    """What is granted of each (measure, limit, least, most), what is free after it, and when to ask again."""
    measures, limits, least, most = (list(column) for column in zip(*wants, strict=True))
    same = [[1] * len(wants), ["key"] * len(wants), ["3"] * len(wants)]
    return rows(
        "SELECT granted::int, free::int, retry_s FROM budgets_rate_grant(%s::int[], %s::text[], %s::text[], %s::text[],"
        " %s::bigint[], %s::bigint[], %s::bigint[], %s)",
        *same, measures, limits, least, most, WINDOW_S,
    )  # fmt: skip


def given(measure: str, amount: int, *, ago: int) -> None:
    rows(
        "INSERT INTO budgets_rate VALUES (1, 'key', '3', %s, floor(extract(epoch FROM clock_timestamp()))::bigint - %s,"
        " %s) RETURNING bucket",
        measure,
        ago,
        amount,
    )


def test_a_grant_is_what_is_wanted_but_beyond_the_least_an_eighth_of_what_is_free() -> None:
    assert grant(("requests", 800, 1, 50)) == [(50, 750, 0.0)]
    assert grant(("requests", 800, 1, 500)) == [(93, 657, 0.0)]
    assert grant(("requests", 800, 600, 700)) == [(600, 57, 0.0)]


def test_where_one_has_too_little_nothing_is_given_of_any() -> None:
    given("tokens", 900, ago=10)
    (requests, tokens) = grant(("requests", 60, 1, 5), ("tokens", 1_000, 101, 400))
    assert requests == (0, 60, 0.0)
    assert tokens[:2] == (0, 100)
    assert tokens[2] == pytest.approx(WINDOW_S - 10, abs=1.01)
    assert rows("SELECT count(*) FROM budgets_rate WHERE measure = 'requests' AND amount > 0") == [(0,)]


def test_what_never_fits_has_no_time_to_ask_again() -> None:
    assert grant(("tokens", 100, 101, 101)) == [(0, 100, None)]


def test_the_window_is_63_seconds_and_what_is_older_is_forgotten() -> None:
    given("requests", 4, ago=WINDOW_S + 1)
    given("requests", 3, ago=WINDOW_S - 2)
    assert grant(("requests", 5, 2, 2)) == [(2, 0, 0.0)]
    assert rows("SELECT sum(amount)::int FROM budgets_rate") == [(5,)]
    refused = grant(("requests", 5, 1, 1))
    assert refused[0][:2] == (0, 0)
    assert 0 < refused[0][2] <= 3


def test_what_goes_back_is_free_again_and_what_went_beyond_is_not() -> None:
    given("tokens", 100, ago=20)
    ((bucket,),) = rows("SELECT bucket FROM budgets_rate")
    for back, free in ((60, 60), (-30, 30)):
        rows(
            "SELECT budgets_rate_return('{1}'::int[], '{key}', '{3}', '{tokens}', %s::bigint[], %s::bigint[])",
            [bucket],
            [back],
        )
        assert grant(("tokens", 100, 101, 101)) == [(0, free, None)]


def test_minutes_that_are_over_are_swept_up() -> None:
    given("requests", 5, ago=700)
    given("requests", 5, ago=30)
    for dropped in (1, 0):
        assert forget_minutes(before=datetime.now(UTC) - timedelta(minutes=10)) == dropped
    assert rows("SELECT count(*) FROM budgets_rate") == [(1,)]


def test_one_organizations_minute_is_not_anothers() -> None:
    rows("INSERT INTO budgets_rate SELECT 2, 'key', '3', 'requests', bucket, 5 FROM (SELECT"
         " floor(extract(epoch FROM clock_timestamp()))::bigint AS bucket) AS b RETURNING 1")  # fmt: skip
    assert grant(("requests", 5, 5, 5)) == [(5, 0, 0.0)]
