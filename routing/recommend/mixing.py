"""What sending calls at random would save: what a recommendation has to be looked at beside. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from routing.recommend.types import Point


def random_mix(points: Iterable[Point], incumbent: str, *, kept: float, without: str = "") -> float | None:
    """The largest share of the incumbent's cost that sending calls at random among these models saves where `kept` of
    its mean quality stays, to one model or between two. `without` is left out: the model that is recommended. None
    where the incumbent's quality or cost is not known.
    """
    known = {one.model: one for one in points if one.cost is not None and one.model != without}
    usual = known.get(incumbent)
    if usual is None or not usual.cost or usual.quality <= 0:
        return None
    places = [(one.quality / usual.quality, 1.0 - (one.cost or 0.0) / usual.cost) for one in known.values()]
    best = max((saved for quality, saved in places if quality >= kept), default=0.0)
    for above, most in places:
        for below, least in places:
            if above > kept > below:
                share = (above - kept) / (above - below)
                best = max(best, (1.0 - share) * most + share * least)
    return max(best, 0.0)


def frontier(points: Iterable[Point]) -> list[str]:
    """Models that nothing is better than without costing more, from the cheapest."""
    told = sorted((one.cost, -one.quality, one.model) for one in points if one.cost is not None)
    found: list[str] = []
    best = -1.0
    for _, worse, model in told:
        if -worse > best:
            found.append(model)
            best = -worse
    return found
