"""Budgets are made, changed and archived; subjects get limits of their own, or are let off."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.apps import apps
from django.db import transaction

from finops.audit.services import record
from finops.budgets import selectors
from finops.budgets.models import Budget, BudgetException
from finops.budgets.rules.drafts import BudgetInvalid, check_amount, check_draft, check_start
from finops.budgets.rules.periods import window
from finops.budgets.services import accounts, history
from finops.budgets.services.downgrades import check_downgrade
from finops.budgets.types import OWNERS, Account, Draft, Enforcement, Period, Terms, Window
from finops.core.actors import Actor
from finops.core.errors import FinopsError
from finops.core.money import to_pico
from finops.orgs.models import Organization

MOST_BUDGETS: Final = 1_000
MOST_EXCEPTIONS: Final = 5_000
_MODELS: Final = {"key": "VirtualKey"}


class TooManyBudgets(FinopsError):
    code = "budgets.too_many"
    status = 409


class Archived(FinopsError):
    """The budget was archived; make a new one."""

    code = "budgets.archived"
    status = 409


@transaction.atomic
def create_budget(*, organization_id: int, draft: Draft, by_lead: bool = False, by: Actor, at: datetime) -> Budget:
    """A budget from its beginning on. What its subjects spent in the period so far counts.

    Raises BudgetInvalid and TooManyBudgets.
    """
    draft = check_downgrade(organization_id=organization_id, draft=check_draft(draft), at=at)
    _check_owners(organization_id, draft)
    accounts.change_alone(organization_id)
    if selectors.budgets(organization_id).count() >= MOST_BUDGETS:
        raise TooManyBudgets(f"an organization has at most {MOST_BUDGETS:,} budgets; one may be for each person")
    fields = _fields(organization_id, draft, at)
    made = Budget.objects.create(organization_id=organization_id, by_lead=by_lead, **fields)
    _count_what_was_spent(selectors.terms_of(made), at)
    _record(made, "budget.created", {**_shown(made)}, by, at)
    return made


def draft_terms(*, organization_id: int, draft: Draft, at: datetime) -> Terms:
    """The terms of a budget that is not made, for trying it: as if it had been there always. Raises BudgetInvalid."""
    draft = check_downgrade(organization_id=organization_id, draft=check_draft(draft), at=at)
    _check_owners(organization_id, draft)
    row = Budget(organization_id=organization_id, **_fields(organization_id, draft, at))
    return replace(selectors.terms_of(row), starts_at=_LONG_AGO)


@transaction.atomic
def change_budget(
    *,
    organization_id: int,
    budget_id: int,
    name: str | None = None,
    limit_amount: Decimal | None = None,
    enforcement: Enforcement | None = None,
    thresholds: tuple[int, ...] | None = None,
    rollover_amount: Decimal | None = None,
    fail_open: bool | None = None,
    downgrade_to: tuple[tuple[str, str], ...] | None = None,
    downgrade_at: int | None = None,
    ends_at: datetime | None = None,
    by: Actor,
    at: datetime,
) -> Budget:
    """What of a budget may change; None leaves it. What was spent stays spent, in the same accounts: a budget of
    another scope, period or subject is another budget. Raises NotFound, Archived, BudgetInvalid.
    """
    accounts.change_alone(organization_id)
    found = live(organization_id, budget_id, lock=True)
    before, ended = _shown(found), found.ends_at
    changes = {
        "name": name,
        "limit_amount": limit_amount,
        "enforcement": enforcement,
        "thresholds": thresholds,
        "rollover_amount": rollover_amount,
        "fail_open": fail_open,
        "downgrade_to": downgrade_to,
        "downgrade_at": downgrade_at,
        "ends_at": ends_at,
    }
    said = {field: value for field, value in changes.items() if value is not None}
    checked = check_draft(_draft_of(found, said))
    if _kept("downgrade_to", checked.downgrade_to) != found.downgrade_to:
        checked = check_downgrade(organization_id=organization_id, draft=checked, at=at)
    for field in said:
        setattr(found, field, _kept(field, getattr(checked, field)))
    found.save(update_fields=sorted(said))
    if "ends_at" in said:
        accounts.set_ends(organization_id=organization_id, budget_id=budget_id, was=ended, at=at)
    accounts.set_limits(organization_id=organization_id, budget_id=budget_id, at=at)
    after = _shown(found)
    details = {field: [before[field], after[field]] for field in after if before[field] != after[field]}
    if details:
        _record(found, "budget.changed", details, by, at)
    return found


@transaction.atomic
def archive_budget(*, organization_id: int, budget_id: int, by: Actor, at: datetime) -> Budget:
    """It concerns nobody any more; its accounts stay as they are. Raises NotFound and Archived."""
    accounts.change_alone(organization_id)
    found = live(organization_id, budget_id, lock=True)
    found.archived_at = at
    found.save(update_fields=["archived_at"])
    _record(found, "budget.archived", {}, by, at)
    return found


@transaction.atomic
def set_exception(
    *,
    organization_id: int,
    budget_id: int,
    subject: str,
    limit_amount: Decimal | None,
    note: str = "",
    by: Actor,
    at: datetime,
) -> BudgetException:
    """A limit of its own for a subject of the budget; with no limit, the budget does not concern it.

    Raises NotFound, Archived, BudgetInvalid.
    """
    accounts.change_alone(organization_id)
    found = live(organization_id, budget_id, lock=True)
    check_subject(found, subject)
    limit = None if limit_amount is None else check_amount(limit_amount, field="limit")
    if found.exceptions.exclude(subject=subject).count() >= MOST_EXCEPTIONS:
        raise BudgetInvalid(f"a budget has at most {MOST_EXCEPTIONS:,} exceptions", field="subject")
    made, _ = BudgetException.objects.update_or_create(
        organization_id=organization_id,
        budget=found,
        subject=subject,
        defaults={"limit_amount": limit, "note": note[:2_000]},
    )
    accounts.set_limits(organization_id=organization_id, budget_id=budget_id, at=at)
    details = {"subject": subject, "limit": None if limit is None else str(limit)}
    _record(found, "budget.exception_set", details, by, at)
    return made


@transaction.atomic
def remove_exception(*, organization_id: int, budget_id: int, subject: str, by: Actor, at: datetime) -> None:
    """The subject is as all others again. Raises NotFound and Archived."""
    accounts.change_alone(organization_id)
    found = live(organization_id, budget_id, lock=True)
    gone, _ = BudgetException.objects.filter(budget=found, subject=subject).delete()
    if gone:
        accounts.set_limits(organization_id=organization_id, budget_id=budget_id, at=at)
        _record(found, "budget.exception_removed", {"subject": subject}, by, at)


def check_subject(budget: Budget, subject: str) -> None:
    """Raises BudgetInvalid unless the budget may have an account of that subject."""
    if not budget.each:
        fits = subject == ""
    elif budget.each in OWNERS:
        fits = subject.isascii() and subject.isdigit() and len(subject) < 10
    else:
        fits = 0 < len(subject) <= 300 and "\0" not in subject
    if not fits:
        what = f"one for each {budget.each}" if budget.each else "one for all, and no subject"
        raise BudgetInvalid(f"the budget is {what}", field="subject")


def _count_what_was_spent(terms: Terms, at: datetime) -> None:
    """Open the accounts of whoever spent in the present period, or in the next, for clocks may be ahead."""
    first = window(terms, max(at, terms.starts_at))
    following = window(terms, first.end) if first and first.end else None
    for period in (first, following):
        if period is None:
            continue
        spent = history.spent_before(terms, period)
        amounts = {
            (terms, Account(terms.budget_id, subject, period.start)): to_pico(amount)
            for subject, amount in spent.items()
        }
        accounts.observe(organization_id=terms.organization_id, amounts=amounts, at=at)


def _fields(organization_id: int, draft: Draft, at: datetime) -> dict[str, Any]:
    zone = draft.timezone or Organization.objects.values_list("timezone", flat=True).get(id=organization_id)
    starts_at = _start(draft, zone, at)
    if draft.ends_at is not None and draft.ends_at <= starts_at:
        raise BudgetInvalid(f"it starts at {starts_at}, and ends after that", field="ends_at")
    return {
        "name": draft.name,
        "scope": {dimension: sorted(set(values)) for dimension, values in sorted(draft.scope.items())},
        "each": draft.each,
        "period": draft.period.value,
        "timezone": zone,
        "limit_amount": draft.limit_amount,
        "enforcement": draft.enforcement.value,
        "thresholds": sorted(draft.thresholds),
        "rollover_amount": draft.rollover_amount,
        "fail_open": draft.fail_open,
        "downgrade_to": _kept("downgrade_to", draft.downgrade_to),
        "downgrade_at": draft.downgrade_at,
        "starts_at": starts_at,
        "ends_at": draft.ends_at,
    }


def _kept(field: str, value: Any) -> Any:
    """What a draft says, as a row keeps it."""
    if field == "downgrade_to":
        return [{"provider": provider, "model": model} for provider, model in value]
    return list(value) if field == "thresholds" else value


def _start(draft: Draft, zone: str, at: datetime) -> datetime:
    """When the budget begins: as it says, or with the present period."""
    if draft.period in (Period.TOTAL, Period.SESSION):
        return draft.starts_at or at
    present = present_period(draft.period, zone, at)
    if draft.starts_at is None:
        return present.start
    check_start(draft.starts_at, present.start)
    return draft.starts_at


def present_period(period: Period, zone: str, at: datetime) -> Window:
    terms = Terms(0, 0, 0, period, Enforcement.ALERT, starts_at=_LONG_AGO, zone=zone)
    held = window(terms, at)
    if held is None:
        raise BudgetInvalid(f"there is no period at {at}", field="starts_at")
    return held


_LONG_AGO: Final = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


def _draft_of(row: Budget, changes: dict[str, Any]) -> Draft:
    said: dict[str, Any] = {
        "name": row.name,
        "limit_amount": row.limit_amount,
        "period": Period(row.period),
        "enforcement": Enforcement(row.enforcement),
        "scope": {dimension: tuple(values) for dimension, values in row.scope.items()},
        "each": row.each,
        "timezone": row.timezone,
        "thresholds": tuple(row.thresholds),
        "rollover_amount": row.rollover_amount,
        "fail_open": row.fail_open,
        "downgrade_to": tuple((one["provider"], one["model"]) for one in row.downgrade_to),
        "downgrade_at": row.downgrade_at,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
    }
    return Draft(**said | changes)


def live(organization_id: int, budget_id: int, *, lock: bool = False) -> Budget:
    """Raises NotFound and Archived."""
    found = selectors.budget(organization_id, budget_id, lock=lock)
    if found.archived_at is not None:
        raise Archived("the budget was archived; make a new one")
    return found


def _check_owners(organization_id: int, draft: Draft) -> None:
    """Raises BudgetInvalid when the scope names an owner that is not this organization's; 0 is nobody."""
    for dimension, values in draft.scope.items():
        wanted = {int(value) for value in values} - {0} if dimension in OWNERS else set()
        if not wanted:
            continue
        model = apps.get_model("orgs", _MODELS.get(dimension, dimension.capitalize()))
        known = set(
            model._default_manager.filter(organization_id=organization_id, id__in=wanted).values_list("id", flat=True)
        )
        if wanted != known:
            raise BudgetInvalid(f"there is no {dimension} {min(wanted - known)} here", field=f"scope.{dimension}")


def _shown(row: Budget) -> dict[str, Any]:
    return {
        "name": row.name,
        "limit": str(row.limit_amount),
        "period": row.period,
        "each": row.each,
        "scope": row.scope,
        "enforcement": str(row.enforcement),
        "thresholds": list(row.thresholds),
        "rollover": str(row.rollover_amount),
        "fail_open": row.fail_open,
        "downgrade_to": [f"{one['provider']}/{one['model']}" for one in row.downgrade_to],
        "downgrade_at": row.downgrade_at,
        "timezone": row.timezone,
        "starts_at": row.starts_at.isoformat(),
        "ends_at": row.ends_at.isoformat() if row.ends_at else None,
    }


def _record(row: Budget, verb: str, details: dict[str, Any], by: Actor, at: datetime) -> None:
    record(
        organization_id=row.organization_id,
        verb=verb,
        subject_kind="budget",
        subject_id=row.id,
        subject_label=row.name,
        by=by,
        at=at,
        details=details,
    )
