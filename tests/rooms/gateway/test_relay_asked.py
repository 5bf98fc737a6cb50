"""What clients ask for: nonsense is refused in their own words, and what is good is passed on byte by byte."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from finops.budgets.types import Enforcement
from finops.orgs.models import VirtualKey
from finops.orgs.services import revoke_key
from tests.factories.budgets import budget
from tests.factories.gateway import key, published
from tests.factories.orgs import HOUSE, Cast
from tests.factories.relaying import Exchange, billed, charged, chat, deployed, idle, message
from tests.fakes.upstream.running import Upstream
from tests.fakes.upstream.script import Plan
from tests.rooms.gateway.conftest import Opens

HELLO = '"messages":[{"role":"user","content":"Hello"}]'
NONSENSE: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "cut": (b'{"model":"gpt","messages":[{"role"', 400),
    "no object": (b"[1]", 400),
    "no text": (b'{"model":"gpt","messages":[{"role":"user","content":"\xff\xfe"}]}', 400),
    "deep": (b'{"model":"gpt","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    "a number as model": (b'{"model":1,"messages":[]}', 422),
    "no model": (b'{"messages":[]}', 422),
    "messages as text": (b'{"model":"gpt","messages":"Hello"}', 422),
    "a message as text": (b'{"model":"gpt","messages":["Hello"]}', 422),
    "no limit": (f'{{"model":"gpt","max_tokens":"all",{HELLO}}}'.encode(), 422),
    "a negative limit": (f'{{"model":"gpt","max_tokens":-1,{HELLO}}}'.encode(), 422),
    "a huge limit": (f'{{"model":"gpt","max_tokens":1e30,{HELLO}}}'.encode(), 422),
    "no flag": (f'{{"model":"gpt","stream":"yes",{HELLO}}}'.encode(), 422),
    "a model's name that is none": (f'{{"model":"no\\u0000body",{HELLO}}}'.encode(), 422),
    "no such model": (f'{{"model":"nobody",{HELLO}}}'.encode(), 404),
    "too large": (b'{"model":"' + b"x" * (33 * 2**20) + b'"}', 413),
}


@pytest.fixture
def secret(cast: Cast, now: datetime) -> str:
    """The key of an engineer of acme."""
    return key(cast.acme.id, "calls.make", at=now)


def test_nonsense_is_refused_in_the_clients_own_words(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    budget(cast.acme.id, "1", at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    for path, headers in (
        ("/v1/chat/completions", {"authorization": f"Bearer {secret}"}),
        ("/v1/messages", {"x-api-key": secret, "anthropic-version": "2023-06-01"}),
    ):
        for name, (body, status) in NONSENSE.items():
            said = Exchange(gateway, path, body.replace(b'{"model', b'{"max_tokens":9,"model', 1), headers).whole()
            assert said.status == status, (path, name, said.raw)
            assert (said.body.get("type") == "error") is (path == "/v1/messages")
            assert said.body["error"]["code"]
            assert len(said.raw) < 2_000
    assert provider.seen == []
    idle(gateway, provider)
    assert charged(gateway) == []


def test_keys_that_are_revoked_or_may_not_call_are_refused(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    deployed(cast.acme.id, provider, at=now)
    other = key(cast.acme.id, "charges.read", at=now)
    gateway = gateways()
    assert chat(gateway, secret).whole().status == 200
    for speak in (chat, message):
        said = speak(gateway, other).whole()
        assert (said.status, said.body["error"]["type"]) == (403, "permission_error"), said.raw
    row = VirtualKey.objects.get(permissions=["calls.make"])
    revoke_key(organization_id=cast.acme.id, key_id=row.id, by=HOUSE, at=now + timedelta(seconds=1))
    published()
    for speak in (chat, message):
        said = refused(partial(speak, gateway, secret))
        assert (said.status, said.body["error"]["type"]) == (401, "authentication_error"), said.raw
    idle(gateway, provider)


def refused(ask: Callable[[], Exchange]) -> Exchange:
    """Once it is heard of."""
    for _ in range(200):
        said = ask().whole()
        if said.status != 200:
            return said
    raise AssertionError("every call was answered")


def test_what_is_asked_is_passed_on_byte_by_byte(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    picture = base64.b64encode(bytes(range(256)) * 40).decode()
    text = '{"type":"text","text":"\\u00e9\\/é  🙂"}'
    seen = f'{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{picture}"}}}}'
    members = (
        f'"messages":[{{"role":"user","content":[{text},{seen}]}}]',
        '"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object", "x":1.0e2}}}]',
        '"temperature":1.0',
        '"tomorrows_field":{"b":[1,2.50,null],"a":"\\ud83d\\ude42"}',
        '"max_tokens":50',
    )
    body = '{"model":"gpt",' + " ,\n".join(members) + "}"
    headers = {
        "authorization": f"Bearer {secret}", "content-type": "application/json", "openai-beta": "tomorrow=v9",
        "x-stainless-lang": "python", "user-agent": "tests/1", "x-capstan-project": "", "x-capstan-session": "s-1",
        "cookie": "a=b", "x-forwarded-for": "10.0.0.1", "accept-encoding": "gzip", "openai-organization": "org-1",
    }  # fmt: skip
    said = Exchange(gateway, "/v1/chat/completions?beta=true", body.encode(), headers).whole()
    assert said.status == 200, said.raw
    came = provider.seen[-1]
    for member in members:
        name, _, value = member.partition(":")
        assert f"{name}:{value}".encode() in came.body, member
    assert json.loads(came.body) == json.loads(body)
    assert came.query == "beta=true"
    told = {name.lower().decode(): value.decode() for name, value in came.headers}
    assert (told["openai-beta"], told["x-stainless-lang"]) == ("tomorrow=v9", "python")
    assert (told["user-agent"], told["accept-encoding"]) == ("tests/1", "identity")
    assert not [n for n in told if n.startswith("x-capstan-") or n in ("cookie", "x-forwarded-for")]
    assert "openai-organization" not in told
    assert secret not in repr(came)

    headers = {"anthropic-beta": "tools-2099,files-2099"}
    thinks: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 60}, "tomorrow": [1]}
    assert message(gateway, secret, headers=headers, **thinks).whole().status == 200
    assert provider.seen[-1].header("anthropic-beta") == "tools-2099,files-2099"
    assert provider.seen[-1].json["thinking"] == thinks["thinking"]
    # Streams ask for their usage, and nobody sees that who did not ask.
    said = chat(gateway, secret, stream=True).whole()
    assert provider.seen[-1].json["stream_options"] == {"include_usage": True}
    assert b'"usage":{' not in said.raw.replace(b" ", b"")


def test_a_downgrade_really_sends_the_cheaper_model_and_says_so(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    budget(
        cast.acme.id, "0.01", at=now, enforcement=Enforcement.DOWNGRADE, downgrade_to=(("openai", "gpt-mini"),),
        downgrade_at=50,
    )  # fmt: skip
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    for stream in (False, True):
        provider.then(Plan(output_tokens=150))
        said = chat(gateway, secret, stream=stream, max_tokens=150).whole()
        assert (said.status, said.headers["x-capstan-model"]) == (200, "gpt")
    said = chat(gateway, secret, max_tokens=150).whole()
    assert said.status == 200, said.raw
    assert (said.headers["x-capstan-model"], said.headers["x-capstan-downgraded-from"]) == ("gpt-mini", "gpt")
    assert provider.seen[-1].json["model"] == "gpt-mini"
    assert sum(cost for _, cost in charged(gateway)) == billed(provider)
    idle(gateway, provider)


def test_when_little_is_left_answers_are_shorter_and_it_is_said(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    budget(cast.acme.id, "0.002", at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    said = chat(gateway, secret, max_tokens=1_000).whole()
    assert said.status == 200, said.raw
    most = int(said.headers["x-capstan-clamped"].removeprefix("max_tokens="))
    assert 0 < most < 100
    assert provider.seen[-1].json["max_tokens"] == most
    cost = billed(provider)
    assert charged(gateway) == [("metered", cost)]
    assert cost <= Decimal("0.002")


def test_a_response_is_refused_rather_than_sent_with_a_limit_that_nobody_takes(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    # Ten tokens of output are affordable: enough for a chat, too few for a response.
    body = json.dumps({"model": "gpt", "input": "Hello", "max_output_tokens": 500}).encode()
    deployed(cast.acme.id, provider, at=now)
    budget(cast.acme.id, "0.00175", at=now)
    gateway = gateways()
    said = Exchange(gateway, "/v1/responses", body, {"authorization": f"Bearer {secret}"}).whole()
    assert (said.status, said.body["error"]["code"]) == (429, "budgets.exceeded"), said.raw
    assert chat(gateway, secret).whole().status == 200
    assert [one.path for one in provider.seen] == ["/v1/chat/completions"]


def test_who_wishes_an_order_a_price_or_a_session_is_heard(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime
) -> None:
    deployed(cast.acme.id, provider, at=now, name="first")
    deployed(cast.acme.id, standby, at=now, name="standby")
    gateway = gateways()

    def served(headers: dict[str, str], **given: Any) -> str:
        said = chat(gateway, secret, headers=headers, **given).whole()
        assert said.status == 200, said.raw
        return said.headers["x-capstan-upstream"]

    for name in ("standby", "first"):
        assert {served({"x-capstan-order": f"nobody, {name}"}) for _ in range(3)} == {name}
        assert {served({"x-capstan-only": name}) for _ in range(3)} == {name}
    assert served({}, model="gpt:floor") in ("first", "standby")
    assert served({}, model="gpt:nitro") in ("first", "standby")
    assert provider.seen[-1].json["model"] == "gpt"
    # A session stays where its caches are; sessions are spread.
    stays = {n: {served({"x-capstan-session": f"s-{n}"}) for _ in range(3)} for n in range(8)}
    assert all(len(where) == 1 for where in stays.values())
    assert len(set.union(*stays.values())) == 2
    for headers, status in (
        ({"x-capstan-only": "nobody"}, 404),
        ({"x-capstan-max-price": "1"}, 404),
        ({"x-capstan-max-price": "nan"}, 400),
        ({"x-capstan-order": "a," * 30}, 400),
    ):
        said = chat(gateway, secret, headers=headers).whole()
        assert (said.status, bool(said.body["error"]["message"])) == (status, True), headers
    idle(gateway, provider, standby)
