"""More for a while: asked for, decided, over by itself. And money moved from one budget to another."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import transaction

from finops.audit.services import record
from finops.budgets import selectors
from finops.budgets.models import Budget, Increase, Transfer
from finops.budgets.rules.drafts import BudgetInvalid, check_amount
from finops.budgets.rules.periods import window
from finops.budgets.services import accounts
from finops.budgets.services.budgets import check_subject, in_force
from finops.budgets.types import Account
from finops.core.actors import Actor
from finops.core.errors import FinopsError, NotFound

LONGEST: Final = timedelta(days=366)
MOST_WAITING: Final = 500


class Decided(FinopsError):
    """Somebody decided it already."""

    code = "budgets.decided"
    status = 409


class TooManyWaiting(FinopsError):
    code = "budgets.too_many_waiting"
    status = 429


class NotEnough(FinopsError):
    """The account has less left than is to be moved."""

    code = "budgets.not_enough"
    status = 409


@transaction.atomic
def ask_increase(
    *,
    organization_id: int,
    budget_id: int,
    subject: str = "",
    amount: Decimal,
    reason: str = "",
    expires_at: datetime | None = None,
    by: Actor,
    at: datetime,
) -> Increase:
    """Ask for more, until `expires_at` (at the latest when the present period ends). Raises NotFound, Archived,
    BudgetInvalid, TooManyWaiting.
    """
    budget = in_force(selectors.budget(organization_id, budget_id))
    check_subject(budget, subject)
    if check_amount(amount, field="amount") <= 0:
        raise BudgetInvalid("ask for more than nothing", field="amount")
    if Increase.objects.filter(organization_id=organization_id, state=Increase.State.ASKED).count() >= MOST_WAITING:
        raise TooManyWaiting(f"{MOST_WAITING} requests wait for a decision; have some decided first")
    made = Increase.objects.create(
        organization_id=organization_id,
        budget=budget,
        subject=subject,
        amount=amount,
        reason=reason[:2_000],
        asked_by=by.reference[:80],
        asked_at=at,
        expires_at=_expiry(budget, expires_at, at),
    )
    _record(made, "budget.increase_asked", {"amount": str(amount), "subject": subject}, by, at)
    return made


@transaction.atomic
def decide_increase(
    *, organization_id: int, increase_id: int, approve: bool, note: str = "", by: Actor, at: datetime
) -> Increase:
    """Grant what was asked for, from now on, or refuse it. Raises NotFound and Decided."""
    accounts.change_alone(organization_id)
    found = _waiting(organization_id, increase_id)
    if approve and found.expires_at <= at:
        raise Decided("what was asked for is over by now; ask anew")
    found.state = Increase.State.APPROVED if approve else Increase.State.REFUSED
    _decide(found, note, by, at)
    if approve:
        accounts.set_limits(organization_id=organization_id, budget_id=found.budget_id, at=at)
    _record(found, f"budget.increase_{found.state}", {"amount": str(found.amount), "subject": found.subject}, by, at)
    return found


@transaction.atomic
def withdraw_increase(*, organization_id: int, increase_id: int, by: Actor, at: datetime) -> Increase:
    """Whoever asked does not need it any more. Raises NotFound and Decided."""
    found = _waiting(organization_id, increase_id)
    found.state = Increase.State.WITHDRAWN
    _decide(found, "", by, at)
    _record(found, "budget.increase_withdrawn", {}, by, at)
    return found


@transaction.atomic
def transfer(
    *,
    organization_id: int,
    source: tuple[int, str],
    target: tuple[int, str],
    amount: Decimal,
    reason: str = "",
    by: Actor,
    at: datetime,
) -> Transfer:
    """Move part of what is left from one account to another, each given as (budget, subject), in their present periods.

    The sum of their limits stays. Raises NotFound, Archived, BudgetInvalid, and NotEnough when that much is not left:
    money in a gateway's hands is not left, and comes back by itself when it is not spent.
    """
    accounts.change_alone(organization_id)
    amount = check_amount(amount, field="amount")
    if amount <= 0 or source == target:
        raise BudgetInvalid("move more than nothing, from one account to another", field="amount")
    opened = [_present(organization_id, end, field, at) for end, field in ((source, "source"), (target, "target"))]
    ids = [account_id for account_id, _ in opened]
    made = Transfer.objects.create(
        organization_id=organization_id,
        source_id=source[0],
        source_subject=source[1],
        source_start=opened[0][1].start,
        target_id=target[0],
        target_subject=target[1],
        target_start=opened[1][1].start,
        amount=amount,
        reason=reason[:2_000],
        by=by.reference[:80],
        at=at,
    )
    accounts.lock(sorted(ids))
    standing = {row.id: row for row in selectors.accounts(organization_id, ids)}
    if standing[ids[0]].left < amount:
        raise NotEnough(f"only {max(standing[ids[0]].left, Decimal(0)):f} is left to move")
    for budget_id in sorted({source[0], target[0]}):
        accounts.set_limits(organization_id=organization_id, budget_id=budget_id, at=at)
    record(
        organization_id=organization_id,
        verb="budget.transferred",
        subject_kind="budget",
        subject_id=source[0],
        by=by,
        at=at,
        details={"amount": str(amount), "from": list(source), "to": list(target)},
    )
    return made


def _present(organization_id: int, end: tuple[int, str], field: str, at: datetime) -> tuple[int, Account]:
    budget = in_force(selectors.budget(organization_id, end[0]))
    check_subject(budget, end[1])
    terms = selectors.terms_of(budget)
    period = window(terms, at)
    if period is None:
        raise BudgetInvalid("the budget has no period now", field=field)
    account = Account(end[0], end[1], period.start)
    return accounts.open_accounts(organization_id=organization_id, wanted=[(terms, account)], at=at)[account], account


def _expiry(budget: Budget, wished: datetime | None, at: datetime) -> datetime:
    """When an increase is over: as wished, and by the end of the present period."""
    period = window(selectors.terms_of(budget), at)
    latest = period.end if period is not None and period.end is not None else at + LONGEST
    found = min(wished or latest, latest)
    if found <= at:
        raise BudgetInvalid("an increase ends after it is asked for", field="expires_at")
    return found


def _waiting(organization_id: int, increase_id: int) -> Increase:
    found = Increase.objects.select_for_update().filter(organization_id=organization_id, id=increase_id).first()
    if found is None:
        raise NotFound("there is no such request")
    if found.state != Increase.State.ASKED:
        raise Decided(f"the request was {found.get_state_display().lower()} already")
    return found


def _decide(found: Increase, note: str, by: Actor, at: datetime) -> None:
    found.note, found.decided_by, found.decided_at = note[:2_000], by.reference[:80], at
    found.save(update_fields=["state", "note", "decided_by", "decided_at"])


def _record(row: Increase, verb: str, details: dict[str, Any], by: Actor, at: datetime) -> None:
    record(
        organization_id=row.organization_id,
        verb=verb,
        subject_kind="increase",
        subject_id=row.id,
        by=by,
        at=at,
        details={"budget": row.budget_id, **details},
    )
