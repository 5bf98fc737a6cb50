"""Calls that go on from what one upstream has: a response before them, or a conversation."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest

from finops.pricing.models import CatalogueModel
from routing.gateway.proxy.health import FAILURES
from tests.factories.budgets import budget, standing
from tests.factories.gateway import Gateway
from tests.factories.orgs import Cast
from tests.factories.relaying import billed, charged, chat, deployed, idle, respond
from tests.fakes.upstream.running import Upstream
from tests.fakes.upstream.script import Plan
from tests.fakes.upstream.server import Seen
from tests.rooms.gateway.conftest import Opens

# As OpenAI says it, and as others do.
UNKNOWN = Plan(status=400, code="previous_response_not_found", message="Previous response with id 'x' not found.")
NOT_FOUND = Plan(status=404, message="No such response, or conversation.")


def has_none(upstream: Upstream, says: Plan = NOT_FOUND) -> None:
    """It has no responses and conversations from before."""

    def decide(seen: Seen) -> Plan | None:
        return says if seen.json.get("previous_response_id") or seen.json.get("conversation") else None

    upstream.decides(decide)


def has_its_own(upstream: Upstream, ids: set[str]) -> None:
    """It has these responses, and no others."""

    def decide(seen: Seen) -> Plan | None:
        named = seen.json.get("previous_response_id")
        return UNKNOWN if named and named not in ids else None

    upstream.decides(decide)


@pytest.mark.parametrize("says", [UNKNOWN, NOT_FOUND])
def test_who_does_not_have_it_costs_nothing_has_not_failed_and_the_next_is_asked(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime, says: Plan
) -> None:
    CatalogueModel.objects.filter(model="gpt").update(context_window=10_000)
    cap = budget(cast.acme.id, "10", at=now)
    deployed(cast.acme.id, provider, at=now, name="first")
    deployed(cast.acme.id, standby, at=now, name="standby", rank=1)
    gateway = gateways()
    has_none(provider, says)
    # Nothing is left for second tries; this is none.
    gateway.process.relay._means.retries._left = 0.0
    for n in range(FAILURES + 1):
        named = {"previous_response_id": f"resp_{n}"} if n % 2 else {"conversation": {"id": f"conv_{n}"}}
        said = respond(gateway, secret, stream=n % 3 == 0, **named).whole()
        assert (said.status, said.headers["x-capstan-upstream"]) == (200, "standby"), said.raw
        assert said.headers["x-capstan-tries"] == "2"
    # Once is enough to know where it is.
    again = respond(gateway, secret, previous_response_id="resp_1").whole()
    assert (again.headers["x-capstan-upstream"], "x-capstan-tries" in again.headers) == ("standby", False)
    assert chat(gateway, secret).whole().headers["x-capstan-upstream"] == "first"
    idle(gateway, provider, standby)
    charges = charged(gateway)
    assert [evidence for evidence, _ in charges] == ["metered"] * (FAILURES + 3)
    assert sum(cost for _, cost in charges) == billed(provider) + billed(standby)
    gateway.process.desk.give_back()
    assert standing(cap, now).leased == 0


def test_a_conversation_of_responses_stays_where_it_began(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, standby: Upstream, now: datetime
) -> None:
    deployed(cast.acme.id, provider, at=now, name="first")
    deployed(cast.acme.id, standby, at=now, name="second")
    gateway = gateways()
    known: dict[str, set[str]] = {"first": set(), "second": set()}
    has_its_own(provider, known["first"])
    has_its_own(standby, known["second"])

    def turn(**given: Any) -> tuple[str, str]:
        said = respond(gateway, secret, **given).whole()
        assert (said.status, "x-capstan-tries" in said.headers) == (200, False), said.raw
        found = re.search(rb'"id":\s*"(resp_[^"]+)"', said.raw)
        assert found is not None
        where, response_id = said.headers["x-capstan-upstream"], found[1].decode()
        known[where].add(response_id)
        return where, response_id

    began, where, response_id = set(), "", ""
    for n in range(20):
        where, response_id = turn(stream=n % 2 == 0)
        began.add(where)
        for stream in (True, False):
            there, response_id = turn(stream=stream, previous_response_id=response_id)
            assert there == where
    assert began == {"first", "second"}
    # It is only there, whatever order is wished.
    for name in known:
        headers = {"x-capstan-order": name}
        assert turn(headers=headers, previous_response_id=response_id)[0] == where
    idle(gateway, provider, standby)


def test_what_went_wrong_where_it_is_is_told_rather_than_that_it_is_not_elsewhere(
    secret: str, two: Gateway, provider: Upstream, standby: Upstream
) -> None:
    has_none(provider)
    standby.then(Plan(status=503, message="come back later"), NOT_FOUND)
    said = respond(two, secret, previous_response_id="resp_1").whole()
    assert (said.status, said.body["error"]["message"]) == (503, "come back later")
    # Nobody has it.
    said = respond(two, secret, previous_response_id="resp_2").whole()
    assert (said.status, said.body["error"]["message"]) == (404, NOT_FOUND.message)
    # The other way round: the first is away, and the second does not have it.
    provider.decides(None)
    has_none(standby)
    provider.then(Plan(status=503, message="come back later"))
    said = respond(two, secret, previous_response_id="resp_3").whole()
    assert (said.status, said.body["error"]["message"]) == (503, "come back later")
    idle(two, provider, standby)


def test_a_breaker_holds_for_what_goes_on_from_there_too(
    secret: str, two: Gateway, provider: Upstream, standby: Upstream
) -> None:
    said = respond(two, secret).whole()
    assert said.headers["x-capstan-upstream"] == "first"
    has_none(standby)
    provider.then(*[Plan(status=503)] * FAILURES)
    for _ in range(FAILURES):
        assert chat(two, secret).whole().headers["x-capstan-upstream"] == "standby"
    # It is asked last, and asked: nobody else has it.
    again = respond(two, secret, previous_response_id=said.body["id"]).whole()
    assert (again.headers["x-capstan-upstream"], again.headers["x-capstan-tries"]) == ("first", "2"), again.raw


def test_what_any_upstream_may_have_is_a_failure_where_it_is_not(
    secret: str, two: Gateway, provider: Upstream, standby: Upstream
) -> None:
    provider.then(*[Plan(status=404)] * FAILURES)
    for _ in range(FAILURES):
        assert respond(two, secret).whole().headers["x-capstan-tries"] == "2"
    assert "x-capstan-tries" not in respond(two, secret).whole().headers
    idle(two, provider, standby)
