"""Budgets as the file says; one is known by its name."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from finops.budgets import selectors
from finops.budgets.models import Budget
from finops.budgets.services import budgets as services
from finops.budgets.services.downgrades import check_downgrade
from finops.budgets.types import Draft
from routing.laptop.selectors import made_by
from routing.laptop.services.making import CONFIG, Making
from routing.laptop.types import WantedBudget


def bring_budgets(making: Making, wanted: Sequence[WantedBudget]) -> None:
    """A budget of another period, or for each of something else, is another budget: what was spent is counted anew."""
    mine: dict[str, Any] = {"organization_id": making.organization_id, **making.who}
    known = {row.name: row for row in selectors.budgets(making.organization_id)}
    for one in wanted:
        with making.mistakes.at(one.place):
            _bring(making, known.get(one.draft.name), one.draft, mine)
    named = {one.draft.name for one in wanted}
    ours = made_by(making.organization_id, CONFIG, "budget.created")
    for row in known.values():
        if row.id in ours and row.name not in named:
            services.archive_budget(budget_id=row.id, **mine)
            making.tell(f"budget {row.name} archived")


def _bring(making: Making, row: Budget | None, draft: Draft, mine: dict[str, Any]) -> None:
    # By the names prices know its models by, as the row keeps them.
    draft = check_downgrade(organization_id=making.organization_id, draft=draft, at=making.at)
    if row is not None and (row.period, row.each, row.scope) != (draft.period, draft.each, {}):
        services.archive_budget(budget_id=row.id, **mine)
        row = None
    if row is None:
        services.create_budget(draft=draft, **mine)
        making.tell(f"budget {draft.name} added")
        return
    said = {
        "limit_amount": draft.limit_amount,
        "enforcement": draft.enforcement,
        "downgrade_to": draft.downgrade_to,
        "downgrade_at": draft.downgrade_at,
    }
    goes_to = tuple((one["provider"], one["model"]) for one in row.downgrade_to)
    has = {
        "limit_amount": row.limit_amount,
        "enforcement": row.enforcement,
        "downgrade_to": goes_to,
        "downgrade_at": row.downgrade_at,
    }
    changes: dict[str, Any] = {name: value for name, value in said.items() if has[name] != value}
    if changes:
        services.change_budget(budget_id=row.id, **changes, **mine)
        words = ", ".join(_word(name, has[name], value) for name, value in changes.items())
        making.tell(f"budget {row.name}: {words}")


def _word(name: str, before: Any, after: Any) -> str:
    if name == "limit_amount":
        return f"limit {_plain(before)} to {_plain(after)}"
    return f"enforcement {before} to {after}" if name == "enforcement" else "downgrade changed"


def _plain(amount: Decimal) -> str:
    return format(amount.normalize(), "f")
