"""The doors of proxies and tools of observation: what they post by themselves, and exports of theirs that somebody
uploads. A record's own id makes a repeat harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final
from uuid import UUID

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers as answered
from finops.api.views import Input, Resource, now, valid
from finops.connectors.bodies import JSON_TYPES, LINES_TYPES
from finops.connectors.helicone import webhook as helicone
from finops.connectors.langfuse import observations as langfuse
from finops.connectors.litellm import webhook as litellm
from finops.connectors.pages import Page
from finops.connectors.portkey import logs as portkey
from finops.connectors.posted import posted
from finops.connectors.types import Received, dated
from finops.core.actors import Actor
from finops.ingest import bodies, services
from finops.ingest.api import answers, schemas
from finops.ingest.api.doors import Door, key_of, source_of
from finops.ingest.models import SignedWebhook
from finops.orgs.authentication import caller
from finops.orgs.rules import Caller, Permission
from finops.sources import selectors as sources
from finops.sources.models import Source
from finops.sources.services import refuse_archived

_TYPES: Final = JSON_TYPES | LINES_TYPES | {"text/plain", "application/octet-stream"}
# A webhook of Helicone's leaves out what is longer than 10 KB.
_MOST_SIGNED: Final = 4 * 1024 * 1024


class LiteLLMEvents(Door):
    """Calls that a LiteLLM proxy posts by its `generic_api` callback."""

    default: ClassVar = "litellm"

    @extend_schema(
        request=schemas.records("StandardLoggingPayload, as LiteLLM sends it in any of its log formats."),
        responses={200: OpenApiResponse(schemas.POSTED_ANSWER, description="What became of each call.")},
        parameters=[schemas.SOURCE],
    )
    def post(self, request: Request) -> Response:
        """An array, one object a line, or one object; gzip is read, at most 10,000 calls. Always answered with
        200 where the body can be read, for LiteLLM forgets what it could not deliver. Sending again adds nothing.
        """
        return taken(request, litellm.cut, litellm.parse, litellm.PARSER, self.default, "a body of LiteLLM's callback")


class PortkeyLogs(Door):
    """An export of Portkey's logs."""

    default: ClassVar = "portkey"

    @extend_schema(
        request=schemas.records("A line of Portkey's log export."),
        responses={200: OpenApiResponse(schemas.POSTED_ANSWER, description="What became of each call.")},
        parameters=[schemas.SOURCE],
    )
    def post(self, request: Request) -> Response:
        """The lines of an export as they were downloaded, at most 10,000 in a request; gzip is read. Sending again adds
        nothing.
        """
        return taken(request, portkey.cut, portkey.parse, portkey.PARSER, self.default, "an export of Portkey's logs")


class LangfuseObservations(Door):
    """Generations and embeddings of Langfuse."""

    default: ClassVar = "langfuse"

    @extend_schema(
        request=schemas.records("An observation of Langfuse's API; a page with them in `data` is taken as it is."),
        responses={200: OpenApiResponse(schemas.POSTED_ANSWER, description="What became of each observation.")},
        parameters=[schemas.SOURCE, schemas.PARTS_INSIDE],
    )
    def post(self, request: Request) -> Response:
        """A page of `GET /api/public/v2/observations` as it came, an array of observations or one a line, at most
        10,000; gzip is read. Sending again adds nothing.
        """
        inclusive = request.query_params.get("inclusive", "") == "true"

        def cut(raw: bytes) -> Page:
            return langfuse.cut(b'{"data":[' + raw + b"]}", inclusive=inclusive)

        return taken(request, cut, langfuse.parse, langfuse.PARSER, self.default, "a page of Langfuse's observations")


class Signed(BaseAuthentication):
    """`Helicone-Signature` of the body, under the secret of the webhook that the address names: what it signs may come
    in by that source, and nothing else. `request.auth` is the body with its webhook. Raises SignatureRefused (401).
    """

    def authenticate(self, request: Request) -> tuple[Caller, tuple[SignedWebhook, bytes]]:
        asked: Any = request.parser_context
        body = bodies.read(request._request, most=_MOST_SIGNED)
        signature = request.headers.get("Helicone-Signature", "")
        sender = SignedWebhook.Sender.HELICONE
        found = services.webhook_for(UUID(str(asked["kwargs"]["webhook_id"])), sender, body, signature)
        actor = Actor(f"webhook:{found.source_id}", f"Webhook of {found.source.name}")
        permissions = frozenset({Permission.USAGE_WRITE})
        return Caller(found.organization_id, found.organization.slug, actor, permissions), (found, body)

    def authenticate_header(self, request: Request) -> str:
        return "Helicone-Signature"


