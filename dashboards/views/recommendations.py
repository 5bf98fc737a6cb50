"""What is advised: the list, those that save most first; and one, with all that it stands on, to apply or dismiss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.panels.bar import address
from dashboards.routing import plots, words
from dashboards.routing.forms import ApplyForm, DismissForm
from dashboards.routing.people import names
from dashboards.views.task_types import type_address
from finops.api import paging
from finops.orgs.rules import Permission
from routing.evidence import selectors as evidence
from routing.recommend import rules, selectors, services, tasks
from routing.recommend.models import Recommendation
from routing.recommend.showing import shown
from routing.recommend.types import Advice, Kind, State

# What is shown of one that was learned: its tables of words are for gateways to read.
LONGEST_YAML: Final = 20_000

_WORKED_OUT: Final = "Worked out by what is known now."
_QUEUED: Final = "It is being worked out. That takes a while: look again in a minute."


@dataclass(frozen=True, slots=True)
class Row:
    """One recommendation in words, as a list shows it."""

    row: Recommendation
    advice: Advice
    kind: str
    state: str
    about: str
    verdict: str
    tone: str
    href: str


@require_safe
@page("recommendations", Permission.ROUTING_READ)
def recommendations(request: HttpRequest, here: Here) -> HttpResponse:
    kind, state = request.GET.get("kind", ""), request.GET.get("state", State.OPEN.value)
    kind = kind if kind in set(Kind) else ""
    state = state if state in {*State, "all"} else State.OPEN.value
    wished = selectors.recommendations(here.id, kind=kind, state="" if state == "all" else state)
    listed = paging.page(wished, Request(request), order=selectors.ORDER)
    base = address(here, "recommendations")
    query = {"kind": kind, "state": state}
    known = bool(listed.rows) or evidence.types_known(here.id).exists()
    context = {
        "rows": [_row(here, one) for one in listed.rows],
        "kind": kind,
        "kinds": words.KINDS.items(),
        "state": state,
        "states": [*words.STATES.items(), ("all", "All")],
        "filtered": bool(kind) or state != State.OPEN,
        "known": known,
        "api": request.build_absolute_uri("/api/v1"),
        "may": here.caller.can(Permission.ROUTING_MANAGE),
        "first": f"{base}?{urlencode(query)}" if request.GET.get("cursor") else "",
        "next": f"{base}?{urlencode({**query, 'cursor': listed.next_cursor})}" if listed.next_cursor else "",
    }
    return show(request, here, "recommendations", "pages/recommendations.html", context)


@require_safe
@page("recommendations", Permission.ROUTING_READ)
def recommendation(request: HttpRequest, here: Here, recommendation_id: int) -> HttpResponse:
    row = selectors.recommendation(here.id, recommendation_id)
    found = shown(here.id, row)
    advice, compared = found.advice, found.comparison
    may_apply = row.state == State.OPEN and rules.applicable(row.kind, advice.rule)
    context = {
        **_described(here, row, advice),
        "found": found,
        "sequence": compared and plots.sequence(compared),
        "frontier": plots.frontier(
            found.points, found.frontier, task_type=advice.task_type, incumbent=advice.incumbent,
            candidate=advice.candidate,
        ),
        "compared": compared,
        "yaml": advice.yaml[:LONGEST_YAML],
        "cut": len(advice.yaml) > LONGEST_YAML,
        "flags": [(words.FLAGS.get(one.code, one.code), one) for one in advice.flags],
        "considered": [(one, words.verdict(one.verdict), words.tone(one.verdict)) for one in advice.considered],
        "types": [(one, type_address(here, one)) for one in advice.task_types],
        "may_apply": may_apply,
        "try_href": _try_href(here, row),
        "apply": ApplyForm(None),
        "dismiss": DismissForm(None),
    }  # fmt: skip
    return show(request, here, "recommendations", "pages/recommendation.html", context)


@require_POST
@page("recommendations", Permission.ROUTING_MANAGE)
def apply(request: HttpRequest, here: Here, recommendation_id: int) -> HttpResponse:
    """A rule is made of it, and looked at."""
    selectors.recommendation(here.id, recommendation_id)
    made: list[int] = []

    def call(said: dict[str, Any]) -> None:
        done = services.apply(
            organization_id=here.id, recommendation_id=recommendation_id, by=here.caller.actor, at=here.now, **said
        )
        made.append(done.rule_id or 0)

    back = recommendation_address(here, recommendation_id)
    answer = form_page(
        request, here, "recommendations", ApplyForm(posted(request)), call, title="Apply the recommendation",
        submit="Apply", back=("Recommendation", back),
        done="Applied: the rule is made. Gateways know of it within a second.",
    )  # fmt: skip
    if not made:
        return answer
    return redirect(
        reverse("dashboards:routing_rule", kwargs={"organization": here.organization.slug, "routing_rule_id": made[0]})
    )


@require_POST
@page("recommendations", Permission.ROUTING_MANAGE)
def dismiss(request: HttpRequest, here: Here, recommendation_id: int) -> HttpResponse:
    selectors.recommendation(here.id, recommendation_id)
    return form_page(
        request, here, "recommendations", DismissForm(posted(request)),
        lambda said: services.dismiss(
            organization_id=here.id, recommendation_id=recommendation_id, by=here.caller.actor, at=here.now, **said
        ),
        title="Dismiss the recommendation", submit="Dismiss",
        back=("Recommendation", recommendation_address(here, recommendation_id)),
        done="Dismissed. It does not come back until its evidence changes.",
    )  # fmt: skip


@require_POST
@page("recommendations", Permission.ROUTING_MANAGE)
def recompute(request: HttpRequest, here: Here) -> HttpResponse:
    """At once where that is quick; else a worker does it."""
    return act(
        request,
        lambda: tasks.recompute_soon(organization_id=here.id, by=here.caller.actor, at=here.now),
        done=lambda found: _WORKED_OUT if found is not None else _QUEUED,
        to=address(here, "recommendations"),
    )


def recommendation_address(here: Here, recommendation_id: int) -> str:
    return reverse(
        "dashboards:recommendation",
        kwargs={"organization": here.organization.slug, "recommendation_id": recommendation_id},
    )


def _try_href(here: Here, row: Recommendation) -> str:
    """Where an experiment is made of it, for whoever may."""
    may = here.caller.can(Permission.ROUTING_MANAGE) and here.caller.can(Permission.CAPTURES_READ)
    if not may or row.state != State.OPEN or row.kind != Kind.EXPERIMENT:
        return ""
    return f"{address(here, 'experiment_add')}?{urlencode({'recommendation': row.id})}"


def _row(here: Here, row: Recommendation) -> Row:
    advice = selectors.advice_of(row)
    return Row(
        row=row,
        advice=advice,
        kind=words.KINDS.get(Kind(row.kind), row.kind),
        state=words.STATES.get(State(row.state), row.state),
        about=words.about(advice),
        verdict=words.verdict(row.verdict),
        tone=words.tone(row.verdict),
        href=recommendation_address(here, row.id),
    )


def _described(here: Here, row: Recommendation, advice: Advice) -> dict[str, Any]:
    """What it is, and what became of it."""
    rule_href = ""
    if row.rule_id:
        named = {"organization": here.organization.slug, "routing_rule_id": row.rule_id}
        rule_href = reverse("dashboards:routing_rule", kwargs=named)
    return {
        "row": row,
        "advice": advice,
        "one": _row(here, row),
        "margin_from": words.MARGINS.get(advice.margin_from or "", ""),
        "decided_by": names(here, [row.decided_by]).get(row.decided_by, ""),
        "is_open": row.state == State.OPEN,
        "rule_href": rule_href,
        "may": here.caller.can(Permission.ROUTING_MANAGE),
        "back": address(here, "recommendations"),
    }
