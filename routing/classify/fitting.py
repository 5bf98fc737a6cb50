"""Weights of words fitted, cut down to what is worth publishing, and rounded as they will be read. Offline."""

from __future__ import annotations

import warnings
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import chi2
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from routing.classify.calibration import Floats
from routing.classify.hot import MOST_WEIGHTS
from routing.classify.matrices import Table, known_share, weighed
from routing.classify.types import wire
from routing.classify.words import BUCKETS

# Buckets that tell types apart best; more of them say hardly more.
MOST_LEARNED: Final = 6_000
# For what models do there is a weight for each of them, so that the same call is told as quickly.
MOST_OF_SUCCESS: Final = 3_000
LEAST_SEEN: Final = 2
# What a mark counts beside a text of length 1.
_MARK: Final = 0.5
# How little weights are held back. Types are told by words; whether a call goes well is mostly chance.
_FREEDOM: Final = 10.0
_FREEDOM_OF_SUCCESS: Final = 0.3
_MOST_ROUNDS: Final = 200
_CLOSE: Final = 1e-3
_LARGEST: Final = 60_000.0
# The score of a type that no call of a fold was of.
_NEVER: Final = -30.0


class Fitted(NamedTuple):
    """`buckets` ascend and have the shape (rows,), as `rarities`; `weights` (rows, outputs), 0 where cut; `biases`
    (outputs,).
    """

    buckets: NDArray[np.int64]
    rarities: Floats
    weights: Floats
    biases: Floats

    def scores(self, table: Table) -> Floats:
        """Of shape (n, outputs), for a table as `matrices.matrix_of` gives it."""
        found: Floats = weighed(table, self.buckets, self.rarities) @ self.weights + self.biases
        return found

    def known(self, table: Table) -> Floats:
        return known_share(table, self.buckets)

    def cooled(self, temperature: float) -> Fitted:
        return self._replace(weights=_rounded(self.weights / temperature), biases=self.biases / temperature)

    def published(self) -> wire.Weights:
        some = self.weights != 0
        rows, outputs = np.nonzero(self.weights)
        return wire.Weights(
            buckets=self.buckets.astype("<u2").tobytes(),
            rarities=self.rarities.astype("<f4").tobytes(),
            sizes=some.sum(axis=1).astype(np.uint8).tobytes(),
            outputs=outputs.astype(np.uint8).tobytes(),
            weights=self.weights[rows, outputs].astype("<f2").tobytes(),
            biases=tuple(float(one) for one in self.biases),
        )


def fit(table: Table, labels: NDArray[np.int64], types: int) -> Fitted:
    """Of calls of shape (n, WIDTH), whose labels are below `types`; two of them at least."""
    buckets, rarities = _vocabulary(table, labels)
    model = _model(weighed(table, buckets, rarities), labels, None, _FREEDOM)
    weights, biases = np.zeros((len(buckets), types)), np.full(types, _NEVER)
    if len(model.classes_) == 2:
        # One score for both: shared between them, half each.
        coefficients = np.concatenate([-model.coef_, model.coef_]) / 2
        intercepts = np.concatenate([-model.intercept_, model.intercept_]) / 2
    else:
        coefficients, intercepts = model.coef_, model.intercept_
    weights[:, model.classes_], biases[model.classes_] = coefficients.T, intercepts
    return _cut(buckets, rarities, weights, biases)


def fit_success(table: Table, outcomes: Floats) -> Fitted:
    """Log odds of outcomes, 0 to 1, of shape (n, models) with NaN where a model was not tried: a graded one is in part
    a success and in part a failure. One vocabulary for all, so that a call's words are weighed once.
    """
    tried = ~np.isnan(outcomes)
    means = np.nansum(outcomes, axis=1) / np.maximum(tried.sum(axis=1), 1)
    buckets, rarities = _vocabulary(table, (means >= 0.5).astype(np.int64), MOST_OF_SUCCESS)
    values = weighed(table, buckets, rarities)
    weights, biases = np.zeros((len(buckets), outcomes.shape[1])), np.zeros(outcomes.shape[1])
    for model in range(outcomes.shape[1]):
        known = tried[:, model]
        weights[:, model], biases[model] = _log_odds(values[known], outcomes[known, model])
    return _cut(buckets, rarities, weights, biases)


def _log_odds(values: Table, outcomes: Floats) -> tuple[Floats, float]:
    """Of one model, with the bias; none where all went well, or all wrong."""
    number = len(outcomes)
    if not number or outcomes.max() == outcomes.min():
        return np.zeros(values.shape[1]), 0.0
    twice = np.concatenate([np.arange(number), np.arange(number)])
    labels = np.repeat(np.array([1, 0], dtype=np.int64), number)
    shares = np.concatenate([outcomes, 1.0 - outcomes])
    some = shares > 0
    model = _model(values[twice[some]], labels[some], shares[some], _FREEDOM_OF_SUCCESS)
    return model.coef_[0], float(model.intercept_[0])


def _vocabulary(table: Table, labels: NDArray[np.int64], most: int = MOST_LEARNED) -> tuple[NDArray[np.int64], Floats]:
    """The buckets that depend most on the label, of those that came more than once, and how rare they are."""
    seen = table.copy()
    seen.data = np.ones_like(seen.data)
    calls = np.asarray(seen.sum(axis=0)).ravel()
    often = np.flatnonzero(calls >= LEAST_SEEN)
    # Where all calls went one way, no word says anything of it.
    says = chi2(seen[:, often], labels)[0] if labels.min() != labels.max() else np.zeros(len(often))
    best = np.argsort(-np.nan_to_num(says), kind="stable")[:most]
    buckets = np.sort(often[best]).astype(np.int64)
    rarities = np.log((1.0 + table.shape[0]) / (1.0 + calls[buckets])) + 1.0
    rarities[buckets >= BUCKETS] = _MARK
    return buckets, rarities.astype("<f4").astype(np.float64)


def _model(values: Table, labels: NDArray[np.int64], shares: Floats | None, freedom: float) -> Any:
    # Threads that wait for each other spinning take ten times as long as one.
    with threadpool_limits(1), warnings.catch_warnings():
        # A little before the best is good enough: what it is worth is measured afterwards.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=freedom, max_iter=_MOST_ROUNDS, tol=_CLOSE)
        return model.fit(values, labels, sample_weight=shares)


def _cut(buckets: NDArray[np.int64], rarities: Floats, weights: Floats, biases: Floats) -> Fitted:
    """Only the largest weights are kept where there are too many. Every row stays: that a word is known counts too."""
    kept = weights
    if weights.size > MOST_WEIGHTS:
        least = np.partition(np.abs(weights).ravel(), -MOST_WEIGHTS)[-MOST_WEIGHTS]
        kept = np.where(np.abs(weights) > least, weights, 0.0)
    return Fitted(buckets, rarities, _rounded(kept), biases)


def _rounded(weights: Floats) -> Floats:
    """As 16 bits have them."""
    found: Floats = np.clip(weights, -_LARGEST, _LARGEST).astype("<f2").astype(np.float64)
    return found
