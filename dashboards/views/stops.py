"""Stop now, and what else stands before a call: circuit breakers, allowed models, limits by the minute."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.caps.guarding import (
    BreakerForm,
    ChooseForm,
    LimitForm,
    StopForm,
    breaker_rows,
    limit_rows,
    stop_rows,
    what,
)
from dashboards.caps.words import Names
from dashboards.panels.bar import address
from finops.budgets import guard_rules
from finops.budgets.guard.terms import STOPPABLE
from finops.budgets.services.limits import remove_breaker, remove_limit, set_breaker, set_limit
from finops.budgets.services.stops import lift_stop, stop_now
from finops.budgets.types import OWNERS
from finops.core.errors import NotFound
from finops.orgs import selectors as orgs
from finops.orgs.rules import OutOfReach, Permission

SHOWN: Final = 200
LATELY: Final = timedelta(days=30)
LATELY_SHOWN: Final = 30


@require_safe
@page("stops", Permission.BUDGETS_READ)
def stops(request: HttpRequest, here: Here) -> HttpResponse:
    seen = guard_rules.stops_seen(here.caller)
    in_force = guard_rules.stops_seen(here.caller, open_at=here.now)
    over = seen.exclude(id__in=in_force.values("id")).filter(at__gt=here.now - LATELY)
    limits = list(guard_rules.limits_seen(here.caller)[:SHOWN])
    context = {
        "open": stop_rows(here, in_force[:SHOWN]),
        "over": stop_rows(here, over[:LATELY_SHOWN]),
        "breakers": breaker_rows(
            here,
            guard_rules.default_breakers(here.id, here.now),
            guard_rules.breakers_seen(here.caller)[:SHOWN],
        ),
        "limits": limit_rows(here, limits),
        "may": here.caller.can(Permission.BUDGETS_MANAGE),
        "may_stop": here.caller.can(Permission.CALLS_STOP),
    }
    return show(request, here, "stops", "pages/stops.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("stops", Permission.CALLS_STOP)
def stop(request: HttpRequest, here: Here) -> HttpResponse:
    """Whom, then the same again by name, with the button."""
    dimension = request.GET.get("dimension", "")
    if not dimension:
        context = {"form": ChooseForm(), "back": address(here, "stops")}
        return show(request, here, "stops", "pages/stop_choose.html", context)
    subject = _subject(request, here, dimension)
    if not guard_rules.may_stop(here.caller, dimension, subject, at=here.now):
        raise OutOfReach("You may stop what is within your reach.", field="subject")
    names = Names(here)
    names.want(dimension, [subject])
    called = what(names, dimension, subject)
    form = StopForm(posted(request))
    return form_page(
        request,
        here,
        "stops",
        form,
        lambda said: stop_now(
            organization_id=here.id,
            dimension=dimension,
            subject=subject,
            reason=said["reason"],
            until=form.until(here.now),
            by=here.caller.actor,
            at=here.now,
        ),
        title=f"Stop {called[0].lower()}{called[1:]} now",
        lead=f"{called} makes no call from now on, and calls under way are cut within a second: wherever Capstan is "
        "asked before a call. What is only reported afterwards goes on.",
        submit="Stop now",
        back=("Stops and breakers", address(here, "stops")),
        done=f"{called} is stopped.",
        danger=True,
    )


def _subject(request: HttpRequest, here: Here, dimension: str) -> str:
    """As stops keep it. Raises NotFound for what is not there."""
    word = request.GET.get("subject", "").strip()
    if dimension not in STOPPABLE or "\0" in word or len(word) > 300:
        raise NotFound("There is nothing of that name to stop.")
    if dimension not in OWNERS:
        return word
    number = request.GET.get("id", "")
    if number.isascii() and number.isdigit() and len(number) < 10:
        return str(orgs.owner(here.id, dimension, int(number)).id)
    return str(orgs.owner(here.id, dimension, word).id)


@require_POST
@page("stops", Permission.CALLS_STOP)
def lift(request: HttpRequest, here: Here, stop_id: int) -> HttpResponse:
    found = guard_rules.stops(here.id).filter(id=stop_id).first()
    if found is None or not guard_rules.may_stop(here.caller, found.dimension, found.subject, at=here.now):
        raise NotFound("There is no such stop.")
    return act(
        request,
        lambda: lift_stop(organization_id=here.id, stop_id=stop_id, by=here.caller.actor, at=here.now),
        done="Lifted. Calls go on from now on.",
        to=address(here, "stops"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page("stops", Permission.BUDGETS_MANAGE)
def limit(request: HttpRequest, here: Here) -> HttpResponse:
    form = LimitForm(posted(request), organization_id=here.id)
    return form_page(
        request,
        here,
        "stops",
        form,
        lambda said: set_limit(organization_id=here.id, draft=form.draft(), by=here.caller.actor, at=here.now),
        title="Set a limit",
        lead="What is said of one goes before what is said of each. A team’s limit holds for all teams below it "
        "together. Said again, it replaces what was said.",
        submit="Save",
        back=("Stops and breakers", address(here, "stops")),
        done="The limit is set.",
    )


@require_POST
@page("stops", Permission.BUDGETS_MANAGE)
def end_limit(request: HttpRequest, here: Here, limit_id: int) -> HttpResponse:
    return act(
        request,
        lambda: remove_limit(organization_id=here.id, limit_id=limit_id, by=here.caller.actor, at=here.now),
        done="The limit is removed.",
        to=address(here, "stops"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page("stops", Permission.BUDGETS_MANAGE)
def breaker(request: HttpRequest, here: Here) -> HttpResponse:
    form = BreakerForm(posted(request), organization_id=here.id, currency=here.currency)
    return form_page(
        request,
        here,
        "stops",
        form,
        lambda said: set_breaker(organization_id=here.id, draft=form.draft(), by=here.caller.actor, at=here.now),
        title="Set a breaker",
        lead="Whoever goes beyond it is stopped within a second, and somebody is told. It replaces a default, and what "
        "was said before.",
        submit="Save",
        back=("Stops and breakers", address(here, "stops")),
        done="The breaker is set.",
    )


@require_POST
@page("stops", Permission.BUDGETS_MANAGE)
def end_breaker(request: HttpRequest, here: Here, breaker_id: int) -> HttpResponse:
    return act(
        request,
        lambda: remove_breaker(organization_id=here.id, breaker_id=breaker_id, by=here.caller.actor, at=here.now),
        done="The breaker is removed. Where there is a default, it holds again.",
        to=address(here, "stops"),
    )
