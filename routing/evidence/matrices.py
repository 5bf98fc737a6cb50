"""Outcomes as rows become tasks x models, and pairs of two models. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from routing.evidence.types import (
    Flags,
    Floats,
    Frozen,
    Kind,
    Labelled,
    Logged,
    Pairs,
    Rows,
    Seen,
    TypeEvidence,
    Whole,
)

# Cells of one task type: 20 million are half a gigabyte while they are made. What was recorded last is kept.
MOST_CELLS: Final = 20_000_000


def evidence_of(rows: Rows, *, version: int) -> TypeEvidence:
    """What runs drew at random, as tasks x models. Of more than MOST_CELLS, the tasks that were recorded last."""
    drawn = rows.where(rows.randomised & np.isnan(rows.propensity))
    key = drawn.item * max(len(rows.measures), 1) + drawn.measure
    tasks, place = np.unique(key, return_inverse=True)
    models = max(len(rows.models), 1)
    if tasks.size * models > MOST_CELLS:
        last = np.zeros(tasks.size, dtype=np.int64)
        np.maximum.at(last, place, drawn.batch)
        kept = np.zeros(tasks.size, dtype=bool)
        kept[np.argsort(-last, kind="stable")[: MOST_CELLS // models]] = True
        drawn = drawn.where(kept[place])
        tasks, place = np.unique(drawn.item * max(len(rows.measures), 1) + drawn.measure, return_inverse=True)
    shape = (tasks.size, len(rows.models))
    cell = place * models + drawn.model
    scores, abstained = _scores(drawn, cell, shape)
    known = ~np.isnan(drawn.cost)
    arrived = np.full(shape[0] * shape[1], -1, dtype=np.int64)
    np.maximum.at(arrived, cell, np.unique(drawn.batch, return_inverse=True)[1])
    failed = np.bincount(cell, drawn.status > 0, minlength=arrived.size) > 0
    clusters = np.zeros(tasks.size, dtype=np.int64)
    clusters[place] = drawn.cluster
    return TypeEvidence(
        task_type=rows.task_type,
        version=version,
        models=rows.models,
        measures=rows.measures,
        items=rows.items[tasks // max(len(rows.measures), 1)],
        clusters=clusters,
        measure=tasks % max(len(rows.measures), 1),
        scores=scores,
        costs=_means(cell[known], drawn.cost[known], shape),
        failed=failed.reshape(shape),
        arrived=arrived.reshape(shape),
        abstained=abstained,
    )


def pairs(evidence: TypeEvidence, incumbent: str, candidate: str) -> Pairs:
    """Tasks that both were tried on. An item by several measures is as many pairs, of one cluster. None for a model
    that nothing is known of.
    """
    columns = [evidence.models.index(one) if one in evidence.models else -1 for one in (incumbent, candidate)]
    if -1 in columns:
        return _none()
    ours, theirs = columns
    # A judge that prefers whatever it sees first has said nothing of either.
    both = np.flatnonzero(~np.isnan(evidence.scores[:, columns]).any(axis=1) & ~evidence.abstained)
    complete = evidence.arrived[both][:, columns].max(axis=1)
    both = both[np.argsort(complete, kind="stable")]
    return Pairs(
        items=evidence.items[both],
        clusters=evidence.clusters[both],
        differences=evidence.scores[both, theirs] - evidence.scores[both, ours],
        incumbent=evidence.scores[both, ours],
        candidate=evidence.scores[both, theirs],
        incumbent_cost=evidence.costs[both, ours],
        candidate_cost=evidence.costs[both, theirs],
    )


def frozen(evidence: TypeEvidence, model: str) -> list[Frozen]:
    """How a model did, by evaluator and its version, in their order; none for a model that was not tried. Whether the
    evaluator is called a judge or an evaluation makes no difference.
    """
    if model not in evidence.models:
        return []
    column = evidence.models.index(model)
    tried = ~np.isnan(evidence.scores[:, column])
    found = []
    for name, number in sorted({(one.evaluator, one.version) for one in evidence.measures}):
        measures = [place for place, one in enumerate(evidence.measures) if one[1:] == (name, number)]
        mine = tried & np.isin(evidence.measure, measures)
        scores, costs = evidence.scores[mine, column], evidence.costs[mine, column]
        costs = costs[~np.isnan(costs)]
        if scores.size:
            found.append(
                Frozen(
                    task_type=evidence.task_type,
                    incumbent=model,
                    evaluator=name,
                    evaluator_version=number,
                    version=evidence.version,
                    items=int(scores.size),
                    mean=float(scores.mean()),
                    deviation=float(scores.std(ddof=1)) if scores.size > 1 else 0.0,
                    mean_cost=float(costs.mean()) if costs.size else None,
                )
            )
    return found


def logged(rows: Rows) -> Logged:
    """Calls whose model was drawn, with the chance of it, in the order they were recorded."""
    drawn = rows.where(rows.randomised & ~np.isnan(rows.propensity))
    order = np.argsort(drawn.batch, kind="stable")
    return Logged(
        models=rows.models,
        model=drawn.model[order],
        scores=drawn.score[order],
        costs=drawn.cost[order],
        propensities=drawn.propensity[order],
        clusters=drawn.cluster[order],
    )


def seen(rows: Rows) -> list[Seen]:
    """By model, what nobody drew for."""
    others = rows.where(~rows.randomised)
    found = []
    for number, model in enumerate(rows.models):
        mine = others.model == number
        costs = others.cost[mine]
        costs = costs[~np.isnan(costs)]
        if mine.any():
            mean = float(costs.mean()) if costs.size else None
            found.append(Seen(model, int(mine.sum()), float(others.score[mine].mean()), mean))
    return found


def labelled(rows: Rows, incumbent: str, candidate: str) -> Labelled:
    """Differences as judges saw them, and as people did where they scored both answers too."""
    judges = [place for place, one in enumerate(rows.measures) if one.kind == Kind.JUDGE.value]
    judged = rows.where(np.isin(rows.measure, judges))
    people = judged.where(~np.isnan(judged.human))
    ours = _by_task(judged, incumbent, candidate)
    theirs = _by_task(people._replace(score=people.human), incumbent, candidate)
    both = [task for task in ours if task in theirs]
    return Labelled(
        judged=np.array([difference for task, difference in ours.items() if task not in theirs]),
        judged_too=np.array([ours[task] for task in both]),
        human=np.array([theirs[task] for task in both]),
    )


def _by_task(rows: Rows, incumbent: str, candidate: str) -> dict[tuple[str, int], float]:
    found = evidence_of(rows, version=0)
    if incumbent not in found.models or candidate not in found.models:
        return {}
    apart = found.scores[:, found.models.index(candidate)] - found.scores[:, found.models.index(incumbent)]
    tried = np.flatnonzero(~np.isnan(apart))
    return {(str(found.items[task]), int(found.measure[task])): float(apart[task]) for task in tried}


def _scores(rows: Rows, cell: Whole, shape: tuple[int, int]) -> tuple[Floats, Flags]:
    """Means of the cells. Where a judge saw two answers both ways round, the mean of both ways, unless it preferred
    another answer then: it abstained, and all of the task have the same score.
    """
    scores = _means(cell, rows.score, shape)
    abstained = np.zeros(shape[0], dtype=bool)
    if not (rows.order > 0).any():
        return scores, abstained
    ways = [_means(cell[rows.order == way], rows.score[rows.order == way], shape) for way in (1, 2)]
    both = ~np.isnan(ways[0]) & ~np.isnan(ways[1])
    for task in np.flatnonzero(both.sum(axis=1) > 1):
        ab, ba = (way[task][both[task]] for way in ways)
        prefers = [np.sign(way[:, None] - way[None, :]) for way in (ab, ba)]
        if (prefers[0] != prefers[1]).any():
            abstained[task] = True
            scores[task, both[task]] = (ab.mean() + ba.mean()) / 2.0
        else:
            scores[task, both[task]] = (ab + ba) / 2.0
    return scores, abstained


def _means(cell: Whole, values: Floats, shape: tuple[int, int]) -> Floats:
    size = shape[0] * shape[1]
    number = np.bincount(cell, minlength=size)
    total = np.bincount(cell, values, minlength=size)
    means = np.full(size, np.nan)
    np.divide(total, number, out=means, where=number > 0)
    return means.reshape(shape)


def _none() -> Pairs:
    nothing: Floats = np.empty(0)
    nobody: NDArray[np.object_] = np.empty(0, dtype=object)
    return Pairs(nobody, np.empty(0, dtype=np.int64), nothing, nothing, nothing, nothing, nothing)