class _SignedScheme(OpenApiAuthenticationExtension):
    target_class = "finops.ingest.api.webhooks.Signed"
    name = "signature"

    def get_security_definition(self, auto_schema: Any) -> Any:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Helicone-Signature",
            "description": "HMAC-SHA256 of the body under the webhook's secret, in hex.",
        }


class HeliconeWebhook(Door):
    """A call that Helicone tells by its webhook."""

    authentication_classes = (Signed,)

    def meant(self, request: Request) -> Source:
        webhook: SignedWebhook = request.auth[0]  # type: ignore[index]
        return webhook.source

    @extend_schema(
        request=schemas.records('Helicone\'s webhook, with "include data" on.'),
        responses={200: OpenApiResponse(schemas.POSTED_ANSWER, description="What became of it.")},
    )
    def post(self, request: Request, webhook_id: UUID) -> Response:
        """Its signature is the proof of who sends it; Helicone can send no key. Sending again adds nothing."""
        found, body = request.auth  # type: ignore[misc]
        refuse_archived(found.source)
        return _booked(
            found.source, body, helicone.cut, helicone.parse, helicone.PARSER, "a webhook of Helicone", sent_with=""
        )


class WebhookInput(Input):
    sender = serializers.ChoiceField(choices=SignedWebhook.Sender.choices)
    secret = serializers.CharField(
        max_length=500, help_text="What the sender signs with: Helicone shows it as the HMAC key. Never shown again."
    )


class WebhookOutput(serializers.Serializer[Any]):
    """Without the secret."""

    sender = serializers.CharField()
    address = serializers.CharField(help_text="Below this Capstan's own address.")
    set_at = serializers.DateTimeField()


class WebhookOfSource(Resource):
    """Where a sender that signs posts to, and the secret its signature is checked with."""

    permission: ClassVar = {"POST": Permission.SOURCES_MANAGE}

    @answered(WebhookOutput, takes=WebhookInput)
    @idempotent
    def post(self, request: Request, source: str) -> Response:
        """Set the secret, or set it anew; the address stays."""
        asked, said = caller(request), valid(WebhookInput, request.data)
        found = sources.source(asked.organization_id, source)
        row = services.set_webhook(source=found, **said, by=asked.actor, at=now())
        shown = {"sender": row.sender, "address": f"/api/v1/{row.sender}/webhooks/{row.id}", "set_at": row.set_at}
        return Response(WebhookOutput(shown).data)


class RemoveWebhookOfSource(Resource):
    """Take nothing at its address any more."""

    permission: ClassVar = {"POST": Permission.SOURCES_MANAGE}

    @answered(takes=Input, status=204)
    @idempotent
    def post(self, request: Request, source: str) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        services.remove_webhook(source=sources.source(asked.organization_id, source), by=asked.actor, at=now())
        return Response(status=204)


def taken(
    request: Request,
    cut: Callable[[bytes], Page],
    parse: Callable[[bytes], Received],
    parser: str,
    kind: str,
    what: str,
) -> Response:
    """Books a body of somebody else's records, which `cut` is given one by one; the answer says what became of each.
    `kind` is the source they come to where none is named.
    """
    bodies.media_type(request._request, _TYPES)
    body = bodies.read(request._request)
    return _booked(source_of(request, kind), body, cut, parse, parser, what, sent_with=key_of(request))


def _booked(
    source: Source,
    body: bytes,
    cut: Callable[[bytes], Page],
    parse: Callable[[bytes], Received],
    parser: str,
    what: str,
    *,
    sent_with: str,
) -> Response:
    found, at = posted(body, cut, what=what), now()
    received = [dated(parse(row), at) for row in found.rows]
    outcomes = services.take(
        organization_id=source.organization_id, source_id=source.id, parser=parser, received=received,
        sent_with=sent_with, at=at,
    )  # fmt: skip
    return answers.many(received, outcomes, places=found.places, ignored=found.ignored)
