"""A rule under way is paused when it makes answers worse, and then rolled back or let go on."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.rollouts.watching import (
    LEAST_SCORES,
    MOST_WAITING,
    Contrast,
    Decision,
    Detector,
    Known,
    Scored,
    summed,
)

# How often the incumbent is right: among these are those that are hardest to watch.
SHARES = (0.95, 0.85, 0.6)


def known(mean: float) -> Known:
    return Known(task_type="triage", model="gpt", items=500, mean=mean, deviation=(mean * (1 - mean)) ** 0.5)


def paused_after(scores: np.ndarray[tuple[int], np.dtype[np.bool_]], mean: float) -> int | None:
    frozen, detector = known(mean), Detector()
    for number, score in enumerate(scores, 1):
        detector = detector.after(frozen, float(score))
        if detector.alarmed:
            return number
    return None


@pytest.mark.parametrize("share", SHARES)
def test_a_drop_of_fifteen_points_pauses_within_150_scores(share: float) -> None:
    drawn = np.random.default_rng(11)
    at_once = [paused_after(drawn.random(2_000) < share - 0.15, share) for _ in range(150)]
    assert None not in at_once
    found = median(one for one in at_once if one)
    # After a long good time too: what was well for months is no credit.
    late = []
    for _ in range(150):
        good, bad = drawn.random(1_000) < share, drawn.random(1_000) < share - 0.15
        after = paused_after(np.concatenate([good, bad]), share)
        assert after is not None
        if after > 1_000:
            late.append(after - 1_000)
    said = f"{share}: paused after {found:g} scores, {median(late):g} where it had gone well before"
    assert found <= 150, said
    assert median(late) <= 150, said


@pytest.mark.parametrize("share", SHARES)
def test_without_a_drop_hardly_any_is_paused_in_two_thousand_scores(share: float) -> None:
    drawn = np.random.default_rng(12)
    times = 200
    paused = sum(paused_after(drawn.random(2_000) < share, share) is not None for _ in range(times))
    assert paused <= 0.05 * times, f"{share}: {paused} of {times} paused by mistake"


def test_few_scores_pause_nothing() -> None:
    assert paused_after(np.zeros(LEAST_SCORES - 1, dtype=bool), 0.95) is None
    assert paused_after(np.zeros(LEAST_SCORES, dtype=bool), 0.95) == LEAST_SCORES


@given(st.lists(st.floats(0, 1), max_size=60), st.floats(0, 1))
def test_what_is_carried_on_is_what_all_of_it_comes_to(scores: list[float], mean: float) -> None:
    frozen, detector = known(mean), Detector()
    for score in scores:
        detector = detector.after(frozen, score)
    below = mean - np.array(scores)
    assert detector.seen == len(scores)
    if scores:
        assert detector.mean == pytest.approx(below.mean(), abs=1e-9)
        assert detector.squares == pytest.approx(((below - below.mean()) ** 2).sum(), abs=1e-9)
        assert np.isfinite(detector.worth)


def decided(treated: float, control: float, seed: int) -> tuple[Decision, int]:
    """And after how many calls."""
    drawn = np.random.default_rng(seed)
    contrast = Contrast()
    for calls in range(1, 20_000):
        mine = bool(drawn.random() < 0.5)
        score = float(drawn.random() < (treated if mine else control))
        contrast = contrast.after(Scored(mine, score, "triage", 1))
        if calls % 20 == 0 and (found := contrast.decided()) is not None:
            return found, calls
    raise AssertionError("undecided")


@pytest.mark.parametrize("share", SHARES)
def test_half_against_half_a_drop_is_rolled_back_within_600_calls(share: float) -> None:
    runs = [decided(share - 0.15, share, seed) for seed in range(40)]
    found = median(calls for _, calls in runs)
    assert found <= 600, f"{share}: decided after {found:g} calls"
    assert sum(one is Decision.ROLL_BACK for one, _ in runs) >= 37


@pytest.mark.parametrize("share", SHARES)
def test_half_against_half_what_is_equal_goes_on(share: float) -> None:
    runs = [decided(share, share, seed) for seed in range(40)]
    assert sum(one is Decision.GO_ON for one, _ in runs) >= 37
    assert median(calls for _, calls in runs) <= 1_000


def test_pairs_are_of_one_task_type_and_one_source_in_the_order_they_came() -> None:
    contrast = Contrast()
    for one in (
        Scored(True, 1.0, "triage", 1),
        Scored(True, 0.5, "triage", 1),
        Scored(False, 0.0, "chat", 1),
        Scored(False, 0.0, "triage", 2),
        Scored(False, 0.25, "triage", 1),
    ):
        contrast = contrast.after(one)
    assert contrast.differences == (0.75,)
    contrast = contrast.after(Scored(False, 1.0, "triage", 1)).after(Scored(True, 0.5, "triage", 2))
    assert contrast.differences == (0.75, -0.5, 0.5)
    assert [one.task_type for one in contrast.waiting] == ["chat"]


def test_of_one_arm_without_another_only_so_many_wait() -> None:
    contrast = Contrast()
    for _ in range(MOST_WAITING + 5):
        contrast = contrast.after(Scored(True, 1.0, "triage", 1))
    assert [len(one.scores) for one in contrast.waiting] == [MOST_WAITING]
    assert contrast.decided() is None
    assert contrast.mean is None


def test_what_stays_undecided_is_decided_by_its_mean() -> None:
    # Six points worse, and three, by pairs that tell nothing: the tolerance is between them.
    def of(low: float, high: float) -> Contrast:
        return Contrast(differences=(low, high) * 1_000)

    assert of(-0.96, 0.84).decided() is Decision.ROLL_BACK
    assert of(-0.9, 0.84).decided() is Decision.GO_ON
    assert of(-0.9, 0.84).mean == pytest.approx(-0.03)


def test_scores_that_stayed_are_known_as_a_run_would_be() -> None:
    rows = summed((), "chat", "gpt", 1.0)
    for score in (0.0, 1.0, 0.5, 0.5):
        rows = summed(rows, "triage", "gpt", score)
    [chat, triage] = rows
    assert (chat.number, triage.number) == (1, 4)
    found = triage.known()
    assert (found.by, found.items, found.mean) == ("rollout", 4, 0.5)
    assert found.deviation == pytest.approx(np.std([0.0, 1.0, 0.5, 0.5]))
