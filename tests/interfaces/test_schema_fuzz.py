"""The usage doors against their own OpenAPI schema: whatever fits it, and whatever does not, is answered as written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from finops.ingest.models import QuarantinedRecord
from tests.interfaces.conftest import Api

CHECKS: Final = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
OPERATIONS: Final = (
    ("/api/v1/usage", "POST"),
    ("/api/v1/events", "POST"),
    ("/api/v1/quarantine", "GET"),
    ("/api/v1/quarantine/{record_id}", "GET"),
    ("/api/v1/quarantine/{record_id}/replay", "POST"),
    ("/api/v1/quarantine/{record_id}/discard", "POST"),
    ("/api/v1/quarantine/replay", "POST"),
)


@pytest.fixture(scope="module")
def openapi() -> Any:
    found = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(public=True))
    # In process: no socket is opened.
    found.app = WSGIHandler()
    return found


@contextmanager
def one_connection() -> Iterator[None]:
    """A real handler lets go of its database connection with each request; ours holds the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_the_doors_keep_to_their_schema(openapi: Any, path: str, method: str, by_key: Callable[..., Api]) -> None:
    key = by_key("usage.write", "quarantine.manage")
    key.post("usage", [{}])
    held = QuarantinedRecord.objects.get().id
    operation = openapi[path][method]
    modes = schemathesis.GenerationMode
    cases = st.one_of(
        operation.as_strategy(generation_mode=modes.POSITIVE), operation.as_strategy(generation_mode=modes.NEGATIVE)
    )

    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases, st.booleans())
    def answered(case: Any, at_home: bool) -> None:
        if at_home:
            # Past the first check: a source that is made on first use, a record that is there.
            case.query = {name: value for name, value in (case.query or {}).items() if name != "source"}
            if "record_id" in (case.path_parameters or {}):
                case.path_parameters["record_id"] = held
        response = case.call(headers=key.headers, base_url="http://testserver")
        case.validate_response(response, checks=CHECKS)

    with one_connection():
        answered()
