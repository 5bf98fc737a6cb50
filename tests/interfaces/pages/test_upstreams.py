"""Upstreams, their credentials and models, and how a client is pointed at the gateway."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboards.gateway.clients import CLIENTS
from routing.upstreams.hot import sealer
from routing.upstreams.models import Deployment, Upstream
from routing.upstreams.presets import PRESETS
from tests.factories.company import Company
from tests.factories.upstreams import CREDENTIAL, deployment, upstream
from tests.interfaces.pages.conftest import at, text_of

ANOTHER = "sk-live-another-credential-0000-n3w1"


def shown(client: Client, path: str) -> dict[str, Any]:
    """What the form holds as it is shown: what a browser would send back."""
    form = client.get(path).context["form"]
    held = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in held.items() if value not in (None, False)}


def opened() -> str:
    return sealer([django.SECRET_KEY]).open(Upstream.objects.get().sealed)


def test_an_upstream_is_made_from_a_preset_changed_archived_and_restored(company: Company, alice: Client) -> None:
    assert "No upstream yet" in text_of(alice.get(at("upstreams")))
    new = f"{at('upstream_add')}?preset=openai"
    missing = alice.post(new, shown(alice, new))
    assert (missing.status_code, list(missing.context["form"].errors)) == (422, ["credential"])
    said = shown(alice, new) | {"credential": CREDENTIAL, "labels": "eu, fast", "headers": "X-Title: Acme\n"}
    page = text_of(alice.post(new, said, follow=True))
    row = Upstream.objects.get()
    assert (row.name, row.any_model, row.labels, row.headers) == ("openai", True, ["eu", "fast"], {"x-title": "Acme"})
    assert "…k3y9" in page
    assert CREDENTIAL not in page
    change = at("upstream_change", upstream_id=row.id)
    said = shown(alice, change)
    assert "credential" not in said
    assert alice.post(change, said | {"weight": "3", "credential": ""}).status_code == 302
    row.refresh_from_db()
    assert (row.weight, row.headers, opened()) == (3, {"x-title": "Acme"}, CREDENTIAL)
    elsewhere = alice.post(change, said | {"base_url": "https://elsewhere.example/v1"})
    assert (elsewhere.status_code, list(elsewhere.context["form"].errors)) == (422, ["credential"])
    alice.post(at("upstream_archive", upstream_id=row.id))
    listed = text_of(alice.get(at("upstreams")))
    assert "No upstream yet" in listed
    assert ">Archived<" in listed
    restored = text_of(alice.post(at("upstream_restore", upstream_id=row.id), follow=True))
    assert "The upstream is back" in restored


def test_a_credential_is_replaced_and_never_written_back(company: Company, alice: Client) -> None:
    row = upstream(company.cast.acme.id, at=company.at)
    path = at("upstream_credential", upstream_id=row.id)
    refused = alice.post(path, {"credential": f"{ANOTHER} and more"})
    assert refused.status_code == 422
    assert ANOTHER not in text_of(refused)
    assert "The credential is replaced." in text_of(alice.post(path, {"credential": ANOTHER}, follow=True))
    assert opened() == ANOTHER
    new = f"{at('upstream_add')}?preset=openai"
    taken = alice.post(new, shown(alice, new) | {"credential": CREDENTIAL})
    assert (taken.status_code, list(taken.context["form"].errors)) == (422, ["name"])
    assert CREDENTIAL not in text_of(taken)
    for name in ("upstream", "upstream_change", "upstream_credential"):
        page = text_of(alice.get(at(name, upstream_id=row.id)))
        assert ANOTHER not in page
    assert ANOTHER not in text_of(alice.get(at("audit")))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda one: one.name)
def test_every_preset_fills_the_form(company: Company, alice: Client, settings: Any, preset: Any) -> None:
    settings.INTERNAL_HOSTS = {"localhost:8000", "localhost:11434"}
    new = f"{at('upstream_add')}?preset={preset.name}"
    said = shown(alice, new) | ({"asked": "acme"} if preset.asks else {})
    said |= {"credential": CREDENTIAL} if preset.auth != "none" else {}
    assert alice.post(new, said).status_code == 302
    row = Upstream.objects.get()
    assert row.base_url == preset.base_url.replace("{resource}", "acme")
    assert (row.name, row.dialect, row.auth, row.provider) == (
        preset.name, preset.dialect, preset.auth, preset.provider,
    )  # fmt: skip


def test_what_cannot_be_is_said_beside_its_field(company: Company, alice: Client) -> None:
    new = at("upstream_add")
    said = shown(alice, new) | {"name": "mine", "provider": "mine", "credential": CREDENTIAL}
    for wrong, field in (
        ({"base_url": "http://10.0.0.7/v1"}, "base_url"),
        ({"base_url": "https://ours.example", "headers": "no colon"}, "headers"),
        ({"base_url": "https://ours.example", "headers": "x-title: a\nx-title: b"}, "headers"),
        ({"base_url": "https://ours.example", "headers": "Authorization: Bearer x"}, "headers"),
        ({"base_url": "https://ours.example", "total_s": "1"}, "total_s"),
        ({"base_url": "https://ours.example", "labels": "two words"}, "labels"),
    ):
        refused = alice.post(new, said | wrong)
        assert (refused.status_code, list(refused.context["form"].errors)) == (422, [field])
    azure = f"{at('upstream_add')}?preset=azure"
    refused = alice.post(azure, shown(alice, azure) | {"asked": "evil.example/", "credential": CREDENTIAL})
    assert list(refused.context["form"].errors) == ["asked"]
    assert alice.get(f"{new}?preset=nothing").status_code == 404


def test_models_are_set_and_removed(company: Company, alice: Client) -> None:
    row = upstream(company.cast.acme.id, at=company.at)
    path = at("upstream", upstream_id=row.id)
    assert "No model yet" in text_of(alice.get(path))
    assert ">no model<" in text_of(alice.get(at("upstreams")))
    page = text_of(alice.post(path, {"model": "gpt", "rank": "0", "weight": "1"}, follow=True))
    assert "openai serves gpt." in page
    alice.post(path, {"model": "gpt", "upstream_model": "gpt-2026", "rank": "1", "weight": "2"})
    one = Deployment.objects.get()
    assert (one.upstream_model, one.rank, one.weight) == ("gpt-2026", 1, 2)
    refused = alice.post(path, {"model": "auto", "rank": "0", "weight": "1"})
    assert (refused.status_code, list(refused.context["form"].errors)) == (422, ["model"])
    assert ">in use<" in text_of(alice.get(at("upstreams")))
    alice.post(at("deployment_remove", upstream_id=row.id, deployment_id=one.id))
    assert not Deployment.objects.exists()


def test_engineers_read_and_connect_and_change_nothing(company: Company, browser: Callable[..., Client]) -> None:
    row = upstream(company.cast.acme.id, at=company.at)
    bob = browser(company.cast.bob_login)
    listed = text_of(bob.get(at("upstreams")))
    assert "openai" in listed
    assert "New upstream" not in listed
    one = text_of(bob.get(at("upstream", upstream_id=row.id)))
    assert "Another credential" not in one
    assert "Save the model" not in one
    assert "An administrator issues it" in text_of(bob.get(at("connect")))
    for response in (
        bob.get(at("upstream_add")),
        bob.get(at("upstream_change", upstream_id=row.id)),
        bob.post(at("upstream", upstream_id=row.id), {"model": "gpt", "rank": "0", "weight": "1"}),
        bob.post(at("upstream_credential", upstream_id=row.id), {"credential": ANOTHER}),
        bob.post(at("upstream_archive", upstream_id=row.id)),
    ):
        assert response.status_code == 403
    assert not Deployment.objects.exists()


def test_a_client_is_told_where_the_gateway_is(company: Company, alice: Client, settings: Any) -> None:
    guessed = alice.get(at("connect"), headers={"Host": "localhost:8000"})
    assert "http://localhost:8001/v1" in text_of(guessed)
    assert "CAPSTAN_GATEWAY_URL" in text_of(guessed)
    assert "There is no upstream yet" in text_of(guessed)
    upstream(company.cast.acme.id, at=company.at)
    settings.GATEWAY_URL = "https://ai.acme.example"
    page = text_of(alice.get(at("connect")))
    assert "ANTHROPIC_BASE_URL=https://ai.acme.example\n" in page
    for gone in ("CAPSTAN_GATEWAY_URL", "There is no upstream yet", "{openai}", "{key}", "{gpt}"):
        assert gone not in page
    for client in CLIENTS:
        assert f">{client.name}<" in page


def test_what_clients_are_told_can_be_read_by_them() -> None:
    said = {client.key: client.at("https://ai.acme.example") for client in CLIENTS}
    codex = tomllib.loads(said["codex"])
    assert codex["web_search"] == "disabled"
    assert codex["model_providers"]["capstan"]["base_url"] == "https://ai.acme.example/v1"
    assert json.loads(said["opencode"])["provider"]["capstan"]["options"]["apiKey"] == "{env:CAPSTAN_KEY}"
    for name in ("openai", "anthropic", "langchain"):
        compile(said[name], name, "exec")


def test_more_rows_ask_no_more_questions(company: Company, alice: Client) -> None:
    def asked(path: str) -> int:
        alice.get(path)
        with CaptureQueriesContext(connection) as queries:
            alice.get(path)
        return len(queries)

    row = upstream(company.cast.acme.id, at=company.at)
    deployment(row, at=company.at)
    paths = (at("upstreams"), at("upstream", upstream_id=row.id), at("connect"))
    before = [asked(path) for path in paths]
    for number in range(6):
        deployment(upstream(company.cast.acme.id, name=f"more-{number}", at=company.at), at=company.at)
        deployment(row, f"model-{number}", at=company.at)
    assert [asked(path) for path in paths] == before
    assert max(before) <= 13
