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
from finops.pricing.models import CatalogueModel
from finops.pricing.services.contracts import Agreed, set_committed_prices
from finops.pricing.types import StepRates
from routing.gateway.proxy import client, relay
from tests.factories.budgets import budget
from tests.factories.gateway import Gateway, key, published
from tests.factories.orgs import HOUSE, Cast
from tests.factories.relaying import Exchange, billed, charged, chat, deployed, downgrading, idle, message
from tests.fakes.upstream.running import Upstream
from tests.fakes.upstream.script import Plan
from tests.rooms.gateway.conftest import Opens
from tests.waiting import until

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


def test_nonsense_is_refused_in_the_clients_own_words(secret: str, capped: Gateway, provider: Upstream) -> None:
    for path, headers in (
        ("/v1/chat/completions", {"authorization": f"Bearer {secret}"}),
        ("/v1/messages", {"x-api-key": secret, "anthropic-version": "2023-06-01"}),
    ):
        for name, (body, status) in NONSENSE.items():
            said = Exchange(capped, path, body.replace(b'{"model', b'{"max_tokens":9,"model', 1), headers).whole()
            assert said.status == status, (path, name, said.raw)
            assert (said.body.get("type") == "error") is (path == "/v1/messages")
            assert said.body["error"]["code"]
            assert len(said.raw) < 2_000
    assert provider.seen == []
    idle(capped, provider)
    assert charged(capped) == []


@pytest.mark.parametrize("speak", [chat, message])
def test_a_choice_that_is_left_to_routing_is_refused_until_there_is_a_rule(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime, speak: Callable[..., Exchange]
) -> None:
    deployed(cast.acme.id, provider, at=now, any_model=True)
    gateway = gateways()
    for model in ("auto", "auto:floor"):
        said = speak(gateway, secret, model=model).whole()
        assert (said.status, said.body["error"]["code"]) == (404, "gateway.model_not_found")
        assert (said.body["error"]["type"], said.body["error"]["param"]) == ("not_found_error", "model")
        assert "no rule makes it here" in said.body["error"]["message"]
    assert provider.seen == []
    assert speak(gateway, secret, model="tomorrows-model").whole().status == 200


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


