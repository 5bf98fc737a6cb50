"""Jobs over REST: watched, stopped, resumed. They are opened by the resources of what they work on."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Resource, now, paged, valid
from finops.jobs import selectors, services
from finops.jobs.models import Job
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission


class JobOutput(serializers.ModelSerializer[Job]):
    class Meta:
        model = Job
        fields = (
            "id", "kind", "state", "parameters", "done", "total", "result", "error", "requested_by",
            "requested_at", "started_at", "ended_at", "stop_requested",
        )  # fmt: skip


class JobFilter(serializers.Serializer[Any]):
    kind = serializers.CharField(required=False, max_length=20, default="")
    state = serializers.ChoiceField(choices=Job.State.choices, required=False, default="")


class Jobs(Resource):
    """Long work, newest first."""

    permission: ClassVar = {"GET": Permission.JOBS_RUN}

    @listed(
        JobOutput,
        OpenApiParameter("kind", OpenApiTypes.STR),
        OpenApiParameter("state", OpenApiTypes.STR, enum=Job.State.values),
    )
    def get(self, request: Request) -> Response:
        wanted = valid(JobFilter, request.query_params.dict())
        rows = selectors.jobs(caller(request).organization_id, **wanted)
        return paged(request, rows, JobOutput, order=("-requested_at", "-id"))


class OneJob(Resource):
    """One job and how far it is."""

    permission: ClassVar = {"GET": Permission.JOBS_RUN}

    @answers(JobOutput)
    def get(self, request: Request, job_id: int) -> Response:
        return Response(JobOutput(selectors.job(caller(request).organization_id, job_id)).data)


class StopJob(Resource):
    """Stop after the current step. What is done stays done."""

    permission: ClassVar = {"POST": Permission.JOBS_RUN}

    @answers(JobOutput)
    @idempotent
    def post(self, request: Request, job_id: int) -> Response:
        asked = caller(request)
        row = services.request_stop(organization_id=asked.organization_id, job_id=job_id, by=asked.actor, at=now())
        return Response(JobOutput(row).data)


class ResumeJob(Resource):
    """Go on from where it stopped or failed."""

    permission: ClassVar = {"POST": Permission.JOBS_RUN}

    @answers(JobOutput)
    @idempotent
    def post(self, request: Request, job_id: int) -> Response:
        asked = caller(request)
        row = services.resume(organization_id=asked.organization_id, job_id=job_id, by=asked.actor, at=now())
        return Response(JobOutput(row).data)
