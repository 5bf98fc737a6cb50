"""The doors' bodies and answers as OpenAPI says them; our record's is made from the type that decodes it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from finops.connectors.capstan.record import Record
from finops.connectors.capstan.usage import CONVENTION, DISJOINT, INCLUSIVE, INCLUSIVE_NAMES
from finops.connectors.cloudevents.parse import BATCH_TYPE, SINGLE_TYPE
from finops.core.tokens import METERS
from finops.ingest.types import Status

Schema = dict[str, Any]


def _inlined(schema: Any, components: dict[str, Any]) -> Any:
    """The same schema with its references filled in: drf-spectacular does not know msgspec's components."""
    if isinstance(schema, list):
        return [_inlined(one, components) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(components[schema["$ref"].rpartition("/")[2]], components)
    return {name: _inlined(inner, components) for name, inner in schema.items()}


def _record() -> Schema:
    (schema,), components = msgspec.json.schema_components([Record], ref_template="{name}")
    made: Schema = _inlined(schema, components)
    made["description"] = "One call. Unknown fields are refused."
    count = made["properties"]["usage"].pop("additionalProperties")
    made["properties"]["usage"] |= {
        "description": (
            f"Counts by meter, disjoint: {', '.join(METERS)}. With `{CONVENTION}: {INCLUSIVE}` totals that include"
            f" their parts: {', '.join(INCLUSIVE_NAMES)}. Whole numbers, or their digits as text."
        ),
        "properties": {
            CONVENTION: {"enum": [DISJOINT, INCLUSIVE]},
            **dict.fromkeys(dict.fromkeys((*METERS, *INCLUSIVE_NAMES)), count),
        },
        "additionalProperties": False,
    }
    made["examples"] = [
        {
            "id": "req_01",
            "occurred_at": "2026-11-20T10:15:00Z",
            "provider": "anthropic",
            "model": "claude-sonnet-4-5",
            "usage": {"input_uncached": 1200, "cache_read": 8000, "output_text": 340},
            "team": "search",
        }
    ]
    return made


RECORD: Final[Schema] = _record()
_EVENT: Final[Schema] = {
    "type": "object",
    "description": "CloudEvents 1.0. Unique is source and id together.",
    "required": ["specversion", "id", "source", "type", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "type": {"type": "string", "minLength": 1},
        "subject": {"type": "string"},
        "time": {"type": "string", "format": "date-time", "description": "Without it, the moment of receipt."},
        "datacontenttype": {"type": "string", "default": "application/json"},
        "data": {"type": "object"},
    },
    "examples": [
        {
            "specversion": "1.0",
            "id": "req_01",
            "source": "gateway/eu-1",
            "type": "llm.request",
            "subject": "team-search",
            "time": "2026-11-20T10:15:00Z",
            "data": {
                "provider": "anthropic",
                "model": "claude-sonnet-4-5",
                "input_tokens": "12012",
                "output_tokens": "503",
            },
        }
    ],
}
_WORDS: Final = [status.value for status in Status]
ONE_ANSWER: Final[Schema] = {
    "type": "object",
    "required": ["id", "outcome"],
    "properties": {"id": {"type": "string"}, "outcome": {"enum": _WORDS}},
}
MANY_ANSWER: Final[Schema] = {
    "type": "object",
    "required": ["counts", "outcomes"],
    "properties": {
        "counts": {"type": "object", "properties": {word: {"type": "integer"} for word in _WORDS}},
        "outcomes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "id", "status"],
                "properties": {
                    "index": {"type": "integer", "description": "The record's place in the request, from 0."},
                    "id": {"type": "string"},
                    "status": {"enum": _WORDS},
                    "code": {"type": "string"},
                    "field": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
POSTED_ANSWER: Final[Schema] = {
    **MANY_ANSWER,
    "required": [*MANY_ANSWER["required"], "ignored"],
    "properties": {
        **MANY_ANSWER["properties"],
        "ignored": {
            "type": "integer",
            "description": "Records that are no usage: of no call, or of one that cost nothing.",
        },
    },
}
USAGE_ANSWER: Final[Schema] = {"oneOf": [ONE_ANSWER, MANY_ANSWER]}
USAGE_BODY: Final = {
    "application/json": {"oneOf": [{"type": "array", "items": RECORD, "maxItems": 10_000}, RECORD]},
    "application/x-ndjson": {"type": "string", "description": "One record a line."},
}
EVENTS_BODY: Final = {SINGLE_TYPE: _EVENT, BATCH_TYPE: {"type": "array", "items": _EVENT, "maxItems": 10_000}}
SOURCE: Final = OpenApiParameter(
    "source",
    OpenApiTypes.STR,
    description="The source's slug. Without it usage comes in by a source that is made on first use.",
)


PARTS_INSIDE: Final = OpenApiParameter(
    "inclusive",
    OpenApiTypes.BOOL,
    description="Whether whoever reports to the tool leaves cached tokens inside the input.",
)


EVENT_TYPES: Final = OpenApiParameter(
    "types", description="Which event types are calls of models, with commas between; all where none is said."
)


def records(what: str) -> dict[str, Any]:
    """Bodies of somebody else's records."""
    one = {"type": "object", "additionalProperties": True, "description": what}
    return {
        "application/json": {"oneOf": [{"type": "array", "items": one, "maxItems": 10_000}, one]},
        "application/x-ndjson": {"type": "string", "description": "One record a line."},
    }


def telemetry(what: str) -> Any:
    """Of a door of OTLP/HTTP, whose bodies OpenTelemetry defines."""
    body = {"type": "object", "additionalProperties": True}
    either = {"application/json": body, "application/x-protobuf": {"type": "string", "format": "binary"}}
    return extend_schema(
        summary=what,
        description="JSON or protobuf, gzip is read; at most 10,000 items. Sending again adds nothing.",
        request=either,
        responses={
            (200, "application/json"): OpenApiResponse(
                body, description="With `partialSuccess` where something is wrong."
            ),
            (200, "application/x-protobuf"): OpenApiResponse(OpenApiTypes.BINARY, description="The same in protobuf."),
        },
        parameters=[SOURCE],
    )
