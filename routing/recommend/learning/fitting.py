"""What calls are expected to lose and to cost at each model, learned from measured tasks."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from routing.evidence.types import Floats
from routing.recommend.learning.tables import Tasks, rarity_of, weighed_words
from routing.rules.policy import Cost, Expected, Learnt, Quality, Reliability, packed

# A type of few tasks is believed to be like all of them: so many tasks' worth.
LIKE_ALL: Final = 8.0
_COST_LIKE_ALL: Final = 5.0
_SLOPE_LIKE_ALL: Final = 20.0
# A call costs at least such a share of the mean.
_LEAST_COST: Final = 0.02
# Of what is learned from texts: more tasks teach little, and take long.
MOST_TEXTS: Final = 20_000
_ROUNDS: Final = 200


class Fit(NamedTuple):
    """All that was learned, still as arrays. `losses` has the shape (types + 1, candidates), the last row for types
    that were not there; `costs` has (types + 1, models, 3): base, a character, least.
    """

    models: tuple[str, ...]
    types: tuple[str, ...]
    losses: Floats
    costs: Floats
    texts: Texts | None


class Texts(NamedTuple):
    """`weights` has the shape (models, buckets), `dense` (models, types + 2): types, length, intercept."""

    rarity: Floats
    weights: Floats
    dense: Floats


def fitted(tasks: Tasks, like_all: float = LIKE_ALL) -> Fit:
    """`like_all`: so many tasks' worth it is that a type is like all of them; with 0 each is what was seen of it."""
    types = tuple(str(one) for one in np.unique(tasks.types))
    return Fit(tasks.models, types, _losses(tasks, types, like_all), _costs(tasks, types), _texts(tasks, types))


def expectations(fit: Fit, tasks: Tasks, trust: float) -> tuple[Floats, Floats]:
    """Losses and savings of each task at each candidate, (tasks, candidates): what `policy.Chooser` works out for one
    call, for many at once.
    """
    rows = _rows(fit.types, tasks)
    losses = fit.losses[rows]
    if fit.texts is not None and tasks.words is not None and trust:
        good = chances(fit, tasks)
        losses = (1 - trust) * losses + trust * (good[:, :1] - good[:, 1:])
    costs = fit.costs[rows]
    each = np.maximum(costs[:, :, 2], costs[:, :, 0] + costs[:, :, 1] * tasks.characters[:, None])
    return losses, each[:, :1] - each[:, 1:]


def chances(fit: Fit, tasks: Tasks) -> Floats:
    """How likely each model does each task well by its text, (tasks, models); there are texts."""
    assert fit.texts is not None and tasks.words is not None  # noqa: S101, PT018 - whoever asks has looked
    values = _table(weighed_words(tasks.words, fit.texts.rarity), fit.types, tasks)
    weights = np.hstack([fit.texts.weights, fit.texts.dense])
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values @ weights.T, -50, 50))))


def learnt(fit: Fit, place: int, reliability: Reliability | None = None) -> Learnt:
    """One model of a fit, as it is published; with how honest its chances are, where texts are read."""

    def expected(row: int) -> Expected:
        loss = float(fit.losses[row, place - 1]) if place else 0.0
        return Expected(loss=loss, cost=Cost(*(float(one) for one in fit.costs[row, place])))

    quality = None
    if fit.texts is not None:
        dense = fit.texts.dense[place]
        quality = Quality(
            intercept=float(dense[-1]),
            length=float(dense[-2]),
            types={name: float(dense[n]) for n, name in enumerate(fit.types)},
            words=packed(fit.texts.weights[place].tolist()),
            reliability=reliability,
        )
    types = {name: expected(n) for n, name in enumerate(fit.types)}
    return Learnt(model=fit.models[place], types=types, other=expected(len(fit.types)), quality=quality)


def _rows(types: tuple[str, ...], tasks: Tasks) -> Any:
    known = {name: n for n, name in enumerate(types)}
    return np.array([known.get(str(one), len(types)) for one in tasks.types], dtype=np.int64)


