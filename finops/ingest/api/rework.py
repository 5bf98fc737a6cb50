"""History worked over again: re-rating, re-attribution and allocation as jobs, and the preview of a rule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers
from finops.api.views import Input, Resource, now, valid
from finops.core.periods import DayRange
from finops.ingest import services
from finops.ingest.services import REATTRIBUTE, RERATE
from finops.ingest.tasks import send
from finops.jobs.api import JobOutput
from finops.ledger import selectors as ledger
from finops.ledger.api.questions import ValueUnknown, ids_told
from finops.ledger.rules import periods
from finops.ledger.rules.questions import QuestionUnclear, shown
from finops.orgs.authentication import caller
from finops.orgs.rules import Caller, Permission, spend_filters, whole_organization

_FILTERS_MOST: Final = 30


class PeriodInput(Input):
    """`[from, to)` in UTC days."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # `from` is a word of Python's.
        return {
            "from": serializers.DateField(help_text="The first day (UTC)."),
            "to": serializers.DateField(help_text="The day after the last one."),
            **super().get_fields(),
        }


class ReworkInput(PeriodInput):
    filters = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField(max_length=2_000), min_length=1, max_length=100),
        required=False,
        help_text='Dimension to values, as `{"model": ["gpt-4o"], "team": ["search"]}`: slugs, ids or words.',
    )


class AllocationInput(Input):
    month = serializers.RegexField(r"\A[0-9]{4}-[0-9]{2}\Z", help_text="As `2026-10`.")


def days_of(said: Mapping[str, Any]) -> DayRange:
    """Raises PeriodUnclear naming `from` or `to`."""
    return periods.bounded(said["from"], said["to"])


class _Rework(Resource):
    """What re-rating and re-attribution have in common."""

    permission: ClassVar = {"POST": Permission.JOBS_RUN}
    kind: ClassVar[str]

    def open(self, request: Request) -> Response:
        asked, said = caller(request), valid(ReworkInput, request.data)
        job = services.open_rework(
            organization_id=asked.organization_id,
            kind=self.kind,
            period=days_of(said),
            filters=_filters(asked, said.get("filters") or {}),
            by=asked.actor,
            at=now(),
        )
        send(job)
        return Response(JobOutput(job).data, status=202)


def _filters(asked: Caller, said: Mapping[str, list[str]]) -> dict[str, list[int]]:
    """By columns, within the caller's reach: the job's result tells amounts. Raises QuestionUnclear, ValueUnknown,
    OutOfReach, and PermissionMissing without `spend.read`.
    """
    if len(said) > _FILTERS_MOST:
        raise QuestionUnclear(f"At most {_FILTERS_MOST} dimensions.", field="filters")
    known = ledger.dimensions(asked.organization_id)
    wished: dict[str, frozenset[int]] = {}
    for name, values in said.items():
        field = f"filters.{shown(name)}"
        if name not in known:
            raise QuestionUnclear(f"There is no dimension {shown(name)}.", field=field)
        wished[name] = ids_told(asked, known, name, values, field=field)
        if not wished[name]:
            raise ValueUnknown(f"No charge has such a {name}.", field=field)
    allowed = known.columns(spend_filters(asked, filters=wished))
    return {column: sorted(ids) for column, ids in allowed.items()}


class Rerates(_Rework):
    """Rate a period's charges again at the prices there are now."""

    kind = RERATE

    @answers(JobOutput, takes=ReworkInput, status=202)
    @idempotent
    def post(self, request: Request) -> Response:
        """Opens a job: what would cost something else is reversed and charged anew. Needs `spend.read` too.

        The job's `result` says how many were seen and changed, and their sums before and after.
        """
        return self.open(request)


class Reattributions(_Rework):
    """Attribute a period's charges again by the rules, keys and identities there are now."""

    kind = REATTRIBUTE

    @answers(JobOutput, takes=ReworkInput, status=202)
    @idempotent
    def post(self, request: Request) -> Response:
        """Opens a job: what would be somebody else's is reversed and charged anew. Needs `spend.read` too."""
        return self.open(request)


class Allocations(Resource):
    """Split a month's shared costs by the rules there are."""

    permission: ClassVar = {"POST": Permission.JOBS_RUN}

    @answers(JobOutput, takes=AllocationInput, status=202)
    @idempotent
    def post(self, request: Request) -> Response:
        """Opens a job: charges that sum to zero. Asking again revises what changed and leaves the rest."""
        asked, said = caller(request), valid(AllocationInput, request.data)
        whole_organization(asked)
        job = services.open_allocation(
            organization_id=asked.organization_id, month=_month(said["month"]), by=asked.actor, at=now()
        )
        send(job)
        return Response(JobOutput(job).data, status=202)


def _month(said: str) -> date:
    year, month = map(int, said.split("-"))
    if not (periods.EARLIEST.year <= year < periods.LATEST.year and 1 <= month <= 12):
        raise QuestionUnclear("There is no such month.", field="month")
    return date(year, month, 1)
