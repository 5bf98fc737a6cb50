"""Recommendations over REST: listed, explained, applied, dismissed, worked out anew."""

from __future__ import annotations

from math import isfinite
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from routing.evidence.comparisons import Comparison
from routing.evidence.types import Interval
from routing.recommend import selectors, services, tasks
from routing.recommend.api.shapes import (
    FILTERS,
    ApplyInput,
    DismissInput,
    RecommendationEvidenceOutput,
    RecommendationOutput,
    RecommendationsFilter,
    RecomputedOutput,
    WholeRecommendationOutput,
)
from routing.recommend.models import Recommendation
from routing.recommend.showing import shown


class Recommendations(Resource):
    """What is advised, those that save most a month first."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @listed(RecommendationOutput, *FILTERS)
    def get(self, request: Request) -> Response:
        plain = {name: value for name, value in request.query_params.dict().items() if value}
        wished = valid(RecommendationsFilter, plain)
        rows = selectors.recommendations(caller(request).organization_id, **wished)
        return paged(request, rows, RecommendationOutput, order=selectors.ORDER)


class OneRecommendation(Resource):
    """One recommendation, with the rule it would make."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @answers(WholeRecommendationOutput)
    def get(self, request: Request, recommendation_id: int) -> Response:
        return _told(selectors.recommendation(caller(request).organization_id, recommendation_id))


class EvidenceOfRecommendation(Resource):
    """What it stands on, to be plotted: the confidence sequence, the items both models disagree on, and all measured
    models by quality and cost.
    """

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @answers(RecommendationEvidenceOutput)
    def get(self, request: Request, recommendation_id: int) -> Response:
        organization_id = caller(request).organization_id
        row = selectors.recommendation(organization_id, recommendation_id)
        found = shown(organization_id, row)
        told = {
            "id": row.id,
            "task_type": row.task_type,
            "evidence_version": row.evidence_version,
            "models": [
                {
                    "model": one.model, "tasks": one.tasks, "quality": one.quality, "cost": one.cost,
                    "frontier": one.model in found.frontier,
                }
                for one in found.points
            ],
            "comparison": None if found.comparison is None else _compared(found.comparison),
        }  # fmt: skip
        return Response(RecommendationEvidenceOutput(told).data)


class ApplyRecommendation(Resource):
    """Make its rule, as a canary or a shadow. What changed since it was worked out counts first."""

    permission: ClassVar = {"POST": Permission.ROUTING_MANAGE}

    @answers(WholeRecommendationOutput, takes=ApplyInput)
    @idempotent
    def post(self, request: Request, recommendation_id: int) -> Response:
        asked, said = caller(request), valid(ApplyInput, request.data)
        return _told(
            services.apply(
                organization_id=asked.organization_id,
                recommendation_id=recommendation_id,
                by=asked.actor,
                at=now(),
                **said,
            )
        )


class DismissRecommendation(Resource):
    """It does not come back unless its evidence changes."""

    permission: ClassVar = {"POST": Permission.ROUTING_MANAGE}

    @answers(WholeRecommendationOutput, takes=DismissInput)
    @idempotent
    def post(self, request: Request, recommendation_id: int) -> Response:
        asked, said = caller(request), valid(DismissInput, request.data)
        return _told(
            services.dismiss(
                organization_id=asked.organization_id,
                recommendation_id=recommendation_id,
                by=asked.actor,
                at=now(),
                **said,
            )
        )


class RecomputeRecommendations(Resource):
    """Work out what changed. It is done by itself as evidence arrives."""

    permission: ClassVar = {"POST": Permission.ROUTING_MANAGE}

    @answers(RecomputedOutput, takes=Input)
    @idempotent
    def post(self, request: Request) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        told: dict[str, Any] = {"state": "queued", "examined": None, "opened": None, "renewed": None, "withdrawn": None}
        found = tasks.recompute_soon(organization_id=asked.organization_id, by=asked.actor, at=now())
        if found is not None:
            told = {"state": "done", **found._asdict()}
        return Response(RecomputedOutput(told).data)


def _told(row: Recommendation) -> Response:
    return Response(WholeRecommendationOutput(row).data)


def _compared(found: Comparison) -> dict[str, Any]:
    told = found._asdict() | {
        "verdict": found.verdict.value,
        "bounds": _bounds(found.bounds),
        "fixed": None if found.fixed is None else _bounds(found.fixed),
        "cost": None,
        "flags": [one._asdict() for one in found.flags],
    }
    if found.cost is not None:
        told["cost"] = found.cost._asdict() | {
            "bounds": _bounds(found.cost.bounds), "quotient_bounds": _bounds(found.cost.quotient_bounds),
        }  # fmt: skip
    return told


def _bounds(found: Interval | Any) -> dict[str, float | None]:
    return {
        name: value if isfinite(value) else None for name, value in (("lower", found.lower), ("upper", found.upper))
    }
