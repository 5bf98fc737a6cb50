"""Rules of routing: the order they are asked in, how far each is in force, what it says and said, and the switches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.charts.plot import PlotSpec
from dashboards.panels.bar import address
from dashboards.routing import plots, words
from dashboards.routing.forms import LONGEST_TYPED, DecideForm, NewRuleForm, PaceForm, RuleForm, StageForm
from dashboards.routing.people import names
from finops.api import paging
from finops.core.errors import NotFound
from finops.orgs.rules import Permission
from routing.rollouts import selectors as rollouts
from routing.rollouts import services as watched
from routing.rollouts.types import UNDER_WAY
from routing.rules import litellm, selectors, services
from routing.rules.document import exported
from routing.rules.hot import Arm
from routing.rules.models import Decision, RoutingRule, RuleVersion
from routing.rules.rollout import Stage, State, in_parts
from routing.rules.types import Rule

DECISIONS_SHOWN: Final = 20
# Of a document on a page; one that was learned is downloaded.
LONGEST_YAML: Final = 20_000
_YAML: Final = "application/yaml"
_EMPTY: Final = "version: 1\nrules:\n- name: triage\n  when:\n    task_types: [triage]\n  use:\n  - model: gpt-5-mini\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One rule, as the list shows it."""

    rule: RoutingRule
    state: str
    stage: str
    tone: str
    proposals: int
    href: str


@require_safe
@page("routing_rules", Permission.ROUTING_READ)
def routing_rules(request: HttpRequest, here: Here) -> HttpResponse:
    listed = paging.page(selectors.rules(here.id), Request(request), order=("position", "id"))
    waiting = selectors.proposals(here.id)
    base = address(here, "routing_rules")
    context = {
        "rows": [_row(here, one, waiting.get(one.id, 0)) for one in listed.rows],
        "waiting": sum(waiting.values()),
        "may": here.caller.can(Permission.ROUTING_MANAGE),
        "first": base if request.GET.get("cursor") else "",
        "next": f"{base}?cursor={listed.next_cursor}" if listed.next_cursor else "",
    }
    return show(request, here, "routing_rules", "pages/routing_rules.html", context)


