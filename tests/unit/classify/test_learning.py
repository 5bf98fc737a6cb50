"""What is learned from labelled calls, and that what is measured of it is so."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest

from routing.classify.fitting import fit
from routing.classify.hot import MOST_WEIGHTS, Classifier, Success, features, signs
from routing.classify.learning import difficulty, train
from routing.classify.matrices import matrix_of
from routing.classify.rules import STEPS, CannotLearn, Stopped
from routing.classify.types import UNKNOWN
from routing.classify.types.learned import Labelled
from tests.factories.classify import WORK, labels, learnable, prompt
from tests.factories.evidence import published


def test_it_names_work_that_it_has_not_seen_and_says_how_surely() -> None:
    trained = train(learnable(labels(60)), version=4)
    assert (trained.published.version, trained.published.types, trained.left_out) == (4, tuple(sorted(WORK)), ())
    measured = trained.measured
    assert (measured.calls, measured.least_right >= 0.9, measured.error < 0.1) == (240, True, True)
    assert sum(one.number for one in measured.bins) <= 240
    assert sum(one.number for one in measured.confused) == 240
    classifier = Classifier.of(trained.published)
    fresh = labels(50, seed=2)
    guesses = [(classifier.judge(one.signs).task_type, one.task_type) for one in fresh]
    named = [one for one in guesses if one[0] != UNKNOWN]
    assert len(named) > 150
    assert sum(guess == said for guess, said in named) / len(named) > 0.9
    assert classifier.guess(features("quel est le sens de la vie")).task_type == UNKNOWN


def test_what_runs_at_a_gateway_scores_as_what_was_measured() -> None:
    given = labels(30)
    types = sorted({one.task_type for one in given})
    numbers = np.array([types.index(one.task_type) for one in given])
    table = matrix_of([one.signs for one in given])
    fitted = fit(table, numbers, len(types))
    scores, known = fitted.scores(table), fitted.known(table)
    # The same weights as they are published, read back, and used one call at a time.
    classifier = Classifier.of(train(learnable(given)).published)
    table_of_it = classifier._table.__class__(fitted.published(), outputs=len(types))
    for row, one in enumerate(given):
        scored = table_of_it.scores(one.signs)
        assert scored.scores == pytest.approx(scores[row].tolist(), abs=1e-3)
        assert scored.known == pytest.approx(known[row])


def test_calls_of_one_session_are_never_on_both_sides() -> None:
    """Sessions repeat themselves: with the same text in each call of a session, and no word that any two sessions
    share, whoever splits calls would find everything right, and who splits sessions finds that nothing is known.
    """
    draw = random.Random(5)
    texts, types, sessions = [], [], []
    for session in range(60):
        own = " ".join(f"w{session}x{draw.randint(0, 9**9)}" for _ in range(6))
        for _ in range(4):
            texts.append(signs(features(own)))
            types.append(("a", "b")[session % 2])
            sessions.append(str(session))
    with pytest.raises(CannotLearn, match="at no confidence"):
        train(Labelled(texts, types, sessions))


def test_words_that_say_nothing_of_the_type_are_refused() -> None:
    draw = random.Random(3)
    given = [signs(features(prompt(draw.choice(list(WORK)), draw))) for _ in range(200)]
    with pytest.raises(CannotLearn, match=r"right in \d+% of 200 calls"):
        train(Labelled(given, [draw.choice("ab") for _ in given], [str(one) for one in range(200)]))


@pytest.mark.parametrize("each", [0, 1, 19])
def test_too_few_calls_are_refused_with_what_it_takes(each: int) -> None:
    with pytest.raises(CannotLearn, match="20 labelled calls of 5 sessions") as refused:
        train(learnable(labels(each)))
    assert refused.value.field == "labels"


def test_a_type_with_too_few_calls_or_of_too_few_sessions_is_left_out() -> None:
    given = labels(40, types=("triage", "translate")) + labels(10, types=("summarize",), seed=8)
    one_session = [one._replace(session="one") for one in labels(30, types=("code-search",), seed=9)]
    trained = train(learnable(given + one_session))
    assert trained.published.types == ("translate", "triage")
    assert trained.left_out == ("code-search", "summarize")


def test_whoever_is_told_of_steps_may_stop_it() -> None:
    told: list[int] = []

    def at_two(done: int) -> bool:
        told.append(done)
        return done < 2

    with pytest.raises(Stopped):
        train(learnable(labels(30)), told=at_two)
    assert told == [0, 1, 2]
    told.clear()
    train(learnable(labels(30)), told=lambda done: not told.append(done))  # type: ignore[func-returns-value]
    assert told == list(range(STEPS))


def test_the_same_labels_teach_the_same() -> None:
    assert train(learnable(labels(30))) == train(learnable(labels(30)))


def test_a_hundred_types_fit_into_what_is_published() -> None:
    draw = random.Random(1)
    words = [f"w{number}" for number in range(3_000)]
    texts, types, sessions = [], [], []
    for number in range(2_500):
        kind = number % 100
        text = " ".join([*draw.sample(words[kind * 30 : kind * 30 + 30], 6), *draw.sample(words, 4)])
        texts.append(signs(features(text)))
        types.append(f"t{kind:02d}")
        sessions.append(str(number // 100))
    trained = train(Labelled(texts, types, sessions))
    assert len(trained.published.types) == 100
    assert len(trained.published.weights.outputs) <= MOST_WEIGHTS
    assert trained.measured.accuracy >= 0.9


def test_how_likely_the_cheap_one_does_it_is_learned_from_its_outcomes() -> None:
    """It does short work well, and long work in a third of calls; scores are graded."""
    draw = random.Random(11)
    texts, scores = [], []
    for _ in range(600):
        kind = draw.choice(list(WORK))
        texts.append(signs(features(prompt(kind, draw))))
        chance = 0.95 if kind in ("triage", "translate") else 0.35
        scores.append(draw.choice((0.9, 1.0)) if draw.random() < chance else draw.choice((0.0, 0.1)))
    found = difficulty(texts, np.array(scores), [str(one) for one in range(600)])
    assert found.error < 0.08
    assert found.gain > 0.15
    learned = Success(found.published)
    easy, hard = (learned.chance(features(prompt(kind, random.Random(1)))) for kind in ("triage", "summarize"))
    assert easy > 0.75 > 0.55 > hard


def test_outcomes_that_words_do_not_tell_apart_teach_only_their_mean() -> None:
    draw = random.Random(2)
    texts = [signs(features(prompt(draw.choice(list(WORK)), draw))) for _ in range(400)]
    scores = np.array([float(draw.random() < 0.7) for _ in texts])
    found = difficulty(texts, scores, [str(one) for one in range(400)])
    assert found.gain < 0.03
    assert abs(Success(found.published).chance(features("triage of a ticket")) - 0.7) < 0.15


def test_without_both_outcomes_nothing_is_learned() -> None:
    texts = [signs(features("one two three"))] * 100
    for scores in (np.ones(100), np.zeros(100), np.array([0.0] * 81 + [1.0] * 19)):
        with pytest.raises(CannotLearn, match="20 calls that went well"):
            difficulty(texts, scores, [str(one) for one in range(100)])


def test_of_published_prompts_nine_of_ten_that_are_named_are_named_rightly() -> None:
    """Ten published sets of tasks, four of which ask alike: half learned from, the other half never seen."""
    rows = pd.read_parquet(published("fourteen_tasks_nine_models")).drop_duplicates("task_id")
    order = random.Random(7).sample(range(len(rows)), len(rows))
    texts = [signs(features(one)) for one in rows["prompt"]]
    types = rows["task_type"].tolist()
    half = len(order) // 2
    learn, fresh = order[:half], order[half:]
    trained = train(Labelled([texts[one] for one in learn], [types[one] for one in learn], [str(one) for one in learn]))
    classifier = Classifier.of(trained.published)
    guesses = [(classifier.judge(texts[one]), types[one]) for one in fresh]
    named = [(guess, said) for guess, said in guesses if guess.task_type != UNKNOWN]
    right = sum(guess.task_type == said for guess, said in named)
    assert right / len(named) >= 0.9
    assert len(named) / len(fresh) >= 0.6
    assert trained.measured.error <= 0.05
