"""What a recommendation wants tried."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from routing.evidence.rules import LEAST_MARGIN, MARGIN_PLACES, MOST_MARGIN, USUAL_MARGIN
from routing.experiments import rules
from routing.recommend import selectors
from routing.recommend.rules import NotOpen
from routing.recommend.types import Kind, State

# Where a recommendation does not say how many.
_USUAL_TASKS: Final = 500


def about(*, organization_id: int, recommendation_id: int) -> dict[str, Any]:
    """Task type, models, margin and number of tasks. Raises NotFound, NotOpen, and ExperimentInvalid for one that wants
    nothing tried.
    """
    row = selectors.recommendation(organization_id, recommendation_id)
    if row.kind != Kind.EXPERIMENT:
        raise rules.ExperimentInvalid(
            f"It recommends to {row.kind}: only an experiment is to be tried first.", field="recommendation_id"
        )
    if row.state != State.OPEN:
        raise NotOpen(f"It is {State(row.state).value}.")
    advice = selectors.advice_of(row)
    tasks = advice.trial.tasks if advice.trial is not None else _USUAL_TASKS
    margin = round(Decimal(str(advice.margin if advice.margin is not None else USUAL_MARGIN)), MARGIN_PLACES)
    return {
        "task_type": row.task_type,
        "incumbent": row.incumbent,
        "candidates": (row.candidate,),
        "tasks": min(max(tasks, 1), rules.MOST_TASKS),
        "margin": min(max(margin, LEAST_MARGIN), MOST_MARGIN),
    }
