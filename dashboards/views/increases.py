"""More for a while: what somebody has left, how they ask for more, and who decides it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.caps.forms import AskForm
from dashboards.caps.sight import Sight
from dashboards.caps.words import Gauge, Names, gauge, per, untouched
from dashboards.panels.bar import address
from dashboards.views.caps import cap_address
from finops.budgets import selectors
from finops.budgets.models import Budget, Increase
from finops.budgets.services.increases import ask_increase, decide_increase, withdraw_increase
from finops.budgets.standings import NOBODY_YET, standings
from finops.core.errors import NotFound
from finops.orgs import selectors as orgs
from finops.orgs.rules import Permission

WAITING_SHOWN: Final = 200
DECIDED_SHOWN: Final = 50
LATELY: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Mine:
    """One account that decides about somebody's own calls. `word` is how a form names it."""

    budget: Budget
    per: str
    scope: str
    gauge: Gauge
    word: str
    href: str


@dataclass(frozen=True, slots=True)
class Request:
    """A request in words."""

    increase: Increase
    whose: str
    asked_by: str
    decided_by: str
    mine: bool


@require_safe
@page("headroom", Permission.BUDGETS_READ)
def headroom(request: HttpRequest, here: Here) -> HttpResponse:
    context = {
        "rows": _mine(here, Sight(here)),
        "person": here.caller.person_id is not None,
        "may_ask": here.caller.can(Permission.BUDGETS_ASK),
    }
    return show(request, here, "headroom", "pages/headroom.html", context)


@require_safe
@page("increases", Permission.BUDGETS_ASK)
def increases(request: HttpRequest, here: Here) -> HttpResponse:
    """All requests for who decides them; for everybody else their own."""
    may = here.caller.can(Permission.BUDGETS_MANAGE)
    rows = Increase.objects.filter(organization_id=here.id).select_related("budget")
    if not may:
        rows = rows.filter(asked_by=here.caller.actor.reference)
    waiting = list(rows.filter(state=Increase.State.ASKED).order_by("asked_at", "id")[:WAITING_SHOWN])
    decided = list(rows.filter(decided_at__gt=here.now - LATELY).order_by("-decided_at", "-id")[:DECIDED_SHOWN])
    words = _words(here, [*waiting, *decided])
    context = {"waiting": words[: len(waiting)], "decided": words[len(waiting) :], "may": may}
    return show(request, here, "increases", "pages/increases.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("increases", Permission.BUDGETS_ASK)
def ask(request: HttpRequest, here: Here) -> HttpResponse:
    """Of an account of one's own, and of no other."""
    mine = {one.word: one for one in _mine(here, Sight(here))}
    if not mine:
        raise NotFound("No cap concerns you, so there is none to ask more of.")
    choices = [(word, f"{one.budget.name} ({one.gauge.name})") for word, one in mine.items()]
    form = AskForm(
        posted(request),
        accounts=choices,
        currency=here.currency,
        initial={"account": request.GET.get("account", "")[:40]},
    )
    return form_page(
        request,
        here,
        "increases",
        form,
        lambda said: ask_increase(
            organization_id=here.id,
            budget_id=mine[said["account"]].budget.id,
            subject=mine[said["account"]].gauge.row.subject,
            amount=said["amount"],
            reason=said["reason"],
            expires_at=said["expires_at"],
            by=here.caller.actor,
            at=here.now,
        ),
        title="Ask for more",
        lead="An admin decides. It counts from then on, and is over by itself.",
        submit="Ask",
        back=("Requests", address(here, "increases")),
        done="You have asked. It waits for an admin.",
    )


@require_POST
@page("increases", Permission.BUDGETS_MANAGE)
def decide(request: HttpRequest, here: Here, increase_id: int) -> HttpResponse:
    said = request.POST.get("act", "")
    if said not in {"approve", "refuse"}:
        raise NotFound("A request is approved or refused.")
    approve = said == "approve"
    return act(
        request,
        lambda: decide_increase(
            organization_id=here.id,
            increase_id=increase_id,
            approve=approve,
            note=request.POST.get("note", "").replace("\0", ""),
            by=here.caller.actor,
            at=here.now,
        ),
        done="Approved. It counts from now on." if approve else "Refused.",
        to=address(here, "increases"),
    )


@require_POST
@page("increases", Permission.BUDGETS_ASK)
def withdraw(request: HttpRequest, here: Here, increase_id: int) -> HttpResponse:
    """By whoever asked."""
    asked = Increase.objects.filter(
        organization_id=here.id, id=increase_id, asked_by=here.caller.actor.reference
    ).exists()
    if not asked:
        raise NotFound("There is no such request of yours.")
    return act(
        request,
        lambda: withdraw_increase(organization_id=here.id, increase_id=increase_id, by=here.caller.actor, at=here.now),
        done="Withdrawn.",
        to=address(here, "increases"),
    )


def _mine(here: Here, sight: Sight) -> list[Mine]:
    """The caller's own accounts, the fullest first; those nobody spent from yet too."""
    if not sight.own:
        return []
    wanted: dict[int, frozenset[str]] = {account.budget_id: frozenset({account.subject}) for account in sight.own}
    budgets = {one.id: one for one in selectors.budgets(here.id).filter(id__in=wanted)}
    found = standings(here.id, wanted, most=1, at=here.now)
    names = Names(here)
    names.want_terms(sight.own.values())
    for account, terms in sight.own.items():
        names.want(terms.each, [account.subject])
    rows = []
    for account, terms in sight.own.items():
        held = found.get(account.budget_id, NOBODY_YET).fullest
        row = held[0] if held else untouched(terms, account.subject, here.now)
        budget = budgets.get(account.budget_id)
        if row is not None and budget is not None:
            whose = "you" if terms.each == "person" else names.word(terms.each, row.subject)
            rows.append(
                Mine(
                    budget, per(budget), names.scope(terms), gauge(row, budget, whose), f"{budget.id}:{row.subject}",
                    cap_address(here, budget.id),
                )
            )  # fmt: skip
    return sorted(rows, key=lambda one: (-one.gauge.used, one.budget.id))


def _words(here: Here, rows: Iterable[Increase]) -> list[Request]:
    asked = list(rows)
    names = Names(here)
    for one in asked:
        names.want(one.budget.each, [one.subject])
    logins = {int(actor[5:]) for one in asked for actor in (one.asked_by, one.decided_by) if actor.startswith("user:")}
    called = {
        f"user:{one.user_id}": str(one.user)
        for one in (orgs.members(here.id).filter(user_id__in=logins) if logins else ())
    }
    return [
        Request(
            one,
            names.word(one.budget.each, one.subject),
            called.get(one.asked_by, one.asked_by),
            called.get(one.decided_by, one.decided_by),
            one.asked_by == here.caller.actor.reference,
        )
        for one in asked
    ]
