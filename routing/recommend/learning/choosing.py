"""Learns a policy from measured tasks: which calls may go to a cheaper model so that quality stays above a target.

Three kinds of policy are tried, and the one that saves most is taken: by type and text; by type, where a type of few
tasks is taken to be like all of them; and by type as it was seen, the table that somebody would make by hand. With
thousands of tasks the first says most; with a hundred, mostly one of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from routing.classify import calibration
from routing.evidence.statistics.betting import LEAST_PAIRS
from routing.evidence.types import Floats
from routing.recommend.learning.fitting import LIKE_ALL, Fit, chances, expectations, fitted, learnt
from routing.recommend.learning.tables import Tasks
from routing.recommend.learning.weighing import Weighed, chosen, weighed
from routing.rules.policy import Kept, Policy, Reliability, packed

Places = NDArray[np.int64]
# What texts say of a loss counts as much as what types do.
TRUST: Final = 0.5
# Where texts are read, candidates are at most so many: each is a table of its own.
_MOST_WITH_TEXTS: Final = 8
_FOLDS: Final = 10
_PRICES: Final = 100
_AMOUNTS: Final = 100
# A candidate was tried on at least such a share of the incumbent's tasks.
_TRIED: Final = 0.8
# Tasks whose prices are looked at.
_LOOKED_AT: Final = 2_000


class Estimate(NamedTuple):
    """Shares of the incumbent's quality and of its cost; `error` is of `kept`, on as many fresh tasks."""

    kept: float
    saved: float
    error: float


class Learned(NamedTuple):
    """`policy` is None where nothing may be changed."""

    policy: Policy | None
    expected: Estimate


class _Path(NamedTuple):
    """Which way tasks go for each amount to be saved, `amounts` rising from nothing: at one price with a chance of
    `shares`, else at the one below; columns of models, 0 for the incumbent. All have a row for each amount.
    """

    high: Places
    low: Places
    shares: Floats
    prices: Floats
    floors: Floats


KEEP: Final = Learned(None, Estimate(1.0, 0.0, 0.0))


class Studied(NamedTuple):
    """One kind of policy, learned for each amount to be saved, and what these come to. Where texts are read, how honest
    the chances of each model are.
    """

    fit: Fit
    path: _Path
    weighed: Weighed
    reliabilities: Sequence[Reliability] | None


def learn(tasks: Tasks, *, target: float, assurance: float) -> Learned:
    """The policy that saves most of those that keep `target` of the incumbent's quality: on average, and with a chance
    of `assurance` on fresh tasks, as many again.
    """
    return decided(studied(tasks), target=target, assurance=assurance)


def studied(tasks: Tasks) -> list[Studied]:
    """What takes time, whatever is to be kept. Empty where nothing may be learned."""
    if len(np.unique(tasks.clusters)) < 2 * _FOLDS or tasks.scores[:, 0].sum() <= 0:
        return []
    return [found for kind in _kinds(tasks) if (found := _studied(*kind)) is not None]


def decided(kinds: Sequence[Studied], *, target: float, assurance: float) -> Learned:
    """The best of what was learned, as `learn` says."""
    found = chosen([one.weighed for one in kinds], target=target, assurance=assurance)
    if found is None:
        return KEEP
    one, place = kinds[found[0]], found[1]
    price, floor, share = (each[place].item() for each in (one.path.prices, one.path.floors, one.path.shares))
    comes_to = (each[place].item() for each in (one.weighed.kept, one.weighed.saved, one.weighed.error))
    return Learned(_policy(one.fit, price, floor, share, one.reliabilities), Estimate(*comes_to))


def _kinds(tasks: Tasks) -> list[tuple[Tasks, float]]:
    """Tasks with what may be learned from, and of how many tasks' worth it is that a type is like all of them."""
    plain = tasks.without_words()
    by_type = [(plain, LIKE_ALL), (plain, 0.0)]
    return by_type if tasks.words is None else [(tasks, LIKE_ALL), *by_type]


def _studied(tasks: Tasks, like_all: float) -> Studied | None:
    tasks = tasks.of(_worth_learning(tasks))
    if len(tasks.models) == 1:
        return None
    fit = fitted(tasks, like_all)
    unseen, seen, told = _expected(tasks, fit, like_all)
    amounts = np.linspace(0.0, _most(*seen, _usual(tasks)), _AMOUNTS + 1)[1:]
    folded = _joined(
        [(rows, _path(losses, savings, _usual(tasks.at(rows)), amounts)) for rows, losses, savings in unseen]
    )
    path = _path(*seen, _usual(tasks), amounts)
    return Studied(fit, path, _weighed(tasks, path, folded), _reliabilities(told, tasks.scores))


