"""Allowed models, requests and tokens by the minute, and circuit breakers, over REST."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

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
from finops.budgets.guard.terms import AMOUNTS, LIMITED, WATCHED, BreakerTerms, Measure
from finops.budgets.models import BreakerRule, Limit
from finops.budgets.rules.drafts import LONGEST_WORD
from finops.budgets.rules.limits import (
    LONGEST_PATTERN,
    LONGEST_PAUSE,
    MOST_CONCURRENT,
    MOST_PATTERNS,
    MOST_REQUESTS,
    MOST_TOKENS,
    BreakerDraft,
    LimitDraft,
)
from finops.budgets.services import limits as services
from finops.core.money import from_pico
from finops.ledger.api.shapes import money
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission

_READ_OR_MANAGE = {"GET": Permission.BUDGETS_READ, "POST": Permission.BUDGETS_MANAGE}
_WHOSE = "By slug, or a key by its prefix; null for nobody; unsaid for each."


class _SubjectInput(Input):
    subject = serializers.CharField(
        max_length=LONGEST_WORD, required=False, allow_null=True, trim_whitespace=False, help_text=_WHOSE
    )


class LimitInput(_SubjectInput):
    dimension = serializers.ChoiceField(choices=list(LIMITED))
    allowed_models = serializers.ListField(
        child=serializers.CharField(max_length=LONGEST_PATTERN),
        max_length=MOST_PATTERNS,
        required=False,
        allow_null=True,
        help_text="Names or patterns with `*`, of the model alone or of `provider/model`; null is any.",
    )
    requests_per_minute = serializers.IntegerField(
        min_value=1, max_value=MOST_REQUESTS, required=False, allow_null=True
    )
    tokens_per_minute = serializers.IntegerField(min_value=1, max_value=MOST_TOKENS, required=False, allow_null=True)
    max_concurrent = serializers.IntegerField(
        min_value=1, max_value=MOST_CONCURRENT, required=False, allow_null=True, help_text="Calls under way at once."
    )


class BreakerInput(_SubjectInput):
    dimension = serializers.ChoiceField(choices=list(WATCHED))
    measure = serializers.ChoiceField(choices=[one.value for one in Measure])
    threshold = serializers.DecimalField(
        max_digits=24,
        decimal_places=12,
        min_value=0,
        allow_null=True,
        help_text="Beyond it the subject is stopped; amounts in the reporting currency. null switches it off.",
    )
    pause_minutes = serializers.IntegerField(
        min_value=1, max_value=LONGEST_PAUSE, default=15, help_text="How long it is stopped, unless somebody lifts it."
    )


class LimitOutput(SubjectOutput):
    """`each`: of every value of the dimension that has none of its own."""

    id = serializers.IntegerField()
    dimension = serializers.CharField()
    each = serializers.BooleanField()
    allowed_models = serializers.ListField(child=serializers.CharField(), allow_null=True)
    requests_per_minute = serializers.IntegerField(allow_null=True)
    tokens_per_minute = serializers.IntegerField(allow_null=True)
    max_concurrent = serializers.IntegerField(allow_null=True)


class BreakerOutput(SubjectOutput):
    """For sessions `subject` is an agent: the sessions of that agent. A default has no id."""

    id = serializers.IntegerField(allow_null=True)
    dimension = serializers.CharField()
    each = serializers.BooleanField()
    measure = serializers.CharField()
    threshold = serializers.CharField(allow_null=True)
    pause_minutes = serializers.IntegerField()


class BreakerDefaultsOutput(serializers.Serializer[Any]):
    items = BreakerOutput(many=True)


def read_subject(organization_id: int, dimension: str, said: Mapping[str, Any]) -> str:
    """The subject a request names, as limits keep it; '' where it is unsaid. Raises OwnerUnknown."""
    if "subject" not in said:
        return ""
    word: str | None = said["subject"]
    return "0" if word is None else str(ids(organization_id, dimension, [word], field="subject")[0])


def shown_limits(organization_id: int, rows: Iterable[Limit]) -> list[dict[str, Any]]:
    told = list(rows)
    called = Called(organization_id, subjects=[(row.dimension, row.subject) for row in told if row.subject])
    same = ("id", "dimension", "allowed_models", "requests_per_minute", "tokens_per_minute", "max_concurrent")
    return [
        dict(
            LimitOutput(
                {
                    **{name: getattr(row, name) for name in same},
                    **called.subject(row.dimension if row.subject else "", row.subject),
                    "each": not row.subject,
                }
            ).data
        )
        for row in told
    ]


def shown_breakers(organization_id: int, rows: Iterable[BreakerRule]) -> list[dict[str, Any]]:
    told = list(rows)
    of = [("agent" if row.dimension == "session" else row.dimension, row.subject) for row in told]
    called = Called(organization_id, subjects=[one for one in of if one[1]])
    return [
        dict(
            BreakerOutput(
                {
                    **called.subject(dimension if subject else "", subject),
                    "id": row.id,
                    "dimension": row.dimension,
                    "each": not row.subject,
                    "measure": row.measure,
                    "threshold": _threshold(row),
                    "pause_minutes": row.pause_minutes,
                }
            ).data
        )
        for row, (dimension, subject) in zip(told, of, strict=True)
    ]


def _threshold(row: BreakerRule) -> str | None:
    if row.threshold is None:
        return None
    return money(row.threshold) if row.measure in AMOUNTS else str(int(row.threshold))


def _default(one: BreakerTerms) -> dict[str, Any]:
    threshold = one.threshold or 0
    return {
        "subject": None,
        "subject_name": "",
        "id": None,
        "dimension": one.dimension,
        "each": True,
        "measure": one.measure,
        "threshold": money(from_pico(threshold)) if one.measure in AMOUNTS else str(threshold),
        "pause_minutes": one.pause_s // 60,
    }


class Limits(Resource):
    """What the calls of keys, people, teams and agents may be, oldest first: what the caller may see of it."""

    permission: ClassVar = _READ_OR_MANAGE

    @listed(LimitOutput)
    def get(self, request: Request) -> Response:
        asked = caller(request)
        found = paging.page(guard_rules.limits_seen(asked), request, order=("id",))
        return Response(paging.answer(shown_limits(asked.organization_id, found.rows), found.next_cursor))

    @answers(LimitOutput, takes=LimitInput)
    @idempotent
    def post(self, request: Request) -> Response:
        """Limit a subject, or each. Said again, it replaces what was said. What is said of one goes before what is said
        of each; a team's holds for the teams below it together; of several lists of models all must have the model."""
        asked, said = caller(request), valid(LimitInput, request.data)
        models = said.get("allowed_models")
        made = services.set_limit(
            organization_id=asked.organization_id,
            draft=LimitDraft(
                dimension=said["dimension"],
                subject=read_subject(asked.organization_id, said["dimension"], said),
                allowed_models=None if models is None else tuple(models),
                requests_per_minute=said.get("requests_per_minute"),
                tokens_per_minute=said.get("tokens_per_minute"),
                max_concurrent=said.get("max_concurrent"),
            ),
            by=asked.actor,
            at=now(),
        )
        return Response(shown_limits(asked.organization_id, [made])[0])


