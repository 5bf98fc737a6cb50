"""Learns from labelled calls, offline: which type a call is of, and how likely one candidate does it well.

Multinomial logistic regression over hashed words. What is measured is what will run: every figure is of calls that the
weights had not seen, of other sessions, and of weights that were cut down and rounded as they are published.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from routing.classify import calibration
from routing.classify.calibration import Floats
from routing.classify.fitting import fit, fit_success
from routing.classify.hot import MOST_TYPES
from routing.classify.matrices import matrix_of
from routing.classify.rules import FOLDS, LEAST_CALLS, LEAST_SESSIONS, RIGHT, CannotLearn, Stopped, nobody
from routing.classify.types import Signs, wire
from routing.classify.types.learned import Confused, Labelled, Learnt, Measured, Prospect, Trained, Tried

Ints = NDArray[np.int64]

# Calls that know fewer of their words than all but this share of those that were learned from are like none of them.
_STRANGE: Final = 0.01
_SEED: Final = 20_261_101


class _Guessed(NamedTuple):
    """Of calls held out: scores of shape (n, types), and the share of their words that was known."""

    scores: Floats
    known: Floats


def train(labelled: Labelled, *, version: int = 1, told: Callable[[int], bool] = nobody) -> Trained:
    """`told` hears how many of STEPS are done, and says whether to go on. Raises CannotLearn and Stopped."""
    names, kept, left_out = _learnable(labelled)
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.array([numbers[labelled.types[one]] for one in kept], dtype=np.int64)
    sessions = np.unique([labelled.sessions[one] for one in kept], return_inverse=True)[1]
    signs = [labelled.signs[one] for one in kept]
    held = _held_out(signs, labels, sessions, len(names), told)
    least_known = float(np.quantile(held.guessed.known, _STRANGE))
    heard = (held.guessed.known > 0) & (held.guessed.known >= least_known)
    measured, threshold = _measure(held, labels, heard, names)
    fitted = fit(matrix_of(signs), labels, len(names)).cooled(calibration.temperature(held.guessed.scores, labels))
    published = wire.Classifier(
        version=version, types=names, weights=fitted.published(), threshold=threshold, least_known=least_known
    )
    return Trained(published, measured, left_out)


def prospects(tried: Tried, *, light: str, version: int = 1) -> Learnt:
    """How likely each model does a call well, from its outcomes; of each there are some, and `light` is one of the
    models. Raises CannotLearn where all are of a few sessions.
    """
    outcomes = np.asarray(tried.outcomes, dtype=np.float64)
    groups = np.unique(list(tried.sessions), return_inverse=True)[1]
    if groups.max(initial=0) + 1 < LEAST_SESSIONS:
        raise CannotLearn(f"outcomes of calls of {LEAST_SESSIONS} sessions at least", field="outcomes")
    table, parts = matrix_of(tried.signs), _parts(groups)
    held = np.zeros(outcomes.shape)
    for learn, test in parts:
        held[test] = fit_success(table[learn], outcomes[learn]).scores(table[test])
    flat = [_is_flat(outcomes[:, model]) for model in range(len(tried.models))]
    fitted = fit_success(table, outcomes)
    fitted = fitted._replace(weights=np.where(flat, 0.0, fitted.weights), biases=np.where(flat, 0.0, fitted.biases))
    curves, models = [], []
    for place, name in enumerate(tried.models):
        scores = np.zeros(len(outcomes)) if flat[place] else held[:, place]
        curves.append(_curve(scores, outcomes[:, place]))
        models.append(_prospect(name, scores, outcomes[:, place], parts, flat=flat[place]))
    published = wire.Prospects(
        version=version, models=tuple(tried.models), light=light, weights=fitted.published(), curves=tuple(curves)
    )
    return Learnt(published, tuple(models))


def _is_flat(outcomes: Floats) -> bool:
    good = float(np.nansum(outcomes))
    return min(good, int((~np.isnan(outcomes)).sum()) - good) < LEAST_CALLS


def _curve(scores: Floats, outcomes: Floats) -> calibration.Knots:
    """Of those that were tried. What tells calls apart by nothing has one chance: the mean, never quite certain."""
    known = ~np.isnan(outcomes)
    mine = scores[known]
    if mine.min() == mine.max():
        return ((float(mine[0]), (float(outcomes[known].sum()) + 0.5) / (len(mine) + 1)),)
    return calibration.ascending(calibration.curve(mine, outcomes[known]))


def _prospect(
    name: str, scores: Floats, outcomes: Floats, parts: Sequence[tuple[Ints, Ints]], *, flat: bool
) -> Prospect:
    """Chances of each part of the calls by curves of the others."""
    known = ~np.isnan(outcomes)
    chances = np.zeros(len(outcomes))
    for learn, test in parts:
        some = learn[known[learn]]
        if len(some):
            chances[test] = calibration.along(_curve(scores[some], outcomes[some]), scores[test])
    mine, right = chances[known], outcomes[known]
    bins = calibration.reliability(mine, right)
    spread = float(np.mean((right - right.mean()) ** 2))
    gain = max(0.0, 1.0 - float(np.mean((right - mine) ** 2)) / spread) if spread else 0.0
    error = calibration.calibration_error(bins)
    learned = len(mine) * (FOLDS - 1) / FOLDS
    behind = learned if flat else max(calibration.LEAST_IN_GROUP, learned / calibration.MOST_KNOTS)
    off = calibration.is_off(bins, behind=behind)
    return Prospect(name, len(mine), float(right.mean()), flat, bins, error, off, gain)


def _parts(groups: Ints) -> list[tuple[Ints, Ints]]:
    """Which calls to learn from and which to measure by, sessions whole."""
    order = np.random.default_rng(_SEED).permutation(groups.max() + 1)
    part = order[groups] % FOLDS
    return [(np.flatnonzero(part != one), np.flatnonzero(part == one)) for one in range(FOLDS)]


class _Held(NamedTuple):
    """`confidences` and `guesses` are of shape (n,), by temperatures of other folds."""

    guessed: _Guessed
    confidences: Floats
    guesses: Ints


def _held_out(signs: Sequence[Signs], labels: Ints, sessions: Ints, types: int, told: Callable[[int], bool]) -> _Held:
    scores, known = np.zeros((len(labels), types)), np.zeros(len(labels))
    table, folds = matrix_of(signs), _folds(labels, sessions)
    for done, (learn, test) in enumerate(folds):
        if not told(done):
            raise Stopped
        if len(np.unique(labels[learn])) < 2:
            raise CannotLearn("all calls of a type are of sessions that cannot be parted", field="labels")
        fitted = fit(table[learn], labels[learn], types)
        scores[test], known[test] = fitted.scores(table[test]), fitted.known(table[test])
    if not told(FOLDS):
        raise Stopped
    confidences, guesses = np.zeros(len(labels)), np.zeros(len(labels), dtype=np.int64)
    for learn, test in folds:
        chances = calibration.softmax(scores[test] / calibration.temperature(scores[learn], labels[learn]))
        confidences[test], guesses[test] = chances.max(axis=1), chances.argmax(axis=1)
    return _Held(_Guessed(scores, known), confidences, guesses)


def _measure(held: _Held, labels: Ints, heard: NDArray[np.bool_], names: tuple[str, ...]) -> tuple[Measured, float]:
    right = held.guesses == labels
    # What nothing is known of is said to be unknown, with no confidence.
    confidences = np.where(heard, held.confidences, 0.0)
    threshold = calibration.threshold(confidences[heard], right[heard], share=RIGHT)
    if threshold is None:
        raise CannotLearn(
            f"what would be named was right in {right.mean():.0%} of {len(labels)} calls that were not learned from, "
            f"and at no confidence in {RIGHT:.0%}",
            field="labels",
        )
    named = heard & (confidences >= threshold)
    hits = int((right & named).sum())
    bins = calibration.reliability(confidences[heard], right[heard].astype(np.float64))
    guesses = np.where(named, held.guesses, -1)
    pairs, numbers = np.unique(np.stack([labels, guesses], axis=1), axis=0, return_counts=True)
    confused = tuple(
        Confused(names[label], names[guess] if guess >= 0 else "", int(number))
        for (label, guess), number in zip(pairs, numbers, strict=True)
    )
    return (
        Measured(
            calls=len(labels),
            named=int(named.sum()),
            right=hits,
            least_right=calibration.least_share(hits, int(named.sum())),
            error=calibration.calibration_error(bins),
            bins=bins,
            confused=confused,
        ),
        threshold,
    )


def _learnable(labelled: Labelled) -> tuple[tuple[str, ...], list[int], tuple[str, ...]]:
    """The types that can be learned, which calls are of them, and the types that cannot."""
    calls: dict[str, list[int]] = {}
    for number, task_type in enumerate(labelled.types):
        calls.setdefault(task_type, []).append(number)
    enough = {
        name
        for name, numbers in calls.items()
        if len(numbers) >= LEAST_CALLS and len({labelled.sessions[one] for one in numbers}) >= LEAST_SESSIONS
    }
    # Of more than can be told apart, those with the most calls.
    names = tuple(sorted(sorted(enough, key=lambda name: (-len(calls[name]), name))[:MOST_TYPES]))
    if len(names) < 2:
        raise CannotLearn(
            f"two types at least need {LEAST_CALLS} labelled calls of {LEAST_SESSIONS} sessions each; "
            f"{len(names)} of {len(calls)} has them",
            field="labels",
        )
    kept = sorted(number for name in names for number in calls[name])
    return names, kept, tuple(sorted(set(calls) - set(names)))


def _folds(labels: Ints, sessions: Ints) -> list[tuple[Ints, Ints]]:
    """Which calls to learn from and which to measure by; sessions whole, types as evenly as they let."""
    split = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=_SEED)
    return list(split.split(np.zeros(len(labels)), labels, sessions))
