"""The OpenAPI 3.1 schema: drf-spectacular's, with our problems, our lists and our ways to authenticate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers

from finops.api.idempotency import HEADER
from finops.api.problems import MEDIA_TYPE

View = TypeVar("View", bound=Callable[..., Any])

PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `code` is stable; `detail` is for people and may change.",
    "required": ["type", "title", "status", "detail", "code", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "examples": ["api.invalid"]},
        "instance": {"type": "string", "description": "The request's id, also in the header Request-Id."},
        "field": {"type": "string", "description": "The offending input, as a path: `events[3].model`."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_PROBLEMS = {
    "400": "The input cannot be read or is not valid",
    "401": "No credential, or one that is not good",
    "403": "The caller lacks the permission, or the question is beyond its reach",
    "404": "There is no such thing in this organization",
    "429": "Too many requests; see Retry-After",
}
_WRITE_PROBLEMS = {
    "409": "It conflicts with what is there",
    "413": "The body is too large",
    "415": "The body's media type is not one this takes",
    "422": "Well-formed, and still not acceptable; `field` says where",
}
_PAGING = [
    OpenApiParameter("cursor", str, description="`next` of the page before; nothing for the first page."),
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}),
]
_IDEMPOTENCY = OpenApiParameter(
    HEADER,
    {"type": "string", "maxLength": 200},
    location=OpenApiParameter.HEADER,
    description="A repeat with the same key and body gets the first answer, and changes nothing.",
)
_ORGANIZATION = OpenApiParameter(
    "Capstan-Organization",
    str,
    location=OpenApiParameter.HEADER,
    description="With a session: the organization's slug. Keys know their organization.",
)


class Schema(AutoSchema):
    """Adds to every operation what is true of all: problems, the permission it needs, the headers it reads."""

    def get_override_parameters(self) -> list[Any]:
        found = [*super().get_override_parameters(), _ORGANIZATION]
        handler = getattr(self.view, self.method.lower(), None)
        if getattr(handler, "idempotent", False):
            found.append(_IDEMPOTENCY)
        return found

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's own signature
        handler = getattr(self.view, self.method.lower(), None)
        text = (getattr(handler, "__doc__", None) or self.view.__doc__ or "").strip()
        permission = getattr(self.view, "permission", None)
        needed = permission.get(self.method) if isinstance(permission, Mapping) else permission
        return f"{_unwrap(text)}\n\nNeeds the permission `{needed}`.".strip() if needed else _unwrap(text)

    def get_operation_id(self) -> str:
        """The method and the address, `post_keys_key_id_revoke`: unique without anyone thinking of a name."""
        words = self.path.removeprefix("/api/v1").replace("{", "").replace("}", "").replace("-", "_")
        return "_".join([self.method.lower(), *words.strip("/").split("/")])

    def get_tags(self) -> list[str]:
        parts = [part for part in self.path.removeprefix("/api/v1").strip("/").split("/") if "{" not in part]
        return [parts[0] if parts else "api"]

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        self.registry.register_on_missing(_problem_component(self))
        problems = _PROBLEMS if self.method in {"GET", "HEAD"} else _PROBLEMS | _WRITE_PROBLEMS
        reference = {"$ref": "#/components/schemas/Problem"}
        for status, description in problems.items():
            operation["responses"].setdefault(
                status, {"description": description, "content": {MEDIA_TYPE: {"schema": reference}}}
            )
        return operation


def _problem_component(schema: AutoSchema) -> Any:
    return ResolvedComponent(name="Problem", type=ResolvedComponent.SCHEMA, object="Problem", schema=PROBLEM)


def _unwrap(text: str) -> str:
    """A docstring's paragraphs, each on one line."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(" ".join(line.strip() for line in paragraph.splitlines()) for paragraph in paragraphs)


def listed(output: type[serializers.Serializer[Any]], *parameters: OpenApiParameter) -> Callable[[View], View]:
    """Decorates a view's `get` that answers with a page: `{"items": [output], "next": cursor or null}`."""
    name = output.__name__.removesuffix("Output")
    page = inline_serializer(
        f"{name}Page",
        {"items": output(many=True), "next": serializers.CharField(allow_null=True)},
    )
    return _documented(extend_schema(parameters=[*_PAGING, *parameters], responses=page))


def answers(
    output: Any = None, *, takes: Any = None, status: int = 200, parameters: tuple[OpenApiParameter, ...] = ()
) -> Callable[[View], View]:
    """Decorates a view's method: what it takes and what it answers with."""
    response = OpenApiResponse(description="Done.") if output is None else output
    return _documented(extend_schema(request=takes, responses={status: response}, parameters=list(parameters)))


def _documented(decorate: Any) -> Callable[[View], View]:
    return cast("Callable[[View], View]", decorate)


class _KeyScheme(OpenApiAuthenticationExtension):
    target_class = "finops.orgs.authentication.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: AutoSchema) -> Any:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A virtual key, `cap_…`. The header `x-api-key` is taken too.",
        }


class _SessionScheme(OpenApiAuthenticationExtension):
    target_class = "finops.orgs.authentication.OrganizationSession"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> Any:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
