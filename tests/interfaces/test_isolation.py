"""One organization reaches nothing of another, over every address there is.

The addresses come from the URL conf, so a new route is tested without anyone remembering. Alice owns acme and may do
everything there; every path parameter holds an object of globex, and the word MARKER is in every text of globex.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from django.apps import apps
from django.core import serializers
from django.db import models
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern

from finops.api import docs
from finops.orgs import services
from finops.orgs.rules import KEY_PERMISSIONS
from tests.interfaces.fillers import FILLERS, QUERIES, WORDS, the_world
from tests.interfaces.world import MARKER, WHO, World

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
# allauth's own: a login's password and second factor. They take no id of ours and show nothing of an organization.
LOGIN: Final = "accounts/"
# Open to all because they hold nobody's data.
OPEN: Final = {"healthz", "readyz", "api/schema/", "api/docs/"}
# Pages of the login itself, of no organization.
OF_THE_LOGIN: Final = {"", "preferences/", "ui/"}
_PARAMETER: Final = re.compile(r"<(?:\w+:)?(\w+)>")
REFUSED: Final = frozenset({400, 401, 403, 404, 405, 409, 415, 422})


@dataclass(frozen=True, slots=True)
class Route:
    """`o/<slug:organization>/charges/<uuid:charge_id>/`"""

    path: str

    @property
    def parameters(self) -> list[str]:
        return _PARAMETER.findall(self.path)

    @property
    def api(self) -> bool:
        return self.path.startswith("api/v1/")

    def filled(self, world: World, organization: str) -> str:
        def value(match: re.Match[str]) -> str:
            name = match.group(1)
            return {"organization": organization, **WORDS}.get(name) or str(FILLERS[name](world))

        return "/" + _PARAMETER.sub(value, self.path)

    @property
    def names_an_object(self) -> bool:
        return bool(set(self.parameters) - {"organization", *WORDS})


def routes() -> list[Route]:
    found = [Route(path) for path in _walk(get_resolver().url_patterns, "")]
    return [route for route in found if not route.path.startswith(LOGIN)]


def _walk(patterns: list[Any], before: str) -> Iterator[str]:
    for each in patterns:
        if before + str(each.pattern) and (before + str(each.pattern)).startswith(LOGIN):
            continue
        assert isinstance(each.pattern, RoutePattern), f"{each.pattern!r}: use path(), so that this test can fill it"
        if isinstance(each, URLResolver):
            yield from _walk(each.url_patterns, before + str(each.pattern))
        elif isinstance(each, URLPattern):
            yield before + str(each.pattern)


def test_every_parameter_has_a_filler() -> None:
    missing = {name for route in routes() for name in route.parameters} - set(FILLERS) - {"organization", *WORDS}
    assert not missing, f"say in tests/interfaces/fillers.py what of globex stands in {sorted(missing)}"


def test_the_walk_sees_the_house() -> None:
    paths = {route.path for route in routes()}
    assert {"api/v1/teams", "api/v1/keys/<id:key_id>/revoke", "healthz"} <= paths
    assert len(paths) > 30


@pytest.fixture
def world(db: None) -> World:
    return the_world()


@pytest.fixture
def alice(world: World) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(world.cast.alice_login, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


class Findings:
    """Everything wrong at once: a list is easier to mend than its first line."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def check(self, what: str, response: HttpResponse, *, refused: bool) -> None:
        body = b"".join(response) if response.streaming else response.content
        said = body.decode("utf-8", "replace") + str(response.headers)
        if MARKER.lower() in said.lower():
            self.wrong.append(f"{what}: {response.status_code}, and says {MARKER}")
        if response.status_code >= 500:
            self.wrong.append(f"{what}: {response.status_code}")
        if refused and response.status_code not in REFUSED:
            self.wrong.append(f"{what}: {response.status_code}, where it should be refused")

    def none(self) -> None:
        assert not self.wrong, "\n" + "\n".join(self.wrong)


def kept_of(organization_id: int) -> dict[str, str]:
    """Every row of every table that says it is the organization's."""
    kept: dict[str, str] = {}
    for model in apps.get_models():
        names = {field.attname for field in model._meta.concrete_fields}
        if "organization_id" in names and model._meta.managed:
            rows: models.QuerySet[Any] = model._default_manager.filter(organization_id=organization_id).order_by("pk")
            kept[model._meta.label] = serializers.serialize("json", rows)
    return kept


