"""Seats: plans that are paid by the seat, what they cost, what their holders used, and who used nothing."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_safe

from dashboards.access import Here, page, show
from dashboards.actions import form_page, posted
from dashboards.forms import ActionForm
from dashboards.panels.bar import address
from dashboards.seats import ChangeForm, PlanForm, initial_of, term_words
from finops.orgs.rules import Permission
from finops.seats import selectors, services
from finops.seats.models import SeatPlan
from finops.seats.rules import MOST_DAYS_BACK
from finops.seats.tasks import send
from finops.seats.types import PlanDraft
from finops.seats.worth import IDLE_AFTER, Worth, worth_of

# What is looked at for a page of plans; of more the oldest that are over are left out.
SHOWN: Final = 100
NAMED: Final = 50
_DONE: Final = "The books follow within a minute."


@dataclass(frozen=True, slots=True)
class Row:
    """A plan; `worth` is None for whoever may not see people's spend."""

    plan: SeatPlan
    term: str
    state: str
    tone: str
    holders: int
    worth: Worth | None


@dataclass(frozen=True, slots=True)
class Idle:
    """Seats of a plan that nobody uses, and what they cost in a term."""

    row: Row
    holders: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return self.holders[:NAMED]

    @property
    def more(self) -> int:
        return max(len(self.holders) - NAMED, 0)

    @property
    def cost(self) -> Decimal:
        return self.row.plan.price * len(self.holders)


@require_safe
@page("seats", Permission.PRICING_READ)
def seats(request: HttpRequest, here: Here) -> HttpResponse:
    today = here.now.date()
    found = list(selectors.newest(here.id, today, SHOWN))
    sees = here.caller.sees_people and not here.caller.reach
    worths: dict[int, Worth] = {}
    if sees:
        worths = {one.plan.id: one for one in worth_of(here.id, found, today=today)}
    rows = [_row(plan, worths.get(plan.id), here) for plan in found]
    books = selectors.books(here.id)
    going = [row for row in rows if row.state == "held"]
    context = {
        "rows": rows,
        "sees": sees,
        "idle": [Idle(row, row.worth.idle) for row in going if row.worth and row.worth.idle],
        "unknown": [(row, row.worth.unknown[:NAMED]) for row in going if row.worth and row.worth.unknown],
        "idle_days": IDLE_AFTER.days,
        "may": here.caller.can(Permission.PRICING_MANAGE),
        "books": books,
        "behind": books is not None and books.made_until <= today,
        "job": selectors.job(here.id) if books is not None else None,
        "month": f"{today:%B}",
    }
    return show(request, here, "seats", "pages/seats.html", context)


def _row(plan: SeatPlan, worth: Worth | None, here: Here) -> Row:
    today = here.now.date()
    state, tone = "held", "good"
    if plan.end is not None and plan.end <= today:
        state, tone = "over", ""
    elif plan.start > today:
        state, tone = "to come", "info"
    return Row(plan, term_words(plan.term_months), state, tone, len(plan.holders.all()), worth)


@require_http_methods(["GET", "HEAD", "POST"])
@page("seats", Permission.PRICING_MANAGE)
def add(request: HttpRequest, here: Here) -> HttpResponse:
    first = here.now.date().replace(day=1)
    form = PlanForm(
        posted(request), organization_id=here.id, initial={"start": first, "prorated": True, "currency": here.currency}
    )

    def save(_: dict[str, Any]) -> None:
        services.begin(organization_id=here.id, draft=PlanDraft(**form.said()), by=here.caller.actor, at=here.now)
        send(here.id)

    return form_page(
        request, here, "seats", form, save, title="Describe a plan", submit="Add the plan", back=_back(here),
        done=f"The plan is added. {_DONE}",
        lead=f"What is paid by the seat and not by the call. A plan may begin up to {MOST_DAYS_BACK // 365} years ago.",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("seats", Permission.PRICING_MANAGE)
def correct(request: HttpRequest, here: Here, seat_plan_id: int) -> HttpResponse:
    row = selectors.plan(here.id, seat_plan_id)
    form = PlanForm(posted(request), organization_id=here.id, row=row, initial=initial_of(row))

    def save(_: dict[str, Any]) -> None:
        services.correct(
            organization_id=here.id, plan_id=row.id, changes=_kept(form, row), by=here.caller.actor, at=here.now
        )
        send(here.id)

    return form_page(
        request, here, "seats", form, save, title=f"Correct or end {row.name}", submit="Save the plan",
        back=_back(here), done=f"The plan is as you said. {_DONE}",
        lead="Charges that were booked are revised or taken back. Where something was agreed anew, change it instead.",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("seats", Permission.PRICING_MANAGE)
def change(request: HttpRequest, here: Here, seat_plan_id: int) -> HttpResponse:
    row = selectors.plan(here.id, seat_plan_id)
    first = initial_of(row) | {"since": here.now.date()}
    form = ChangeForm(posted(request), organization_id=here.id, row=row, initial=first)

    def save(said: dict[str, Any]) -> None:
        services.change(
            organization_id=here.id, plan_id=row.id, since=said["since"], changes=_kept(form, row),
            by=here.caller.actor, at=here.now,
        )  # fmt: skip
        send(here.id)

    return form_page(
        request, here, "seats", form, save, title=f"Change {row.name} from a day on", submit="Change the plan",
        back=_back(here), done=f"The plan ends there, and goes on as you said. {_DONE}",
        lead="What was booked before that day stays as it is.",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("seats", Permission.PRICING_MANAGE)
def withdraw(request: HttpRequest, here: Here, seat_plan_id: int) -> HttpResponse:
    row = selectors.plan(here.id, seat_plan_id)

    def take_back(_: dict[str, Any]) -> None:
        services.withdraw(organization_id=here.id, plan_id=row.id, by=here.caller.actor, at=here.now)
        send(here.id)

    return form_page(
        request, here, "seats", ActionForm(posted(request)), take_back, title=f"Withdraw {row.name}",
        submit="Take all its charges back", back=_back(here), done=f"Its charges are taken back. {_DONE}", danger=True,
        lead="The plan never was: every charge of it is taken back. The one it was changed from goes on in its"
        " place. A plan that is over is given an end instead.",
    )  # fmt: skip


def _kept(form: PlanForm, row: SeatPlan) -> dict[str, Any]:
    """What the form said. A length of terms that stays is none that changes: it would move where terms begin."""
    said = form.said()
    if said.get("term_months") == row.term_months:
        said.pop("term_months")
    return said


def _back(here: Here) -> tuple[str, str]:
    return ("Seats", address(here, "seats"))
