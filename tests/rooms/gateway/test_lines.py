"""A gateway whose database is there and locked, and one whose network forgets its connections."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import pytest

from finops.budgets.rules.limits import LimitDraft
from finops.budgets.services.budgets import change_budget
from finops.budgets.services.limits import set_limit
from finops.budgets.services.stops import stop_now
from tests.factories.budgets import ACCOUNTS, budget, database_address, impatient_address, in_the_way, standing
from tests.factories.gateway import booked, call, die, key, published, used
from tests.factories.ledger import rows
from tests.factories.orgs import HOUSE, Cast
from tests.fakes.network import Network, network
from tests.rooms.gateway.conftest import Opens
from tests.waiting import until

MINUTES = """
SELECT budgets_rate_lock(array_agg(organization_id), array_agg(dimension), array_agg(subject), array_agg(measure))
FROM budgets_rate
"""
# As long as anybody may take to notice a connection that died in silence, and to make another.
NOTICED_S = 20
DEAR = 30_000


@pytest.fixture
def forgetful(transactional_db: None) -> Iterator[Network]:
    with network(database_address()) as running:
        yield running


@pytest.mark.parametrize("fail_open", [True, False])
def test_a_locked_account_refuses_for_a_moment_whatever_happens_without_the_database(
    cast: Cast, secret: str, gateways: Opens, now: datetime, fail_open: bool
) -> None:
    budget(cast.acme.id, "1", at=now, fail_open=fail_open)
    gateway = gateways(address=impatient_address())
    assert gateway.ask(secret, body=call()).status == 200
    with in_the_way(ACCOUNTS):
        said = gateway.ask(secret, body=call("dear", max_output_tokens=DEAR))
        assert (said.status, said.body["code"]) == (503, "budgets.busy")
        assert "away" not in said.body["detail"]
        assert said.headers["retry-after"] == "1"
        # What is in hand needs nobody.
        assert gateway.ask(secret, body=call()).status == 200
    assert not gateway.process.desk.in_doubt
    assert gateway.ask(secret, body=call("dear", max_output_tokens=DEAR)).status == 200


def test_a_locked_minute_refuses_for_a_moment_too(cast: Cast, secret: str, gateways: Opens, now: datetime) -> None:
    budget(cast.acme.id, "1", at=now, fail_open=True)
    set_limit(organization_id=cast.acme.id, draft=LimitDraft(dimension="key", requests_per_minute=5), by=HOUSE, at=now)
    gateway = gateways(address=impatient_address())
    assert gateway.ask(secret, body=call()).status == 200
    with in_the_way(MINUTES):
        said = gateway.ask(secret, body=call("next"))
    assert (said.status, said.body["code"]) == (503, "budgets.busy")
    assert gateway.ask(secret, body=call("next")).status == 200


def test_a_cap_refuses_although_that_cannot_be_told_of_for_a_lock(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    budget(cast.acme.id, "0.02", at=now, fail_open=True)
    gateway = gateways(address=impatient_address())
    assert gateway.ask(secret, body=call()).status == 200
    with in_the_way("LOCK TABLE audit_signal IN ACCESS EXCLUSIVE MODE"):
        assert gateway.ask(secret, body=call(least_output_tokens=100)).body["code"] == "budgets.exceeded"


def test_what_others_are_in_the_way_of_is_taken_over_later_and_keeps_nobody(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    first = gateways()
    said = first.ask(secret, body=call())
    die(first)
    with in_the_way(ACCOUNTS):
        second = gateways(address=impatient_address())
        process = second.process
        assert not process.calls.book.has(said.body["id"])
        # It is known that it was not.
        assert not process.keeper._unsure
    until(lambda: process.calls.book.has(said.body["id"]))
    second.brings_one_home(secret, said.body["id"])
    assert standing(cap, now).authorised == Decimal("0.0052")


def test_what_is_in_doubt_waits_for_who_is_in_the_way_and_what_was_spent_does_not(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    gateway = gateways(address=impatient_address())
    desk = gateway.process.desk
    said = gateway.ask(secret, body=call())
    with in_the_way(ACCOUNTS):
        desk.in_doubt = True
        gateway.settles(secret, said.body["id"], used(500, 10))
        until(lambda: rows("SELECT count(*) FROM ingest_inbox") == [(1,)])
        assert desk.in_doubt
    until(lambda: not desk.in_doubt)
    assert gateway.comes_home() == 1
    assert standing(cap, now).leased == 0


def test_a_network_that_forgets_its_connections_leaves_nobody_deaf(
    cast: Cast, secret: str, forgetful: Network, gateways: Opens, now: datetime
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    bobs = budget(cast.acme.id, "1", scope={"person": (str(cast.bob.id),)}, at=now)
    gateway = gateways(address=forgetful.address)
    his = gateway.ask(secret, body=call(dimensions={"person": "bob"})).body["id"]
    stopped = gateway.ask(secret, body=call(session="s-1")).body["id"]
    done = gateway.ask(secret, body=call()).body["id"]
    cut = gateway.begin(secret, "/stopped", method="GET", wait="20")

    forgetful.forgets()
    began = time.monotonic()
    for one in (done, his):
        gateway.settles(secret, one, used(500, 10))
    stop_now(organization_id=cast.acme.id, dimension="session", subject="s-1", reason="It loops", by=HOUSE, at=now)
    change_budget(organization_id=cast.acme.id, budget_id=bobs.id, limit_amount=Decimal("0.01"), by=HOUSE, at=now)
    later = key(cast.acme.id, at=now)
    published()
    asks = gateway.begin(secret, "", call(max_output_tokens=DEAR))

    # What is asked of the bank, what is stopped, what is called home, what is published, and what was spent.
    assert asks.result(NOTICED_S).status == 200
    told = json.loads(cut.result(NOTICED_S).body)["stopped"]
    assert {one["id"] for one in told} == {stopped}
    until(lambda: standing(bobs, now).leased == Decimal("0.0052"), within_s=NOTICED_S)
    until(lambda: gateway.ask(later, body=call()).status == 200, within_s=NOTICED_S)
    until(lambda: rows("SELECT count(*) FROM ingest_inbox") == [(2,)], within_s=NOTICED_S)
    until(lambda: not gateway.process.desk.in_doubt, within_s=NOTICED_S)
    assert time.monotonic() - began < NOTICED_S
    assert booked() == 2
    assert standing(cap, now).authorised == Decimal("0.0104")
