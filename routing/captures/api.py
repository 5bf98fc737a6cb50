"""Captures over REST: whether there are any, which, and one of them opened."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from routing.captures import rules, selectors, services
from routing.captures.models import Capture
from routing.captures.shown import shown as as_json
from routing.captures.types import Capturing

_NO_STORE: Final = {"Cache-Control": "no-store"}
_FILTERS: Final = (
    OpenApiParameter("model", str, description="As it was asked for."),
    OpenApiParameter("task_type", str),
    OpenApiParameter("status", {"type": "integer", "minimum": 100, "maximum": 599}, description="What was answered."),
)


class CapturingInput(Input):
    is_on = serializers.BooleanField(required=False)
    share = serializers.DecimalField(
        max_digits=5,
        decimal_places=rules.SHARE_PLACES,
        min_value=0,
        max_value=rules.MOST_SHARE,
        required=False,
        help_text="Of calls, in percent.",
    )
    days_kept = serializers.IntegerField(min_value=1, max_value=rules.MOST_DAYS, required=False)
    most_a_day = serializers.IntegerField(min_value=1, max_value=rules.MOST_A_DAY, required=False)
    most_kib = serializers.IntegerField(
        min_value=rules.LEAST_KIB,
        max_value=rules.MOST_KIB,
        required=False,
        help_text="Of a request; one that is larger is not captured. Of an answer as much as this is kept.",
    )
    task_types = serializers.ListField(
        child=serializers.CharField(max_length=rules.LONGEST_TASK_TYPE), max_length=rules.MOST_NAMED, required=False
    )
    projects = serializers.ListField(
        child=serializers.SlugField(max_length=80), max_length=rules.MOST_NAMED, required=False
    )


class CapturingOutput(serializers.Serializer[Any]):
    """Of which calls the contents are kept. `in_words` says it plainly: what is stored, for how long, who reads it."""

    is_on = serializers.BooleanField()
    share = serializers.DecimalField(max_digits=5, decimal_places=rules.SHARE_PLACES)
    days_kept = serializers.IntegerField()
    most_a_day = serializers.IntegerField()
    most_kib = serializers.IntegerField()
    task_types = serializers.ListField(child=serializers.CharField())
    projects = serializers.ListField(child=serializers.CharField())
    in_words = serializers.CharField()


class CaptureOutput(serializers.ModelSerializer[Capture]):
    """A call of which the contents are kept until `expires_at`. `project_id` is 0 for none."""

    class Meta:
        model = Capture
        fields = (
            "call_id", "at", "expires_at", "dialect", "model", "task_type", "project_id", "status", "stream",
            "request_bytes", "answer_bytes",
        )  # fmt: skip


class BodyOutput(serializers.Serializer[Any]):
    """`encoding` is `utf-8` or, where it is no text, `base64`."""

    encoding = serializers.ChoiceField(choices=["utf-8", "base64"])
    text = serializers.CharField()


class OpenedOutput(serializers.Serializer[Any]):
    """`body` is as the client sent it. Unless it is `answer_whole`, the answer was longer than is kept, or broke off.
    `charge` is the external id of what was charged; `cost` is null where nobody knows it, and `tags` where they were
    not kept.
    """

    call_id = serializers.CharField()
    at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    dialect = serializers.CharField()
    path = serializers.CharField()
    query = serializers.CharField()
    headers = serializers.DictField(child=serializers.CharField())
    model = serializers.CharField()
    body = BodyOutput()
    status = serializers.IntegerField()
    code = serializers.CharField()
    stream = serializers.BooleanField()
    answer_type = serializers.CharField()
    answer = BodyOutput()
    answer_whole = serializers.BooleanField()
    upstream = serializers.CharField()
    provider = serializers.CharField()
    upstream_model = serializers.CharField()
    tries = serializers.IntegerField()
    first_byte_s = serializers.FloatField(allow_null=True)
    took_s = serializers.FloatField()
    task_type = serializers.CharField()
    session = serializers.CharField()
    owners = serializers.DictField(child=serializers.IntegerField())
    tokens = serializers.DictField()
    cost = serializers.CharField(allow_null=True)
    currency = serializers.CharField()
    charge = serializers.CharField()
    tags = serializers.DictField(child=serializers.CharField(), allow_null=True)


def _told(organization_id: int, said: Capturing) -> dict[str, Any]:
    projects = selectors.project_slugs(organization_id, said.project_ids)
    shown = asdict(said) | {"projects": projects, "in_words": rules.in_words(said, projects)}
    return dict(CapturingOutput(shown).data)


class CapturingResource(Resource):
    """Whether prompts and answers are stored, and of which calls. Off until somebody switches it on."""

    permission: ClassVar = {"GET": Permission.GATEWAY_READ, "PATCH": Permission.CAPTURES_MANAGE}

    @answers(CapturingOutput)
    def get(self, request: Request) -> Response:
        organization_id = caller(request).organization_id
        return Response(_told(organization_id, selectors.capturing(organization_id)))

    @answers(CapturingOutput, takes=CapturingInput)
    def patch(self, request: Request) -> Response:
        """Change what is named. In force at gateways within a second. Fewer days hold for what was captured already.
        What was captured stays until it expires, also when it is switched off: delete it, if it shall not.
        """
        asked, given = caller(request), valid(CapturingInput, request.data)
        organization_id = asked.organization_id
        if "projects" in given:
            given["project_ids"] = selectors.project_ids(organization_id, given.pop("projects"))
        if "task_types" in given:
            given["task_types"] = tuple(given["task_types"])
        said = services.change_capturing(organization_id=organization_id, changes=given, by=asked.actor, at=now())
        return Response(_told(organization_id, said))


class DeletedOutput(serializers.Serializer[Any]):
    deleted = serializers.IntegerField()


class DeleteCaptures(Resource):
    """Everything that was captured until now is gone: nobody can read it any more, at once."""

    permission: ClassVar = {"POST": Permission.CAPTURES_MANAGE}

    @answers(DeletedOutput, takes=Input)
    @idempotent
    def post(self, request: Request) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        gone = services.delete_captured(organization_id=asked.organization_id, by=asked.actor, at=now())
        return Response({"deleted": gone})


class Captures(Resource):
    """Calls of which the contents are kept, newest first, without their contents."""

    permission: ClassVar = {"GET": Permission.CAPTURES_READ}

    @listed(CaptureOutput, *_FILTERS)
    def get(self, request: Request) -> Response:
        given = {name: request.query_params.get(name, "").replace("\0", "") for name in ("model", "task_type")}
        status = _status(request.query_params.get("status", ""))
        asked = caller(request)
        rules.check_reader(asked)
        rows = selectors.captures(asked.organization_id, now(), status=status, **given)
        return paged(request, rows, CaptureOutput, order=("-at", "-id"))


def _status(said: str) -> int | None:
    if not said:
        return None
    if not (len(said) == 3 and said.isascii() and said.isdigit()):
        raise rules.CapturingInvalid("a status is a number of three digits", field="status")
    return int(said)


class OneCapture(Resource):
    """A call as it was asked and answered. Each reading is in the audit trail."""

    permission: ClassVar = {"GET": Permission.CAPTURES_READ}

    @answers(OpenedOutput)
    def get(self, request: Request, call_id: str) -> Response:
        asked = caller(request)
        rules.check_reader(asked)
        opened = services.read_capture(organization_id=asked.organization_id, call_id=call_id, by=asked.actor, at=now())
        return Response(OpenedOutput(as_json(opened)).data, headers=_NO_STORE)
