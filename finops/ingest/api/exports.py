"""The doors of what a tool keeps and nothing fetches: somebody asks it, or counts it, and sends what it answered."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from finops.connectors import bodies
from finops.connectors.google import answers as google
from finops.connectors.managed_agents import parse as managed_agents
from finops.connectors.openmeter import events as openmeter
from finops.connectors.openrouter import generation as openrouter
from finops.connectors.pages import BodyUnreadable, Page
from finops.ingest.api import schemas
from finops.ingest.api.doors import Door
from finops.ingest.api.webhooks import taken

_BOOKED = OpenApiResponse(schemas.POSTED_ANSWER, description="What became of each.")


class OpenMeterEvents(Door):
    """Events that OpenMeter has already."""

    default: ClassVar = "openmeter"

    @extend_schema(
        request=schemas.records("An item of OpenMeter's list of events; a page of them is taken as it is."),
        responses={200: _BOOKED},
        parameters=[schemas.SOURCE, schemas.EVENT_TYPES],
    )
    def post(self, request: Request) -> Response:
        """A page of `GET /api/v2/events` as it came, an array of its items or one a line, at most 10,000; gzip is read.
        Sending again adds nothing.
        """
        types = frozenset(filter(None, request.query_params.get("types", "").split(",")))

        def cut(raw: bytes) -> Page:
            try:
                page = openmeter.cut(raw, types=types)
            except BodyUnreadable:
                page = openmeter.cut(b"[" + raw + b"]", types=types)
            bodies.check_count(len(page.rows))
            return page

        return taken(request, cut, openmeter.parse, openmeter.PARSER, self.default, "a page of OpenMeter's events")


class OpenRouterGenerations(Door):
    """Generations of OpenRouter, one by one."""

    default: ClassVar = "openrouter"

    @extend_schema(
        request=schemas.records("What `GET /api/v1/generation?id=…` answers."), responses={200: _BOOKED},
        parameters=[schemas.SOURCE],
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Answers as they came: one, an array of them or one a line, at most 10,000; gzip is read. Sending again adds
        nothing. What the activity report tells of the same calls is the same money.
        """
        return taken(
            request, openrouter.cut, openrouter.parse, openrouter.PARSER, self.default, "a generation of OpenRouter's"
        )


class GoogleAnswers(Door):
    """What Gemini answered, call by call."""

    default: ClassVar = "google"

    @extend_schema(
        request=schemas.records(
            "What `generateContent` answers, with `responseId`, `modelVersion` and `usageMetadata`; the rest is not"
            " kept and may be left out. Names may be written as Google's Python SDK does (`usage_metadata`)."
        ),
        responses={200: _BOOKED},
        parameters=[schemas.SOURCE],
    )
    def post(self, request: Request) -> Response:
        """Answers as they came: one, an array of them or one a line, at most 10,000; gzip is read. Of a stream the last
        piece counts, and the others are ignored. An answer that says no time is of the moment it comes in. Sending
        again adds nothing.
        """
        return taken(request, google.cut, google.parse, google.PARSER, self.default, "an answer of Gemini's")


class ManagedAgentSessions(Door):
    """What running agents at a provider cost beside their tokens."""

    default: ClassVar = "managed-agents"

    @extend_schema(
        request=schemas.records(
            "`kind` (`claude-session`, `openai-sandbox`), `session`, `started_at`, `quantity` (seconds, or gigabytes),"
            " `rate` (of an hour, or of a gigabyte), and `currency`, `account`, `agent` where they are known."
        ),
        responses={200: _BOOKED},
        parameters=[schemas.SOURCE],
    )
    def post(self, request: Request) -> Response:
        """Sessions that somebody counted, at most 10,000: an array, one a line, or one; gzip is read. They are booked
        as estimated. A session sent again adds nothing.
        """
        return taken(
            request, lambda raw: Page((raw,)), managed_agents.parse, managed_agents.PARSER, self.default,
            "a list of sessions",
        )  # fmt: skip