def _losses(tasks: Tasks, types: tuple[str, ...], like_all: float) -> Floats:
    losses = tasks.scores[:, :1] - tasks.scores[:, 1:]
    overall = _means(losses)
    rows = []
    for name in types:
        found = losses[tasks.types == name]
        known = (~np.isnan(found)).sum(axis=0)
        # A model that was never tried on a type is taken for what it is elsewhere.
        alike = np.where(known > 0, like_all, max(like_all, 1.0))
        rows.append((np.nansum(found, axis=0) + alike * overall) / (known + alike))
    return np.vstack([*rows, overall])


def _means(values: Floats) -> Floats:
    known = (~np.isnan(values)).sum(axis=0)
    return np.asarray(np.nansum(values, axis=0) / np.maximum(known, 1))


def _costs(tasks: Tasks, types: tuple[str, ...]) -> Floats:
    """By type and length; a type of few tasks is like all of them."""
    found = np.zeros((len(types) + 1, len(tasks.models), 3))
    for model in range(len(tasks.models)):
        known = ~np.isnan(tasks.costs[:, model])
        costs, characters, of = tasks.costs[known, model], tasks.characters[known], tasks.types[known]
        mean = float(costs.mean()) if len(costs) else 0.0
        length = float(characters.mean()) if len(costs) else 0.0
        slope = _slope(characters, costs)
        for row, name in enumerate(types):
            mine = of == name
            size = int(mine.sum())
            near = size / (size + _COST_LIKE_ALL)
            here = near * float(costs[mine].mean()) + (1 - near) * mean if size else mean
            long = near * float(characters[mine].mean()) + (1 - near) * length if size else length
            own = size / (size + _SLOPE_LIKE_ALL)
            a_character = own * _slope(characters[mine], costs[mine]) + (1 - own) * slope
            found[row, model] = here - a_character * long, a_character, _LEAST_COST * mean
        found[-1, model] = mean - slope * length, slope, _LEAST_COST * mean
    return found


def _slope(x: Floats, y: Floats) -> float:
    """Of a line by least squares; flat where every x is the same."""
    if len(x) < 2:
        return 0.0
    from_mean = x - x.mean()
    spread = float((from_mean**2).sum())
    return float((from_mean * (y - y.mean())).sum()) / spread if spread > 0 else 0.0


def _texts(tasks: Tasks, types: tuple[str, ...]) -> Texts | None:
    if tasks.words is None:
        return None
    if len(tasks) > MOST_TEXTS:
        # Every so manieth, the same each time.
        tasks = tasks.at(np.linspace(0, len(tasks) - 1, MOST_TEXTS).astype(np.int64))
    assert tasks.words is not None  # noqa: S101 - they were there
    rarity = rarity_of(tasks.words)
    table = _table(weighed_words(tasks.words, rarity), types, tasks)
    weights = np.vstack([_weights(table, tasks.scores[:, model]) for model in range(len(tasks.models))])
    buckets = len(rarity)
    return Texts(rarity, weights[:, :buckets], weights[:, buckets:])


def _table(words: sparse.csr_matrix, types: tuple[str, ...], tasks: Tasks) -> sparse.csr_matrix:
    """Words, types, length, and a column of ones."""
    dense = [(tasks.types == name).astype(float) for name in types]
    dense += [np.log1p(tasks.characters) / 10, np.ones(len(tasks))]
    return sparse.csr_matrix(sparse.hstack([words, sparse.csr_matrix(np.column_stack(dense))]))


def _weights(table: sparse.csr_matrix, scores: Floats) -> Floats:
    """Logistic regression, the intercept last. A graded score is a well done task of that weight, and a failed one of
    the rest.
    """
    known = ~np.isnan(scores)
    found, good = table[known][:, :-1], scores[known]
    weights = np.zeros(table.shape[1])
    if len(good) == 0 or good.min() == good.max():
        mean = float(np.clip(good.mean() if len(good) else 0.5, 1e-6, 1 - 1e-6))
        weights[-1] = np.log(mean / (1 - mean))
        return weights
    rows = sparse.vstack([found[good > 0], found[good < 1]])
    done = np.r_[np.ones((good > 0).sum()), np.zeros((good < 1).sum())]
    weighted = np.r_[good[good > 0], 1 - good[good < 1]]
    # Several threads wait for each other longer than they work on tables as small as these.
    with threadpool_limits(limits=1):
        model = LogisticRegression(max_iter=_ROUNDS).fit(rows, done, sample_weight=weighted)
    weights[:-1], weights[-1] = model.coef_[0], model.intercept_[0]
    return weights
