"""One task type worked out: each candidate against the incumbent, in quality and in cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isfinite, sqrt
from typing import Final, NamedTuple

import numpy as np

from routing.evidence import matrices
from routing.evidence.rules import LEAST_MARGIN, MOST_MARGIN, USUAL_MARGIN
from routing.evidence.statistics.betting import LEAST_PAIRS, bounds, judged, log_evidence
from routing.evidence.statistics.clustered import cluster_means, clustered_mean
from routing.evidence.statistics.costs import cost_delta
from routing.evidence.statistics.paired import items_needed
from routing.evidence.types import Flag, Floats, Interval, Pairs, Seen, TypeEvidence
from routing.recommend.types import Costs, Examined, Flagged, Measured, Point, Said, Volume

# Of the incumbent's mean score: how much worse is as good, where no evaluation says it.
MARGIN_SHARE: Final = 0.05
_MARGIN_PLACES: Final = 4
# Before pairs are known: as where every fifth of them tells the two apart.
_USUAL_SPREAD: Final = 0.2
_LEAST_SPREAD: Final = 0.01
# Pairs that all agree leave no standard error: as if one of so many did not.
_SURPRISE: Final = 0.05
# Where only prices are known, a candidate may use so many times the tokens, or that part of them.
TOKENS_APART: Final = 2.0
_NOTHING: Final[Mapping[str, float]] = {}
EVALUATION: Final = "evaluation"
INCUMBENT: Final = "incumbent"
SPEND: Final = "spend"
DEAREST: Final = "dearest"


class Spent(NamedTuple):
    """What a model costs in one task type, by the ledger's name of it; `usual` are the meters of a call, on average."""

    model: str
    volume: Volume
    usual: tuple[int, ...] = ()


class Incumbent(NamedTuple):
    """The model that is to be replaced, by the name evidence has for it, or the ledger's where evidence has none."""

    model: str
    by: str
    asked: tuple[str, ...]
    volume: Volume
    usual: tuple[int, ...] = ()


def incumbent_of(
    evidence: TypeEvidence, seen: Sequence[Seen], spent: Sequence[Spent], names: Mapping[str, frozenset[str]]
) -> Incumbent | None:
    """Whoever most is spent on; else the dearest that was measured. `names` are the ledger's names of a model that is
    asked for by another one. None where nothing is spent and no cost is known.
    """
    known = sorted({*evidence.models, *(one.model for one in seen)})
    for one in sorted(spent, key=lambda row: (-row.volume.spend, row.model)):
        if one.volume.spend > 0:
            mine = [model for model in known if model == one.model or one.model in names.get(model, ())]
            model = one.model if one.model in mine or not mine else mine[0]
            return Incumbent(model, SPEND, tuple(sorted({model, one.model})), one.volume, one.usual)
    costs = {one.model: one.mean_cost for one in seen if one.mean_cost is not None}
    costs |= {model: cost for model in evidence.models if (cost := _own_cost(evidence, model)) is not None}
    if not costs:
        return None
    model = min(costs, key=lambda name: (-costs[name], name))
    return Incumbent(model, DEAREST, (model,), Volume())


def examined(
    evidence: TypeEvidence,
    incumbent: Incumbent,
    *,
    seen: Sequence[Seen] = (),
    flags: Sequence[Flag] = (),
    said_margin: float | None = None,
    fixed_margin: float | None = None,
    prices: Mapping[str, float] = _NOTHING,
) -> Examined:
    """`said_margin` is of an evaluation, `fixed_margin` what was fixed for this incumbent before; without both, a share
    of its mean score is fixed now, if it is known well enough. `prices` are dollars of a call as the incumbent's are,
    by model: they count where nobody said what tasks cost.
    """
    margin, margin_from = _margin(evidence, incumbent.model, said_margin, fixed_margin)
    names = [model for model in evidence.models if model != incumbent.model]
    # Columns of models that only calls are known of are empty.
    drawn = [model for model in names if not np.isnan(evidence.scores[:, evidence.models.index(model)]).all()]
    only_seen = [one for one in seen if one.model not in drawn and one.model != incumbent.model]
    own = _own_cost(evidence, incumbent.model)
    if own is None:
        own = next((one.mean_cost for one in seen if one.model == incumbent.model), prices.get(incumbent.model))
    return Examined(
        task_type=evidence.task_type,
        version=evidence.version,
        incumbent=incumbent.model,
        incumbent_by=incumbent.by,
        asked=incumbent.asked,
        incumbent_cost=own,
        margin=margin,
        margin_from=margin_from,
        volume=incumbent.volume,
        candidates=(
            *(_measured(evidence, incumbent.model, model, margin, prices) for model in drawn),
            *(_only_seen(one, margin) for one in only_seen),
        ),
        points=_points(evidence, incumbent.model, drawn),
        flags=tuple(Flagged(one.code, one.reason, one.models) for one in flags),
    )


