"""Whatever goes wrong, the answer is problem+json with a stable code, and never tells more than it should."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.test import Client, override_settings

from finops.orgs import selectors, services
from finops.orgs.models import Membership, User
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.interfaces.conftest import BACKEND, Api


def problem(response: HttpResponse, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    said: dict[str, Any] = json.loads(response.content)
    assert said["code"] == code
    assert said["status"] == status
    assert said["type"] == f"urn:capstan:problem:{code}"
    assert said["instance"] == f"urn:capstan:request:{response['Request-Id']}"
    assert said["title"]
    assert said["detail"]
    return said


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "api.malformed"),
        (b"\xff\xfe", "api.malformed"),
        (b'{"name": NaN}', "api.malformed"),
        (b"[" * 200_000, "api.malformed"),
        (b"[]", "api.invalid"),
        (b"null", "api.invalid"),
        (b'"name"', "api.invalid"),
        (b"{}", "api.invalid"),
        (b'{"name": {"a": 1}}', "api.invalid"),
        (b'{"name": null}', "api.invalid"),
        (b'{"name": "a\\u0000b"}', "api.invalid"),
        (b'{"name": "\\ud800"}', "api.invalid"),
        (b'{"name": "Ranking", "nmae": 1}', "api.invalid"),
        (b'{"name": "' + b"x" * 300 + b'"}', "api.invalid"),
    ],
)
def test_a_body_that_cannot_be_taken_is_refused_as_such(alice: Api, body: bytes, code: str) -> None:
    problem(alice.post("teams", body), 400, code)


def test_every_wrong_field_is_named_by_its_path(alice: Api) -> None:
    body = {"name": "", "identities": [{"kind": "github", "value": "x"}, {"kind": "fax"}], "nickname": "E"}
    said = problem(alice.post("people", body), 400, "api.invalid")
    assert "nickname" in {each["field"] for each in said["errors"]}
    del body["nickname"]
    said = problem(alice.post("people", body), 400, "api.invalid")
    assert {each["field"] for each in said["errors"]} == {"name", "identities[1].kind", "identities[1].value"}


def test_the_wrong_address_method_or_media_type(alice: Api) -> None:
    problem(alice.get("/api/v1/nothing"), 404, "api.not_found")
    problem(alice.get("/api/nothing"), 404, "api.not_found")
    problem(alice.get("teams/nobody"), 404, "core.not_found")
    problem(alice.get(f"keys/{2**40}"), 404, "api.not_found")
    assert "GET" in alice.delete("teams")["Allow"]
    problem(alice.delete("teams"), 405, "api.method_not_allowed")
    problem(alice.post("teams", "name=x", content_type="text/plain"), 415, "api.unsupported_media_type")
    problem(alice.get("teams", Accept="text/csv"), 406, "api.not_acceptable")


def test_a_body_too_large_is_refused_before_it_is_read(alice: Api) -> None:
    problem(alice.post("teams", b'{"name": "' + b"x" * 1024 * 1024 + b'"}'), 413, "api.too_large")
    problem(alice.post("teams", b'{"name": "' + b"x" * 1024 * 1024 + b'"}', Idempotency_Key="a"), 413, "api.too_large")


def test_no_credential_and_a_bad_one(cast: Cast) -> None:
    stranger = Api(Client())
    answer = stranger.get("teams")
    problem(answer, 401, "api.unauthenticated")
    assert answer["WWW-Authenticate"] == 'Bearer realm="capstan"'
    for headers in ({"Authorization": "Bearer cap_aaaaaaaa_" + "b" * 43}, {"X-Api-Key": "sk-ant-something"}):
        answer = stranger.get("teams", **headers)
        said = problem(answer, 401, "orgs.key_refused")
        assert "b" * 43 not in answer.content.decode()
        assert "WWW-Authenticate" in answer.headers
        assert said["detail"] == "This key is not good: unknown, revoked or expired."


def test_a_session_says_which_organization_when_it_has_several(cast: Cast, login: Callable[[User], Api]) -> None:
    services.invite(organization_id=cast.globex.id, email=cast.alice.email, role="viewer", by=HOUSE, at=NOON)
    alice = login(cast.alice_login)
    problem(alice.get("organization"), 400, "orgs.organization_unnamed")
    for slug in ("acme", "globex"):
        assert json.loads(alice.get("organization", Capstan_Organization=slug).content)["slug"] == slug
    problem(alice.get("organization", Capstan_Organization="nowhere"), 404, "core.not_found")
    Membership.objects.filter(user=cast.alice_login).update(archived_at=NOON)
    problem(alice.get("organization"), 400, "orgs.organization_unnamed")


def test_a_session_needs_the_csrf_token_to_write_and_a_key_does_not(cast: Cast, by_key: Callable[..., Api]) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(cast.alice_login, backend=BACKEND)
    alice = Api(browser)
    assert alice.get("teams").status_code == 200
    problem(alice.post("teams", {"name": "Forged"}), 403, "api.csrf_failed")
    browser.get("/accounts/password/reset/")
    token = browser.cookies["csrftoken"].value
    assert alice.post("teams", {"name": "Meant"}, X_CSRFToken=token).status_code == 201
    script = by_key("sources.manage")
    script.client = Client(enforce_csrf_checks=True)
    assert script.post("sources", {"slug": "gateway"}).status_code == 201


def test_too_many_requests_are_told_when_to_come_back(cast: Cast, by_key: Callable[..., Api], settings: Any) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": {"caller": "3/day"}}
    script, other = by_key("org.read"), by_key("org.read")
    assert [script.get("teams").status_code for _ in range(3)] == [200, 200, 200]
    answer = script.get("teams")
    problem(answer, 429, "api.throttled")
    assert 0 < int(answer["Retry-After"]) <= 86401
    assert other.get("teams").status_code == 200


def test_what_nobody_foresaw_tells_the_request_and_nothing_else(
    alice: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(selectors, "teams", broken)
    with caplog.at_level(logging.ERROR, logger="finops.api"):
        answer = alice.get("teams", X_Request_Id="my-request-1")
    said = problem(answer, 500, "api.unexpected")
    assert answer["Request-Id"] == "my-request-1"
    assert "hunter2" not in answer.content.decode()
    [line] = [record.getMessage() for record in caplog.records if record.name == "finops.api"]
    assert "my-request-1" in line
    assert "RuntimeError" in line
    assert "hunter2" not in line
    assert said["title"] == "Internal Server Error"


@pytest.mark.parametrize("lost", [OperationalError("deadlock detected"), InterfaceError("connection already closed")])
def test_a_database_that_could_not_just_now_is_asked_again(
    alice: Api, monkeypatch: pytest.MonkeyPatch, lost: Exception
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise lost

    monkeypatch.setattr(selectors, "teams", broken)
    answer = alice.get("teams")
    problem(answer, 503, "api.try_again")
    assert answer["Retry-After"] == "1"
    assert str(lost) not in answer.content.decode()


def test_a_request_id_is_not_a_way_to_write_into_the_log(alice: Api) -> None:
    for forged in ("x", "a" * 100, "two words", "line\tbreak", "<script>"):
        assert alice.get("teams", X_Request_Id=forged)["Request-Id"] != forged


def test_alive_and_ready(db: None) -> None:
    assert Client().get("/healthz").content == b"ok\n"
    assert Client().get("/readyz").content == b"ready\n"
    assert Client().post("/healthz").status_code == 405


@override_settings(DEBUG=False)
def test_outside_the_api_the_pages_answer(db: None) -> None:
    answer = Client().get("/nothing-here")
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")
