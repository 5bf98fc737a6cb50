"""Who calls in the stories of the guard: Ana of Search (below Platform), with her key and the reviewer, an agent."""

from __future__ import annotations

from typing import Any

from finops.budgets.guard import BreakerTerms, Guard, GuardRules, LimitTerms
from finops.budgets.guard.answers import Refusal, Stop
from finops.budgets.guard.slices import Granted
from finops.budgets.guard.terms import AMOUNTS, DEFAULTS
from finops.budgets.types import Call

ACME = 1
PLATFORM, SEARCH, CHAT = 10, 11, 12
ANA, BEN = 21, 22
KEY, REVIEWER = 41, 31
DOLLAR = 10**12
ABOVE = {PLATFORM: (PLATFORM,), SEARCH: (PLATFORM, SEARCH), CHAT: (PLATFORM, CHAT)}
BY_DEFAULT = tuple(
    BreakerTerms(
        one.dimension,
        "",
        one.measure.value,
        one.threshold * (DOLLAR if one.measure in AMOUNTS else 1),
        one.pause_minutes * 60,
    )
    for one in DEFAULTS
)


def call(**given: Any) -> Call:
    usual: dict[str, Any] = {
        "team": SEARCH,
        "person": ANA,
        "key": KEY,
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
    }
    return Call(**usual | given)


def breaker(measure: str, threshold: int | None, *, dimension: str = "session", subject: str = "") -> BreakerTerms:
    return BreakerTerms(dimension, subject, measure, threshold, 900)


def guard(*said: LimitTerms | BreakerTerms, name: str = "gateway-1") -> Guard:
    """A gateway's guard under these limits and breakers."""
    made = Guard(name)
    limits = tuple(one for one in said if isinstance(one, LimitTerms))
    breakers = tuple(one for one in said if isinstance(one, BreakerTerms))
    made.rules_are(GuardRules(ACME, "v1", "USD", dict(ABOVE), limits, breakers))
    return made


def made(house: Guard, name: str, who: Call, now: float, *, amount: int = 0, **given: Any) -> Refusal | None:
    """One call from beginning to end; what refused it."""
    found = house.check(ACME, name, who, **{"tokens": 100, "now": now} | given)
    if found is None:
        house.allowed(name, now)
        house.settled(name, amount=amount, tokens=100, now=now)
        return None
    assert isinstance(found, Refusal)
    return found


def stop(dimension: str, subject: str = "", **given: Any) -> Stop:
    usual: dict[str, Any] = {"id": 1, "kind": "manual", "reason": "it loops", "until": None, "left_s": None}
    return Stop(organization_id=ACME, dimension=dimension, subject=subject, **usual | given)


def give(house: Guard, lacking: Any, now: float) -> None:
    """The database has as much as is wanted at most."""
    grants = [Granted(one.key, int(now), one.most, 0, 0.0) for one in lacking.wants]
    house.granted(grants, lacking.wants, asked_at=now)
