"""What an experiment measured becomes evidence: an evaluation like any other: both models did the same items."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from routing.evidence import services as evidence
from routing.evidence.types import EvaluationDraft, Kind, Order, OutcomeDraft, Status
from routing.experiments import judge, rules
from routing.experiments.models import Experiment
from routing.experiments.models import Item as Row
from routing.experiments.services.common import HOUSE
from routing.experiments.types import ExperimentDraft, Item, ItemState, Measured, Plan, Score, Scoring


@transaction.atomic
def record(*, row: Experiment, draft: ExperimentDraft, items: Sequence[Item], at: datetime) -> int:
    """Outcomes of these calls, and what each came to; gives how many were measured. A call that somebody else closed in
    the meantime is left as it is. Raises EvaluationWithdrawn.
    """
    mine = [item for item in items if _closed(row, item, at)]
    for candidate in draft.candidates:
        found = [
            (item.plan, one) for item in mine for one in item.measured if one.candidate == candidate and one.scores
        ]
        if found:
            evidence.record_evaluation(
                organization_id=row.organization_id,
                draft=_evaluation(row, draft, candidate),
                outcomes=[one for plan, measured in found for one in _outcomes(row, draft, plan, measured)],
                by=HOUSE,
                at=at,
            )
    return sum(_state(item) is ItemState.MEASURED for item in mine)


def _closed(row: Experiment, item: Item, at: datetime) -> bool:
    code = next((one.code for one in item.measured if one.code), "")
    mine = Row.objects.filter(experiment=row, call_id=item.plan.call_id, state=ItemState.ASKED)
    return bool(mine.update(state=_state(item), code=code, spent=item.spent, judged=item.judged, at=at))


def _state(item: Item) -> ItemState:
    return ItemState.MEASURED if any(one.scores for one in item.measured) else ItemState.FAILED


def _evaluation(row: Experiment, draft: ExperimentDraft, candidate: str) -> EvaluationDraft:
    """Of a judge one for each candidate, for what it gives the incumbent depends on what stands beside it."""
    judged = draft.scoring is Scoring.JUDGE
    name = rules.budget_name(row.id) + (f" with {candidate}" if judged and len(draft.candidates) > 1 else "")
    return EvaluationDraft(
        name=name
        if len(name) <= rules.LONGEST_NAME
        else f"{rules.budget_name(row.id)} {draft.candidates.index(candidate)}",
        kind=Kind.JUDGE if judged else Kind.EVALUATION,
        evaluator=rules.evaluator(draft, candidate),
        evaluator_version=judge.VERSION if judged else "",
        judge_model=draft.judge,
        margin=draft.margin,
    )


def _outcomes(row: Experiment, draft: ExperimentDraft, plan: Plan, measured: Measured) -> list[OutcomeDraft]:
    return [one for score in measured.scores for one in _both(row, draft, plan, measured, score)]


def _both(
    row: Experiment, draft: ExperimentDraft, plan: Plan, measured: Measured, score: Score
) -> tuple[OutcomeDraft, OutcomeDraft]:
    def said(model: str, value: float, order: Order, status: Status) -> OutcomeDraft:
        ours = model == draft.incumbent
        return OutcomeDraft(
            item=plan.call_id, task_type=row.task_type, model=model, score=value, fingerprint=plan.fingerprint,
            cluster=plan.cluster[: rules.LONGEST_NAME], order_shown=order, status=status,
            cost=plan.incumbent_cost if ours else measured.cost,
            latency_s=plan.incumbent_s if ours else measured.took_s,
        )  # fmt: skip

    incumbent_status = Status.COMPLETED if plan.incumbent.ended else Status.TRUNCATED
    return (
        said(draft.incumbent, score.incumbent, score.order, incumbent_status),
        said(measured.candidate, score.candidate, score.order, measured.status),
    )
