"""From outcomes as rows to pairs: only what may be subtracted is, in an order that nobody chose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.evidence import matrices
from routing.evidence.matrices import evidence_of, logged, pairs, seen
from tests.factories.evidence import CHEAP, STRONG, rows, rows_by


def test_both_on_the_same_item_are_a_pair() -> None:
    found = evidence_of(rows_by({STRONG: [1, 1, 0], CHEAP: [1, 0]}), version=7)
    assert (found.version, found.models, found.scores.shape) == (7, (CHEAP, STRONG), (3, 2))
    told = pairs(found, STRONG, CHEAP)
    assert dict(zip(told.items, told.differences, strict=True)) == {"item-0": 0.0, "item-1": -1.0}
    assert np.isnan(told.incumbent_cost).all()
    assert pairs(found, STRONG, "nobody").differences.size == 0


def test_two_measures_are_never_subtracted_and_one_item_by_both_is_one_cluster() -> None:
    said = [
        {"item": "1", "model": STRONG, "score": 0.9, "run": 1},
        {"item": "1", "model": CHEAP, "score": 0.2, "run": 2},
    ]
    other = ("judge", "rubric", "1")
    assert pairs(evidence_of(rows(said, r2=other), version=0), STRONG, CHEAP).differences.size == 0
    said += [
        {"item": "1", "model": CHEAP, "score": 0.8, "run": 1},
        {"item": "1", "model": STRONG, "score": 0.4, "run": 2},
    ]
    told = pairs(evidence_of(rows(said, r2=other), version=0), STRONG, CHEAP)
    assert sorted(told.differences) == pytest.approx([-0.2, -0.1])
    assert len(set(told.clusters)) == 1


def test_runs_by_the_same_measure_go_together_and_what_comes_again_is_averaged() -> None:
    said = [
        {"item": "1", "model": STRONG, "score": 1.0, "run": 1, "cost": 0.2},
        {"item": "1", "model": CHEAP, "score": 1.0, "run": 2, "cost": 0.1},
        {"item": "1", "model": CHEAP, "score": 0.0, "run": 3, "status": "truncated"},
    ]
    found = evidence_of(rows(said), version=0)
    told = pairs(found, STRONG, CHEAP)
    assert list(told.differences) == [-0.5]
    assert (told.candidate_cost[0], told.incumbent_cost[0]) == (0.1, 0.2)
    assert list(found.failed[0]) == [True, False]


def test_what_nobody_drew_is_never_a_pair() -> None:
    said = [{"item": "1", "model": model, "randomised": 0} for model in (STRONG, CHEAP)]
    said += [{"item": "2", "model": model, "propensity": 0.5} for model in (STRONG, CHEAP)]  # type: ignore[dict-item]
    found = evidence_of(rows(said), version=0)
    assert pairs(found, STRONG, CHEAP).differences.size == 0
    assert [(one.model, one.outcomes) for one in seen(rows(said))] == [(CHEAP, 1), (STRONG, 1)]
    told = logged(rows(said))
    assert (list(told.propensities), [told.models[one] for one in told.model]) == ([0.5, 0.5], [STRONG, CHEAP])


def test_sessions_fingerprints_and_items_are_clusters_in_that_order() -> None:
    said = [
        {"item": "1", "cluster": "s1"}, {"item": "2", "cluster": "s1", "fingerprint": "f"},
        {"item": "3", "fingerprint": "f"}, {"item": "4", "fingerprint": "f"}, {"item": "5"}, {"item": "6"},
    ]  # fmt: skip
    found = evidence_of(rows(said), version=0)
    by_item = dict(zip(found.items, found.clusters, strict=True))
    assert by_item["1"] == by_item["2"]
    assert by_item["3"] == by_item["4"] != by_item["1"]
    assert len(set(by_item.values())) == 4


def test_pairs_are_looked_at_as_they_came_and_within_a_batch_in_a_drawn_order() -> None:
    said: list[dict[str, Any]] = [
        {"item": f"{n}", "model": model, "batch": 2 if n < 100 else 1} for n in range(200) for model in (STRONG, CHEAP)
    ]
    order = [int(one) for one in pairs(evidence_of(rows(said), version=0), STRONG, CHEAP).items]
    assert set(order[:100]) == set(range(100, 200))
    assert order[:100] != sorted(order[:100])
    # A pair is there once its second half is.
    late = [*said, {"item": "late", "model": STRONG, "batch": 0}, {"item": "late", "model": CHEAP, "batch": 3}]
    assert pairs(evidence_of(rows(late), version=0), STRONG, CHEAP).items[-1] == "late"
    # And the same, whatever the rows' own order.
    again = pairs(evidence_of(rows(said[::-1]), version=0), STRONG, CHEAP).items
    assert [int(one) for one in again] == order


def test_a_judge_that_changes_its_mind_has_said_nothing() -> None:
    def judged(item: str, ab: tuple[float, float], ba: tuple[float, float]) -> list[dict[str, object]]:
        return [
            {"item": item, "model": model, "score": score, "order_shown": way}
            for way, scores in (("ab", ab), ("ba", ba))
            for model, score in zip((STRONG, CHEAP), scores, strict=True)
        ]

    said = judged("firm", (0.8, 0.4), (0.6, 0.4)) + judged("torn", (1.0, 0.2), (0.3, 0.5))
    found = evidence_of(rows(said), version=0)
    told = pairs(found, STRONG, CHEAP)
    assert dict(zip(told.items, told.differences, strict=True)) == {"firm": pytest.approx(-0.3)}
    assert dict(zip(found.items, found.abstained, strict=True)) == {"firm": False, "torn": True}


def test_of_too_much_the_latest_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "MOST_CELLS", 20)
    said = [{"item": f"{n}", "model": model, "batch": n} for n in range(30) for model in (STRONG, CHEAP)]
    found = evidence_of(rows(said), version=0)
    assert {int(one) for one in found.items} == set(range(20, 30))
    assert not np.isnan(found.scores).any()


def test_nothing_is_nothing() -> None:
    found = evidence_of(rows([]), version=0)
    assert (found.scores.shape, found.models) == ((0, 0), ())
    assert pairs(found, STRONG, CHEAP).differences.size == 0
    assert seen(rows([])) == []


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5), st.sampled_from(["a", "b", "c"]), st.integers(1, 2), st.floats(0, 1), st.booleans()
        ),
        min_size=1,
        max_size=60,
        unique_by=lambda one: one[:3],
    )
)
def test_every_pair_is_a_difference_of_means_of_what_was_said(
    said: list[tuple[int, str, int, float, bool]],
) -> None:
    """Against a plain recount: by item and measure, the mean of what each was given."""
    measures = {1: ("evaluation", "suite", "1"), 2: ("evaluation", "suite", "2")}
    given_rows = [
        {"item": f"{item}", "model": model, "run": run, "score": score, "randomised": int(drawn)}
        for item, model, run, score, drawn in said
    ]
    told = pairs(evidence_of(rows(given_rows, r1=measures[1], r2=measures[2]), version=0), "a", "b")
    known = {(item, model, run): score for item, model, run, score, drawn in said if drawn}
    expected = [
        known[item, "b", run] - known[item, "a", run]
        for item, model, run in known
        if model == "a" and (item, "b", run) in known
    ]
    assert sorted(told.differences) == pytest.approx(sorted(expected))
