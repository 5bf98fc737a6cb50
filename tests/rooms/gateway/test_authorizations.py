"""A proxy asks before each call, and tells what it came to; the cap holds and the ledger says the same."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from psycopg import OperationalError

from finops.audit.models import Signal
from finops.budgets.models import Budget
from finops.budgets.services.budgets import change_budget
from tests.factories.budgets import budget, standing
from tests.factories.gateway import booked, call, key, published, used
from tests.factories.ledger import rows
from tests.factories.orgs import HOUSE, Cast
from tests.rooms.gateway.conftest import Opens
from tests.waiting import until


def cannot_be_told(*_: object) -> None:
    raise OperationalError("the connection is lost")


def test_a_call_is_held_settled_charged_and_accounted_for(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    gateway = gateways()

    said = gateway.ask(secret, body=call("call-1"))
    assert said.status == 200, said
    assert Decimal(said.body["held"]) == Decimal("0.012")
    assert (said.body["max_output_tokens"], said.body["clamped"]) == (100, False)
    assert [one["budget_id"] for one in said.body["headroom"]] == [cap.id]
    assert gateway.ask(secret, body=call("call-1")).body == said.body

    settled = gateway.ask(secret, f"/{said.body['id']}/settle", used(500, 10))
    assert settled.status == 200, settled
    assert Decimal(settled.body["cost"]) == Decimal("0.0052")
    assert gateway.ask(secret, f"/{said.body['id']}/settle", used(9, 9)).body == settled.body

    assert gateway.comes_home() == 1
    assert rows("SELECT effective_cost FROM ledger_charge") == [(Decimal("0.0052"),)]
    found = standing(cap, now)
    assert (found.authorised, found.leased, found.observed) == (Decimal("0.0052"), Decimal(0), Decimal(0))
    assert booked() == 0


def test_what_is_not_there_is_refused_with_everything_one_needs_to_know(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    cap = budget(cast.acme.id, "0.02", at=now, name="Acme a month")
    gateway = gateways()
    assert gateway.ask(secret, body=call()).status == 200

    said = gateway.ask(secret, body=call(least_output_tokens=100))
    assert said.status == 429
    assert said.headers["content-type"] == "application/problem+json"
    assert said.body["code"] == "budgets.exceeded"
    (short,) = said.body["budgets"]
    assert short["budget_id"] == cap.id
    assert (Decimal(short["limit"]), Decimal(short["spent"]), Decimal(short["held"])) == (
        Decimal("0.02"),
        Decimal(0),
        Decimal("0.012"),
    )
    assert "Acme a month" in said.body["detail"]
    assert int(said.headers["retry-after"]) > 0
    assert said.body["ask"] == "/api/v1/increases"
    assert gateway.ask(secret, body=call(least_output_tokens=100)).status == 429
    (signal,) = Signal.objects.all()
    assert (signal.kind, signal.details["budget_id"]) == ("cap.tripped", cap.id)


def test_a_cap_refuses_also_where_that_cannot_be_told_of(
    cast: Cast, secret: str, gateways: Opens, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget(cast.acme.id, "0.02", at=now, fail_open=True)
    gateway = gateways()
    assert gateway.ask(secret, body=call()).status == 200
    with monkeypatch.context() as away:
        away.setattr(gateway.process.calls, "_announce", cannot_be_told)
        assert gateway.ask(secret, body=call(least_output_tokens=100)).status == 429
    assert gateway.ask(secret, body=call(least_output_tokens=100)).status == 429
    assert [one.kind for one in Signal.objects.all()] == ["cap.tripped"]


def test_less_output_is_offered_where_the_whole_is_not_affordable(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    budget(cast.acme.id, "0.0110", at=now)
    said = gateways().ask(secret, body=call())
    assert (said.body["max_output_tokens"], said.body["clamped"]) == (50, True)


def test_a_call_that_never_happened_costs_nothing(cast: Cast, secret: str, gateways: Opens, now: datetime) -> None:
    cap = budget(cast.acme.id, "0.012", at=now)
    gateway = gateways()
    said = gateway.ask(secret, body=call())
    assert gateway.ask(secret, f"/{said.body['id']}/void").status == 200
    assert gateway.ask(secret, f"/{said.body['id']}/void").status == 200
    assert gateway.ask(secret, f"/{said.body['id']}/settle", used()).status == 404
    assert gateway.ask(secret, body=call()).status == 200
    assert standing(cap, now).observed == 0


def test_what_a_key_cannot_do(secret: str, gateways: Opens) -> None:
    gateway = gateways()
    assert gateway.ask("cap_nonsense", body=call()).body["code"] == "orgs.key_refused"
    said = gateway.ask(secret, body=call() | {"input": {"bytes": -1}})
    assert (said.status, said.body["field"]) == (422, "input.bytes")
    assert gateway.ask(secret, body=b"{").body["code"] == "api.malformed"
    assert gateway.ask(secret, "/nonsense-1/settle", used()).status in (404, 503)


def test_a_new_budget_holds_in_under_a_second(cast: Cast, secret: str, gateways: Opens, now: datetime) -> None:
    gateway = gateways()
    assert gateway.ask(secret, body=call()).body["held"] == "0.000000000000"
    cap: Budget = budget(cast.acme.id, "0.001", at=now)
    house = gateway.process.configured.houses[cast.acme.id]
    published()
    until(lambda: gateway.process.configured.houses[cast.acme.id] is not house, within_s=1)
    said = gateway.ask(secret, body=call())
    assert (said.status, said.body["budgets"][0]["budget_id"]) == (429, cap.id)


def test_an_id_is_for_one_call_and_a_voided_one_is_decided_anew(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    budget(cast.acme.id, "1", at=now)
    gateway = gateways()
    first = gateway.ask(secret, body=call("call-1"))
    gateway.ask(secret, f"/{first.body['id']}/void")
    again = gateway.ask(secret, body=call("call-1"))
    assert (again.status, again.body["id"] != first.body["id"]) == (200, True)
    assert gateway.ask(secret, f"/{again.body['id']}/settle", used()).status == 200
    over = gateway.ask(secret, body=call("call-1"))
    assert (over.status, over.body["code"]) == (409, "budgets.call_is_over")


def test_what_no_call_costs_is_refused_and_the_call_stays_open(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    budget(cast.acme.id, "1", at=now)
    gateway = gateways()
    path = f"/{gateway.ask(secret, body=call()).body['id']}/settle"
    absurd = gateway.ask(secret, path, {"cost": {"amount": "999999999999", "currency": "USD"}})
    assert (absurd.status, absurd.body["field"]) == (422, "cost.amount")
    assert gateway.ask(secret, path, used(10**12)).body["field"] == "usage"
    assert gateway.ask(secret, path, used()).status == 200


def test_a_free_model_is_free_and_an_estimate_of_all_that_is_held_can_be_mended(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    budget(cast.acme.id, "0.012", at=now)
    gateway = gateways()
    call_id = gateway.ask(secret, body=call()).body["id"]
    gateway.settles(secret, call_id, used(estimated=True))
    gateway.process.desk.give_back()
    gateway.settles(secret, call_id, used())
    # Nothing is left, and nothing is needed.
    free = gateway.ask(secret, body=call(input={"tokens": 0}, max_output_tokens=0, least_output_tokens=0))
    assert free.status == 200, free


def test_calls_that_a_host_gives_one_request_id_are_charged_each(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    cap = budget(cast.acme.id, "1", at=now)
    gateway = gateways()
    for _ in range(3):
        call_id = gateway.ask(secret, body=call()).body["id"]
        gateway.ask(secret, f"/{call_id}/settle", used(estimated=True, provider_request_id="chatcmpl-1"))
        settled = gateway.ask(secret, f"/{call_id}/settle", used(provider_request_id="chatcmpl-1"))
        assert settled.status == 200, settled
    gateway.comes_home()
    costs = [cost for (cost,) in rows("SELECT effective_cost FROM ledger_charge")]
    assert sum(costs) == 3 * Decimal("0.012")
    assert standing(cap, now).authorised == sum(costs)


def test_another_organization_knows_nothing_of_a_call(cast: Cast, secret: str, gateways: Opens, now: datetime) -> None:
    theirs = key(cast.globex.id, at=now)
    gateway = gateways()
    call_id = gateway.ask(secret, body=call()).body["id"]
    for act in ("settle", "void"):
        assert gateway.ask(theirs, f"/{call_id}/{act}", used()).status == 404
    assert gateway.ask(secret, f"/{call_id}/settle", used()).status == 200
    assert gateway.ask(theirs, f"/{call_id}/settle", used()).status == 404


def test_a_lower_limit_calls_home_what_gateways_have(cast: Cast, secret: str, gateways: Opens, now: datetime) -> None:
    cap = budget(cast.acme.id, "100", at=now)
    gateway = gateways()
    under_way = gateway.ask(secret, body=call()).body["id"]
    gateway.ask(secret, f"/{gateway.ask(secret, body=call()).body['id']}/settle", used())
    assert sum(free for free, _ in gateway.process.desk.leased().values()) > 0
    change_budget(organization_id=cast.acme.id, budget_id=cap.id, limit_amount=Decimal("0.013"), by=HOUSE, at=now)
    until(lambda: not any(free for free, _ in gateway.process.desk.leased().values()))
    # What a call under way held is not used again either.
    gateway.ask(secret, f"/{under_way}/void")
    assert gateway.ask(secret, body=call(least_output_tokens=100)).body["code"] == "budgets.exceeded"
    assert standing(cap, now).leased == Decimal("0.012")
    change_budget(organization_id=cast.acme.id, budget_id=cap.id, limit_amount=Decimal(100), by=HOUSE, at=now)
    assert gateway.ask(secret, body=call()).status == 200
