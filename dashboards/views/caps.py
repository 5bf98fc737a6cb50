"""Caps: what may be spent, how much of it is, and a new one tried on the last days before it is saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from dashboards.access import Here, page, show
from dashboards.actions import posted
from dashboards.caps.forms import CapForm
from dashboards.caps.guarding import stop_address
from dashboards.caps.holding import holding
from dashboards.caps.outlook import outlooks
from dashboards.caps.sight import Sight
from dashboards.caps.words import STRENGTHS, Gauge, Names, gauge, per, untouched
from dashboards.panels.bar import address
from finops.audit.models import AuditEvent
from finops.budgets import guard_rules, selectors
from finops.budgets.guard.terms import STOPPABLE
from finops.budgets.models import Budget, BudgetException, Increase
from finops.budgets.rules import window
from finops.budgets.selectors import AccountRow
from finops.budgets.services.budgets import create_budget, draft_terms
from finops.budgets.services.history import Stopped, Trial, try_budget
from finops.budgets.standings import NOBODY_YET, Standing, fullest_before, standings
from finops.budgets.types import Enforcement, Terms
from finops.core.errors import FinopsError, Forbidden
from finops.orgs import selectors as orgs
from finops.orgs.rules import Permission

FULLEST: Final = 3
ACCOUNTS_SHOWN: Final = 100
FORESEEN: Final = 20
TRIED_DAYS: Final = 30
STOPS_SHOWN: Final = 20
HISTORY_SHOWN: Final = 30
BEFORE_SHOWN: Final = 10
BEFORE: Final = timedelta(days=92)
# Of more accounts than this a quarter is too much to look through for a page.
BEFORE_UP_TO: Final = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """One cap as a list shows it: the fullest of the accounts the caller may see, and how many those are."""

    budget: Budget
    scope: str
    per: str
    resets: datetime | None
    gauges: tuple[Gauge, ...]
    accounts: int
    href: str


@dataclass(frozen=True, slots=True)
class Full:
    """One account among the fullest of all caps."""

    budget: Budget
    gauge: Gauge
    href: str


@dataclass(frozen=True, slots=True)
class Told:
    """A dry run in names."""

    trial: Trial
    stops: tuple[tuple[str, Stopped], ...]
    more: int
    each: str


@require_safe
@page("caps", Permission.BUDGETS_READ)
def caps(request: HttpRequest, here: Here) -> HttpResponse:
    sight = Sight(here)
    archived = request.GET.get("archived") == "1" and here.caller.can(Permission.BUDGETS_MANAGE)
    context = {
        "rows": rows(here, sight, most=FULLEST),
        "archived": list(selectors.budgets(here.id, archived=True).filter(archived_at__isnull=False))
        if archived
        else [],
        "show_archived": archived,
        "may": here.caller.can(Permission.BUDGETS_MANAGE),
    }
    return show(request, here, "caps", "pages/caps.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("caps", Permission.BUDGETS_MANAGE)
def add(request: HttpRequest, here: Here) -> HttpResponse:
    """The first press tells who would have been stopped; only the second saves."""
    form = CapForm(
        posted(request), organization_id=here.id, timezone=here.organization.timezone, currency=here.currency
    )
    told: Told | None = None
    if form.is_bound and form.is_valid():
        try:
            draft = form.draft()
            if request.POST.get("act") == "save":
                made = create_budget(organization_id=here.id, draft=draft, by=here.caller.actor, at=here.now)
                messages.success(request, "The cap is saved. What was spent in its present period counts.")
                return redirect(cap_address(here, made.id))
            terms = draft_terms(organization_id=here.id, draft=draft, at=here.now)
            told = _told(here, terms, try_budget(terms, days=TRIED_DAYS, at=here.now))
        except Forbidden:
            raise
        except FinopsError as error:
            form.take(error)
    context = {"form": form, "told": told, "days": TRIED_DAYS, "back": address(here, "caps")}
    return show(request, here, "caps", "pages/cap_new.html", context, status=422 if form.errors else 200)


@require_safe
@page("caps", Permission.BUDGETS_READ)
def cap(request: HttpRequest, here: Here, budget_id: int) -> HttpResponse:
    sight = Sight(here)
    may = here.caller.can(Permission.BUDGETS_MANAGE)
    budget = selectors.budget(here.id, budget_id)
    live = not (may and budget.archived_at)
    terms, seen = sight.required(budget_id) if live else (selectors.terms_of(budget), None)
    found = standings(here.id, {budget_id: seen}, most=ACCOUNTS_SHOWN, at=here.now).get(budget_id, NOBODY_YET)
    past = _before(here, budget_id, seen) if found.accounts <= BEFORE_UP_TO else []
    exceptions = _seen(BudgetException.objects.filter(budget=budget).order_by("id"), seen)
    increases = _seen(
        Increase.objects.filter(budget=budget, expires_at__gt=here.now).exclude(
            state__in=[Increase.State.REFUSED, Increase.State.WITHDRAWN]
        ).order_by("-asked_at", "-id"), seen,
    )[:ACCOUNTS_SHOWN]  # fmt: skip
    held = holding(here, budget, seen)
    names = Names(here)
    names.want_terms([terms])
    names.want_rows((*found.fullest, *past), {budget_id: terms})
    names.want(terms.each, [one.subject for one in held.rows])
    names.want(terms.each, [one.subject for one in (*exceptions, *increases)])
    events = _events(here, budget) if here.caller.can(Permission.AUDIT_READ) else []
    names.want(terms.each, [one.details["subject"] for one in events if one.details.get("subject")])
    period = window(terms, here.now)
    gauges = _gauges(found, budget, terms, names, here.now)
    stop_hrefs = _stops(here, terms.each, [one.row.subject for one in gauges])
    context = {
        "budget": budget,
        "scope": names.scope(terms),
        "per": per(budget),
        "period": period,
        "strength": STRENGTHS[Enforcement(budget.enforcement)],
        "gauges": gauges,
        "accounts_shown": list(zip(gauges, stop_hrefs, strict=True)),
        "stoppable": any(stop_hrefs),
        "stop": _stop_of_scope(here, terms),
        "accounts": found.accounts,
        "outlooks": outlooks(here, found.fullest[:FORESEEN], terms, lambda row: names.word(terms.each, row.subject))
        if live
        else [],
        "past": [gauge(row, budget, names.word(terms.each, row.subject)) for row in past],
        "holding": held,
        "blocks": held.lines(budget, names),
        "exceptions": [(one, names.word(terms.each, one.subject)) for one in exceptions],
        "increases": [(one, names.word(terms.each, one.subject)) for one in increases],
        "events": _history(here, budget, events, names),
        "may": may and live,
        "back": address(here, "caps"),
    }
    return show(request, here, "caps", "pages/cap.html", context)


def cap_address(here: Here, budget_id: int) -> str:
    return reverse("dashboards:cap", kwargs={"organization": here.organization.slug, "budget_id": budget_id})


def rows(here: Here, sight: Sight, *, most: int) -> list[Row]:
    """Every cap the caller sees anything of, the oldest first. Names cost one question per kind, however many caps."""
    seen = sight.seen()
    if not seen:
        return []
    budgets = list(selectors.budgets(here.id).filter(id__in=seen))
    found = standings(here.id, seen, most=most, at=here.now)
    names = Names(here)
    names.want_terms(sight.terms[one.id] for one in budgets)
    names.want_rows((row for standing in found.values() for row in standing.fullest), sight.terms)
    return [_row(here, one, sight.terms[one.id], found.get(one.id, NOBODY_YET), names) for one in budgets]


def fullest(here: Here, sight: Sight, most: int) -> list[Full]:
    """The fullest accounts of all the caps the caller sees, fullest first; of one cap at most `FULLEST`."""
    full = [Full(row.budget, one, row.href) for row in rows(here, sight, most=FULLEST) for one in row.gauges]
    return sorted(full, key=lambda one: (-one.gauge.used, one.budget.id))[:most]


def _row(here: Here, budget: Budget, terms: Terms, standing: Standing, names: Names) -> Row:
    period = window(terms, here.now)
    return Row(
        budget=budget,
        scope=names.scope(terms),
        per=per(budget),
        resets=period.end if period else None,
        gauges=_gauges(standing, budget, terms, names, here.now),
        accounts=standing.accounts,
        href=cap_address(here, budget.id),
    )


def _gauges(standing: Standing, budget: Budget, terms: Terms, names: Names, at: datetime) -> tuple[Gauge, ...]:
    """The fullest accounts; one for all is there before anybody spends."""
    fullest: tuple[AccountRow, ...] = standing.fullest
    if not fullest and not terms.each:
        fresh = untouched(terms, "", at)
        fullest = (fresh,) if fresh else ()
    return tuple(gauge(row, budget, names.word(terms.each, row.subject)) for row in fullest)


def _stops(here: Here, each: str, subjects: list[str]) -> list[str]:
    """Where each subject is stopped now; '' for nobody, for words, and for what the caller may not stop. Whether one
    session of many is within reach is asked where it is stopped.
    """
    if each not in STOPPABLE or (each == "session" and here.caller.reach):
        return ["" for _ in subjects]
    may = guard_rules.may_stop_each(here.caller, [(each, one) for one in subjects], at=here.now)
    return [
        stop_address(here, each, one) if allowed and one != "0" else ""
        for one, allowed in zip(subjects, may, strict=True)
    ]


def _stop_of_scope(here: Here, terms: Terms) -> str:
    """Where the one that a cap is about is stopped now; '' where it is about several, or several things."""
    if terms.each or len(terms.scope) != 1:
        return ""
    [(kind, values)] = terms.scope.items()
    return _stops(here, kind, list(values))[0] if len(values) == 1 else ""


def _before(here: Here, budget_id: int, seen: frozenset[str] | None) -> list[AccountRow]:
    return fullest_before(here.id, budget_id, seen, most=BEFORE_SHOWN, since=here.now - BEFORE, at=here.now)


def _seen(found: Any, seen: frozenset[str] | None) -> Any:
    return found if seen is None else found.filter(subject__in=seen)


def _told(here: Here, terms: Terms, trial: Trial) -> Told:
    shown = trial.dearest[:STOPS_SHOWN]
    names = Names(here)
    names.want(terms.each, [one.subject for one in shown])
    return Told(
        trial=trial,
        stops=tuple((names.word(terms.each, one.subject), one) for one in shown),
        more=trial.stops - len(shown),
        each=terms.each,
    )


def _events(here: Here, budget: Budget) -> list[AuditEvent]:
    return list(orgs.audit_events(here.id, subject_kind="budget", subject_id=str(budget.id))[:HISTORY_SHOWN])


def _history(
    here: Here, budget: Budget, events: list[AuditEvent], names: Names
) -> list[tuple[AuditEvent, str, str, str]]:
    """(event, who, what was done, to what), the newest first."""
    people = orgs.audit_names(here.id, events)
    return [
        (
            one,
            people.get(one.actor, one.actor_label or one.actor),
            one.verb.removeprefix("budget."),
            _changes(one, budget, names),
        )
        for one in events
    ]


def _changes(event: AuditEvent, budget: Budget, names: Names) -> str:
    """Which fields went from what to what, or who got which limit."""
    details: Mapping[str, Any] = event.details
    if event.verb == "budget.changed":
        return "; ".join(f"{name}: {_said(before)} to {_said(after)}" for name, (before, after) in details.items())
    if "subject" in details:
        limit = f": {_said(details['limit'] or 'not concerned')}" if "limit" in details else ""
        return f"{names.word(budget.each, details['subject'])}{limit}"
    return _said(details["amount"]) if "amount" in details else ""


def _said(value: object) -> str:
    if isinstance(value, list):
        return _listed(value)
    text = str(value)
    return f"{Decimal(text).normalize():,f}" if text.replace(".", "", 1).isdigit() else text


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(one) for one in values) or "none"
