"""Which models something is learned of, and which of them is the light one. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Final

from finops.core.errors import FinopsError
from routing.classify.hot import MOST_MODELS
from routing.classify.rules import LEAST_TRIED
from routing.prospects.types import Came

LONGEST_MODEL: Final = 200
# Calls that are learned from, the newest; and outcomes that are looked through for them, the newest.
MOST_CALLS: Final = 8_000
MOST_OUTCOMES: Final = 200_000
MOST_VERSIONS: Final = 20
# Foreseen calls are held against what they came to from so many on: fewer say nothing of a model.
LEAST_SEEN: Final = 20


# What is in force is learned anew after so long where anything changed.
RENEWED_AFTER: Final = timedelta(days=1)


class CannotForesee(FinopsError):
    """There is too little to learn from; the message says what it takes."""

    code = "prospects.cannot_foresee"
    status = 422


class LightBy(StrEnum):
    """Why a model is the light one: its calls cost least, or, where nobody said what they cost, it does fewest well."""

    COST = "cost"
    QUALITY = "quality"


def learnable(came: Sequence[Came]) -> tuple[str, ...]:
    """Models with outcomes enough, by name; of too many those with most. Raises CannotForesee."""
    often: dict[str, int] = defaultdict(int)
    for one in came:
        if len(one.model) <= LONGEST_MODEL:
            often[one.model] += 1
    enough = [model for model in sorted(often, key=lambda model: (-often[model], model)) if often[model] >= LEAST_TRIED]
    if not enough:
        raise CannotForesee(
            f"{LEAST_TRIED} outcomes of one model, of calls of which features are kept; there are"
            f" {max(often.values(), default=0)}",
            field="outcomes",
        )
    return tuple(sorted(enough[:MOST_MODELS]))


def light_of(came: Sequence[Came], models: Sequence[str]) -> tuple[str, LightBy]:
    """The cheapest of these models by what their calls cost, where that is known of enough calls of each; else the one
    that does fewest well.
    """
    costs: dict[str, list[float]] = {model: [] for model in models}
    scores: dict[str, list[float]] = {model: [] for model in models}
    for one in came:
        if one.model in scores:
            scores[one.model].append(one.score)
            if one.cost is not None:
                costs[one.model].append(one.cost)
    if all(len(each) >= LEAST_SEEN for each in costs.values()):
        return min(models, key=lambda model: (_mean(costs[model]), model)), LightBy.COST
    return min(models, key=lambda model: (_mean(scores[model]), model)), LightBy.QUALITY


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
