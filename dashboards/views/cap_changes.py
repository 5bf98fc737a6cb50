"""What is changed of a cap: its terms, who is excepted, money moved to another, its end."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST

from dashboards.access import Here, page
from dashboards.actions import act, form_page, posted
from dashboards.caps.forms import ExceptionForm, TermsForm, TransferForm, subjects
from dashboards.forms import ActionForm
from dashboards.templatetags.figures import normal
from dashboards.views.caps import cap_address
from finops.budgets import selectors
from finops.budgets.models import Budget, BudgetException
from finops.budgets.services.budgets import archive_budget, change_budget, remove_exception, set_exception
from finops.budgets.services.increases import transfer as move_money
from finops.core.errors import NotFound
from finops.orgs.rules import Permission


def _common(here: Here, budget_id: int) -> dict[str, Any]:
    return {"organization_id": here.id, "budget_id": budget_id, "by": here.caller.actor, "at": here.now}


def _back(here: Here, budget: Budget) -> tuple[str, str]:
    return budget.name, cap_address(here, budget.id)


@require_http_methods(["GET", "HEAD", "POST"])
@page("caps", Permission.BUDGETS_MANAGE)
def change(request: HttpRequest, here: Here, budget_id: int) -> HttpResponse:
    budget = selectors.budget(here.id, budget_id)
    form = TermsForm(
        posted(request),
        currency=here.currency,
        initial={
            "name": budget.name,
            "limit": normal(budget.limit_amount),
            "enforcement": budget.enforcement,
            "thresholds": ", ".join(str(one) for one in budget.thresholds),
            "downgrade_to": "\n".join(f"{one['provider']}/{one['model']}" for one in budget.downgrade_to),
            "downgrade_at": budget.downgrade_at,
            "rollover": normal(budget.rollover_amount) if budget.rollover_amount else "",
        },
    )
    return form_page(
        request,
        here,
        "caps",
        form,
        lambda said: change_budget(**_common(here, budget_id), **form.changes()),
        title=f"Change {budget.name}",
        lead="What was spent stays spent. A cap for others, or for another period, is another cap.",
        submit="Save",
        back=_back(here, budget),
        done="The cap is changed. It holds from now on, in the present period too.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page("caps", Permission.BUDGETS_MANAGE)
def archive(request: HttpRequest, here: Here, budget_id: int) -> HttpResponse:
    budget = selectors.budget(here.id, budget_id)
    return form_page(
        request,
        here,
        "caps",
        ActionForm(posted(request)),
        lambda said: archive_budget(**_common(here, budget_id)),
        title=f"Archive {budget.name}",
        lead="It concerns nobody any more, from now on. What was spent under it stays on record.",
        submit="Archive it",
        back=_back(here, budget),
        done="The cap is archived.",
        danger=True,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page("caps", Permission.BUDGETS_MANAGE)
def except_one(request: HttpRequest, here: Here, budget_id: int) -> HttpResponse:
    """A limit of its own for one subject, or none."""
    budget = selectors.budget(here.id, budget_id)
    if not budget.each:
        raise NotFound("This cap is one for all; change its limit instead.")
    form = ExceptionForm(posted(request), organization_id=here.id, each=budget.each)
    return form_page(
        request,
        here,
        "caps",
        form,
        lambda said: set_exception(
            **_common(here, budget_id), subject=form.subject(), limit_amount=said["limit"], note=said["note"]
        ),
        title="Make an exception",
        lead=f"One {budget.each} gets a limit of its own, for good. For a while only, approve an increase instead.",
        submit="Save the exception",
        back=_back(here, budget),
        done="The exception is set.",
    )


@require_POST
@page("caps", Permission.BUDGETS_MANAGE)
def end_exception(request: HttpRequest, here: Here, exception_id: int) -> HttpResponse:
    found = BudgetException.objects.filter(organization_id=here.id, id=exception_id).first()
    if found is None:
        raise NotFound("There is no such exception.")
    return act(
        request,
        lambda: remove_exception(**_common(here, found.budget_id), subject=found.subject),
        done="The exception is removed.",
        to=cap_address(here, found.budget_id),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page("caps", Permission.BUDGETS_MANAGE)
def transfer(request: HttpRequest, here: Here, budget_id: int) -> HttpResponse:
    """Money of the present period goes from an account of this cap to one of another."""
    budget = selectors.budget(here.id, budget_id)
    others = {one.id: one for one in selectors.budgets(here.id)}
    choices = [(str(one.id), f"{one.name}, each {one.each}" if one.each else one.name) for one in others.values()]
    form = TransferForm(posted(request), organization_id=here.id, each=budget.each, others=choices)

    def save(said: dict[str, Any]) -> None:
        target = others[int(said["target"])]
        whose = subjects(here.id, target.each, [said["to"].strip()], field="to")[0] if target.each else said["to"]
        move_money(
            organization_id=here.id,
            source=(budget.id, form.subject()),
            target=(target.id, whose),
            amount=said["amount"],
            reason=said["reason"],
            by=here.caller.actor,
            at=here.now,
        )

    return form_page(
        request,
        here,
        "caps",
        form,
        save,
        title=f"Move money from {budget.name}",
        lead="For the present period only. The sum of both limits stays; what gateways hold cannot be moved.",
        submit="Move it",
        back=_back(here, budget),
        done="The money is moved.",
    )
