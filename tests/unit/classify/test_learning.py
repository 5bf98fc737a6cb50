"""What is learned from labelled calls, and that what is measured of it is so."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest

from routing.classify import calibration
from routing.classify.fitting import fit, fit_success
from routing.classify.hot import MOST_WEIGHTS, Classifier, Prospects, features, signs
from routing.classify.learning import prospects, train
from routing.classify.matrices import matrix_of
from routing.classify.rules import STEPS, CannotLearn, Stopped
from routing.classify.types import UNKNOWN
from routing.classify.types.learned import Labelled, Learnt, Tried
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


NAN = float("nan")


def foreseen(given: list[str], outcomes: np.ndarray, models: tuple[str, ...] = ("cheap",), each: int = 1) -> Learnt:
    """So many calls of each session."""
    sessions = [str(number // each) for number in range(len(given))]
    found = [signs(features(one)) for one in given]
    return prospects(Tried(models, found, sessions, outcomes), light=models[0])


def work(number: int, draw: random.Random) -> tuple[list[str], list[str]]:
    kinds = [draw.choice(list(WORK)) for _ in range(number)]
    return kinds, [prompt(kind, draw) for kind in kinds]


def test_how_likely_each_model_does_it_is_learned_from_its_outcomes() -> None:
    """The cheap one does short work well, and long work in a third of calls; scores are graded. The strong one was
    tried on half of the calls, and does most.
    """
    draw = random.Random(11)
    kinds, texts = work(800, draw)
    rows = []
    for kind in kinds:
        chance = 0.95 if kind in ("triage", "translate") else 0.35
        cheap = draw.choice((0.9, 1.0)) if draw.random() < chance else draw.choice((0.0, 0.1))
        rows.append([cheap, float(draw.random() < 0.85) if draw.random() < 0.5 else NAN])
    found = foreseen(texts, np.array(rows), ("cheap", "strong"))
    cheap_one, strong = found.models
    assert (cheap_one.model, cheap_one.calls, cheap_one.flat, cheap_one.is_off) == ("cheap", 800, False, False)
    assert (cheap_one.error < 0.08, cheap_one.gain > 0.15) == (True, True)
    assert sum(one.number for one in cheap_one.bins) == 800
    assert 350 < strong.calls < 450
    assert abs(strong.mean - 0.85) < 0.05
    learned = Prospects(found.published)
    easy, hard = (learned.foresee(features(prompt(kind, random.Random(1)))) for kind in ("triage", "summarize"))
    assert easy.chances["cheap"] > 0.75 > 0.55 > hard.chances["cheap"]
    assert hard.difficulty == 1 - hard.chances["cheap"]
    assert all(one.chances["strong"] > 0.7 for one in (easy, hard))


def test_on_fresh_calls_chances_come_true_as_often_as_they_say() -> None:
    """What is published, not what was measured: in each tenth of chances, the share that went well is near it."""
    draw = random.Random(21)
    kinds, texts = work(1_500, draw)
    chances = {"triage": 0.95, "summarize": 0.2, "code-search": 0.5, "translate": 0.8}
    scores = np.array([[float(draw.random() < chances[kind])] for kind in kinds])
    learned = Prospects(foreseen(texts, scores).published)
    kinds, texts = work(3_000, draw)
    told = np.array([learned.foresee(features(one)).chances["cheap"] for one in texts])
    came = np.array([float(draw.random() < chances[kind]) for kind in kinds])
    bins = calibration.reliability(told, came)
    assert calibration.calibration_error(bins) < 0.05
    assert not calibration.is_off(bins)
    # Whoever says the same of all would explain nothing.
    assert np.mean((came - told) ** 2) < 0.75 * came.var()


def test_what_is_learned_from_few_calls_is_hardly_ever_said_to_be_off() -> None:
    """It is a little off, for they are few; that is no fault of it, and more calls mend it."""
    chances = {"triage": 0.95, "summarize": 0.3, "code-search": 0.25, "translate": 0.9}
    off = 0
    for seed in range(30):
        draw = random.Random(seed)
        kinds, texts = work(200, draw)
        off += foreseen(texts, np.array([[float(draw.random() < chances[kind])] for kind in kinds])).models[0].is_off
    assert off <= 1


def test_what_runs_at_a_gateway_foresees_as_what_was_learned() -> None:
    draw = random.Random(3)
    kinds, texts = work(300, draw)
    scores = np.array([[float(kind == "triage" or draw.random() < 0.3), float(draw.random() < 0.5)] for kind in kinds])
    found = foreseen(texts, scores, ("cheap", "strong"))
    table = matrix_of([signs(features(one)) for one in texts])
    fitted = fit_success(table, scores)
    curves = [calibration.along(found.published.curves[n], fitted.scores(table)[:, n]) for n in range(2)]
    learned = Prospects(found.published)
    for row, text in enumerate(texts[:50]):
        told = learned.foresee(features(text)).chances
        assert told == pytest.approx({"cheap": curves[0][row], "strong": curves[1][row]}, abs=2e-3)


def test_outcomes_that_words_do_not_tell_apart_teach_only_their_mean() -> None:
    draw = random.Random(2)
    _, texts = work(400, draw)
    found = foreseen(texts, np.array([[float(draw.random() < 0.7)] for _ in texts]))
    assert found.models[0].gain < 0.03
    assert abs(Prospects(found.published).foresee(features("triage of a ticket")).chances["cheap"] - 0.7) < 0.15


def test_of_a_model_that_hardly_ever_fails_each_call_has_the_mean_and_none_is_certain() -> None:
    _, texts = work(100, random.Random(5))
    for failed in (0, 1, 19):
        scores = np.array([[0.0]] * failed + [[1.0]] * (100 - failed))
        found = foreseen(texts, scores)
        chance = Prospects(found.published).foresee(features("whatever it is")).chances["cheap"]
        assert found.models[0].flat
        assert chance == pytest.approx((100 - failed + 0.5) / 101)
        assert not found.models[0].is_off


def test_sessions_that_repeat_themselves_are_not_learned_by_heart() -> None:
    """Each session says its own words ten times and always goes one way: of another session that says nothing."""
    draw = random.Random(8)
    texts, rows = [], []
    for session in range(60):
        own = " ".join(f"w{session}x{draw.randint(0, 9**9)}" for _ in range(6))
        texts += [own] * 10
        rows += [[float(draw.random() < 0.5)]] * 10
    found = foreseen(texts, np.array(rows), each=10)
    assert found.models[0].gain < 0.05
    with pytest.raises(CannotLearn, match="5 sessions"):
        foreseen(texts[:40], np.array(rows[:40]), each=10)


def test_the_same_outcomes_teach_the_same_chances() -> None:
    _, texts = work(200, random.Random(4))
    scores = np.array([[float(len(one) % 2)] for one in texts])
    assert foreseen(texts, scores) == foreseen(texts, scores)


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
