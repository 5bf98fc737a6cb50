"""The demo's caps, made by the services everybody uses: one that a runaway passed, one that is nearly full, and one
of whose people somebody asks for more.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_UP, Decimal
from typing import Any, Final

from django.db import transaction

from finops.budgets import selectors
from finops.budgets.models import Budget
from finops.budgets.services.budgets import change_budget, create_budget, set_exception
from finops.budgets.services.increases import ask_increase
from finops.budgets.types import Draft, Enforcement, Period
from finops.core.actors import Actor, system
from finops.ingest.demo.company import LEAD_OF
from finops.orgs import selectors as orgs

_DEMO: Final = system("demo")
_ASKS: Final = "engineer@acme.example"
# So much of its limit the company has spent when the demo is opened.
_NEARLY: Final = Decimal("0.93")
_TEAM: Final = Decimal("0.68")


def before_booking(organization_id: int, agent_id: int, *, at: datetime) -> None:
    """The agent's cap is there when its night comes. It only counts: reports come after the calls."""
    scope = {"agent": (str(agent_id),)}
    _make(organization_id, at, "Invoice matching, a day", 150, Period.DAY, Enforcement.HARD, scope=scope)


@transaction.atomic
def after_booking(organization_id: int, *, at: datetime) -> None:
    """The other caps, all of them or none. Those that are there are left: an interrupted demo comes by again."""
    if selectors.budgets(organization_id).count() > 1:
        return
    whole = _make(organization_id, at, "Everything, a month", 1_000_000, Period.MONTH, Enforcement.ALERT)
    _fill(whole, _NEARLY, at)
    week = _make(
        organization_id, at, "Each person, a week", 200, Period.WEEK, Enforcement.DOWNGRADE, each="person",
        downgrade_to=(("anthropic", "claude-haiku-4-5"),),
    )  # fmt: skip
    team = orgs.owner(organization_id, "team", LEAD_OF[0])
    month = _make(
        organization_id, at, f"{team.name}, a month", 1_000_000, Period.MONTH, Enforcement.ALERT,
        scope={"team": (str(team.id),)},
    )  # fmt: skip
    _fill(month, _TEAM, at)
    bob = orgs.people(organization_id).get(email=_ASKS)
    lead = orgs.people(organization_id).filter(team=team).exclude(id=bob.id).order_by("id")[0]
    set_exception(
        organization_id=organization_id, budget_id=week.id, subject=str(lead.id), limit_amount=Decimal(400),
        note="Reviews for the whole team", by=_DEMO, at=at,
    )  # fmt: skip
    set_exception(
        organization_id=organization_id, budget_id=week.id, subject="0", limit_amount=None,
        note="Programs have caps of their own", by=_DEMO, at=at,
    )  # fmt: skip
    login = orgs.members(organization_id).get(user=bob.user_id).user
    ask_increase(
        organization_id=organization_id, budget_id=week.id, subject=str(bob.id), amount=Decimal(100),
        reason="The ranking migration runs all week", by=Actor(f"user:{login.id}", str(login)), at=at,
    )  # fmt: skip


def _make(
    organization_id: int, at: datetime, name: str, limit: int, period: Period, enforcement: Enforcement, **more: Any
) -> Budget:
    draft = Draft(name=name, limit_amount=Decimal(limit), period=period, enforcement=enforcement, **more)
    return create_budget(organization_id=organization_id, draft=draft, by=_DEMO, at=at)


def _fill(budget: Budget, part: Decimal, at: datetime) -> None:
    """A limit, in hundreds, of which what was spent is about so much."""
    spent = sum((row.spent for row in selectors.open_accounts_of(budget.organization_id, budget.id, at)), Decimal(0))
    limit = max((spent / part).quantize(Decimal("1E2"), rounding=ROUND_UP), Decimal(100))
    change_budget(organization_id=budget.organization_id, budget_id=budget.id, limit_amount=limit, by=_DEMO, at=at)
