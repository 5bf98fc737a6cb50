"""Limits and breakers as they are written, and as gateways take them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from finops.audit.models import AuditEvent
from finops.budgets import guard_rules
from finops.budgets.guard import BreakerTerms, LimitTerms
from finops.budgets.guard.terms import DEFAULTS
from finops.budgets.models import BreakerRule, BudgetsVersion, Limit
from finops.budgets.rules.drafts import BudgetInvalid
from finops.budgets.rules.limits import MOST_PATTERNS, BreakerDraft, LimitDraft
from finops.budgets.services import limits
from finops.budgets.services.limits import (
    TooManyLimits,
    remove_breaker,
    remove_limit,
    set_breaker,
    set_limit,
)
from finops.core.errors import NotFound
from finops.orgs.models import Organization
from finops.orgs.services import add_agent
from finops.pricing.models import ExchangeRate
from tests.factories.ledger import AT
from tests.factories.orgs import HOUSE, NOON, Cast, the_cast

WHO: dict[str, Any] = {"by": HOUSE, "at": AT}


@pytest.fixture
def cast(db: None) -> Cast:
    return the_cast()


def limit(cast: Cast, **given: Any) -> Limit:
    usual: dict[str, Any] = {"dimension": "person", "requests_per_minute": 60}
    return set_limit(organization_id=cast.acme.id, draft=LimitDraft(**usual | given), **WHO)


def breaker(cast: Cast, **given: Any) -> BreakerRule:
    usual: dict[str, Any] = {"dimension": "session", "measure": "session_calls", "threshold": Decimal(500)}
    return set_breaker(organization_id=cast.acme.id, draft=BreakerDraft(**usual | given), **WHO)


def test_a_gateway_takes_what_was_written(cast: Cast) -> None:
    limit(cast)
    limit(cast, subject=str(cast.bob.id), allowed_models=("claude-*", " claude-* ", "gpt-4o"), tokens_per_minute=9_000)
    limit(cast, dimension="key", requests_per_minute=None, max_concurrent=8)
    breaker(cast)
    breaker(cast, dimension="key", measure="amount_per_minute", threshold=Decimal("2.5"), pause_minutes=30)
    taken = guard_rules.load_guard_rules(cast.acme.id, at=AT)
    assert taken.organization_id == cast.acme.id
    assert taken.currency == "USD"
    assert taken.above == {cast.search.id: (cast.search.id,), cast.chat.id: (cast.chat.id,)}
    assert taken.limits == (
        LimitTerms("person", "", None, 60, None),
        LimitTerms("person", str(cast.bob.id), ("claude-*", "gpt-4o"), 60, 9_000),
        LimitTerms("key", "", max_concurrent=8),
    )
    assert BreakerTerms("session", "", "session_calls", 500, 900) in taken.breakers
    assert BreakerTerms("key", "", "amount_per_minute", 2_500_000_000_000, 1_800) in taken.breakers
    # Each of the two is in place of a default.
    assert len(taken.breakers) == len(DEFAULTS)
    assert guard_rules.load_guard_rules(cast.globex.id, at=AT).limits == ()


def test_said_again_it_replaces_what_was_said_and_changes_the_version(cast: Cast) -> None:
    versions = []
    first = limit(cast)
    versions.append(guard_rules.load_guard_rules(cast.acme.id, at=AT).version)
    again = limit(cast, requests_per_minute=30)
    versions.append(guard_rules.load_guard_rules(cast.acme.id, at=AT).version)
    assert (again.id, guard_rules.limits(cast.acme.id).get().requests_per_minute) == (first.id, 30)
    kept = breaker(cast)
    assert breaker(cast, threshold=None).id == kept.id
    versions.append(guard_rules.load_guard_rules(cast.acme.id, at=AT).version)
    remove_breaker(organization_id=cast.acme.id, breaker_id=kept.id, **WHO)
    remove_limit(organization_id=cast.acme.id, limit_id=first.id, **WHO)
    versions.append(str(BudgetsVersion.objects.get(organization=cast.acme).token))
    assert len(set(versions)) == 4
    taken = guard_rules.load_guard_rules(cast.acme.id, at=AT)
    assert (taken.limits, len(taken.breakers)) == ((), len(DEFAULTS))
    verbs = AuditEvent.objects.filter(subject_kind__in=["limit", "breaker"]).order_by("id")
    assert [one.verb for one in verbs] == [
        "limit.set", "limit.set", "breaker.set", "breaker.set", "breaker.removed", "limit.removed",
    ]  # fmt: skip


def test_a_default_that_is_switched_off_is_off(cast: Cast) -> None:
    breaker(cast, threshold=None)
    taken = guard_rules.load_guard_rules(cast.acme.id, at=AT).breakers
    assert [one.threshold for one in taken if one.measure == "session_calls"] == [None]


def test_an_agents_sessions_may_have_their_own_beside_the_default(cast: Cast) -> None:
    agent = add_agent(organization_id=cast.acme.id, name="Reviewer", by=HOUSE, at=NOON)
    breaker(cast, subject=str(agent.id), threshold=Decimal(9_000))
    taken = guard_rules.load_guard_rules(cast.acme.id, at=AT).breakers
    assert {(one.subject, one.threshold) for one in taken if one.measure == "session_calls"} == {
        ("", 2_000), (str(agent.id), 9_000),
    }  # fmt: skip


def test_defaults_are_dollars_in_the_reporting_currency_and_off_where_nobody_knows_the_rate(cast: Cast) -> None:
    Organization.objects.filter(id=cast.globex.id).update(reporting_currency="JPY")
    unknown = guard_rules.load_guard_rules(cast.globex.id, at=AT).breakers
    assert [one for one in unknown if "amount" in one.measure] == []
    ExchangeRate.objects.create(
        organization=cast.globex, day=AT.date(), from_currency="USD", to_currency="JPY", rate=150
    )
    from finops.pricing import selectors

    selectors._exchanges.clear()
    known = guard_rules.load_guard_rules(cast.globex.id, at=AT)
    assert known.currency == "JPY"
    (session,) = [one.threshold for one in known.breakers if one.measure == "session_amount"]
    assert session == 250 * 150 * 10**12


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"dimension": "customer"}, "dimension"),
        ({"subject": "bob"}, "subject"),
        ({"subject": "2147483647"}, "subject"),
        ({"subject": "9" * 10}, "subject"),
        ({"requests_per_minute": None}, "requests_per_minute"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"tokens_per_minute": -1}, "tokens_per_minute"),
        ({"max_concurrent": 0}, "max_concurrent"),
        ({"max_concurrent": 100_001}, "max_concurrent"),
        ({"allowed_models": ("",)}, "allowed_models"),
        ({"allowed_models": ("a\nb\0",)}, "allowed_models"),
        ({"allowed_models": ("****",)}, "allowed_models"),
        ({"allowed_models": tuple(f"m-{n}" for n in range(MOST_PATTERNS + 1))}, "allowed_models"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(cast: Cast, given: dict[str, Any], field: str) -> None:
    with pytest.raises(BudgetInvalid) as refused:
        limit(cast, **given)
    assert refused.value.field == field
    assert not Limit.objects.exists()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"dimension": "team"}, "dimension"),
        ({"dimension": "agent"}, "measure"),
        ({"measure": "speed"}, "measure"),
        ({"threshold": Decimal(0)}, "threshold"),
        ({"threshold": Decimal("NaN")}, "threshold"),
        ({"threshold": Decimal("1.5")}, "threshold"),
        ({"threshold": Decimal("1E-13"), "measure": "session_amount"}, "threshold"),
        ({"threshold": Decimal(10) ** 13, "measure": "session_amount"}, "threshold"),
        ({"threshold": Decimal(1), "measure": "identical_calls"}, "threshold"),
        ({"pause_minutes": 0}, "pause_minutes"),
        ({"pause_minutes": 7 * 24 * 60 + 1}, "pause_minutes"),
        ({"subject": "x"}, "subject"),
    ],
)
def test_a_breaker_that_cannot_be_is_refused(cast: Cast, given: dict[str, Any], field: str) -> None:
    with pytest.raises(BudgetInvalid) as refused:
        breaker(cast, **given)
    assert refused.value.field == field


def test_one_organization_limits_nobody_of_another(cast: Cast) -> None:
    with pytest.raises(BudgetInvalid):
        limit(cast, subject=str(cast.charlie.id))
    made = limit(cast)
    with pytest.raises(NotFound):
        remove_limit(organization_id=cast.globex.id, limit_id=made.id, **WHO)
    with pytest.raises(NotFound):
        remove_breaker(organization_id=cast.globex.id, breaker_id=breaker(cast).id, **WHO)


def test_there_are_only_so_many(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_LIMITS", 1)
    limit(cast)
    limit(cast, requests_per_minute=5)
    with pytest.raises(TooManyLimits):
        limit(cast, dimension="key")
