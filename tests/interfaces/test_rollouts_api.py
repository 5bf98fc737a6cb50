"""Rules under way and what they saved, over REST: read, paced, by whom."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from finops.audit.models import AuditEvent
from finops.orgs.models import User
from routing.rollouts import savings
from routing.rollouts.models import SavingsMonth
from routing.rollouts.types import Sums
from routing.rules.models import RoutingRule
from tests.factories.orgs import NOON, Cast
from tests.factories.rollouts import HOUR, calls, followed, known_well, rolling, scored
from tests.factories.rules import triage
from tests.interfaces.conftest import Api, refused, told


@pytest.fixture
def canary(cast: Cast) -> RoutingRule:
    """A canary of acme's, with some scores."""
    known_well(cast.acme.id, at=NOON)
    row = rolling(cast.acme.id, at=NOON)
    followed(row, at=NOON)
    scored(calls(row, range(200), at=NOON), at=NOON)
    followed(row, at=NOON)
    return row


def month(row: RoutingRule, first: date, **given: Any) -> SavingsMonth:
    sums = Sums(treated_sessions=10, treated_calls=10, treated_cost=Decimal("0.05"))
    why = savings.verified(sums).why
    usual: dict[str, Any] = {
        "currency": "USD", "treated_calls": 10, "treated_sessions": 10, "stayed_calls": 0, "stayed_sessions": 0,
        "treated_cost": sums.treated_cost, "failed_cost": 0, "beside_cost": 0, "why": why, "measured_at": NOON,
    }  # fmt: skip
    return SavingsMonth.objects.create(organization_id=row.organization_id, rule=row, month=first, **usual | given)


def verified(row: RoutingRule, first: date) -> SavingsMonth:
    amounts = {
        "expected_cost": "0.5", "saved": "0.45", "saved_lower": "0.4", "saved_upper": "0.5", "net": "0.44",
        "net_lower": "0.39", "net_upper": "0.49", "beside_cost": "0.01",
    }  # fmt: skip
    return month(row, first, by="calls", why="", **{name: Decimal(value) for name, value in amounts.items()})


def test_a_rollout_is_told_with_what_was_noticed(alice: Api, canary: RoutingRule) -> None:
    one = told(alice.get(f"rollouts/{canary.id}"))
    assert [one] == told(alice.get("rollouts"))["items"]
    assert (one["rule"], one["rule_name"], one["state"], one["stage"]) == (canary.id, "triage", "watching", "canary")
    assert one["why"] == "It stays for 60 minutes at least."
    [known] = one["known"]
    assert (known["items"], known["mean"], known["by"]) == (400, 0.8, "evidence")
    assert one["treated_scored"] == one["noticed"]["scores"] > 0
    assert 0 < one["noticed"]["e_value"] < one["noticed"]["alarm"] == 17
    assert one["contrast"] == {"pairs": 0, "difference": None}
    assert told(alice.get("rollouts?state=paused"))["items"] == []
    assert told(alice.get(f"rollouts?rule={canary.id}&state=watching"))["items"] == [one]


def test_the_newest_comes_first_and_its_rule_has_the_last(alice: Api, cast: Cast, canary: RoutingRule) -> None:
    other = rolling(cast.acme.id, at=NOON, rule=triage(name="other"))
    followed(other, at=NOON)
    first = told(alice.get("rollouts?limit=1"))
    assert [one["rule_name"] for one in first["items"]] == ["other"]
    [second] = told(alice.get(f"rollouts?limit=1&cursor={first['next']}"))["items"]
    assert second["rule_name"] == "triage"


def test_a_pace_is_said_by_who_manages_routing(
    alice: Api, cast: Cast, canary: RoutingRule, login: Callable[[User], Api]
) -> None:
    path = f"rollouts/{canary.id}"
    one = told(alice.patch(path, {"least_scored": 7, "by_itself": False}))
    assert (one["least_scored"], one["least_minutes"], one["by_itself"]) == (7, 60, False)
    assert told(alice.patch(path, {"least_scored": 7})) == one
    [event] = AuditEvent.objects.filter(verb="rollout.pace_changed")
    assert event.details["least_scored"] == [50, 7]
    assert refused(login(cast.bob_login).patch(path, {"least_scored": 1}))[:2] == (403, "orgs.permission_missing")
    assert told(login(cast.bob_login).get(path))["least_scored"] == 7


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"least_scored": -1}, "least_scored"), ({"least_minutes": 10**6}, "least_minutes"), ({"share": 1}, "share")],
)
def test_a_pace_that_cannot_be_is_refused_by_its_field(
    alice: Api, canary: RoutingRule, wrong: dict[str, int], field: str
) -> None:
    assert refused(alice.patch(f"rollouts/{canary.id}", wrong)) == (400, "api.invalid", field)


def test_what_is_not_there_is_not_there(alice: Api, canary: RoutingRule) -> None:
    assert refused(alice.get(f"rollouts/{canary.id + 1}"))[0] == 404
    for question, field in (("rollouts?state=lost", "state"), ("rollouts?rule=x", "rule"), ("savings?rule=0", "rule")):
        assert refused(alice.get(question)) == (400, "api.invalid", field)


def test_savings_are_told_by_month_and_rule(alice: Api, cast: Cast, canary: RoutingRule) -> None:
    other = rolling(cast.acme.id, at=NOON, rule=triage(name="other"))
    verified(canary, date(2026, 9, 1))
    verified(canary, date(2026, 10, 1))
    month(other, date(2026, 10, 1))
    found = told(alice.get("savings"))["items"]
    assert [(one["rule_name"], one["month"]) for one in found] == [
        ("other", "2026-10"), ("triage", "2026-10"), ("triage", "2026-09"),
    ]  # fmt: skip
    unverified, saved, _ = found
    assert (unverified["saved"], unverified["net"]) == (None, None)
    assert unverified["why"].startswith("No hold-back, no verified saving")
    assert {name: Decimal(saved[name]) for name in ("saved", "net", "beside_cost")} == {
        "saved": Decimal("0.45"), "net": Decimal("0.44"), "beside_cost": Decimal("0.01"),
    }  # fmt: skip
    assert told(alice.get(f"savings?rule={canary.id}&month=2026-09"))["items"] == [found[2]]
    assert refused(alice.get("savings?month=2026-13")) == (400, "api.invalid", "month")
    page = told(alice.get("savings?limit=2"))
    assert [one["month"] for one in told(alice.get(f"savings?cursor={page['next']}"))["items"]] == ["2026-09"]


def test_lists_ask_no_more_of_the_database_with_more_in_them(
    alice: Api, cast: Cast, canary: RoutingRule, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        row = rolling(cast.acme.id, at=NOON, rule=triage(name=f"rule-{number}"))
        followed(row, at=NOON + HOUR)
        month(row, date(2026, 10, 1))
    with django_assert_max_num_queries(8):
        assert len(told(alice.get("rollouts"))["items"]) == 6
    with django_assert_max_num_queries(8):
        assert len(told(alice.get("savings"))["items"]) == 5


def test_whoever_may_not_read_routing_sees_none(
    cast: Cast, canary: RoutingRule, by_key: Callable[..., Api], login: Callable[[User], Api]
) -> None:
    assert refused(by_key("spend.read").get("rollouts"))[0] == 403
    assert told(by_key("routing.read").get("rollouts"))["items"]
    charlie = login(cast.charlie_login)
    assert told(charlie.get("rollouts"))["items"] == []
    assert refused(charlie.get(f"rollouts/{canary.id}"))[0] == 404
