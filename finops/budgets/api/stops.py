"""Stop now, and let go on, over REST."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api import paging
from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, valid
from finops.attribution.api.references import ids
from finops.budgets import guard_rules
from finops.budgets.api.budgets import SubjectOutput
from finops.budgets.api.references import Called
from finops.budgets.guard.terms import STOPPABLE
from finops.budgets.models import Stop
from finops.budgets.rules.drafts import LONGEST_WORD
from finops.budgets.rules.limits import LONGEST_REASON
from finops.budgets.services import stops as services
from finops.budgets.types import OWNERS
from finops.core.errors import NotFound
from finops.orgs.authentication import caller
from finops.orgs.rules import OutOfReach, Permission

_OPEN = OpenApiParameter("open", bool, description="`true`: only those in force.")


class StopInput(Input):
    dimension = serializers.ChoiceField(choices=list(STOPPABLE))
    subject = serializers.CharField(
        max_length=LONGEST_WORD,
        required=False,
        trim_whitespace=False,
        help_text="By slug, a key by its prefix, a session as it is called; unsaid for the organization.",
    )
    reason = serializers.CharField(max_length=LONGEST_REASON, required=False, allow_blank=True, default="")
    until = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text="null: until somebody lifts it."
    )


class StopShownOutput(SubjectOutput):
    """`kind` is `manual` or `breaker`. It is in force until `until` or `lifted_at`, whichever is first."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    dimension = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    by = serializers.CharField()
    at = serializers.DateTimeField()
    until = serializers.DateTimeField(allow_null=True)
    lifted_at = serializers.DateTimeField(allow_null=True)
    lifted_by = serializers.CharField(allow_blank=True)


def shown(organization_id: int, rows: Iterable[Stop]) -> list[dict[str, Any]]:
    told = list(rows)
    called = Called(organization_id, subjects=[(row.dimension, row.subject) for row in told])
    same = ("id", "kind", "dimension", "reason", "by", "at", "until", "lifted_at", "lifted_by")
    return [
        dict(
            StopShownOutput(
                {
                    **{name: getattr(row, name) for name in same},
                    **called.subject("" if row.dimension == "organization" else row.dimension, row.subject),
                }
            ).data
        )
        for row in told
    ]


class Stops(Resource):
    """What is stopped and was, newest first: what the caller may see of it."""

    permission: ClassVar = {"GET": Permission.BUDGETS_READ, "POST": Permission.CALLS_STOP}

    @listed(StopShownOutput, _OPEN)
    def get(self, request: Request) -> Response:
        asked = caller(request)
        only_open = request.query_params.get("open", "").lower() in {"1", "true"}
        rows = guard_rules.stops_seen(asked, open_at=now() if only_open else None)
        found = paging.page(rows, request, order=("-id",))
        return Response(paging.answer(shown(asked.organization_id, found.rows), found.next_cursor))

    @answers(StopShownOutput, takes=StopInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Let no call of a subject through from now on, and cut those under way: within a second at every gateway. Said
        of the same subject again, it replaces what was said. Whoever reaches teams only stops those teams, and what
        belongs to them."""
        asked, said, at = caller(request), valid(StopInput, request.data), now()
        dimension, subject = said["dimension"], said.get("subject", "")
        if dimension in OWNERS and subject:
            subject = str(ids(asked.organization_id, dimension, [subject], field="subject")[0])
        if not guard_rules.may_stop(asked, dimension, subject, at=at):
            raise OutOfReach("You may stop what is within your reach.", field="subject")
        made = services.stop_now(
            organization_id=asked.organization_id,
            dimension=dimension,
            subject=subject,
            reason=said["reason"],
            until=said["until"],
            by=asked.actor,
            at=at,
        )
        return Response(shown(asked.organization_id, [made])[0], status=201)


class LiftStop(Resource):
    """Let go on: calls are let through from now on, and a breaker counts anew."""

    permission: ClassVar = {"POST": Permission.CALLS_STOP}

    @answers(StopShownOutput, takes=Input)
    @idempotent
    def post(self, request: Request, stop_id: int) -> Response:
        asked, at = caller(request), now()
        valid(Input, request.data)
        found = guard_rules.stops(asked.organization_id).filter(id=stop_id).first()
        if found is None or not guard_rules.may_stop(asked, found.dimension, found.subject, at=at):
            raise NotFound("there is no such stop")
        made = services.lift_stop(organization_id=asked.organization_id, stop_id=stop_id, by=asked.actor, at=at)
        return Response(shown(asked.organization_id, [made])[0])
