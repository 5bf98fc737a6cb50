"""The doors usage comes in by over HTTP. A record's own id makes a repeat harmless, so no Idempotency-Key is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, ClassVar, Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.errors import Malformed
from finops.api.views import Resource, now
from finops.connectors import bodies as records
from finops.connectors.bodies import JSON_TYPES, LINES_TYPES, Records
from finops.connectors.capstan import parse as capstan
from finops.connectors.cloudevents import parse as cloudevents
from finops.connectors.otlp import answers as otlp
from finops.connectors.otlp import logs as otlp_logs
from finops.connectors.otlp import metrics as otlp_metrics
from finops.connectors.otlp import spans as otlp_spans
from finops.connectors.otlp.types import Calls, Encoding, Signal
from finops.connectors.types import dated
from finops.core.errors import NotFound
from finops.ingest import bodies, services
from finops.ingest.api import answers, schemas
from finops.ingest.types import Outcome, Received, Status
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from finops.sources import selectors as sources
from finops.sources.models import Source
from finops.sources.services import ensure_source, refuse_archived

# Tellers whose metrics are not charged, named in one answer.
_MOST_NAMED: Final = 5
_USAGE_TYPES: Final = JSON_TYPES | LINES_TYPES
_TELEMETRY_TYPES: Final = frozenset(one.value for one in Encoding)
_EVENT_TYPES: Final = JSON_TYPES | {cloudevents.SINGLE_TYPE, cloudevents.BATCH_TYPE}


# Refusals that say nothing of a body: who asks, what is asked for, how often.
_NOT_OF_A_BODY: Final = frozenset({401, 403, 404, 405, 429})


class Door(Resource):
    """Takes usage. A body that it refuses whole is noted at the source it was for: who looks after that source sees it,
    and not the sender alone. `default` is the slug and the kind of the source where none is named.
    """

    permission: ClassVar = {"POST": Permission.USAGE_WRITE}
    default: ClassVar[str]

    def handle_exception(self, exc: Exception) -> Response:
        answer = super().handle_exception(exc)
        if 400 <= answer.status_code < 500 and answer.status_code not in _NOT_OF_A_BODY:
            source = self.meant(self.request)
            if source is not None:
                said = answer.data
                services.note_refused(source, code=str(said["code"]), message=str(said.get("detail", "")), at=now())
        return answer

    def meant(self, request: Request) -> Source | None:
        """The source that a refused body was for; None where there is none of that name."""
        asked, slug = caller(request), request.query_params.get("source", "") or self.default
        try:
            return sources.source(asked.organization_id, slug)
        except NotFound:
            return source_of(request, self.default) if slug == self.default else None


class Usage(Door):
    """Usage in our own format."""

    default: ClassVar = "api"

    @extend_schema(
        request=schemas.USAGE_BODY,
        responses={200: OpenApiResponse(schemas.USAGE_ANSWER, description="What became of it.")},
        parameters=[schemas.SOURCE],
    )
    def post(self, request: Request) -> Response:
        """One record, an array of up to 10,000, or as many lines of NDJSON; gzip is read.

        One record is answered with 200, 409 (its id was charged with other content) or 422 (not understood, and kept
        in quarantine); a batch always with 200 and an outcome for each. Sending again adds nothing.
        """
        kind = bodies.media_type(request._request, _USAGE_TYPES)
        found = records.cut(bodies.read(request._request), kind)
        return _booked(request, found, parser=capstan.PARSER, parse=capstan.parse, default=self.default, quiet=False)


class Events(Door):
    """Usage as CloudEvents 1.0."""

    default: ClassVar = "cloudevents"

    @extend_schema(
        request=schemas.EVENTS_BODY,
        responses={
            200: OpenApiResponse(schemas.MANY_ANSWER, description="What became of each event of a batch."),
            204: OpenApiResponse(description="The one event is booked, or was before."),
        },
        parameters=[schemas.SOURCE],
    )
    def post(self, request: Request) -> Response:
        """One event, a batch, or an event whose attributes are `ce-…` headers, as OpenMeter takes them.

        One event is answered with 204, 409 or 422; a batch with 200 and an outcome for each.
        """
        kind = bodies.media_type(request._request, _EVENT_TYPES)
        body = bodies.read(request._request)
        if kind in JSON_TYPES and cloudevents.is_binary(request.headers):
            found = Records([cloudevents.from_headers(request.headers, body)], single=True)
        else:
            found = records.cut_json(body)
        if kind == cloudevents.BATCH_TYPE and found.single:
            raise Malformed("A batch is a JSON array of events.")
        if kind == cloudevents.SINGLE_TYPE and not found.single:
            raise Malformed(f"This media type holds one event; send an array as {cloudevents.BATCH_TYPE}.")
        return _booked(
            request, found, parser=cloudevents.PARSER, parse=cloudevents.parse, default=self.default, quiet=True
        )


class _Telemetry(Door):
    """A door of OTLP/HTTP: what is no usage is passed over, and an answer is in the encoding of the request."""

    default: ClassVar = "otlp"
    signal: ClassVar[Signal]

    def post(self, request: Request) -> HttpResponse:
        encoding = Encoding(bodies.media_type(request._request, _TELEMETRY_TYPES))
        rejected, said = self.take(request, bodies.read(request._request), encoding)
        body = otlp.answer(self.signal, encoding, rejected=rejected, message="; ".join(said))
        return HttpResponse(body, content_type=encoding.value)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """In protobuf a refusal is a google.rpc.Status, as OTLP has it; else a problem as at any door."""
        answer = super().dispatch(request, *args, **kwargs)
        if not isinstance(answer, Response) or request.content_type != Encoding.PROTOBUF:
            return answer
        said = otlp.refusal(f"{answer.data['code']}: {answer.data.get('detail', '')}")
        headers = {name: value for name, value in answer.items() if name != "Content-Type"}
        return HttpResponse(said, status=answer.status_code, headers=headers, content_type=Encoding.PROTOBUF.value)

    def take(self, request: Request, body: bytes, encoding: Encoding) -> tuple[int, list[str]]:
        """How many items were none at all, and warnings."""
        raise NotImplementedError


class _Calls(_Telemetry):
    """Telemetry that tells calls one by one."""

    reader: ClassVar[ModuleType]

    def take(self, request: Request, body: bytes, encoding: Encoding) -> tuple[int, list[str]]:
        found: Calls = self.reader.calls(body, encoding)
        source = source_of(request, self.default)
        outcomes = services.take_calls(
            organization_id=source.organization_id, source_id=source.id, parser=self.reader.PARSER,
            received=found.received, tellers=found.tellers, sent_with=key_of(request), at=now(),
        )  # fmt: skip
        return found.rejected, _held(outcomes)


def _held(outcomes: Sequence[Outcome]) -> list[str]:
    """What is held is kept, and not to be sent again: a warning, and no rejection."""
    held = sum(one.status in (Status.QUARANTINED, Status.CONFLICT) for one in outcomes)
    return [f"{held} could not be booked and are in quarantine"] if held else []


@extend_schema_view(post=schemas.telemetry("Spans of OpenTelemetry: calls of models by the GenAI conventions."))
class Traces(_Calls):
    """Spans of OpenTelemetry, by OTLP/HTTP."""

    signal: ClassVar = Signal.TRACES
    reader: ClassVar = otlp_spans


@extend_schema_view(
    post=schemas.telemetry("Log records of OpenTelemetry: events of Claude Code, Codex and Gemini CLI.")
)
class Logs(_Calls):
    """Log records of OpenTelemetry, by OTLP/HTTP."""

    signal: ClassVar = Signal.LOGS
    reader: ClassVar = otlp_logs


@extend_schema_view(
    post=schemas.telemetry(
        "Metrics of OpenTelemetry: tokens that Claude Code, Codex, Gemini CLI and applications count."
    )
)
class Metrics(_Telemetry):
    """Metrics of OpenTelemetry, by OTLP/HTTP: deltas, and sums that only grow."""

    signal: ClassVar = Signal.METRICS

    def take(self, request: Request, body: bytes, encoding: Encoding) -> tuple[int, list[str]]:
        told = otlp_metrics.told(body, encoding)
        source = source_of(request, self.default)
        made = services.take_metrics(
            organization_id=source.organization_id, source_id=source.id, told=told, sent_with=key_of(request), at=now()
        )
        said = _held(made.outcomes)
        if made.aside:
            names = ", ".join(sorted(made.aside)[:_MOST_NAMED])
            said.append(f"token metrics of {names} are not charged: this source has their calls one by one")
        return made.cut.rejected, said


def _booked(
    request: Request, found: Records, *, parser: str, parse: Callable[[bytes], Received], default: str, quiet: bool
) -> Response:
    source = source_of(request, default)
    at = now()
    received = [dated(record, at) for record in records.parse_all(found, parse)]
    outcomes = services.take(
        organization_id=source.organization_id, source_id=source.id, parser=parser, received=received,
        sent_with=key_of(request), at=at,
    )  # fmt: skip
    if found.single:
        return answers.one(request, received[0], outcomes[0], quiet=quiet)
    return answers.many(received, outcomes)


def key_of(request: Request) -> str:
    """The prefix of the virtual key that sends; '' for a login."""
    kind, _, prefix = caller(request).actor.reference.partition(":")
    return prefix if kind == "key" else ""


def source_of(request: Request, default: str) -> Source:
    """The source of `?source=`, or the door's own, made on first use. Raises NotFound, SourceArchived."""
    asked = caller(request)
    slug = request.query_params.get("source", "")
    if not slug:
        return ensure_source(
            organization_id=asked.organization_id, slug=default, kind=default, by=asked.actor, at=now()
        )
    if not slug.isprintable() or len(slug) > 80:
        raise NotFound("There is no such source.", field="source")
    source = sources.source(asked.organization_id, slug)
    refuse_archived(source)
    return source
