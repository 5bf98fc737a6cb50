"""Budgets that team leads make for their own teams, inside the envelope managers gave them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from finops.budgets import selectors
from finops.budgets.models import Budget
from finops.budgets.rules.drafts import check_draft
from finops.budgets.rules.envelope import NotYours, Wish, check_envelope, check_teams
from finops.budgets.services import accounts
from finops.budgets.services.budgets import archive_budget, change_budget, create_budget
from finops.budgets.types import Draft, Period
from finops.core.actors import Actor


@transaction.atomic
def create_team_budget(*, organization_id: int, draft: Draft, led: Iterable[int], by: Actor, at: datetime) -> Budget:
    """As `create_budget`, by who leads the teams `led`. Raises OutsideTeam, NoEnvelope, BeyondEnvelope too."""
    draft = check_draft(draft)
    wish = Wish(draft.scope, draft.period, draft.limit_amount + draft.rollover_amount)
    accounts.change_alone(organization_id)
    _check(organization_id, wish, led, at)
    return create_budget(organization_id=organization_id, draft=draft, by_lead=True, by=by, at=at)


@transaction.atomic
def change_team_budget(
    *, organization_id: int, budget_id: int, led: Iterable[int], by: Actor, at: datetime, **changes: Any
) -> Budget:
    """As `change_budget`. Raises NotYours, and as `create_team_budget` does."""
    accounts.change_alone(organization_id)
    found = _theirs(organization_id, budget_id, led)
    limit: Decimal = changes.get("limit_amount", found.limit_amount)
    rollover: Decimal = changes.get("rollover_amount", found.rollover_amount)
    # Whoever only tightens or renames is not held up by an envelope that has become smaller.
    if limit + rollover > found.limit_amount + found.rollover_amount:
        _check(organization_id, Wish(found.scope, Period(found.period), limit + rollover), led, at)
    return change_budget(organization_id=organization_id, budget_id=budget_id, by=by, at=at, **changes)


@transaction.atomic
def archive_team_budget(*, organization_id: int, budget_id: int, led: Iterable[int], by: Actor, at: datetime) -> Budget:
    """As `archive_budget`. Raises NotYours and OutsideTeam too."""
    _theirs(organization_id, budget_id, led)
    return archive_budget(organization_id=organization_id, budget_id=budget_id, by=by, at=at)


def _theirs(organization_id: int, budget_id: int, led: Iterable[int]) -> Budget:
    found = selectors.budget(organization_id, budget_id)
    if not found.by_lead:
        raise NotYours("this budget was made by who manages them; ask for an increase instead")
    check_teams(found.scope, led=led)
    return found


def _check(organization_id: int, wish: Wish, led: Iterable[int], at: datetime) -> None:
    envelopes = selectors.envelopes(organization_id, at)
    check_envelope(wish, led=led, envelopes=envelopes, above=selectors.teams_above(organization_id))
