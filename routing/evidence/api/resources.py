"""Evidence over REST: runs and outcomes recorded, read, withdrawn; two models compared."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Resource, now, paged, valid
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from routing.evidence import comparisons, rules, selectors, services
from routing.evidence.api.shapes import (
    COMPARED,
    FILTERS,
    KIND,
    BecameOutput,
    ComparedFilter,
    ComparisonOutput,
    EvaluationFlagsOutput,
    EvaluationInput,
    EvaluationOutput,
    FlagOutput,
    KnownOutput,
    MoreInput,
    OutcomeOutput,
    OutcomesFilter,
    OutcomesInput,
    RecordedOutput,
    WithdrawInput,
)
from routing.evidence.said import SaidWrong, drafts_of
from routing.evidence.types import EvaluationDraft, Kind, OutcomeDraft, Recorded

_READ_OR_WRITE: Final = {"GET": Permission.ROUTING_READ, "POST": Permission.OUTCOMES_WRITE}


def _drafts(said: dict[str, Any], kind: Kind | None = None) -> list[OutcomeDraft]:
    """Raises DRF's ValidationError, with the path of what is wrong."""
    try:
        return drafts_of(said.pop("outcomes", []), kind=kind, task_type=said.pop("task_type", ""))
    except SaidWrong as error:
        raise serializers.ValidationError({f"outcomes{error.path}": [error.message]}) from None


def _counted(found: Recorded, status: int) -> Response:
    told = {
        "evaluation_id": found.evaluation_id, "recorded": len(found.new), "repeated": len(found.repeated),
    }  # fmt: skip
    return Response(RecordedOutput(told).data, status=status)


class Evaluations(Resource):
    """Runs of items and models, and sources of outcomes of calls, newest first."""

    permission: ClassVar = _READ_OR_WRITE

    @listed(EvaluationOutput, KIND)
    def get(self, request: Request) -> Response:
        wished = valid(OutcomesFilter, {n: v for n, v in request.query_params.dict().items() if n == "kind"})
        rows = selectors.evaluations(caller(request).organization_id, **wished)
        return paged(request, rows, EvaluationOutput, order=("-id",))

    @answers(RecordedOutput, takes=EvaluationInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Record a run: which model did how well on which item. All of it is taken, or nothing. What was recorded
        before counts as repeated; something else said of the same model on the same item is a conflict.
        """
        asked, said = caller(request), valid(EvaluationInput, request.data)
        drafts = _drafts(said)
        said["kind"] = Kind(said["kind"])
        found = services.record_evaluation(
            organization_id=asked.organization_id,
            draft=EvaluationDraft(**said),
            outcomes=drafts,
            by=asked.actor,
            at=now(),
        )
        return _counted(found, 201)


class OneEvaluation(Resource):
    """One evaluation, with what looks broken in it."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @answers(EvaluationFlagsOutput)
    def get(self, request: Request, evaluation_id: int) -> Response:
        organization_id = caller(request).organization_id
        row = selectors.evaluation(organization_id, evaluation_id)
        flags = selectors.flags_of_evaluation(organization_id, row)
        return Response(EvaluationOutput(row).data | {"flags": FlagOutput(flags, many=True).data})


class OutcomesOfEvaluation(Resource):
    """More of a run: all of it is taken, or nothing."""

    permission: ClassVar = {"POST": Permission.OUTCOMES_WRITE}

    @answers(RecordedOutput, takes=MoreInput)
    @idempotent
    def post(self, request: Request, evaluation_id: int) -> Response:
        asked, said = caller(request), valid(MoreInput, request.data)
        found = services.add_outcomes(
            organization_id=asked.organization_id,
            evaluation_id=evaluation_id,
            outcomes=_drafts(said),
            by=asked.actor,
            at=now(),
        )
        return _counted(found, 200)


class WithdrawEvaluation(Resource):
    """It is kept, and is no evidence any more. What was recommended by it is looked at again."""

    permission: ClassVar = {"POST": Permission.OUTCOMES_WRITE}

    @answers(EvaluationOutput, takes=WithdrawInput)
    @idempotent
    def post(self, request: Request, evaluation_id: int) -> Response:
        asked, said = caller(request), valid(WithdrawInput, request.data)
        row = services.withdraw_evaluation(
            organization_id=asked.organization_id, evaluation_id=evaluation_id, by=asked.actor, at=now(), **said
        )
        return Response(EvaluationOutput(row).data)


class Outcomes(Resource):
    """How well models did, one by one, newest first."""

    permission: ClassVar = _READ_OR_WRITE

    @listed(OutcomeOutput, *FILTERS)
    def get(self, request: Request) -> Response:
        plain = {name: value for name, value in request.query_params.dict().items() if value}
        wished = valid(OutcomesFilter, plain)
        for name, known in (("evaluation", "evaluation_id"), ("from", "occurred_from"), ("to", "occurred_to")):
            wished[known] = wished.pop(name, None)
        rows = selectors.outcomes(caller(request).organization_id, **wished)
        return paged(request, rows, OutcomeOutput, order=("-id",))

    @answers(BecameOutput, takes=OutcomesInput)
    @idempotent
    def post(self, request: Request) -> Response:
        """Record feedback, signals or judgements of calls, each for itself. One that is sent alone and in conflict with
        what is known is refused. They are evidence of a difference only with the chance by which the model was drawn.
        """
        asked, said = caller(request), valid(OutcomesInput, request.data)
        kind = Kind(said.pop("kind"))
        drafts = _drafts(said, kind)
        source = said.pop("source")
        version = said.pop("evaluator_version", rules.SIGNALS_VERSION if kind is Kind.SIGNAL else "")
        draft = EvaluationDraft(
            name=source, kind=kind, evaluator=said.pop("evaluator", source), evaluator_version=version, **said
        )
        found = services.record_outcomes(
            organization_id=asked.organization_id, source=draft, outcomes=drafts, by=asked.actor, at=now()
        )
        became = ["recorded"] * len(drafts)
        for places, word in ((found.repeated, "repeated"), (found.conflicting, "conflict")):
            for place in places:
                became[place] = word
        return Response(BecameOutput({"evaluation_id": found.evaluation_id, "outcomes": became}).data)


class EvidenceOfTypes(Resource):
    """Task types that something is known of, by name."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @listed(KnownOutput)
    def get(self, request: Request) -> Response:
        rows = selectors.types_known(caller(request).organization_id)
        return paged(request, rows, KnownOutput, order=("task_type",))


class EvidenceOfType(Resource):
    """Two models on one task type: how much better or worse, at what cost, and how sure that is."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @answers(ComparisonOutput, parameters=COMPARED)
    def get(self, request: Request, evidence_type: str) -> Response:
        plain = {n: v for n, v in request.query_params.dict().items() if n in {"incumbent", "candidate", "margin"}}
        wished = valid(ComparedFilter, plain)
        found = comparisons.comparison(caller(request).organization_id, evidence_type.replace("\0", ""), **wished)
        return Response(ComparisonOutput(found._asdict() | {"verdict": found.verdict.value}).data)
