"""What a recommendation stands on, to be looked at: two models over time, and all of them by quality and cost."""

from __future__ import annotations

from typing import NamedTuple

from finops.core.errors import NotFound
from routing.evidence import comparisons
from routing.evidence.comparisons import Comparison
from routing.evidence.rules import OutcomeInvalid
from routing.recommend import selectors
from routing.recommend.mixing import frontier
from routing.recommend.models import Recommendation
from routing.recommend.types import Advice, Kind, Point


class Shown(NamedTuple):
    """`points` are each measured model of the type on the incumbent's tasks, as it was examined last; `frontier` those
    of them that nothing is better than without costing more. `comparison` is by what is known now; None where no two
    models are compared: of a route, a pin, a host, or a keep.
    """

    advice: Advice
    points: tuple[Point, ...]
    frontier: tuple[str, ...]
    comparison: Comparison | None


def shown(organization_id: int, row: Recommendation) -> Shown:
    advice = selectors.advice_of(row)
    examined = selectors.examined_of(organization_id, advice.task_type) if advice.task_type else None
    points = () if examined is None else examined.points
    return Shown(advice, points, tuple(frontier(points)), _compared(organization_id, advice))


def _compared(organization_id: int, advice: Advice) -> Comparison | None:
    if advice.kind in (Kind.ROUTE, Kind.PIN, Kind.HOST, Kind.KEEP) or not advice.candidate:
        return None
    try:
        return comparisons.comparison(
            organization_id,
            advice.task_type,
            incumbent=advice.incumbent,
            candidate=advice.candidate,
            margin=advice.margin,
        )
    except (NotFound, OutcomeInvalid):
        # What it stood on was withdrawn, or the incumbent is known by what it costs alone.
        return None
