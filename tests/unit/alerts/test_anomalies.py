"""What is not as usual is found, says why in words, and what is as usual is left alone."""

from __future__ import annotations

import random
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from finops.alerts.rules.anomalies import NOISE, Direction, Finding, Noise, find_anomalies
from finops.alerts.rules.forecasting import Past

DOLLAR = 10**12
TODAY = date(2026, 11, 19)  # a Thursday
OFFICE = tuple([0.0] * 9 + [1.0] * 8 + [0.0] * 7)


def usual(days: int = 70, *, dollars: float = 200, seed: int = 7) -> list[int]:
    """Weekdays of about so much, weekends of a tenth; the last is a Wednesday."""
    rng = random.Random(seed)
    share = [1.0 if (2 - back) % 7 < 5 else 0.1 for back in reversed(range(days))]
    return [round(dollars * one * rng.lognormvariate(0, 0.15) * DOLLAR) for one in share]


def found(daily: list[int], noise: Noise = NOISE) -> Finding[str] | None:
    findings = find_anomalies({"search": Past(daily)}, today=TODAY, noise=noise)
    return findings[0] if findings else None


def test_usual_days_are_left_alone() -> None:
    assert [seed for seed in range(40) if found(usual(seed=seed))] == []


def test_ten_times_a_day_is_told_in_words() -> None:
    daily = usual()
    daily[-1] *= 10
    told = found(daily)
    assert told is not None
    yesterday = TODAY - timedelta(days=1)
    assert (told.direction, told.days, told.since, told.until) == (Direction.HIGHER, 1, yesterday, yesterday)
    assert told.seen == daily[-1]
    assert told.deviations > 10
    assert "on 18 November" in told.words
    assert "USD" in told.words
    assert "of its usual deviations above" in told.words


def test_twice_as_much_for_days_says_since_when() -> None:
    daily = usual()
    daily[-3:] = [day * 2 for day in daily[-3:]]
    told = found(daily)
    assert told is not None
    assert (told.direction, told.since) == (Direction.HIGHER, date(2026, 11, 16))


def test_a_dead_source_is_less_than_usual() -> None:
    told = found([*usual()[:-1], 0])
    assert told is not None
    assert (told.direction, told.seen) == (Direction.LOWER, 0)
    assert told.deviations < 0


def test_a_public_holiday_is_not_told() -> None:
    assert found([*usual()[:-1], 25 * DOLLAR]) is None


def test_a_slow_climb_is_told_against_four_weeks_ago() -> None:
    daily = [round(day * 1.05 ** max(0, n - 48)) for n, day in enumerate(usual(77))]
    told = found(daily)
    assert told is not None
    assert told.direction is Direction.CLIMBING
    assert "four weeks ago" in told.words


def test_today_is_told_before_it_is_over() -> None:
    pasts = {"agent": Past(usual(), today=1_500 * DOLLAR, hours=OFFICE), "quiet": Past(usual(), 50 * DOLLAR, OFFICE)}
    (told,) = find_anomalies(pasts, today=TODAY, passed=timedelta(hours=11))
    assert (told.key, told.partial, told.until) == ("agent", True, TODAY)
    assert "today so far" in told.words
    assert find_anomalies(pasts, today=TODAY) == []


def test_the_same_days_of_every_month_are_usual() -> None:
    # The last is Monday the 30th of November; the month before had it on its last day too.
    daily = [round(100 * DOLLAR * random.Random(n).lognormvariate(0, 0.1)) for n in range(90)]
    daily[-1] = daily[-31] = 600 * DOLLAR
    assert find_anomalies({"close": Past(daily)}, today=date(2026, 12, 1)) == []
    daily[-31] = 100 * DOLLAR
    assert len(find_anomalies({"close": Past(daily)}, today=date(2026, 12, 1))) == 1


def test_what_is_small_or_new_is_noise() -> None:
    cheap = usual(dollars=0.5)
    cheap[-1] *= 10
    assert found(cheap) is None
    assert found(cheap, noise=Noise(amount=DOLLAR)) is not None
    assert found([*usual(9), 5_000 * DOLLAR]) is None


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5_000 * DOLLAR), max_size=60), max_size=5),
    st.integers(2, 50),
)
def test_neither_order_nor_unit_nor_company_changes_what_is_found(rows: list[list[int]], times: int) -> None:
    none = Noise(amount=0)
    pasts = {n: Past(row) for n, row in enumerate(rows)}
    together = {one.key: (one.direction, one.since) for one in find_anomalies(pasts, today=TODAY, noise=none)}
    backwards = dict(reversed(pasts.items()))
    again = {one.key: (one.direction, one.since) for one in find_anomalies(backwards, today=TODAY, noise=none)}
    alone = {
        one.key: (one.direction, one.since)
        for key, past in pasts.items()
        for one in find_anomalies({key: past}, today=TODAY, noise=none)
    }
    many = {key: Past([day * times for day in past.daily]) for key, past in pasts.items()}
    dearer = {one.key: (one.direction, one.since) for one in find_anomalies(many, today=TODAY, noise=none)}
    assert together == again == alone == dearer
