"""Which cube, which blocks, and who can be among the largest: decided from values alone."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from finops.core.periods import EPOCH, DayRange, day_number
from finops.ledger import rules
from finops.ledger.rules import Group, Top, contenders, cube_for, finished, run_days, runs, settled_day
from finops.ledger.types import DIMENSIONS

NEVER = EPOCH
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


# --- The largest ------------------------------------------------------------------------------------------------------
groups = st.tuples(st.integers(0, 12))
amounts = st.integers(-30, 100).map(Decimal)
blocks = st.lists(st.dictionaries(groups, amounts, max_size=12), min_size=1, max_size=5)


def _top(block: dict[Group, Decimal], depth: int) -> Top:
    rows = sorted(((cost, group) for group, cost in block.items()), reverse=True)
    shown = rows[:depth]
    return Top(
        rows=shown,
        more=len(rows) > depth,
        most=max(shown[-1][0] if shown else Decimal(0), Decimal(0)),
        least=min([cost for cost, _ in rows] + [Decimal(0)]),
    )


@given(blocks, st.integers(1, 6), st.integers(1, 12))
def test_contenders_always_hold_the_largest(blocks: list[dict[Group, Decimal]], limit: int, depth: int) -> None:
    sums: dict[Group, Decimal] = {}
    for block in blocks:
        for group, cost in block.items():
            sums[group] = sums.get(group, Decimal(0)) + cost
    largest = sorted(sums, key=lambda group: (-sums[group], group))[:limit]

    found = contenders([_top(block, depth) for block in blocks], limit, copies=1)

    if found is not None:
        assert set(largest) <= found
    if depth >= 12:
        assert found is not None, "nothing was left out, so the tops tell everything"


@given(blocks, blocks, st.integers(1, 4), st.integers(1, 6))
def test_a_group_with_two_rows_in_a_block_is_bounded_as_two(
    first: list[dict[Group, Decimal]], second: list[dict[Group, Decimal]], limit: int, depth: int
) -> None:
    sums: dict[Group, Decimal] = {}
    tops: list[Top] = []
    for one, other in zip(first, second, strict=False):
        rows = sorted(((cost, group) for half in (one, other) for group, cost in half.items()), reverse=True)
        for cost, group in rows:
            sums[group] = sums.get(group, Decimal(0)) + cost
        shown = rows[:depth]
        floor = max(shown[-1][0] if shown else Decimal(0), Decimal(0))
        least = min([cost for cost, _ in rows] + [Decimal(0)])
        tops.append(Top(shown, len(rows) > depth, floor, least))

    found = contenders(tops, limit, copies=2)

    if found is not None:
        assert set(sorted(sums, key=lambda group: (-sums[group], group))[:limit]) <= found


def test_heavy_spenders_are_told_from_the_top_alone() -> None:
    """Three spend by far the most on each of two days; the other thousand need not be read."""
    day: dict[Group, Decimal] = {(one,): Decimal(1) for one in range(1000)}
    day |= {(1001,): Decimal(500), (1002,): Decimal(400), (1003,): Decimal(300)}

    assert contenders([_top(day, 10), _top(day, 10)], 3, copies=1) == {(1001,), (1002,), (1003,)}


def test_when_all_spend_alike_the_top_does_not_tell() -> None:
    day: dict[Group, Decimal] = {(one,): Decimal(5) for one in range(1000)}

    assert contenders([_top(day, 10), _top(day, 10)], 3, copies=1) is None


def test_the_epoch_is_day_nought() -> None:
    assert day_number(EPOCH) == 0
    assert run_days(rules.Run(1, 2, 2)) == DayRange(date(1970, 1, 9), date(1970, 1, 13))
