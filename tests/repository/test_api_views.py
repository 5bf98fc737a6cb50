"""Every view of the API says what it needs, takes a repeat, and is in the schema."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.drainage import GENERATOR_STATS

from finops.api import docs
from finops.api.views import Resource
from finops.orgs.authentication import declared
from finops.orgs.rules import Permission

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# These change nothing, or have an identity of their own for each record.
NOT_IDEMPOTENT_BY_KEY = {
    "usage",
    "events",
    "traces",
    "logs",
    "metrics",
    "observations",
    "generations",
    "answers",
    "sessions",
    "<uuid:webhook_id>",
    "quote",
    "preview",
    "try",
    "replay",
    "classify",
    "route",
    "what-if",
}


def views() -> Iterator[tuple[str, Any]]:
    def walk(patterns: list[Any], before: str) -> Iterator[tuple[str, Any]]:
        for each in patterns:
            path = before + str(each.pattern)
            if isinstance(each, URLResolver):
                yield from walk(each.url_patterns, path)
            elif isinstance(each, URLPattern) and path.startswith("api/v1/"):
                yield path, getattr(each.callback, "cls", None)

    yield from walk(get_resolver().url_patterns, "")


CASES = [
    pytest.param(path, view, method, id=f"{method} {path}")
    for path, view in views()
    for method in METHODS
    if hasattr(view, method.lower())
]


def test_every_address_below_v1_is_a_resource() -> None:
    assert CASES
    for path, view in views():
        assert view is not None, f"{path}: not a class-based API view"
        assert issubclass(view, Resource), f"{path}: derive {view.__name__} from finops.api.views.Resource"


@pytest.mark.parametrize(("path", "view", "method"), CASES)
def test_every_view_declares_a_permission_there_is(path: str, view: type, method: str) -> None:
    assert declared(view, method) in set(Permission), f"{method} {path} declares no permission"


@pytest.mark.parametrize(("path", "view", "method"), [case for case in CASES if case.values[2] == "POST"])
def test_every_post_takes_an_idempotency_key(path: str, view: Any, method: str) -> None:
    if path.rstrip("/").rsplit("/", 1)[-1] not in NOT_IDEMPOTENT_BY_KEY:
        assert getattr(view.post, "idempotent", False), f"decorate the post of {path} with @idempotent"


def test_the_schema_is_made_without_a_warning_and_has_every_view() -> None:
    docs.schema.cache_clear()
    GENERATOR_STATS.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        document = docs.schema()
    assert not GENERATOR_STATS, "drf-spectacular warns; run `manage.py spectacular` to read it"
    assert document["openapi"] == "3.1.0"
    operations = {
        (path.lstrip("/"), method.upper()) for path, methods in document["paths"].items() for method in methods
    }
    assert len(operations) == len(CASES)
    identifiers = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(identifiers) == len(set(identifiers))
