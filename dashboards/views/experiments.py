"""Experiments: which there are, a new one, and one with how far it is, what it came to and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.panels.bar import address
from dashboards.routing import words
from dashboards.routing.experiments import STATES, TONES, ExperimentForm, initial_of
from dashboards.routing.people import names
from dashboards.views.task_types import type_address
from finops.api import paging
from finops.orgs.rules import Permission
from routing.captures.rules import check_reader
from routing.experiments import selectors, services, tasks
from routing.experiments.models import Experiment
from routing.experiments.showing import CODES, shown
from routing.experiments.types import UNDER_WAY, State


@dataclass(frozen=True, slots=True)
class Row:
    """One experiment in words, as a list shows it."""

    row: Experiment
    state: str
    tone: str
    mode: str
    measured: int
    href: str


@require_safe
@page("experiments", Permission.ROUTING_READ)
def experiments(request: HttpRequest, here: Here) -> HttpResponse:
    state = request.GET.get("state", "")
    state = state if state in set(State) else ""
    found = paging.page(selectors.experiments(here.id, state=state), Request(request), order=selectors.ORDER)
    measured = selectors.counted(found.rows)
    base = address(here, "experiments")
    context = {
        "rows": [_row(here, one, measured.get(one.id, 0)) for one in found.rows],
        "state": state,
        "states": STATES.items(),
        "may": here.caller.can(Permission.ROUTING_MANAGE) and here.caller.can(Permission.CAPTURES_READ),
        "first": f"{base}?{urlencode({'state': state})}" if request.GET.get("cursor") else "",
        "next": f"{base}?{urlencode({'state': state, 'cursor': found.next_cursor})}" if found.next_cursor else "",
    }
    return show(request, here, "experiments", "pages/experiments.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("experiments", Permission.ROUTING_MANAGE)
def add(request: HttpRequest, here: Here) -> HttpResponse:
    """A draft; what it is likely to cost is said before it is started. `?recommendation=` fills in what one wants."""
    _check_opener(here)
    said = request.GET.get("recommendation", "")
    recommendation_id = int(said) if said.isascii() and said.isdigit() and len(said) < 10 else None
    about = None
    if recommendation_id is not None:
        about = initial_of(services.about(organization_id=here.id, recommendation_id=recommendation_id))
    form = ExperimentForm(posted(request), here.id, about=about)
    made: list[int] = []

    def save(_: dict[str, Any]) -> None:
        row = services.create(
            organization_id=here.id, draft=form.draft(), recommendation_id=recommendation_id, by=here.caller.actor,
            at=here.now,
        )  # fmt: skip
        made.append(row.id)

    answer = form_page(
        request, here, "experiments", form, save, title="New experiment", submit="Make a draft",
        lead="Candidates answer captured calls again, and their answers are held against the incumbent’s. Nothing is"
        " asked of anybody before you start it.",
        back=("Experiments", address(here, "experiments")), done="The draft is made. See what it costs, and start it.",
    )  # fmt: skip
    return redirect(experiment_address(here, made[0])) if made else answer


@require_safe
@page("experiments", Permission.ROUTING_READ)
def experiment(request: HttpRequest, here: Here, experiment_id: int) -> HttpResponse:
    row = selectors.experiment(here.id, experiment_id)
    found = shown(row, here.now)
    context = {
        "one": _row(here, row, found.progress.measured),
        "row": row,
        "found": found,
        "progress": found.progress,
        "verdicts": [
            (candidate, compared, words.verdict(compared.verdict.value), words.tone(compared.verdict.value))
            if compared is not None
            else (candidate, None, "nothing yet", "")
            for candidate, compared in found.verdicts
        ],
        "codes": [(CODES.get(code, code), number) for code, number in found.progress.codes],
        "moving": row.state in UNDER_WAY,
        "poll": request.get_full_path(),
        "by": names(here, [row.created_by]).get(row.created_by, ""),
        "type_href": type_address(here, row.task_type),
        "back": address(here, "experiments"),
        "may": here.caller.can(Permission.ROUTING_MANAGE),
        "may_open": here.caller.can(Permission.CAPTURES_READ) and not here.caller.reach,
        "margin": float(row.margin),
        "share": float(row.share),
    }
    return show(request, here, "experiments", "pages/experiment.html", context)


@require_POST
@page("experiments", Permission.ROUTING_MANAGE)
def start(request: HttpRequest, here: Here, experiment_id: int) -> HttpResponse:
    _check_opener(here)
    return _acted(request, here, services.start, experiment_id, "Started. Its progress is shown here.")


@require_POST
@page("experiments", Permission.ROUTING_MANAGE)
def stop(request: HttpRequest, here: Here, experiment_id: int) -> HttpResponse:
    return _acted(request, here, services.stop, experiment_id, "Stopped. What was measured is kept.")


@require_POST
@page("experiments", Permission.ROUTING_MANAGE)
def resume(request: HttpRequest, here: Here, experiment_id: int) -> HttpResponse:
    _check_opener(here)
    return _acted(request, here, services.resume, experiment_id, "It goes on from where it stood.")


def experiment_address(here: Here, experiment_id: int) -> str:
    return reverse(
        "dashboards:experiment", kwargs={"organization": here.organization.slug, "experiment_id": experiment_id}
    )


def _acted(request: HttpRequest, here: Here, change: Any, experiment_id: int, done: str) -> HttpResponse:
    def call() -> None:
        row = change(organization_id=here.id, experiment_id=experiment_id, by=here.caller.actor, at=here.now)
        if row.state in UNDER_WAY:
            tasks.send(row)

    return act(request, call, done=done, to=experiment_address(here, experiment_id))


def _check_opener(here: Here) -> None:
    """Whoever has captures opened for an experiment might read them."""
    here.caller.require(Permission.CAPTURES_READ)
    check_reader(here.caller)


def _row(here: Here, row: Experiment, measured: int) -> Row:
    state = State(row.state)
    return Row(
        row=row,
        state=STATES[state],
        tone=TONES.get(state, ""),
        mode=row.mode,
        measured=measured,
        href=experiment_address(here, row.id),
    )