class RemoveLimit(Resource):
    """The subject is limited as each is, or not at all."""

    permission: ClassVar = {"POST": Permission.BUDGETS_MANAGE}

    @answers(takes=Input)
    @idempotent
    def post(self, request: Request, limit_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        services.remove_limit(organization_id=asked.organization_id, limit_id=limit_id, by=asked.actor, at=now())
        return Response({})


class Breakers(Resource):
    """The breakers the organization set itself, oldest first; `breakers/defaults` has those that hold beside them."""

    permission: ClassVar = _READ_OR_MANAGE

    @listed(BreakerOutput)
    def get(self, request: Request) -> Response:
        asked = caller(request)
        found = paging.page(guard_rules.breakers_seen(asked), request, order=("id",))
        return Response(paging.answer(shown_breakers(asked.organization_id, found.rows), found.next_cursor))

    @answers(BreakerOutput, takes=BreakerInput)
    @idempotent
    def post(self, request: Request) -> Response:
        """Stop a session, an agent or a key that goes beyond a threshold. Said again, it replaces what was said. A
        `subject` of sessions is an agent whose sessions are meant."""
        asked, said = caller(request), valid(BreakerInput, request.data)
        of = "agent" if said["dimension"] == "session" else said["dimension"]
        made = services.set_breaker(
            organization_id=asked.organization_id,
            draft=BreakerDraft(
                dimension=said["dimension"],
                subject=read_subject(asked.organization_id, of, said),
                measure=said["measure"],
                threshold=said["threshold"],
                pause_minutes=said["pause_minutes"],
            ),
            by=asked.actor,
            at=now(),
        )
        return Response(shown_breakers(asked.organization_id, [made])[0])


class RemoveBreaker(Resource):
    """The default holds again, where there is one."""

    permission: ClassVar = {"POST": Permission.BUDGETS_MANAGE}

    @answers(takes=Input)
    @idempotent
    def post(self, request: Request, breaker_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        services.remove_breaker(organization_id=asked.organization_id, breaker_id=breaker_id, by=asked.actor, at=now())
        return Response({})


class BreakerDefaults(Resource):
    """The breakers that hold because nobody replaced them."""

    permission: ClassVar = {"GET": Permission.BUDGETS_READ}

    @answers(BreakerDefaultsOutput)
    def get(self, request: Request) -> Response:
        asked = caller(request)
        items = [_default(one) for one in guard_rules.default_breakers(asked.organization_id, now())]
        return Response(BreakerDefaultsOutput({"items": items}).data)
