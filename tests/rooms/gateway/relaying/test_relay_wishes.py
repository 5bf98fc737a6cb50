"""What a key wishes binds its calls: whatever a request wishes besides, and as soon as it is published."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from finops.budgets.rules.limits import LimitDraft
from finops.budgets.services.limits import set_limit
from finops.pricing.services.contracts import Agreed, set_committed_prices
from finops.pricing.types import StepRates
from routing.upstreams.services import clear_wishes
from tests.factories.attribution import draft, rule
from tests.factories.batching import asked, batch_book, create, line, upload
from tests.factories.gateway import Gateway, key, published
from tests.factories.orgs import HOUSE, Cast
from tests.factories.relaying import Exchange, chat, deployed, downgrading, idle, message, sold_as
from tests.factories.upstreams import key_of, wishes
from tests.fakes.upstream.running import Upstream
from tests.fakes.upstream.script import Plan
from tests.rooms.gateway.conftest import Opens
from tests.waiting import until


@pytest.fixture
def sold(cast: Cast, provider: Upstream, standby: Upstream, now: datetime) -> None:
    """Two who sell gpt: `dear`, who is tried first where nobody wishes otherwise, at 10 and 20 dollars for a million
    tokens, and `cheap` at 1 and 2.
    """
    sold_as(cast.acme.id, provider, "gpt", at=now, name="dear")
    sold_as(cast.acme.id, standby, "gpt-mini", at=now, name="cheap", rank=1)


def served(said: Exchange) -> str:
    said.whole()
    assert said.status == 200, said.raw
    return said.headers["x-capstan-upstream"]


def excluded(said: Exchange) -> str:
    said.whole()
    assert (said.status, said.body["error"]["code"]) == (403, "gateway.key_excludes"), said.raw
    assert (said.body["error"]["type"], said.body["error"]["param"]) == ("permission_error", "model")
    return str(said.body["error"]["message"])


def test_a_key_for_one_upstream_reaches_no_other_whatever_its_requests_wish(
    cast: Cast, secret: str, sold: None, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime
) -> None:
    other = key(cast.acme.id, "calls.make", at=now)
    wishes(key_of(secret), order=("cheap",), only=True, at=now)
    gateway = gateways()
    wished: tuple[dict[str, Any], ...] = (
        {}, {"headers": {"x-capstan-order": "dear"}}, {"headers": {"x-capstan-only": "dear, cheap"}},
        {"headers": {"x-capstan-max-price": "1000"}}, {"model": "gpt:nitro"}, {"model": "cheap/gpt"}, {"stream": True},
    )  # fmt: skip
    for one in wished:
        assert served(chat(gateway, secret, **one)) == "cheap", one
    for one in ({"headers": {"x-capstan-only": "dear"}}, {"model": "dear/gpt"}):
        assert "wishes of this key" in excluded(chat(gateway, secret, **one))
        assert excluded(chat(gateway, secret, **one)).endswith(": only cheap")
    # What no upstream serves, or the request itself leaves none of, is not for the key to answer for.
    for one in ({"model": "nobodys"}, {"headers": {"x-capstan-only": "nobody"}}):
        assert chat(gateway, secret, **one).whole().body["error"]["code"] == "gateway.model_not_found"
    # One that fails is not made up for by one that is excluded.
    standby.then(Plan(status=503, message="come back later"))
    assert chat(gateway, secret).whole().body["error"]["message"] == "come back later"
    assert provider.seen == []
    assert served(chat(gateway, other)) == "dear"
    idle(gateway, provider, standby)


def test_a_key_with_a_highest_price_refuses_the_dear_and_the_lower_of_two_holds(
    cast: Cast, secret: str, sold: None, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime
) -> None:
    # Claude, at 3 and 15 dollars, beside.
    deployed(cast.acme.id, provider, at=now, name="first", rank=2)
    wishes(key_of(secret), most_per_million=Decimal("14.5"), at=now)
    gateway = gateways()
    assert served(chat(gateway, secret)) == "cheap"
    assert served(chat(gateway, secret, headers={"x-capstan-max-price": "100"})) == "cheap"
    assert excluded(message(gateway, secret)).endswith(": at most 14.5 for a million tokens")
    assert excluded(chat(gateway, secret, model="dear/gpt")).endswith(": at most 14.5 for a million tokens")
    said = chat(gateway, secret, headers={"x-capstan-max-price": "1"}).whole()
    assert (said.status, said.body["error"]["code"]) == (404, "gateway.model_not_found")
    assert provider.seen == []
    idle(gateway, provider, standby)


def test_a_key_is_listed_what_its_wishes_leave(
    cast: Cast, secret: str, sold: None, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    # Of the same house, what only `dear` serves.
    deployed(cast.acme.id, provider, at=now, name="first", rank=2)
    other = key(cast.acme.id, "calls.make", at=now)
    wishes(key_of(secret), order=("dear", "cheap"), only=True, most_per_million=Decimal(5), at=now)
    gateway = gateways()
    assert listed(gateway, other) == ["embed", "gpt", "gpt-mini"]
    assert listed(gateway, secret) == ["gpt"]
    assert shown(gateway, secret, "gpt").status == 200
    said = shown(gateway, secret, "gpt-mini")
    assert (said.status, said.body["error"]["code"]) == (404, "gateway.model_not_found")
    assert said.body["error"]["message"] == "this key may not ask for 'gpt-mini'"


def test_a_task_that_belongs_to_a_team_is_listed_what_the_team_may_use(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    limit = LimitDraft(dimension="team", subject=str(cast.search.id), allowed_models=("gpt-mini",))
    set_limit(organization_id=cast.acme.id, draft=limit, by=HOUSE, at=now)
    rule(cast.acme.id, draft(("task_type", "is", ("index",)), team=cast.search.id), at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    assert listed(gateway, secret, {"x-capstan-task": "index"}) == ["gpt-mini"]
    assert listed(gateway, secret, {"x-capstan-task": "other"}) == ["embed", "gpt", "gpt-mini"]


def test_who_asks_is_listed_what_the_lists_of_models_that_hold_for_them_have(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    limit = LimitDraft(dimension="team", subject=str(cast.search.id), allowed_models=("gpt-*", "claude"))
    set_limit(organization_id=cast.acme.id, draft=limit, by=HOUSE, at=now)
    deployed(cast.acme.id, provider, at=now)
    gateway = gateways()
    search = {"x-capstan-team": "search"}
    assert listed(gateway, secret, search) == ["gpt-mini"]
    assert shown(gateway, secret, "gpt", search).status == 404
    assert listed(gateway, secret) == ["embed", "gpt", "gpt-mini"]
    assert shown(gateway, secret, "gpt").status == 200


def test_what_may_be_asked_for_by_any_name_is_listed_too_and_nothing_where_nothing_is_left(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    deployed(cast.acme.id, provider, at=now, any_model=True)
    other = key(cast.acme.id, "calls.make", at=now)
    wishes(key_of(other), most_per_million=Decimal("0.0001"), at=now)
    gateway = gateways()
    claude = {"anthropic-version": "2023-06-01"}
    assert {"embed", "gpt", "gpt-mini"} <= set(listed(gateway, secret))
    assert "claude" in listed(gateway, secret, claude)
    assert "gpt" not in listed(gateway, secret, claude)
    for headers in (None, claude):
        assert listed(gateway, other, headers) == []
    assert shown(gateway, other, "claude", claude).body["error"]["type"] == "not_found_error"
    assert shown(gateway, secret, "a/b%20c").status in (200, 404)


def shown(gateway: Gateway, secret: str, name: str, headers: dict[str, str] | None = None) -> Exchange:
    path = "/v1/models" + (f"/{name}" if name else "")
    return Exchange(gateway, path, b"", {"authorization": f"Bearer {secret}", **(headers or {})}, "GET").whole()


def listed(gateway: Gateway, secret: str, headers: dict[str, str] | None = None) -> list[str]:
    return [model["id"] for model in shown(gateway, secret, "", headers).body["data"]]


def test_a_tier_that_is_dearer_is_not_a_way_around_a_highest_price(
    cast: Cast, secret: str, sold: None, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime
) -> None:
    about = Agreed(provider="openai", model="gpt-mini", tier="priority", effective_from=now.date())
    rates = {"input_uncached": Decimal(30), "output_text": Decimal(60)}
    set_committed_prices(organization_id=cast.acme.id, about=about, steps=[StepRates(0, rates)], by=HOUSE, at=now)
    wishes(key_of(secret), most_per_million=Decimal(5), at=now)
    gateway = gateways()
    assert served(chat(gateway, secret)) == "cheap"
    assert served(chat(gateway, secret, service_tier="default")) == "cheap"
    excluded(chat(gateway, secret, service_tier="priority"))
    assert len(standby.seen) == 2


def test_a_key_wishes_an_order_and_a_sort_and_a_request_goes_before_both(
    secret: str, sold: None, gateways: Opens, now: datetime
) -> None:
    wishes(key_of(secret), order=("cheap",), at=now)
    gateway = gateways()
    assert served(chat(gateway, secret)) == "cheap"
    assert served(chat(gateway, secret, headers={"x-capstan-order": "dear"})) == "dear"
    assert served(chat(gateway, secret, headers={"x-capstan-only": "dear"})) == "dear"


def test_what_a_key_wishes_holds_within_a_second_and_so_does_that_it_wishes_nothing_more(
    cast: Cast, secret: str, sold: None, gateways: Opens, now: datetime
) -> None:
    gateway = gateways()
    assert served(chat(gateway, secret)) == "dear"
    row = wishes(key_of(secret), sort="floor", at=now)
    swapped(gateway, cast)
    assert served(chat(gateway, secret)) == "cheap"
    assert served(chat(gateway, secret, model="gpt:nitro")) in ("dear", "cheap")
    clear_wishes(organization_id=cast.acme.id, key_id=row.key_id, by=HOUSE, at=now)
    swapped(gateway, cast)
    assert served(chat(gateway, secret)) == "dear"


def swapped(gateway: Gateway, cast: Cast) -> None:
    """Once what is published is heard of."""
    houses = gateway.process.configured
    before = houses.houses[cast.acme.id]
    published()
    until(lambda: houses.houses[cast.acme.id] is not before, within_s=1)


def test_a_budget_sends_no_call_where_its_key_may_not_go(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime
) -> None:
    downgrading(cast.acme.id, now)
    deployed(cast.acme.id, provider, at=now)
    deployed(cast.acme.id, standby, at=now, name="home", rank=1)
    wishes(key_of(secret), order=("home",), only=True, at=now)
    gateway = gateways()
    models = []
    for _ in range(2):
        said = chat(gateway, secret, max_tokens=50).whole()
        assert (said.status, said.headers["x-capstan-upstream"]) == (200, "home"), said.raw
        models.append(said.headers["x-capstan-model"])
    assert models == ["gpt", "gpt-mini"]
    assert provider.seen == []
    idle(gateway, provider, standby)


def test_a_file_and_a_batch_of_it_go_where_the_key_may(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime
) -> None:
    batch_book()
    deployed(cast.acme.id, provider, at=now, name="first")
    deployed(cast.acme.id, standby, at=now, name="home", rank=1)
    other = key(cast.acme.id, "calls.make", at=now)
    wishes(key_of(secret), order=("home",), only=True, most_per_million=Decimal(5), at=now)
    gateway = gateways()
    mini = upload(gateway, secret, line("one", model="gpt-mini"))
    assert (mini.status, mini.headers["x-capstan-upstream"]) == (200, "home")
    assert create(gateway, secret, mini.body["id"]).status == 200
    # The dearest of a file's models decides, wherever it stands.
    excluded(upload(gateway, secret, line("one", model="gpt-mini"), line("two", model="gpt")))
    excluded(upload(gateway, secret, line("one", model="gpt-mini"), headers={"x-capstan-only": "first"}))
    # A file that another key of the organization uploaded elsewhere, and one that is too dear.
    elsewhere = upload(gateway, other, line("one", model="gpt-mini"), headers={"x-capstan-only": "first"})
    dear = upload(gateway, other, line("one", model="gpt-mini"), line("two"), headers={"x-capstan-only": "home"})
    for file in (elsewhere, dear):
        assert file.status == 200, file.raw
        excluded(create(gateway, secret, file.body["id"]))
    assert create(gateway, other, elsewhere.body["id"]).status == 200
    assert asked(gateway, secret, f"/v1/files/{elsewhere.body['id']}").status == 200
