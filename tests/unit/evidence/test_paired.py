"""Intervals of paired shares, by the examples that were published of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.evidence.statistics.paired import Table, items_needed, newcombe, tango, tango_score

# Children whose airways react, before and after a transplantation: Bentur and others (2009), as in Fagerland, Lydersen
# and Laake, "Recommended tests and confidence intervals for paired binomial proportions", Stat. Med. 33 (2014).
AIRWAYS = Table(both=1, gained=1, lost=7, neither=12)
# Altman and others, "Statistics with Confidence" (2000), table 6.2.
ALTMAN = Table(both=14, gained=5, lost=0, neither=22)
tables = st.builds(Table, *[st.integers(0, 300)] * 4).filter(lambda one: one.items > 0)


def test_newcombes_interval_is_as_published() -> None:
    assert newcombe(AIRWAYS, confidence=0.95) == pytest.approx((-0.507, -0.026), abs=5e-4)
    assert newcombe(ALTMAN, confidence=0.95) == pytest.approx((0.011, 0.226), abs=6e-4)


def test_tangos_interval_is_as_published() -> None:
    assert tango(AIRWAYS, confidence=0.95) == pytest.approx((-0.517, -0.026), abs=5e-4)


def test_no_difference_is_tested_as_mcnemar_does() -> None:
    assert tango_score(AIRWAYS, 0.0) == pytest.approx((1 - 7) / (1 + 7) ** 0.5)


@given(tables)
def test_an_interval_is_around_what_was_seen_and_the_same_from_the_other_side(table: Table) -> None:
    turned = Table(table.both, table.lost, table.gained, table.neither)
    for interval in (newcombe, tango):
        lower, upper = interval(table)
        assert -1 - 1e-9 <= lower <= table.difference + 1e-9
        assert table.difference - 1e-9 <= upper <= 1 + 1e-9
        assert interval(turned) == pytest.approx((-upper, -lower), abs=1e-9)


def test_so_many_items_are_needed() -> None:
    assert items_needed(0.05, 0.2) == 495
    assert items_needed(0.02, 0.2) == 3_092
