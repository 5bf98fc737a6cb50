"""Two models on one task type, with all that is known and how sure it is: what a page shows and what REST tells."""

from __future__ import annotations

from math import ceil
from typing import Final, NamedTuple

import numpy as np

from finops.core.errors import NotFound
from routing.evidence import matrices, rules, selectors, suspect
from routing.evidence.models import Evaluation
from routing.evidence.statistics.betting import Verdict, bounds, judged
from routing.evidence.statistics.clustered import Clustered, cluster_means, clustered_mean
from routing.evidence.statistics.costs import CostDelta, cost_delta
from routing.evidence.statistics.judging import Corrected, prediction_powered
from routing.evidence.statistics.paired import items_needed
from routing.evidence.statistics.sequences import Point, sequence
from routing.evidence.types import Flag, Interval, Pairs, Rows, Seen

MOST_POINTS: Final = 200
MOST_DISAGREEING: Final = 100
# A picture of more pairs than these looks the same.
MOST_PICTURED: Final = 20_000
_NOTHING: Final = (np.empty(0), np.empty(0))


class Disagreement(NamedTuple):
    item: str
    incumbent: float
    candidate: float
    incumbent_cost: float | None
    candidate_cost: float | None


class Comparison(NamedTuple):
    """`pairs` of items by one measure each, in `clusters` that are drawn together. `difference` is of scores, candidate
    minus incumbent, and `bounds` hold at every look, each at 95 %; both are of cluster means weighted by size. `fixed`
    is the interval that would hold had one looked once. `needed` is how many pairs would tell, if the two are as they
    seem. `judged` is what people would say by what judges said, where people scored some of it too. `margin_fixed`: the
    margin was said with an evaluation, and not by who asks. `flags` concern one of the two: with any, the verdict is
    nothing to act on.
    """

    task_type: str
    incumbent: str
    candidate: str
    margin: float
    margin_fixed: bool
    pairs: int
    clusters: int
    difference: float | None
    bounds: Interval
    fixed: Clustered | None
    verdict: Verdict
    after: int
    needed: int | None
    cost: CostDelta | None
    judged: Corrected | None
    points: list[Point]
    disagreeing: int
    disagreements: list[Disagreement]
    flags: tuple[Flag, ...]
    observational: list[Seen]


def comparison(
    organization_id: int, task_type: str, *, incumbent: str, candidate: str, margin: float | None = None
) -> Comparison:
    """Raises NotFound for a task type that nothing is known of, OutcomeInvalid for a model of which nothing is."""
    rows = selectors.rows_of(organization_id, task_type)
    if not rows.score.size:
        raise NotFound("Nothing is known of this task type.")
    for field, model in (("incumbent", incumbent), ("candidate", candidate)):
        if model not in rows.models:
            raise rules.OutcomeInvalid("nothing is known of this model on this task type", field=field)
    if incumbent == candidate:
        raise rules.OutcomeInvalid("compare two models", field="candidate")
    said = margin_of(organization_id, task_type)
    by = margin if margin is not None else said if said is not None else rules.USUAL_MARGIN
    flags = suspect.flags_of(rows, selectors.standings_of(organization_id))
    found = matrices.pairs(matrices.evidence_of(rows, version=0), incumbent, candidate)
    means, weights = cluster_means(found.differences, found.clusters) if found.differences.size else _NOTHING
    verdict, after = judged(means, by, weights=weights)
    seen = [one for one in matrices.seen(rows) if one.model in (incumbent, candidate)]
    return Comparison(
        task_type=task_type,
        incumbent=incumbent,
        candidate=candidate,
        margin=by,
        margin_fixed=margin is None and said is not None,
        pairs=int(found.differences.size),
        clusters=int(means.size),
        difference=float((means * weights).sum() / weights.sum()) if means.size else None,
        bounds=bounds(means, weights=weights),
        fixed=clustered_mean(found.differences, found.clusters) if means.size else None,
        verdict=verdict,
        after=after,
        needed=_needed(found, by) if verdict is Verdict.INCONCLUSIVE else None,
        cost=cost_delta(
            found.incumbent_cost, found.candidate_cost, found.incumbent, found.candidate, clusters=found.clusters
        ),
        judged=_corrected(rows, incumbent, candidate),
        points=sequence(means[:MOST_PICTURED], weights=weights[:MOST_PICTURED], points=MOST_POINTS),
        disagreeing=int((found.differences != 0).sum()),
        disagreements=_disagreements(found),
        flags=suspect.concerns(flags, task_type, incumbent, candidate),
        observational=seen,
    )


def margin_of(organization_id: int, task_type: str) -> float | None:
    """The margin that was fixed last with an evaluation of this type; None where none was."""
    rows = Evaluation.objects.filter(
        organization_id=organization_id, task_types__contains=[task_type], margin__isnull=False, withdrawn_at=None
    )
    found = rows.order_by("-id").values_list("margin", flat=True).first()
    return None if found is None else float(found)


def _corrected(rows: Rows, incumbent: str, candidate: str) -> Corrected | None:
    """None where no judge, or nobody beside it, scored both."""
    found = matrices.labelled(rows, incumbent, candidate)
    if not found.judged.size or not found.human.size:
        return None
    return prediction_powered(found.judged, found.judged_too, found.human)


def _needed(found: Pairs, margin: float) -> int:
    """By how much scores vary, and how far the difference seems to be from what would fail; before there is anything to
    see, as where the two are equal and every fifth item tells them apart.
    """
    if found.differences.size < suspect.LEAST_OUTCOMES:
        return items_needed(margin, 0.2)
    known = clustered_mean(found.differences, found.clusters)
    spread = max(float((found.differences**2).mean()), 0.01)
    gap = min(max(abs(known.mean + margin), margin / 4.0), margin)
    return ceil(items_needed(gap, spread) * max(known.inflation, 1.0))


def _disagreements(found: Pairs) -> list[Disagreement]:
    """Those furthest apart first."""
    order = np.argsort(-np.abs(found.differences), kind="stable")[:MOST_DISAGREEING]
    return [
        Disagreement(
            str(found.items[one]),
            float(found.incumbent[one]),
            float(found.candidate[one]),
            _told(float(found.incumbent_cost[one])),
            _told(float(found.candidate_cost[one])),
        )
        for one in order
        if found.differences[one] != 0
    ]


def _told(cost: float) -> float | None:
    return None if np.isnan(cost) else cost
