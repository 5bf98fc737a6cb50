"""Which cube answers, and which blocks of days make a period: decided from values alone."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from finops.core.periods import EPOCH, DayRange, day_number
from finops.ledger import rules
from finops.ledger.rules import cube_for, finished, run_days, runs, settled_day
from finops.ledger.types import DIMENSIONS

LONG_AGO_SETTLED = date(2030, 1, 1)
days = st.dates(date(2024, 1, 1), date(2028, 1, 1))


def test_every_dimension_has_a_cube_and_a_named_pair_is_found_in_either_order() -> None:
    assert all(cube_for([name]) is not None for name in DIMENSIONS)
    assert cube_for([]) == 0
    assert cube_for(["model", "person"]) == cube_for(["person", "model"]) == 45
    assert cube_for(["region", "person"]) is None
    assert cube_for(["team", "person", "model"]) is None


def test_cube_numbers_are_stored_in_rows_and_never_move() -> None:
    assert rules.CUBES[1] == ("team",)
    assert rules.CUBES[9] == ("model",)
    assert rules.CUBES[27] == ("tag10",)
    assert len(set(rules.CUBES.values())) == len(rules.CUBES)


@given(days, st.integers(0, 1500), days)
def test_runs_tile_the_period_exactly(start: date, length: int, settled: date) -> None:
    period = DayRange(start, start + timedelta(days=length))
    covered = sorted(
        (run_days(run).start + timedelta(days=index))
        for run in runs(period, settled)
        for index in range(run_days(run).days)
    )
    assert covered == [period.start + timedelta(days=index) for index in range(length)]


@given(days, st.integers(0, 1500), days)
def test_only_days_are_read_where_nothing_is_settled(start: date, length: int, settled: date) -> None:
    for run in runs(DayRange(start, start + timedelta(days=length)), settled):
        assert run.level == 0 or run_days(run).end <= settled


@given(days, st.integers(1, 400))
def test_a_settled_period_of_a_year_is_few_blocks(start: date, length: int) -> None:
    found = runs(DayRange(start, start + timedelta(days=length)), LONG_AGO_SETTLED)
    assert sum(run.last - run.first + 1 for run in found) <= 26


def test_an_empty_period_reads_nothing() -> None:
    assert runs(DayRange(date(2026, 10, 1), date(2026, 10, 1)), LONG_AGO_SETTLED) == []


@given(st.integers(0, 30_000))
def test_settling_leaves_the_two_newest_days_alone_and_ends_on_a_block(newest: int) -> None:
    settled = settled_day(newest)
    assert settled <= newest - 1
    assert settled % 4 == 0
    assert newest - settled < 6


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=12), st.integers(1, 4))
def test_however_days_are_settled_each_block_is_made_once_when_it_is_whole(steps: list[int], level: int) -> None:
    made: list[int] = []
    was = 0
    for settled in sorted(steps):
        made.extend(finished(level, was, settled))
        was = settled
    size = 4**level
    assert made == list(range(was // size))


def test_the_epoch_is_day_nought() -> None:
    assert day_number(EPOCH) == 0
    assert run_days(rules.Run(1, 2, 2)) == DayRange(date(1970, 1, 9), date(1970, 1, 13))
