"""The API as its clients see it: JSON over HTTP, by session or by key."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client

from finops.orgs import services
from finops.orgs.models import User
from tests.factories.orgs import HOUSE, NOON, Cast, the_cast

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


class Api:
    """`api.get("teams")`, `api.post("teams", {...}, Idempotency-Key=...)`, below /api/v1/."""

    def __init__(self, client: Client, **headers: str) -> None:
        self.client = client
        self.headers = headers

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        url = path if path.startswith("/") else f"/api/v1/{path}"
        given: dict[str, Any] = {}
        if method != "get":
            given["content_type"] = headers.pop("content_type", "application/json")
            given["data"] = body if isinstance(body, str | bytes) else json.dumps(body if body is not None else {})
        given["headers"] = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        answer: HttpResponse = getattr(self.client, method)(url, **given)
        return answer

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self.ask("get", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.ask("post", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.ask("patch", path, body, **headers)

    def put(self, path: str, body: Any = None) -> HttpResponse:
        return self.ask("put", path, body)

    def delete(self, path: str) -> HttpResponse:
        return self.ask("delete", path)


def told(answer: HttpResponse, status: int = 200) -> Any:
    assert answer.status_code == status, answer.content
    return json.loads(answer.content)


def refused(answer: HttpResponse) -> tuple[int, str, str | None]:
    """Its status, its code, and the field that it is about."""
    assert answer["Content-Type"] == "application/problem+json", answer.content
    said = json.loads(answer.content)
    assert answer.status_code == said["status"] >= 400
    return said["status"], said["code"], said.get("field")


@pytest.fixture(autouse=True)
def unhurried(settings: Any) -> None:
    """Attempts and requests counted in one story do not slow the next, and passwords are hashed in no time."""
    cache.clear()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def cast(db: None) -> Cast:
    return the_cast()


@pytest.fixture
def login() -> Callable[[User], Api]:
    """An API client with a login's session."""

    def of(user: User) -> Api:
        client = Client()
        client.force_login(user, backend=BACKEND)
        return Api(client)

    return of


@pytest.fixture
def alice(cast: Cast, login: Callable[[User], Api]) -> Api:
    return login(cast.alice_login)


@pytest.fixture
def by_key(cast: Cast) -> Callable[..., Api]:
    """An API client with a key of acme that carries these permissions."""

    def of(*permissions: str) -> Api:
        issued = services.issue_key(
            organization_id=cast.acme.id, name="Script", permissions=permissions, by=HOUSE, at=NOON
        )
        return Api(Client(), Authorization=f"Bearer {issued.secret}")

    return of