def test_errors_of_our_own_carry_the_calls_id_where_clients_look_for_it(
    secret: str, gateway: Gateway, provider: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(gateway.process.relay, "_over", lambda course: logged.append(course.call_id))
    wrong = {"authorization": "Bearer cap_nobody", "x-api-key": "cap_nobody"}
    told: tuple[dict[str, Any], ...] = (
        {"headers": {"x-capstan-only": "nobody"}}, {"model": "nobody"}, {"stream": "yes"}, {"headers": wrong},
    )  # fmt: skip
    for given in told:
        for speak, name in ((chat, "x-request-id"), (message, "request-id")):
            said = speak(gateway, secret, **given).whole()
            assert said.status >= 400, said.raw
            assert said.headers["x-capstan-call"] == said.headers[name] == logged[-1]
            assert len(logged[-1]) == 24
            assert said.body.get("request_id") == (logged[-1] if speak is message else None)
    assert len(logged) == len(set(logged)) == 8
    # An upstream's own words keep its own.
    provider.then(Plan(status=400))
    said = chat(gateway, secret).whole()
    assert (said.headers["x-capstan-call"], logged[-1] in said.headers.get("x-request-id", "")) == (logged[-1], False)
    provider.then(Plan(fault="reset", after_events=9))
    said = message(gateway, secret, stream=True).whole()
    assert json.loads(said.raw.rpartition(b"data: ")[2])["request_id"] == logged[-1] == said.headers["x-capstan-call"]


def test_what_is_asked_is_passed_on_byte_by_byte(secret: str, gateway: Gateway, provider: Upstream) -> None:
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


def test_bodies_that_are_still_being_read_count_for_what_there_is_room_for(
    secret: str, gateway: Gateway, provider: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "MOST_BYTES", 3_500)
    body = json.dumps({"model": "gpt", "messages": [{"role": "user", "content": "x" * 2_000}]}).encode()
    headers = {"authorization": f"Bearer {secret}"}
    first, second = (Exchange(gateway, "/v1/chat/completions", body, headers, slowly=True) for _ in range(2))
    half_read(gateway, 2)
    # As much is said to come, or comes without a word.
    for told in ({"content-length": str(len(body))}, {"content-length": "9" * 6_000}, {}):
        said = Exchange(gateway, "/v1/chat/completions", body, headers | told).whole()
        assert (said.status, said.body["error"]["code"]) == (503, "gateway.overloaded"), told
        assert said.headers["retry-after"] == "1"
    first.goes_on()
    assert first.whole().status == 200
    second.goes_on()
    assert second.whole().status == 200
    idle(gateway, provider)


@pytest.mark.parametrize(
    ("path", "kind"), [("/v1/messages", "timeout_error"), ("/v1/responses", "invalid_request_error")]
)
def test_a_body_that_does_not_come_in_time_is_not_waited_for(
    cast: Cast, secret: str, gateways: Opens, monkeypatch: pytest.MonkeyPatch, path: str, kind: str
) -> None:
    gateway = gateways()
    monkeypatch.setattr(client, "BODY_WITHIN_S", 0.2)
    said = Exchange(gateway, path, b'{"model":"gpt"}', {"x-api-key": secret}, slowly=True).whole()
    assert (said.status, said.body["error"]["code"], said.body["error"]["type"]) == (408, "gateway.body_slow", kind)
    idle(gateway)


def half_read(gateway: Gateway, calls: int) -> None:
    """Until half of so many bodies is read."""
    process = gateway.process
    until(lambda: process.relay.open[2] > 1_000 * calls, lambda: process.relay.open)


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


def test_a_downgrade_goes_where_the_caller_wishes(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime
) -> None:
    downgrading(cast.acme.id, now)
    deployed(cast.acme.id, provider, at=now)
    deployed(cast.acme.id, standby, at=now, name="home", rank=1)
    gateway = gateways()
    said = chat(gateway, secret, max_tokens=50).whole()
    assert (said.status, said.headers["x-capstan-model"]) == (200, "gpt"), said.raw
    for wish, where, asked in (({}, "openai", provider), ({"x-capstan-only": "home"}, "home", standby)):
        said = chat(gateway, secret, max_tokens=50, headers=wish).whole()
        assert said.status == 200, said.raw
        assert (said.headers["x-capstan-model"], said.headers["x-capstan-upstream"]) == ("gpt-mini", where), said.raw
        assert asked.seen[-1].json["model"] == "gpt-mini"
    assert chat(gateway, secret, max_tokens=50, headers={"x-capstan-only": "nobody"}).whole().status == 404
    idle(gateway, provider, standby)


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


def response(gateway: Gateway, secret: str, **given: Any) -> Exchange:
    """A response of gpt, as Codex asks for one: with a search that nothing bounds."""
    body = {"model": "gpt", "input": "Hello", "tools": [{"type": "web_search"}]} | given
    return Exchange(gateway, "/v1/responses", json.dumps(body).encode(), {"authorization": f"Bearer {secret}"}).whole()


def test_a_search_that_nothing_bounds_is_bounded_where_a_hard_budget_holds_and_it_is_said(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    CatalogueModel.objects.filter(model="gpt").update(context_window=10_000)
    set_committed_prices(
        organization_id=cast.acme.id, about=Agreed(provider="openai", model="gpt", effective_from=now.date()),
        steps=[StepRates(0, {"web_searches": Decimal("0.01")})], by=HOUSE, at=now,
    )  # fmt: skip
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    said = response(gateway, secret)
    assert (said.status, "x-capstan-clamped" in said.headers) == (200, False)
    assert "max_tool_calls" not in provider.seen[-1].json
    gateway.stop()
    budget(cast.acme.id, "10", at=now)
    gateway = gateways()
    said = response(gateway, secret)
    assert said.status == 200, said.raw
    assert said.headers["x-capstan-clamped"] == "max_tool_calls=4"
    sent = provider.seen[-1].json
    assert (sent["max_tool_calls"], sent["tools"]) == (4, [{"type": "web_search"}])
    assert response(gateway, secret, max_tool_calls=2).headers.get("x-capstan-clamped") is None
    # What that does not bound is refused all the same.
    said = response(gateway, secret, tools=[{"type": "image_generation"}])
    assert (said.status, said.body["error"]["code"]) == (422, "budgets.unbounded_request")
    idle(gateway, provider)
    assert [evidence for evidence, _ in charged(gateway)] == ["metered"] * 3


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
