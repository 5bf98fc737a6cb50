"""Whom a call is tried at, in which order, and what its client hears where no try comes to an answer."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from finops.budgets.rules.limits import LimitDraft
from finops.budgets.services.limits import set_limit
from routing.gateway.refusals import IsStopped
from tests.factories.budgets import budget
from tests.factories.gateway import Gateway
from tests.factories.orgs import HOUSE, Cast
from tests.factories.relaying import charged, chat, deployed, idle, message, sold_as
from tests.fakes.upstream.running import Upstream
from tests.fakes.upstream.script import Plan
from tests.rooms.gateway.conftest import Opens

NOWHERE = SimpleNamespace(address="http://127.0.0.1:9")


def test_where_no_other_try_may_be_made_the_client_hears_what_the_first_said(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime
) -> None:
    budget(cast.acme.id, "1", at=now)
    deployed(cast.acme.id, provider, at=now)
    # Nobody knows its price, so the budget refuses it.
    sold_as(cast.acme.id, standby, "of-no-price", at=now, name="standby", rank=1)
    gateway = gateways()
    provider.then(Plan(status=429, message="come back later", headers={"retry-after": "7"}))
    said = chat(gateway, secret).whole()
    assert (said.status, said.body["error"]["message"]) == (429, "come back later")
    assert said.headers["Retry-After"] == "7"
    assert standby.seen == []
    idle(gateway, provider)
    assert charged(gateway) == []


def test_a_limit_that_the_first_try_has_reached_does_not_hide_what_became_of_it(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime
) -> None:
    set_limit(organization_id=cast.acme.id, draft=LimitDraft(dimension="key", requests_per_minute=1), by=HOUSE, at=now)
    deployed(cast.acme.id, provider, at=now, first_byte_s=0.3)
    deployed(cast.acme.id, standby, at=now, name="standby", rank=1)
    gateway = gateways()
    provider.then(Plan(hangs=True))
    said = chat(gateway, secret, stream=True).whole()
    assert (said.status, said.body["error"]["code"]) == (502, "gateway.upstream_away")
    assert standby.seen == []
    assert chat(gateway, secret).whole().body["error"]["code"] == "budgets.rate_limited"


def test_a_stop_between_two_tries_is_what_the_client_hears(
    secret: str, two: Gateway, provider: Upstream, standby: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding = two.process.deciding
    decision = deciding.decision

    async def stopped_meanwhile(*given: Any) -> Any:
        if provider.seen:
            raise IsStopped("It loops")
        return await decision(*given)

    monkeypatch.setattr(type(deciding), "decision", staticmethod(stopped_meanwhile))
    provider.then(Plan(status=503))
    assert chat(two, secret).whole().body["error"]["code"] == "budgets.stopped"
    assert standby.seen == []
    idle(two, provider)


def test_what_one_upstream_said_is_heard_though_another_cannot_be_reached(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    deployed(cast.acme.id, provider, at=now)
    deployed(cast.acme.id, NOWHERE, at=now, name="nowhere", rank=1)
    gateway = gateways()
    for speak in (chat, message):
        provider.then(Plan(status=429, message="come back later"))
        said = speak(gateway, secret).whole()
        assert (said.status, said.body["error"]["message"]) == (429, "come back later")
    # That our own credential is not taken is nothing that a client can do something about.
    provider.then(Plan(status=401))
    assert chat(gateway, secret).whole().status == 502


@pytest.fixture
def sellers(cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime) -> Gateway:
    """Two who sell gpt, `dear` before `cheap` where nobody wishes otherwise, and one whose price nobody knows."""
    sold_as(cast.acme.id, provider, "gpt", at=now, name="dear")
    sold_as(cast.acme.id, standby, "gpt-mini", at=now, name="cheap", rank=1)
    sold_as(cast.acme.id, standby, "of-no-price", at=now, name="unpriced", rank=2)
    return gateways()


def test_the_cheapest_is_tried_first_for_whoever_wishes_so_and_the_next_by_price_where_it_fails(
    secret: str, sellers: Gateway, provider: Upstream, standby: Upstream
) -> None:
    def served(model: str = "gpt:floor") -> tuple[str, str]:
        said = chat(sellers, secret, model=model).whole()
        assert said.status == 200, said.raw
        return said.headers["x-capstan-upstream"], said.headers.get("x-capstan-tries", "1")

    assert served("gpt") == ("dear", "1")
    assert served() == ("cheap", "1")
    assert standby.seen[-1].json["model"] == "gpt-mini"
    standby.then(Plan(status=503))
    assert served() == ("dear", "2")
    # Of whom nobody knows what they cost comes last.
    provider.then(Plan(status=503))
    standby.then(Plan(status=503))
    assert served() == ("unpriced", "3")
    assert standby.seen[-1].json["model"] == "of-no-price"
    idle(sellers, provider, standby)
    # Each is charged at the price of whoever answered.
    costs = [cost for _, cost in charged(sellers)]
    assert costs[:3] == [Decimal(pico or 0) / 10**12 for pico in paid(provider, standby)]


def paid(dear: Upstream, cheap: Upstream) -> list[int | None]:
    first, second = (line.pico for line in dear.bill.lines)
    return [first, cheap.bill.lines[0].pico, second]


def test_a_highest_price_holds_for_second_tries_too(
    secret: str, sellers: Gateway, provider: Upstream, standby: Upstream
) -> None:
    standby.then(Plan(status=503, message="come back later"))
    said = chat(sellers, secret, headers={"x-capstan-max-price": "5"}).whole()
    assert (said.status, said.body["error"]["message"]) == (503, "come back later")
    assert provider.seen == []
    assert [seen.json["model"] for seen in standby.seen] == ["gpt-mini"]


def test_whoever_has_begun_fastest_of_late_is_tried_first_for_whoever_wishes_so(
    secret: str, sellers: Gateway, provider: Upstream, standby: Upstream
) -> None:
    def served(**headers: str) -> str:
        said = chat(sellers, secret, model="gpt:nitro", stream=True, headers=headers).whole()
        assert said.status == 200, said.raw
        return said.headers["x-capstan-upstream"]

    # Nobody is known yet, so it is as usual; who is known goes before who is not.
    provider.then(Plan(first_byte_s=0.5))
    assert [served(), served()] == ["dear", "dear"]
    for _ in range(3):
        provider.then(Plan(first_byte_s=0.5))
        assert served(**{"x-capstan-only": "dear"}) == "dear"
        assert served(**{"x-capstan-only": "cheap"}) == "cheap"
    assert {served() for _ in range(3)} == {"cheap"}
    # The fastest fails: the next fastest answers.
    standby.then(Plan(status=503))
    assert served() == "dear"
    idle(sellers, provider, standby)