def _margin(
    evidence: TypeEvidence, incumbent: str, said: float | None, fixed: float | None
) -> tuple[float, str | None]:
    if said is not None:
        return said, EVALUATION
    if fixed is not None:
        return fixed, INCUMBENT
    scores = _column(evidence.scores, evidence, incumbent)
    if scores.size < LEAST_PAIRS:
        return USUAL_MARGIN, None
    share = round(MARGIN_SHARE * float(scores.mean()), _MARGIN_PLACES)
    return min(max(share, float(LEAST_MARGIN)), float(MOST_MARGIN)), INCUMBENT


def _measured(
    evidence: TypeEvidence, incumbent: str, candidate: str, margin: float, prices: Mapping[str, float]
) -> Measured:
    found = matrices.pairs(evidence, incumbent, candidate)
    own = _own_cost(evidence, candidate)
    own = prices.get(candidate) if own is None else own
    if not found.differences.size:
        return Measured(model=candidate, needed=items_needed(margin, _USUAL_SPREAD), own_cost=own)
    means, weights = cluster_means(found.differences, found.clusters)
    known = clustered_mean(found.differences, found.clusters)
    error = known.error if isfinite(known.error) else 0.0
    between = bounds(means, weights=weights)
    return Measured(
        model=candidate,
        pairs=int(found.differences.size),
        clusters=int(means.size),
        difference=_said(float(found.differences.mean()), between),
        error=max(error, sqrt(_SURPRISE / means.size)) if means.size < LEAST_PAIRS or not error else error,
        log_evidence=float(log_evidence(means, -margin, weights)[-1]),
        alone=judged(means, margin, weights=weights).verdict.value,
        needed=_needed(found, margin, known.inflation),
        cost=_costs(found) or _by_prices(found, prices.get(incumbent), prices.get(candidate)),
        own_cost=own,
    )


def _only_seen(one: Seen, margin: float) -> Measured:
    needed = items_needed(margin, _USUAL_SPREAD)
    return Measured(model=one.model, needed=needed, own_cost=one.mean_cost, randomised=False)


def _needed(found: Pairs, margin: float, inflation: float) -> int:
    """How many pairs would tell, were the two equal."""
    if found.differences.size < LEAST_PAIRS:
        return items_needed(margin, _USUAL_SPREAD)
    spread = max(float((found.differences**2).mean()), _LEAST_SPREAD)
    return ceil(items_needed(margin, spread) * max(inflation, 1.0))


def _costs(found: Pairs) -> Costs | None:
    told = cost_delta(
        found.incumbent_cost, found.candidate_cost, found.incumbent, found.candidate, clusters=found.clusters
    )
    if told is None:
        return None
    ratio = None if told.quotient is None else _said(told.quotient, told.quotient_bounds)
    return Costs(
        incumbent=told.incumbent,
        candidate=told.candidate,
        delta=_said(told.delta, told.bounds),
        ratio=ratio,
        tasks=told.tasks,
    )


def _by_prices(found: Pairs, ours: float | None, theirs: float | None) -> Costs | None:
    """None where a price is not known, or one of the two completed nothing."""
    usual, mine = float(found.incumbent.mean()), float(found.candidate.mean())
    if not ours or theirs is None or usual <= 0 or mine <= 0:
        return None
    now, then = ours / usual, theirs / mine
    return Costs(
        incumbent=now,
        candidate=then,
        delta=Said(then - now, then / TOKENS_APART - now, then * TOKENS_APART - now),
        ratio=Said(then / now, then / now / TOKENS_APART, then / now * TOKENS_APART),
        tasks=0,
        by_prices=True,
    )


def _points(evidence: TypeEvidence, incumbent: str, drawn: Sequence[str]) -> tuple[Point, ...]:
    """Each model on the tasks that the incumbent was tried on."""
    if incumbent not in evidence.models:
        return ()
    ours = ~np.isnan(evidence.scores[:, evidence.models.index(incumbent)])
    found = []
    for model in (incumbent, *drawn):
        column = evidence.models.index(model)
        both = ours & ~np.isnan(evidence.scores[:, column])
        costs = evidence.costs[both, column]
        costs = costs[~np.isnan(costs)]
        if both.any():
            quality = float(evidence.scores[both, column].mean())
            cost = float(costs.mean()) if costs.size else None
            found.append(Point(model=model, tasks=int(both.sum()), quality=quality, cost=cost))
    return tuple(found)


def _own_cost(evidence: TypeEvidence, model: str) -> float | None:
    costs = _column(evidence.costs, evidence, model)
    return float(costs.mean()) if costs.size else None


def _column(values: Floats, evidence: TypeEvidence, model: str) -> Floats:
    if model not in evidence.models:
        return np.empty(0)
    column = values[:, evidence.models.index(model)]
    return column[~np.isnan(column)]


def _said(value: float, between: Interval) -> Said:
    lower, upper = (bound if isfinite(bound) else None for bound in between)
    return Said(value, lower, upper)
