"""A problem's body (RFC 9457), for every door: those of Django and the gateway, which has none."""

from __future__ import annotations

import http
from typing import Any

MEDIA_TYPE = "application/problem+json"


def problem(
    *,
    status: int,
    code: str,
    detail: str,
    instance: str = "",
    field: str | None = None,
    errors: list[dict[str, str]] | None = None,
) -> dict[str, Any]:
    """The body of a problem. `errors` lists `{field, code, detail}` where several inputs are wrong."""
    body: dict[str, Any] = {
        "type": f"urn:capstan:problem:{code}",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "instance": f"urn:capstan:request:{instance}" if instance else "",
    }
    if field is not None:
        body["field"] = field
    if errors is not None:
        body["errors"] = errors
    return body