def measured(choices: Places, tasks: Tasks) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Scores and costs of tasks at the model that was chosen for each (a column), and which of them are known."""
    rows = np.arange(len(tasks))
    scores, costs = tasks.scores[rows, choices], tasks.costs[rows, choices]
    known = ~(np.isnan(scores) | np.isnan(costs) | np.isnan(tasks.costs[:, 0]))
    return scores, costs, known


def _worth_learning(tasks: Tasks) -> Sequence[str]:
    """Candidates that save anything on the tasks that both did; where texts are read, those of them that types alone
    would send calls to.
    """
    cheaper = [model for n, model in enumerate(tasks.models) if n and _saves(tasks, n)]
    if tasks.words is None or len(cheaper) <= 1:
        return cheaper
    plain = tasks.of(cheaper).without_words()
    losses, savings = expectations(fitted(plain, LIKE_ALL), plain, 0.0)
    often = np.zeros(len(cheaper) + 1, dtype=np.int64)
    for choices in _choices(losses, savings, _prices(losses, savings)):
        often += np.bincount(choices, minlength=len(often))
    ranked = [n for n in np.argsort(-often[1:], kind="stable") if often[n + 1]]
    return [cheaper[n] for n in sorted(ranked[:_MOST_WITH_TEXTS])]


def _saves(tasks: Tasks, candidate: int) -> bool:
    _, costs, known = measured(np.full(len(tasks), candidate), tasks)
    # What was not tried may be what failed.
    return int(known.sum()) >= max(LEAST_PAIRS, _TRIED * len(tasks)) and float(costs[known].sum()) < float(
        tasks.costs[known, 0].sum()
    )


def _expected(
    tasks: Tasks, fit: Fit, like_all: float
) -> tuple[list[tuple[Places, Floats, Floats]], tuple[Floats, Floats], Floats | None]:
    """Losses and savings to be expected: of each part of the tasks (its rows) by what was learned from others; and of
    all by what was learned from all. And where texts are read, how likely each model does each task (tasks, models), by
    what was learned from others.
    """
    told = np.zeros(tasks.scores.shape)
    by_text = np.zeros((len(tasks), len(tasks.models) - 1))
    parts = []
    for held in _folds(tasks):
        learned = fitted(tasks.at(np.setdiff1d(np.arange(len(tasks)), held)), like_all)
        here = tasks.at(held)
        losses, savings = expectations(learned, here, TRUST)
        by_text[held] = losses - (1 - TRUST) * expectations(learned, here, 0.0)[0]
        if learned.texts is not None:
            told[held] = chances(learned, here)
        parts.append((held, losses, savings))
    types, savings = expectations(fit, tasks, 0.0)
    if fit.texts is None:
        return parts, (types, savings), None
    # A text's own words give it away: what they say is always of those who have not seen it.
    return parts, ((1 - TRUST) * types + by_text, savings), told


def _reliabilities(told: Floats | None, scores: Floats) -> list[Reliability] | None:
    """Of each model, by the tasks that it was tried on."""
    if told is None:
        return None
    found = []
    for model in range(scores.shape[1]):
        known = ~np.isnan(scores[:, model])
        bins = calibration.reliability(told[known, model], scores[known, model])
        error, off = calibration.calibration_error(bins), calibration.is_off(bins)
        found.append(Reliability(error=error, is_off=off, bins=tuple(Kept(*one) for one in bins)))
    return found


def _folds(tasks: Tasks) -> list[Places]:
    """Rows of each part. What is drawn together is in one: what a session's other tasks say, or the same prompt once
    more, would be no news.
    """
    numbers, of = np.unique(tasks.clusters, return_inverse=True)
    order = np.random.default_rng(0).permutation(len(numbers))
    return [np.flatnonzero(np.isin(of, held)) for held in np.array_split(order, _FOLDS)]


def _usual(tasks: Tasks) -> float:
    return float(np.nanmean(tasks.costs[:, 0]))


def _most(losses: Floats, savings: Floats, usual: float) -> float:
    """The share of the cost that is saved where every task goes to the cheapest."""
    return float(np.maximum(savings.max(axis=1), 0.0).mean()) / usual


def _path(losses: Floats, savings: Floats, usual: float, amounts: Floats) -> _Path:
    """For tasks of which nobody has seen the scores: prices that come to these amounts."""
    prices = np.r_[0.0, _prices(losses, savings)]
    choices = np.array(_choices(losses, savings, prices))
    rows = np.arange(len(losses))
    each = np.column_stack([np.zeros(len(losses)), savings])
    comes_to = np.maximum.accumulate([each[rows, one].mean() / usual for one in choices])
    above = np.clip(np.searchsorted(comes_to, amounts, side="left"), 1, len(prices) - 1)
    low, high = comes_to[above - 1], comes_to[above]
    shares = np.clip((amounts - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    return _Path(choices[above], choices[above - 1], shares[:, None], prices[above], prices[above - 1])


def _joined(parts: Sequence[tuple[Places, _Path]]) -> _Path:
    """Of parts of the tasks, each by prices of its own."""
    size = sum(len(rows) for rows, _ in parts)
    amounts = len(parts[0][1].prices)
    high, low, shares = (
        np.zeros((amounts, size), np.int64),
        np.zeros((amounts, size), np.int64),
        np.zeros((amounts, size)),
    )
    for rows, path in parts:
        high[:, rows], low[:, rows], shares[:, rows] = path.high, path.low, path.shares
    return _Path(high, low, shares, np.empty(0), np.empty(0))


def _prices(losses: Floats, savings: Floats) -> Floats:
    """Prices at which choices change, as many as are worth trying, rising."""
    some = np.unique(np.linspace(0, len(losses) - 1, _LOOKED_AT).astype(np.int64))
    found = np.array(sorted({price for row in some for price in _steps(losses[row], savings[row])}))
    if len(found) > _PRICES:
        found = np.unique(np.quantile(found, np.linspace(0, 1, _PRICES)))
    least = found[0] / 2 if len(found) else 1.0
    # Just above, so that what costs exactly this is in.
    return np.asarray(np.r_[least, found * (1 + 1e-9)])


def _steps(losses: Floats, savings: Floats) -> list[float]:
    """Prices at which one task goes to the next candidate: the convex hull of what they lose by what they save."""
    found: list[float] = []
    loss = saving = 0.0
    while (more := savings > saving + 1e-15).any():
        slopes = np.where(more, (losses - loss) / np.where(more, savings - saving, 1.0), np.inf)
        best = int(slopes.argmin())
        if slopes[best] > 0:
            found.append(float(slopes[best]))
        loss, saving = float(losses[best]), float(savings[best])
    return found


def _choices(losses: Floats, savings: Floats, prices: Floats) -> list[Places]:
    """The column of the model each task goes to at each of these prices, 0 for the incumbent."""
    found = []
    rows = np.arange(len(losses))
    for price in prices:
        worth = np.where(savings > 0, losses - price * savings, np.inf)
        best = worth.argmin(axis=1)
        found.append(np.where((worth[rows, best] < 0) & (price > 0), best + 1, 0))
    return found


def _weighed(tasks: Tasks, path: _Path, folded: _Path) -> Weighed:
    """What each amount comes to. What was learned from looks better than it will be, so that what is kept is told by
    tasks that a fit has not seen, where they save as much; what is saved, and how far both may be off, by all.
    """
    each = [_mixed(tasks, *one) for one in zip(path.high, path.low, path.shares, strict=True)]
    saved, off, apart = (np.array([getattr(one, name) for one in each]) for name in ("saved", "off", "apart"))
    unseen = [_mixed(tasks, *one) for one in zip(folded.high, folded.low, folded.shares, strict=True)]
    as_much = np.maximum.accumulate([one.saved for one in unseen])
    return weighed(np.interp(saved, as_much, [one.kept for one in unseen]), saved, off, apart)


class _Mixed(NamedTuple):
    """Where a share of the tasks goes one way and the others another: kept and saved; what each cluster adds to how far
    `kept` is off; and its variance by who goes where.
    """

    kept: float
    saved: float
    off: Floats
    apart: float


def _mixed(tasks: Tasks, high: Places, low: Places, shares: Floats) -> _Mixed:
    (good, dear, known), (good_low, dear_low, known_low) = measured(high, tasks), measured(low, tasks)
    known = known & known_low
    shares = np.broadcast_to(shares, len(tasks))[known]
    usual, usual_cost = tasks.scores[known, 0], tasks.costs[known, 0]
    scores = shares * good[known] + (1 - shares) * good_low[known]
    costs = shares * dear[known] + (1 - shares) * dear_low[known]
    kept = float(scores.sum() / usual.sum())
    # What is drawn together varies together.
    which, size = tasks.clusters[known], int(tasks.clusters.max()) + 1
    off: Floats = np.bincount(which, (scores - kept * usual) / usual.sum(), size).astype(float)
    apart = np.bincount(which, np.sqrt(shares * (1 - shares)) * (good - good_low)[known] / usual.sum(), size)
    return _Mixed(kept, 1.0 - float(costs.sum() / usual_cost.sum()), off, float((apart**2).sum()))


def _policy(fit: Fit, price: float, floor: float, share: float, reliabilities: Sequence[Reliability] | None) -> Policy:
    texts: dict[str, Any] = {}
    if fit.texts is not None:
        texts = {"trust": TRUST, "rarity": packed(fit.texts.rarity.tolist())}
    learned = [learnt(fit, n, None if reliabilities is None else reliabilities[n]) for n in range(len(fit.models))]
    return Policy(
        incumbent=learned[0],
        candidates=tuple(learned[1:]),
        price=price,
        floor=floor,
        share=share,
        **texts,
    )
