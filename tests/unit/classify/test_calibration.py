"""Whether chances mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.classify import calibration, drift
from routing.classify.calibration import LEAST_IN_GROUP, MOST_KNOTS, along, calibration_error, curve, reliability
from routing.classify.explaining import CannotExplain, explains
from routing.classify.types.learned import Bin


def test_bins_and_their_error_by_hand() -> None:
    chances = np.array([0.05, 0.15, 0.12, 1.0, 0.95])
    right = np.array([0.0, 0.0, 1.0, 1.0, 0.5])
    bins = reliability(chances, right)
    assert [(one.lower, one.number) for one in bins] == [(0.0, 1), (0.1, 2), (0.9, 2)]
    assert bins[0] == Bin(0.0, 0.1, 1, 0.05, 0.0)
    assert (bins[1].chance, bins[1].right) == pytest.approx((0.135, 0.5))
    # (1 × 0.05 + 2 × 0.365 + 2 × 0.225) / 5
    assert calibration_error(bins) == pytest.approx(0.246)
    assert calibration_error(()) == 0.0


def test_honest_chances_have_next_to_no_error_and_vain_ones_as_much_as_they_are_off() -> None:
    draw = np.random.default_rng(1)
    chances = draw.random(20_000)
    right = (draw.random(20_000) < chances).astype(float)
    assert calibration_error(reliability(chances, right)) < 0.02
    assert calibration_error(reliability(np.full(20_000, 0.9), right)) == pytest.approx(0.4, abs=0.02)


def test_chances_are_off_where_that_is_far_and_no_luck() -> None:
    draw = np.random.default_rng(4)

    def said(number: int, away: float) -> bool:
        true = draw.random(number) * 0.6 + 0.2
        return calibration.is_off(reliability(true + away, (draw.random(number) < true).astype(float)))

    # Where nearly all goes well, one that does not is no proof.
    def sure(number: int) -> bool:
        true = 1.0 - draw.random(number) * 0.1
        return calibration.is_off(reliability(true, (draw.random(number) < true).astype(float)))

    assert sum(sure(number) for number in (20, 40, 100, 400) for _ in range(100)) <= 8
    # Honest ones, of few calls and of many: hardly ever said to be off.
    assert sum(said(60, 0.0) for _ in range(300)) <= 6
    assert sum(said(2_000, 0.0) for _ in range(100)) <= 2
    assert all(said(2_000, 0.15) for _ in range(20))
    # Surely away, and by less than is worth a word.
    assert not said(200_000, 0.02)
    assert not calibration.is_off(())


def test_the_temperature_that_scores_were_heated_by_is_found() -> None:
    draw = np.random.default_rng(2)
    scores = draw.normal(size=(20_000, 4)) * 2
    chances = calibration.softmax(scores)
    labels = np.array([draw.choice(4, p=row) for row in chances])
    for heat in (0.5, 1.0, 4.0):
        assert calibration.temperature(scores * heat, labels) == pytest.approx(heat, rel=0.05)


def test_a_curve_never_falls_and_is_honest_where_a_line_would_not_be() -> None:
    """Two kinds of calls, 0.35 and 0.95: no log odds that grow with the score say that."""
    draw = np.random.default_rng(3)
    kind = draw.random(6_000) < 0.5
    scores = np.where(kind, 2.0, -2.0) + draw.normal(size=6_000)
    outcomes = (draw.random(6_000) < np.where(kind, 0.95, 0.35)).astype(float)
    knots = curve(scores[:3_000], outcomes[:3_000])
    assert len(knots) <= MOST_KNOTS
    assert list(knots) == sorted(knots)
    assert [chance for _, chance in knots] == sorted(chance for _, chance in knots)
    assert calibration_error(reliability(along(knots, scores[3_000:]), outcomes[3_000:])) < 0.03


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0, 1)), min_size=1, max_size=200))
def test_whatever_came_a_curve_is_of_chances(pairs: list[tuple[float, float]]) -> None:
    scores, outcomes = (np.array(one) for one in zip(*pairs, strict=True))
    knots = curve(scores, outcomes)
    assert all(-1e-9 <= chance <= 1 + 1e-9 for _, chance in knots)
    assert [score for score, _ in knots] == sorted(score for score, _ in knots)
    assert len(knots) <= max(1, len(pairs) // LEAST_IN_GROUP)


def test_few_that_all_went_well_make_nobody_certain() -> None:
    """Three groups of 30: the best of them all did well, and all of them in 60 of 90."""
    scores = np.arange(90.0)
    outcomes = np.array([0.0] * 30 + [1.0] * 60)
    [(_, low), (_, high)] = curve(scores, outcomes)
    assert low == pytest.approx(2 / 3 / 31)
    assert high == pytest.approx((60 + 4 / 3) / 62)


def test_the_lower_bound_of_a_share_is_wilsons() -> None:
    """Wilson 1927, one-sided 95 %: worked out by hand for 90 of 100 and for 40 of 40."""
    assert calibration.least_share(90, 100) == pytest.approx(0.8389, abs=1e-3)
    assert calibration.least_share(40, 40) == pytest.approx(40 / (40 + 1.6449**2), abs=1e-4)
    assert calibration.least_share(0, 0) == 0.0


def test_a_threshold_is_the_least_at_which_enough_is_right() -> None:
    confidences = np.repeat([0.3, 0.6, 0.9], 200)
    right = np.concatenate([np.arange(200) < good for good in (100, 180, 200)])
    assert calibration.threshold(confidences, right, share=0.9) == pytest.approx(0.35)
    assert calibration.threshold(confidences, right, share=0.7) == 0.0
    assert calibration.threshold(confidences, np.zeros(600, dtype=bool), share=0.9) is None
    # Ten calls that were all right do not say that nine of ten are.
    assert calibration.threshold(np.full(10, 0.9), np.ones(10, dtype=bool), share=0.9) is None


def test_types_that_split_quality_are_said_to() -> None:
    draw = np.random.default_rng(4)
    types = ["easy"] * 200 + ["hard"] * 200
    found = explains(types, (draw.random(400) < np.repeat([0.9, 0.4], 200)).astype(float))
    assert found.splits
    assert found.share == pytest.approx(0.27, abs=0.08)
    assert "rules by type have something to go by" in found.in_words


def test_types_that_say_nothing_equal_a_coin_and_say_so_in_words() -> None:
    """Forty repositories of ten tasks: between them the means differ, as those of any ten tasks do."""
    draw = np.random.default_rng(5)
    types = [f"repository {number % 40}" for number in range(400)]
    found = explains(types, (draw.random(400) < 0.5).astype(float))
    assert not found.splits
    assert found.share < 0.03
    assert "no better here than a coin" in found.in_words


def test_a_type_that_explains_next_to_nothing_is_not_worth_a_rule_however_sure_that_is() -> None:
    draw = np.random.default_rng(6)
    scores = (draw.random(60_000) < np.repeat([0.52, 0.48], 30_000)).astype(float)
    found = explains(["a"] * 30_000 + ["b"] * 30_000, scores, shuffles=199)
    assert (found.p_value <= 0.01, found.splits) == (True, False)
    assert "too little to route by" in found.in_words


def test_by_chance_types_are_said_to_split_as_seldom_as_the_test_allows() -> None:
    draw = np.random.default_rng(7)
    types = [f"type {number % 8}" for number in range(80)]
    said = [explains(types, draw.random(80), shuffles=199).p_value <= 0.05 for _ in range(300)]
    assert np.mean(said) < 0.09


def test_where_all_went_alike_nothing_is_explained() -> None:
    found = explains(["a", "b"] * 20, np.ones(40))
    assert (found.share, found.p_value, found.splits) == (0.0, 1.0, False)


@pytest.mark.parametrize("types", [["a"] * 40, [str(one) for one in range(40)], ["a", "b"] * 9, ["a", "b"] * 10])
def test_too_few_to_explain_anything(types: list[str]) -> None:
    with pytest.raises(CannotExplain):
        explains(types, np.ones(40 if len(types) != 18 else 18))


def test_drift_is_never_found_by_looking_often() -> None:
    """A thousand classifiers that are as good as was measured, looked at after every call."""
    draw = np.random.default_rng(8)
    ever = 0
    for _ in range(1_000):
        rights = np.cumsum(draw.random(500) < 0.9)
        ever += any(drift.drifts(named=n, right=int(rights[n - 1]), measured=0.9) for n in range(10, 501, 10))
    assert ever <= 4


def test_drift_is_found_soon_where_it_is() -> None:
    draw = np.random.default_rng(9)
    needed = []
    for _ in range(200):
        rights = np.cumsum(draw.random(2_000) < 0.75)
        needed.append(
            next(n for n in range(5, 2_001, 5) if drift.drifts(named=n, right=int(rights[n - 1]), measured=0.9))
        )
    assert np.median(needed) < 150
    assert not drift.drifts(named=0, right=0, measured=0.9)
    assert not drift.drifts(named=10_000, right=9_900, measured=0.9)
    assert drift.drifts(named=10_000, right=0, measured=0.9)
