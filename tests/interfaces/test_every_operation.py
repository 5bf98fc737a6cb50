"""Every operation of the schema, asked with what the schema allows and with what it does not: never a 500, and what is
refused is refused as a problem."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from finops.api import docs
from finops.connectors import outgoing
from finops.connectors.addresses import Unreachable
from tests.factories.orgs import Cast
from tests.interfaces.conftest import BACKEND

SCHEMA: Any = schemathesis.openapi.from_dict(docs.schema())
OPERATIONS = [operation.ok() for operation in SCHEMA.get_all_operations()]
# Their bodies are not resources; they are tried by tests of their own.
DOORS = {
    "/api/v1/usage",
    "/api/v1/events",
    *(f"/api/v1/otlp/v1/{signal}" for signal in ("traces", "logs", "metrics")),
    "/api/v1/litellm/events",
    "/api/v1/portkey/logs",
    "/api/v1/langfuse/observations",
    "/api/v1/openmeter/events",
    "/api/v1/openrouter/generations",
    "/api/v1/google/answers",
    "/api/v1/managed-agents/sessions",
    "/api/v1/helicone/webhooks/{webhook_id}",
}


def nobody(host: str, *_: Any, **__: Any) -> str:
    """Whoever connects an account asks its provider: not from here."""
    raise Unreachable(f"{host} cannot be found")


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.path not in DOORS], ids=lambda operation: operation.label
)
def test_no_input_makes_a_500(operation: Any, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "resolve", nobody)
    client = Client(raise_request_exception=False)
    client.force_login(cast.alice_login, backend=BACKEND)
    good = operation.as_strategy()
    bent = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

    @settings(
        max_examples=6,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=st.one_of(good, bent))
    def ask(case: Any) -> None:
        body = None if isinstance(case.body, schemathesis.core.NotSet) else case.body
        response = client.generic(
            case.method,
            case.formatted_path,
            data=body if isinstance(body, bytes) else json.dumps(body),
            content_type=case.media_type or "application/json",
            query_params={name: str(value) for name, value in dict(case.query or {}).items()},
        )
        assert response.status_code < 500, (case.method, case.formatted_path, case.query, body, response.content)
        if response.status_code >= 400:
            assert response["Content-Type"] == "application/problem+json", response.content
            assert json.loads(response.content)["code"]

    ask()
