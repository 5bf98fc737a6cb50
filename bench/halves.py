"""`bench halves`: policies learned from random halves of measured tasks, each applied to the other half, beside what
somebody would do by hand on the same halves.

By hand is given an advantage: of the standard errors that it stays away from the target it knows afterwards which are
the fewest at which the target is kept. What is learned does not; it says what it keeps before anybody looks. Blind is
by hand without it: what seems to keep the target on one half, exactly or nine times of ten, is applied to the other.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np

from bench.routing import applied, share_of_one
from routing.evidence.outcomes import Outcomes, read_outcomes
from routing.evidence.types import Floats, Whole
from routing.recommend.learning.choosing import decided, measured, studied
from routing.recommend.learning.tables import Tasks, tasks_of
from routing.rules.document import exported, imported
from routing.rules.types import Rule, Use, When

NEEDS_DATABASE: Final = False
# Standard errors by hand, and where nobody knows afterwards: none, and those that are kept to nine times of ten.
_ERRORS: Final = np.arange(-1.0, 4.01, 0.05)
_BLIND: Final = {"mean": 0.0, "sure": NormalDist().inv_cdf(0.9)}
# Shares of calls that go one way.
_SHARES: Final = np.linspace(0.05, 1.0, 20)


class Way(NamedTuple):
    """A plain rule: the column of the model that calls of each type go to, for a share of them `most` and for the
    others `least`; and what it came to on the tasks that it was made from, with the standard error of what it kept.
    """

    most: Whole
    least: Whole
    share: float
    kept: float
    saved: float
    error: float


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--outcomes", type=Path, required=True, help="a Parquet file of outcomes")
    parser.add_argument("--incumbent", required=True, help="the model that is used")
    parser.add_argument("--candidate", action="append", help="a cheaper one; several may be given; else all others")
    parser.add_argument("--target", type=share_of_one, default=0.95, help="the share of quality to keep")
    parser.add_argument("--assurance", type=share_of_one, action="append", help="how surely; several may be given")
    parser.add_argument("--halves", type=int, default=20, help="so many random halves")
    parser.add_argument("--first", type=int, default=0, help="the number of the first")


def run(parameters: dict[str, Any], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys: learned, by assurance: kept and saved on average, held (halves that kept the target) and kinds (of these
    read texts, or kept the incumbent); by_hand: each plain rule at the fewest standard errors at which it keeps the
    target on average (`mean`), and in nine of ten halves (`sure`); blind: each at no standard error, and at 1.28.
    """
    outcomes, incumbent, target = read_outcomes(parameters["outcomes"]), parameters["incumbent"], parameters["target"]
    candidates = parameters.get("candidate") or [one for one in outcomes.models if one != incumbent]
    outcomes = _of(outcomes, ~np.isnan(outcomes.scores[:, outcomes.of(incumbent)]))
    assurances = parameters.get("assurance") or [0.5, 0.9]
    learned: dict[float, list[tuple[float, float]]] = {one: [] for one in assurances}
    texts = dict.fromkeys(assurances, 0)
    by_hand: dict[str, list[Floats]] = {}
    blind: dict[str, list[Floats]] = {}
    for number in range(parameters["first"], parameters["first"] + parameters["halves"]):
        train, test = _halves(outcomes, number)
        tasks, fresh = tasks_of(train, incumbent, candidates), tasks_of(test, incumbent, candidates)
        for name, ways in _by_hand(tasks, fresh).items():
            by_hand.setdefault(name, []).append(_swept(ways, _ERRORS, target, fresh, tasks))
            blind.setdefault(name, []).append(_swept(ways, [*_BLIND.values()], target, fresh, tasks))
        kinds = studied(tasks)
        for assurance in assurances:
            policy = decided(kinds, target=target, assurance=assurance).policy
            if policy is None:
                learned[assurance].append((1.0, 0.0))
                continue
            texts[assurance] += policy.rarity is not None
            use = tuple(Use(model=one.model) for one in policy.candidates)
            made = Rule(name=f"half {number}", when=When(models=(incumbent,)), use=use, policy=policy)
            (again,) = imported(exported([made]))
            learned[assurance].append(_comes_to(*measured(applied(again, test, fresh), fresh), fresh))
        say(f"{number}: " + ", ".join(f"{one}: {learned[one][-1][0]:.3f} {learned[one][-1][1]:.3f}" for one in learned))
    return {
        "bench": "halves",
        "tasks": len(outcomes.types),
        "halves": parameters["halves"],
        "learned": {str(one): _told(learned[one], target) | {"by_text": texts[one]} for one in assurances},
        "by_hand": {name: _hindsight(np.array(rows), target) for name, rows in by_hand.items()},
        "blind": {name: _blind(np.array(rows), target) for name, rows in blind.items()},
    }


def _halves(outcomes: Outcomes, number: int) -> tuple[Outcomes, Outcomes]:
    order = np.random.default_rng(number).permutation(len(outcomes.types))
    half = len(order) // 2
    return _of(outcomes, np.sort(order[:half])), _of(outcomes, np.sort(order[half:]))


def _of(outcomes: Outcomes, rows: Any) -> Outcomes:
    return Outcomes(outcomes.models, *(one[rows] for one in outcomes[1:]))


def _comes_to(scores: Floats, costs: Floats, known: Any, tasks: Tasks) -> tuple[float, float]:
    usual, usual_cost = tasks.scores[known, 0].sum(), tasks.costs[known, 0].sum()
    return float(scores[known].sum() / usual), 1.0 - float(costs[known].sum() / usual_cost)


