"""Upstreams and deployments over REST: who may what, and what never comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from finops.api.models import FirstAnswer
from finops.audit.models import AuditEvent
from finops.orgs.models import User
from routing.upstreams.presets import PRESETS
from routing.upstreams.types import Auth
from tests.factories.orgs import NOON, Cast, member
from tests.factories.upstreams import CREDENTIAL, deployment, upstream
from tests.interfaces.conftest import Api, refused, told

OPENAI = {
    "name": "openai",
    "dialect": "openai",
    "base_url": "https://api.openai.com/v1/",
    "provider": "openai",
    "credential": CREDENTIAL,
}


def test_an_upstream_from_its_making_to_its_return(alice: Api) -> None:
    made = told(alice.post("upstreams", OPENAI, Idempotency_Key="u1"), 201)
    again = told(alice.post("upstreams", OPENAI, Idempotency_Key="u1"), 201)
    assert again == made
    assert made["base_url"] == "https://api.openai.com/v1"
    assert (made["auth"], made["credential_hint"], made["total_s"]) == ("bearer", "k3y9", 900.0)
    path = f"upstreams/{made['id']}"
    changed = told(alice.patch(path, {"labels": ["EU"], "headers": {"X-Title": "Acme"}, "any_model": True}))
    assert (changed["labels"], changed["headers"], changed["any_model"]) == (["eu"], {"x-title": "Acme"}, True)
    assert told(alice.get(path)) == changed
    rotated = told(alice.post(f"{path}/credential", {"credential": "sk-live-another-credential-n3w1"}))
    assert rotated["credential_hint"] == "n3w1"
    assert told(alice.post(f"{path}/archive"))["archived_at"]
    assert refused(alice.patch(path, {"weight": 2}))[:2] == (409, "upstreams.archived")
    assert told(alice.get("upstreams"))["items"] == []
    assert [one["id"] for one in told(alice.get("upstreams?archived=true"))["items"]] == [made["id"]]
    assert told(alice.post(f"{path}/restore"))["archived_at"] is None


def test_a_model_is_set_changed_and_removed(alice: Api, cast: Cast) -> None:
    path = f"upstreams/{upstream(cast.acme.id, at=NOON).id}/deployments"
    first = told(alice.post(path, {"model": "gpt"}, Idempotency_Key="d1"))
    assert (first["upstream_model"], first["rank"], first["weight"]) == ("gpt", 0, 1)
    again = told(alice.post(path, {"model": "gpt", "upstream_model": "gpt-2026", "rank": 1, "weight": 3}))
    assert (again["id"], again["upstream_model"]) == (first["id"], "gpt-2026")
    told(alice.post(path, {"model": "mini"}))
    page = told(alice.get(f"{path}?limit=1"))
    assert [one["model"] for one in page["items"]] == ["gpt"]
    assert [one["model"] for one in told(alice.get(f"{path}?cursor={page['next']}"))["items"]] == ["mini"]
    told(alice.post(f"{path}/{first['id']}/remove"))
    assert refused(alice.post(f"{path}/{first['id']}/remove"))[:2] == (404, "core.not_found")
    assert refused(alice.post(path, {"model": "auto"})) == (422, "upstreams.invalid", "model")


def test_a_model_of_one_upstream_is_not_removed_by_anothers_address(alice: Api, cast: Cast) -> None:
    one, two = upstream(cast.acme.id, at=NOON), upstream(cast.acme.id, name="azure", at=NOON)
    row = deployment(one, at=NOON)
    assert alice.post(f"upstreams/{two.id}/deployments/{row.id}/remove").status_code == 404
    assert len(told(alice.get(f"upstreams/{one.id}/deployments"))["items"]) == 1


def test_a_credential_comes_out_of_no_answer_and_is_kept_nowhere(alice: Api) -> None:
    made = alice.post("upstreams", OPENAI, Idempotency_Key="u1")
    path = f"upstreams/{told(made, 201)['id']}"
    answers = [
        made,
        alice.post("upstreams", OPENAI, Idempotency_Key="u1"),
        alice.post("upstreams", OPENAI),
        alice.post("upstreams", OPENAI | {"name": "azure", "base_url": "http://inside"}),
        alice.get("upstreams"),
        alice.get(path),
        alice.patch(path, {"credential": CREDENTIAL, "weight": 2}),
        alice.post(f"{path}/credential", {"credential": CREDENTIAL}, Idempotency_Key="u2"),
        alice.post(f"{path}/credential", {"credential": f"{CREDENTIAL} and more"}),
        alice.post(f"{path}/archive"),
    ]
    kept = [str(list(AuditEvent.objects.values())), str(list(FirstAnswer.objects.values()))]
    for place in (*(one.content.decode() for one in answers), *kept):
        assert CREDENTIAL[8:-4] not in place


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"base_url": "https://10.0.0.7/v1"}, (422, "connectors.address_refused", "base_url")),
        ({"base_url": "http://api.openai.com/v1"}, (422, "connectors.address_refused", "base_url")),
        ({"base_url": "https://k:v@api.openai.com"}, (422, "connectors.address_refused", "base_url")),
        ({"headers": {"Authorization": "Bearer x"}}, (422, "upstreams.invalid", "headers")),
        ({"provider": "open ai"}, (422, "upstreams.invalid", "provider")),
        ({"auth": "none"}, (422, "upstreams.invalid", "credential")),
        ({"first_byte_s": 500, "total_s": 400}, (422, "upstreams.invalid", "total_s")),
        ({"dialect": "gemini"}, (400, "api.invalid", "dialect")),
        ({"connect_s": 0}, (400, "api.invalid", "connect_s")),
        ({"secret": "x"}, (400, "api.invalid", "secret")),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(alice: Api, wrong: dict[str, Any], said: tuple[int, str, str]) -> None:
    assert refused(alice.post("upstreams", OPENAI | wrong)) == said


def test_names_are_taken_once_and_credentials_are_for_one_server(alice: Api) -> None:
    made = told(alice.post("upstreams", OPENAI), 201)
    assert refused(alice.post("upstreams", OPENAI)) == (409, "upstreams.name_taken", "name")
    elsewhere = {"base_url": "https://elsewhere.example/v1"}
    assert refused(alice.patch(f"upstreams/{made['id']}", elsewhere)) == (
        409, "upstreams.credential_needed", "credential",
    )  # fmt: skip
    told(alice.patch(f"upstreams/{made['id']}", elsewhere | {"credential": "sk-of-elsewhere-0123456789"}))


def test_engineers_read_managers_change_and_viewers_do_neither(
    cast: Cast, login: Callable[[User], Api], by_key: Callable[..., Api]
) -> None:
    row = upstream(cast.acme.id, at=NOON)
    vera = member(cast.acme, "Vera", "viewer").user
    assert vera is not None
    bob, viewer = login(cast.bob_login), login(vera)
    told(bob.get("upstreams"))
    told(bob.get("upstreams/presets"))
    for answer in (
        bob.post("upstreams", OPENAI),
        bob.patch(f"upstreams/{row.id}", {"weight": 2}),
        bob.post(f"upstreams/{row.id}/credential", {"credential": "sk-1"}),
        bob.post(f"upstreams/{row.id}/archive"),
        bob.post(f"upstreams/{row.id}/deployments", {"model": "gpt"}),
        viewer.get("upstreams"),
        by_key("calls.make").get("upstreams"),
        by_key("gateway.read").post("upstreams", OPENAI),
    ):
        assert refused(answer)[:2] == (403, "orgs.permission_missing")
    told(by_key("gateway.read").get(f"upstreams/{row.id}"))
    told(by_key("gateway.manage").post("upstreams", OPENAI | {"name": "second"}), 201)


def test_a_key_that_makes_calls_is_issued(alice: Api) -> None:
    made = told(alice.post("keys", {"name": "Bob's laptop", "permissions": ["calls.make"]}), 201)
    assert made["permissions"] == ["calls.make"]


def test_every_preset_makes_an_upstream(alice: Api, settings: Any) -> None:
    settings.INTERNAL_HOSTS = {"localhost:8000", "localhost:11434"}
    found = told(alice.get("upstreams/presets"))["items"]
    assert [one["name"] for one in found] == [one.name for one in PRESETS]
    for one in found:
        said = {name: value for name, value in one.items() if name not in {"title", "asks"}}
        if one["asks"]:
            said["base_url"] = said["base_url"].replace(f"{{{one['asks']}}}", "acme")
        secret = {} if one["auth"] == Auth.NONE else {"credential": CREDENTIAL}
        made = told(alice.post("upstreams", said | secret), 201)
        assert {name: made[name] for name in said} == said


def test_a_list_is_read_in_as_many_queries_whatever_its_length(
    alice: Api, cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    upstream(cast.acme.id, at=NOON)
    alice.get("upstreams")
    with django_assert_num_queries(6) as one:
        alice.get("upstreams")
    for number in range(5):
        upstream(cast.acme.id, name=f"more-{number}", at=NOON)
    with django_assert_num_queries(len(one.captured_queries)):
        assert len(told(alice.get("upstreams"))["items"]) == 6