def bodies(world: World) -> dict[tuple[str, str], Any]:
    """For each (method, address of the schema) a body that fits, naming globex's objects wherever it names one."""
    document = docs.schema()
    made: dict[tuple[str, str], Any] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content and "schema" in content:
                made[method.upper(), path.lstrip("/")] = _naming(docs.sample(document, content["schema"]), world)
    return made


def _naming(sample: Any, world: World) -> Any:
    if isinstance(sample, dict):
        return {
            name: FILLERS[name](world) if name in FILLERS and isinstance(value, str) else _naming(value, world)
            for name, value in sample.items()
        }
    return [_naming(each, world) for each in sample] if isinstance(sample, list) else sample


def _schema_path(route: Route) -> str:
    return _PARAMETER.sub(lambda match: "{" + match.group(1) + "}", route.path)


def _ask(client: Client, method: str, path: str, body: Any, **headers: str) -> HttpResponse:
    given: dict[str, Any] = {"headers": headers}
    if method != "GET" and path.startswith("/api/"):
        given |= {"data": body or {}, "content_type": "application/json"}
    return getattr(client, method.lower())(path, **given)  # type: ignore[no-any-return]


def test_alice_of_acme_reaches_nothing_of_globex(world: World, alice: Client) -> None:
    found, said = Findings(), bodies(world)
    before = kept_of(world.globex.id)
    for route in routes():
        for method in METHODS:
            path = route.filled(world, "acme")
            body = said.get((method, _schema_path(route)))
            response = _ask(alice, method, path, body, **{"Capstan-Organization": "acme"})
            found.check(f"{method} {path} as acme", response, refused=route.names_an_object)
            if route.api or "organization" in route.parameters:
                path = route.filled(world, "globex")
                response = _ask(alice, method, path, body, **{"Capstan-Organization": "globex"})
                found.check(f"{method} {path} as globex", response, refused=True)
    found.none()
    assert kept_of(world.globex.id) == before


def test_a_key_of_acme_reaches_nothing_of_globex(world: World) -> None:
    found, said = Findings(), bodies(world)
    before = kept_of(world.globex.id)
    secret = services.issue_key(
        organization_id=world.cast.acme.id, name="All", permissions=KEY_PERMISSIONS, **WHO
    ).secret
    client = Client(raise_request_exception=False)
    for route in routes():
        if route.api:
            for method in METHODS:
                path = route.filled(world, "globex")
                body = said.get((method, _schema_path(route)))
                # The header is for sessions; a key cannot be talked into another organization.
                response = _ask(
                    client, method, path, body, Authorization=f"Bearer {secret}", **{"Capstan-Organization": "globex"}
                )
                found.check(f"{method} {path} by key", response, refused=route.names_an_object)
    found.none()
    assert kept_of(world.globex.id) == before


def test_a_question_about_ids_of_globex_tells_nothing(world: World, alice: Client) -> None:
    found = Findings()
    for route in routes():
        if route.names_an_object or route.path in OPEN:
            continue
        for name, value in QUERIES.items():
            path = f"{route.filled(world, 'acme')}?{name}={value(world)}&group={name}&group_by={name}"
            response = _ask(alice, "GET", path, None, **{"Capstan-Organization": "acme"})
            found.check(f"GET {path}", response, refused=False)
    found.none()


def test_a_stranger_reaches_nothing_at_all(world: World) -> None:
    wrong: list[str] = []
    client = Client(raise_request_exception=False)
    for route in routes():
        if route.path in OPEN:
            continue
        for method in METHODS:
            path = route.filled(world, "globex")
            response = _ask(client, method, path, None)
            login = response.status_code == 302 and response["Location"].startswith("/accounts/login/")
            good = response.status_code == 401 if route.api else login or response.status_code in {401, 403, 404, 405}
            if not good:
                wrong.append(f"{method} {path}: {response.status_code}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_page_of_an_organization_has_it_in_its_address() -> None:
    """So that nothing is chosen by what the session last looked at."""
    known = OPEN | OF_THE_LOGIN
    lost = [
        route.path
        for route in routes()
        if not route.api and route.path not in known and not route.path.startswith("o/<slug:organization>/")
    ]
    assert not lost
