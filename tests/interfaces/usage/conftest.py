"""The doors usage comes in by over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse

from finops.orgs.models import Organization
from tests.interfaces.conftest import Api

MEGABYTE = 1024 * 1024


def call(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"req_{number}",
        "occurred_at": "2026-10-20T10:15:00Z",
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "usage": {"input_uncached": 1200, "output_text": 340},
    } | changes


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"ev_{number}",
        "source": "gateway/eu-1",
        "type": "llm.request",
        "subject": "bob",
        "time": "2026-10-20T10:15:00Z",
        "data": {"provider": "anthropic", "model": "claude-sonnet-4-5", "input_tokens": "12", "output_tokens": "5"},
    } | changes


@pytest.fixture
def key(by_key: Callable[..., Api]) -> Api:
    return by_key("usage.write")


Send = Callable[..., HttpResponse]


@pytest.fixture
def send(key: Api) -> Send:
    """Posts bytes, or JSON of anything else; headers by keyword."""

    def post(path: str, body: Any, content_type: str = "application/json", **headers: str) -> HttpResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = key.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        client: Any = key.client
        answer: HttpResponse = client.post(f"/api/v1/{path}", data=data, content_type=content_type, headers=given)
        return answer

    return post


def said(answer: HttpResponse) -> Any:
    return json.loads(answer.content)


def charged(organization: Organization) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ledger_charge WHERE organization_id = %s", [organization.id])
        return int(cursor.fetchone()[0])


def is_problem(answer: HttpResponse, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    assert answer["Content-Type"] == "application/problem+json", answer.content
    body: dict[str, Any] = said(answer)
    assert (answer.status_code, body["code"]) == (status, code), body
    assert body.get("field") == field
    assert answer.status_code == body["status"]
    return body
