"""The schema, and a page that shows it to people: our own template, no script, nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views import View
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.settings import spectacular_settings

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_DEPTH: Final = 6


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address, as the page shows it."""

    anchor: str
    method: str
    path: str
    description: str
    parameters: list[dict[str, Any]]
    example_in: str
    example_out: str
    statuses: list[tuple[str, str]]


@cache
def schema() -> dict[str, Any]:
    """The OpenAPI document. It follows from the code, so it is made once per process."""
    generator = SchemaGenerator(api_version=spectacular_settings.VERSION)
    made: dict[str, Any] = generator.get_schema(request=None, public=True)
    return made


class ApiSchema(View):
    """GET /api/schema/: open to all, it holds no data."""

    def get(self, request: HttpRequest) -> HttpResponse:
        body = OpenApiJsonRenderer().render(schema(), renderer_context={})
        return HttpResponse(body, content_type="application/vnd.oai.openapi+json; charset=utf-8")


class ApiDocs(View):
    """GET /api/docs/: the same for people."""

    def get(self, request: HttpRequest) -> HttpResponse:
        document = schema()
        return render(
            request,
            "api/docs.html",
            {"info": document["info"], "groups": _groups(document), "schemes": _schemes(document)},
        )


def _schemes(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    schemes = document.get("components", {}).get("securitySchemes", {})
    return [(name, str(scheme.get("description", ""))) for name, scheme in sorted(schemes.items())]


def _groups(document: Mapping[str, Any]) -> list[tuple[str, list[Operation]]]:
    groups: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                operation = methods[method]
                groups.setdefault(operation["tags"][0], []).append(_operation(document, path, method, operation))
    return sorted(groups.items())


def _operation(document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> Operation:
    good: Mapping[str, Any] = next(
        (answer for status, answer in operation["responses"].items() if status.startswith("2")), {}
    )
    return Operation(
        anchor=str(operation["operationId"]),
        method=method.upper(),
        path=path,
        description=str(operation.get("description", "")),
        parameters=[
            {
                "name": parameter["name"],
                "where": parameter["in"],
                "required": parameter.get("required", False),
                "type": parameter.get("schema", {}).get("type", ""),
                "description": parameter.get("description", ""),
            }
            for parameter in operation.get("parameters", [])
        ],
        example_in=_example(document, operation.get("requestBody", {})),
        example_out=_example(document, good),
        statuses=[(status, str(answer.get("description", ""))) for status, answer in operation["responses"].items()],
    )


def _example(document: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """A made-up body that fits the schema, as indented JSON; '' when there is no JSON body."""
    for media_type, content in body.get("content", {}).items():
        if media_type.endswith("json") and "schema" in content:
            given = next(_given(content), None)
            made = sample(document, content["schema"], _DEPTH) if given is None else given
            return json.dumps(made, indent=2, ensure_ascii=False)
    return ""


def _given(content: Mapping[str, Any]) -> Iterator[Any]:
    """Examples written by hand."""
    if "example" in content:
        yield content["example"]
    for example in content.get("examples", {}).values():
        if "value" in example:
            yield example["value"]


def sample(document: Mapping[str, Any], part: Mapping[str, Any], depth: int = _DEPTH) -> Any:
    """A made-up value that fits a part of the schema, `depth` levels deep."""
    if depth == 0:
        return "…"
    if "$ref" in part:
        found: Any = document
        for step in str(part["$ref"]).removeprefix("#/").split("/"):
            found = found[step]
        return sample(document, found, depth)
    for written in ("example", "default"):
        if written in part:
            return part[written]
    if part.get("examples"):
        return part["examples"][0]
    if "enum" in part:
        return part["enum"][0]
    for choice in ("allOf", "oneOf", "anyOf"):
        if part.get(choice):
            return sample(document, part[choice][0], depth)
    return _sample_of_type(document, part, depth)


def _sample_of_type(document: Mapping[str, Any], part: Mapping[str, Any], depth: int) -> Any:
    kind = part.get("type", "object")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if kind == "array":
        return [sample(document, part.get("items", {}), depth - 1)]
    if kind == "object":
        properties = part.get("properties", {})
        return {name: sample(document, inner, depth - 1) for name, inner in properties.items()}
    formats = {"date-time": "2026-10-01T12:00:00Z", "date": "2026-10-01", "email": "alice@acme.example"}
    samples = {"integer": part.get("minimum", 1), "number": "1.00", "boolean": True, "null": None}
    return samples.get(kind, formats.get(str(part.get("format", "")), "text"))