def _told(each: Sequence[tuple[float, float]], target: float) -> dict[str, Any]:
    kept, saved = np.array(each).T
    return {
        "kept": round(float(kept.mean()), 4),
        "saved": round(float(saved.mean()), 4),
        "held": int((kept >= target).sum()),
    }


def _by_hand(tasks: Tasks, fresh: Tasks) -> dict[str, list[Way]]:
    """One model for all; calls at random; types by what they lose and save, whole types and a share of the next."""
    names = np.unique(np.concatenate([tasks.types, fresh.types]))
    stays = np.zeros(len(names), dtype=np.int64)
    one, random, types = [], [], []
    for model in range(1, len(tasks.models)):
        all_of_them = np.full(len(names), model)
        one.append(_way(tasks, names, all_of_them, stays, 1.0))
        random += [_way(tasks, names, all_of_them, stays, share) for share in _SHARES]
    below = stays
    for table in _tables(tasks, names):
        types += [_way(tasks, names, table, below, share) for share in _SHARES]
        below = table
    return {"one_model": one, "at_random": random, "by_type": types}


def _tables(tasks: Tasks, names: Any) -> list[Whole]:
    """For each price of quality at which a type changes its model, rising, where types go."""
    size, models = len(names), len(tasks.models) - 1
    losses, savings = np.ones((size, models)), np.zeros((size, models))
    for place, name in enumerate(names):
        mine = tasks.types == name
        for model in range(models):
            tried = mine & ~np.isnan(tasks.scores[:, model + 1]) & ~np.isnan(tasks.costs[:, model + 1])
            if tried.any():
                losses[place, model] = (tasks.scores[tried, 0] - tasks.scores[tried, model + 1]).mean()
                savings[place, model] = (tasks.costs[tried, 0] - tasks.costs[tried, model + 1]).mean()
    saves = savings > 0
    # Between any two of a type, and of each with the incumbent.
    with np.errstate(divide="ignore", invalid="ignore"):
        steep = (losses[:, :, None] - losses[:, None, :]) / (savings[:, :, None] - savings[:, None, :])
        prices = np.concatenate([steep.ravel(), (losses / savings)[saves]])
    prices = np.unique(np.r_[1e-12, prices[np.isfinite(prices) & (prices > 0)]])
    found: list[Whole] = []
    for price in prices * (1 + 1e-9):
        worth = np.where(saves, losses - price * savings, np.inf)
        best = worth.argmin(axis=1)
        table = np.where(worth[np.arange(size), best] < 0, best + 1, 0)
        if not found or (table != found[-1]).any():
            found.append(table)
    return found


def _way(tasks: Tasks, names: Any, most: Whole, least: Whole, share: float) -> Way:
    kept, saved, error = _mean(tasks, names, most, least, share)
    return Way(most, least, share, kept, saved, error)


def _mean(tasks: Tasks, names: Any, most: Whole, least: Whole, share: float) -> tuple[float, float, float]:
    """Kept and saved on average over who is drawn, and the standard error of what is kept."""
    rows = np.searchsorted(names, tasks.types)
    (good, dear, known), (low, low_dear, low_known) = measured(most[rows], tasks), measured(least[rows], tasks)
    known = known & low_known
    scores, costs = share * good + (1 - share) * low, share * dear + (1 - share) * low_dear
    kept, saved = _comes_to(scores, costs, known, tasks)
    usual = tasks.scores[known, 0]
    off = (scores[known] - kept * usual) / usual.mean()
    return kept, saved, sqrt(float(off.var()) / len(off))


def _swept(ways: Sequence[Way], away: Sequence[float] | Floats, target: float, fresh: Tasks, tasks: Tasks) -> Floats:
    """For each number of standard errors, (errors, 2): what is kept and saved on fresh tasks by the way that saves
    most of those that seem to keep the target.
    """
    names = np.unique(np.concatenate([tasks.types, fresh.types]))
    kept, saved, error = (np.array([getattr(one, name) for one in ways]) for name in ("kept", "saved", "error"))
    found, known = [], {-1: (1.0, 0.0)}
    for errors in away:
        worth = np.where(kept - errors * error >= target, saved, 0.0)
        place = int(worth.argmax()) if worth.max(initial=0.0) > 0.0 else -1
        if place not in known:
            one = ways[place]
            known[place] = _mean(fresh, names, one.most, one.least, one.share)[:2]
        found.append(known[place])
    return np.array(found)


def _hindsight(rows: Floats, target: float) -> dict[str, Any]:
    """`rows` has the shape (halves, errors, 2)."""
    told: dict[str, Any] = {}
    for name, enough in (
        ("mean", rows[:, :, 0].mean(axis=0) >= target),
        ("sure", (rows[:, :, 0] >= target).mean(axis=0) >= 0.9),
    ):
        place = int(np.flatnonzero(enough)[0]) if enough.any() else len(_ERRORS) - 1
        told[name] = _told([tuple(one) for one in rows[:, place]], target)
    return told


def _blind(rows: Floats, target: float) -> dict[str, Any]:
    """`rows` has the shape (halves, 2, 2): what is kept and saved by each of these."""
    return {name: _told([tuple(one) for one in rows[:, place]], target) for place, name in enumerate(_BLIND)}