@require_safe
@page("routing_rules", Permission.ROUTING_READ)
def routing_rule(request: HttpRequest, here: Here, routing_rule_id: int) -> HttpResponse:
    row = selectors.rule(here.id, routing_rule_id)
    document = selectors.document_of(row.version) if row.version else None
    listed = paging.page(selectors.versions(here.id, row.id), Request(request), order=("-number",))
    told = exported([document]) if document else ""
    people = names(here, [who for one in listed.rows for who in (one.said_by, one.decided_by)])
    base = rule_address(here, row.id)
    context = {
        **_standing(row, document),
        "row": row,
        "versions": [_version(one, people) for one in listed.rows],
        "proposals": [_version(one, people) for one in listed.rows if one.state == RuleVersion.State.PROPOSED],
        "decisions": [_decision(one) for one in _decisions(here, row)],
        **_course(here, row),
        "chances": _chances(document),
        "yaml": told[:LONGEST_YAML],
        "cut": len(told) > LONGEST_YAML,
        "begin": StageForm(None),
        "decide": DecideForm(None, auto_id=False),
        "may": here.caller.can(Permission.ROUTING_MANAGE),
        "back": address(here, "routing_rules"),
        "first": base if request.GET.get("cursor") else "",
        "next": f"{base}?cursor={listed.next_cursor}" if listed.next_cursor else "",
    }
    return show(request, here, "routing_rules", "pages/routing_rule.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("routing_rules", Permission.ROUTING_MANAGE)
def add(request: HttpRequest, here: Here) -> HttpResponse:
    form = NewRuleForm(posted(request), initial={"document": _EMPTY, "stage": Stage.CANARY.value})
    return form_page(
        request, here, "routing_rules", form,
        lambda said: services.create_rule(
            rule=form.rule(), why=said["why"], stage=said["stage"],
            held_back=None if said["stage"] != Stage.FULL else 0.0, **_who(here),
        ),
        title="New rule", submit="Make the rule", lead="It is asked behind all others.",
        back=("Routing rules", address(here, "routing_rules")),
        done="The rule is made. Gateways know of it within a second.",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("routing_rules", Permission.ROUTING_READ)
def change(request: HttpRequest, here: Here, routing_rule_id: int) -> HttpResponse:
    """Who manages routing changes what a rule says; everybody else proposes it."""
    row = selectors.rule(here.id, routing_rule_id)
    may = here.caller.can(Permission.ROUTING_MANAGE)
    told = exported([selectors.document_of(row.version)]) if row.version else ""
    if len(told) > LONGEST_TYPED:
        messages.error(request, "What was learned is too much to type: download it, and import it again by REST.")
        return redirect(rule_address(here, row.id))
    form = RuleForm(posted(request), initial={"document": told})
    save = services.save_rule if may else services.propose_version
    return form_page(
        request, here, "routing_rules", form,
        lambda said: save(rule_id=row.id, rule=form.rule(), why=said["why"], **_who(here)),
        title=f"Change {row.name}" if may else f"Propose what {row.name} should say",
        submit="Save" if may else "Propose it", back=(row.name, rule_address(here, row.id)),
        lead="It stays at the stage that it is in." if may else "It waits until somebody who manages routing decides.",
        done="The rule says this now." if may else "It waits to be decided.",
    )  # fmt: skip


@require_POST
@page("routing_rules", Permission.ROUTING_MANAGE)
def move(request: HttpRequest, here: Here, routing_rule_id: int) -> HttpResponse:
    """One place earlier or later."""
    order = [one.id for one in selectors.rules(here.id)]
    if routing_rule_id not in order:
        raise NotFound("There is no such rule.")
    place = order.index(routing_rule_id)
    other = place - 1 if request.POST.get("to") == "earlier" else place + 1
    if 0 <= other < len(order):
        order[place], order[other] = order[other], order[place]
    return act(
        request, lambda: services.reorder(rule_ids=order, **_who(here)),
        done="The order is changed.", to=address(here, "routing_rules"),
    )  # fmt: skip


@require_POST
@page("routing_rules", Permission.ROUTING_MANAGE)
def stage(request: HttpRequest, here: Here, routing_rule_id: int) -> HttpResponse:
    """A step: onwards, a pause, a rollback, the switch; or a rollout begun, by its form."""
    row, to = selectors.rule(here.id, routing_rule_id), request.POST.get("to", "")
    back = rule_address(here, row.id)
    who = {"rule_id": row.id, **_who(here)}
    steps: dict[str, tuple[Callable[..., Any], str]] = {
        "next": (services.advance, "It goes a step on."),
        Stage.PAUSED: (services.pause, "It is paused: half of the sessions, until they tell."),
        Stage.ROLLED_BACK: (services.roll_back, "It is rolled back: it holds for nobody."),
        "off": (services.switch_off, "It is switched off. Gateways know of it within a second."),
        "on": (services.switch_on, "It is switched on again, as it was."),
        "retired": (services.retire, "It is retired. What it said stays."),
    }
    if to in steps:
        call, done = steps[to]
        # From the list one stays on the list.
        after = address(here, "routing_rules") if to == "retired" or "listed" in request.POST else back
        return act(request, lambda: call(**who), done=done, to=after)
    form = StageForm(posted(request))
    return form_page(
        request, here, "routing_rules", form,
        lambda said: services.start_rollout(stage=said["to"], held_back=form.share_held_back, **who),
        title=f"Begin {row.name} anew", submit="Begin", back=(row.name, back),
        done="It begins. Gateways know of it within a second.",
    )  # fmt: skip


@require_POST
@page("routing_rules", Permission.ROUTING_MANAGE)
def pace(request: HttpRequest, here: Here, routing_rule_id: int) -> HttpResponse:
    row = selectors.rule(here.id, routing_rule_id)
    rollouts.rollout_of(here.id, row.id)
    return form_page(
        request, here, "routing_rules", PaceForm(posted(request)),
        lambda said: watched.change_pace(rule_id=row.id, changes=said, **_who(here)),
        title=f"How {row.name} goes on", submit="Save", back=(row.name, rule_address(here, row.id)),
        done="Saved.",
    )  # fmt: skip


@require_POST
@page("routing_rules", Permission.ROUTING_MANAGE)
def all_off(request: HttpRequest, here: Here) -> HttpResponse:
    """The kill switch."""
    gone = services.switch_off(**_who(here))
    if gone:
        messages.success(request, f"Switched off: {', '.join(one.name for one in gone)}. Limits stay in force.")
    else:
        messages.success(request, "There was nothing to switch off. Limits stay in force.")
    return redirect(address(here, "routing_rules"))


@require_POST
@page("routing_rules", Permission.ROUTING_MANAGE)
def decide(request: HttpRequest, here: Here, routing_rule_id: int, number: int) -> HttpResponse:
    row = selectors.rule(here.id, routing_rule_id)
    accept = "accept" in request.POST
    return form_page(
        request, here, "routing_rules", DecideForm(posted(request)),
        lambda said: services.decide_proposal(rule_id=row.id, number=number, accept=accept, **said, **_who(here)),
        title=f"{'Accept' if accept else 'Refuse'} version {number}", submit="Accept" if accept else "Refuse",
        back=(row.name, rule_address(here, row.id)), done="It is in force." if accept else "It is refused.",
    )  # fmt: skip


@require_safe
@page("routing_rules", Permission.ROUTING_READ)
def export(request: HttpRequest, here: Here) -> HttpResponse:
    """All rules, as they are imported by REST."""
    return _download(services.export_document(organization_id=here.id), "routing-rules.yaml")


@require_safe
@page("routing_rules", Permission.ROUTING_READ)
def export_litellm(request: HttpRequest, here: Here) -> HttpResponse:
    """What of them a configuration of LiteLLM has words for."""
    return _download(
        litellm.shown(services.export_litellm(organization_id=here.id, at=here.now)), "capstan-litellm.yaml"
    )


@require_safe
@page("routing_rules", Permission.ROUTING_READ)
def export_one(request: HttpRequest, here: Here, routing_rule_id: int) -> HttpResponse:
    row = selectors.rule(here.id, routing_rule_id)
    if row.version is None:
        raise NotFound("No version of this rule is in force.")
    return _download(exported([selectors.document_of(row.version)]), f"{row.name}.yaml")


def rule_address(here: Here, rule_id: int) -> str:
    named = {"organization": here.organization.slug, "routing_rule_id": rule_id}
    return reverse("dashboards:routing_rule", kwargs=named)


def _who(here: Here) -> dict[str, Any]:
    return {"organization_id": here.id, "by": here.caller.actor, "at": here.now}


def _row(here: Here, row: RoutingRule, proposals: int) -> Row:
    stage = words.stage_of(row)
    return Row(row, words.state_of(row), stage, words.stage_tone(row), proposals, rule_address(here, row.id))


def _standing(row: RoutingRule, document: Rule | None) -> dict[str, Any]:
    """How far it is in force, and what may be done about it."""
    state, at = State(row.state), Stage(row.stage)
    # What limits, and what is decided for sensitive calls, holds for all or for nobody.
    steps = state is State.IN_FORCE and document is not None and in_parts(document)
    return {
        "state": words.state_of(row),
        "stage": words.stage_of(row),
        "tone": words.stage_tone(row),
        "live": state is not State.RETIRED,
        "in_force": state is State.IN_FORCE,
        "in_parts": document is not None and in_parts(document),
        "may_advance": steps and at not in (Stage.FULL, Stage.ROLLED_BACK),
        "may_pause": steps and at in (Stage.CANARY, Stage.RAMP, Stage.FULL),
        "may_roll_back": steps and at is not Stage.ROLLED_BACK,
    }


def _course(here: Here, row: RoutingRule) -> dict[str, Any]:
    """What was seen of it, and how it goes on."""
    course = rollouts.rollouts(here.id, rule_id=row.id).first()
    if course is None:
        return {}
    told: dict[str, Any] = {"seen": words.seen(course), "course": course}
    if course.state in UNDER_WAY:
        told["pace"] = PaceForm(None, initial={name: getattr(course, name) for name in PaceForm.base_fields})
    return told


def _version(one: RuleVersion, people: dict[str, str]) -> dict[str, Any]:
    return {
        "row": one,
        "by": people.get(one.said_by, one.said_by),
        "decided_by": people.get(one.decided_by, one.decided_by),
        "state": one.get_state_display(),
    }


def _decisions(here: Here, row: RoutingRule) -> list[Decision]:
    return list(selectors.decisions(here.id, reach=here.caller.reach, rule_id=row.id)[:DECISIONS_SHOWN])


def _decision(one: Decision) -> tuple[Decision, str]:
    return one, words.ARMS[Arm(one.arm)] if one.arm else "limited"


def _download(text: str, name: str) -> HttpResponse:
    return HttpResponse(
        text, content_type=f"{_YAML}; charset=utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _chances(document: Rule | None) -> PlotSpec | None:
    """How honest the chances of a rule are that was learned and reads texts, as it was measured with it."""
    if document is None or document.policy is None:
        return None
    measured = [
        {"model": one.model, "is_off": said.is_off, "bins": [msgspec.structs.asdict(each) for each in said.bins]}
        for one in (document.policy.incumbent, *document.policy.candidates)
        if one.quality is not None and (said := one.quality.reliability) is not None
    ]
    return plots.chances(measured, document.policy.incumbent.model)
