"""Kinds of work: what is measured of each, what looks broken, whether types say anything, and what guesses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.actions import act
from dashboards.panels.bar import address
from dashboards.routing import plots, words
from dashboards.routing.forms import CompareForm
from finops.api import paging
from finops.core.errors import NotFound
from finops.orgs.rules import Permission
from routing.classify import selectors as classify
from routing.classify import services as classifying
from routing.classify.tasks import send
from routing.classify.types import Source
from routing.evidence import comparisons
from routing.evidence import selectors as evidence
from routing.evidence.comparisons import Comparison
from routing.evidence.models import TypeVersion
from routing.evidence.rules import LONGEST_NAME, OutcomeInvalid
from routing.prospects import selectors as prospects
from routing.recommend import selectors
from routing.recommend.explaining import by_type
from routing.recommend.mixing import frontier
from routing.recommend.types import Examined, Verdict

CONFUSED_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Row:
    """A task type as the list shows it; `examined` is None until it was worked out."""

    known: TypeVersion
    examined: Examined | None
    labelled: int
    href: str

    @property
    def best(self) -> str:
        """The cheapest model that nothing is better than, where that is not the incumbent alone."""
        names = frontier(self.examined.points) if self.examined else []
        return names[0] if names else ""


@require_safe
@page("task_types", Permission.ROUTING_READ)
def task_types(request: HttpRequest, here: Here) -> HttpResponse:
    listed = paging.page(evidence.types_known(here.id), Request(request), order=("task_type",))
    counted = classify.task_types(here.id)
    labelled = {one.task_type: one.labelled for one in counted}
    sources = [one.value for one in Source if any(row.by_source.get(one) for row in counted)]
    examined = selectors.examined(here.id) if listed.rows else {}
    base = address(here, "task_types")
    context = {
        "rows": [
            Row(one, examined.get(one.task_type), labelled.get(one.task_type, 0), type_address(here, one.task_type))
            for one in listed.rows
        ],
        "labelled": counted,
        "sources": sources,
        "origins": [(row, [row.by_source.get(one, 0) for one in sources]) for row in counted],
        "by_type": by_type(here.id) if len(examined) > 1 else None,
        "api": request.build_absolute_uri("/api/v1"),
        "may": here.caller.can(Permission.ROUTING_MANAGE),
        "first": base if request.GET.get("cursor") else "",
        "next": f"{base}?{urlencode({'cursor': listed.next_cursor})}" if listed.next_cursor else "",
        **_classifier(here),
        **_prospects(here),
    }
    return show(request, here, "task_types", "pages/task_types.html", context)


@require_safe
@page("task_types", Permission.ROUTING_READ)
def task_type(request: HttpRequest, here: Here) -> HttpResponse:
    """One type, `?name=`; with `incumbent` and `candidate` those two are compared."""
    name = request.GET.get("name", "").replace("\0", "")[:LONGEST_NAME]
    models = evidence.models_of(here.id, name)
    if not models:
        raise NotFound("Nothing is known of this task type.")
    examined = selectors.examined_of(here.id, name)
    asked = request.GET if {"incumbent", "candidate"} <= request.GET.keys() else None
    form = CompareForm(asked, [one.model for one in models], used=examined.incumbent if examined else "")
    compared = None
    if form.is_bound and form.is_valid():
        try:
            pair = form.cleaned_data
            # As candidates beside the incumbent are judged on this very page.
            margin = examined.margin if examined and examined.incumbent == pair["incumbent"] else None
            compared = comparisons.comparison(here.id, name, **pair, margin=margin)
        except OutcomeInvalid as error:
            form.take(error)
    context = {
        "name": name,
        "models": models,
        "examined": examined,
        "flags": [(words.FLAGS.get(one.code, one.code), one) for one in examined.flags] if examined else [],
        "margin_from": words.MARGINS.get((examined and examined.margin_from) or "", ""),
        "candidates": _candidates(examined),
        "frontier": examined
        and plots.frontier(
            examined.points, frontier(examined.points), task_type=name, incumbent=examined.incumbent
        ),
        "form": form,
        "compared": compared,
        "sequence": compared and plots.sequence(compared),
        "verdict": compared and words.verdict(_verdict(compared)),
        "tone": compared and words.tone(_verdict(compared)),
        "compared_flags": [(words.FLAGS.get(one.code, one.code), one) for one in compared.flags] if compared else [],
        "back": address(here, "task_types"),
    }  # fmt: skip
    status = 400 if form.is_bound and not form.is_valid() else 200
    return show(request, here, "task_types", "pages/task_type.html", context, status=status)


@require_POST
@page("task_types", Permission.ROUTING_MANAGE)
def train(request: HttpRequest, here: Here) -> HttpResponse:
    return act(
        request,
        lambda: send(classifying.open_training(organization_id=here.id, by=here.caller.actor, at=here.now)),
        done="It is being learned. That takes a minute; what classifies now does so until then.",
        to=address(here, "task_types"),
    )


@require_POST
@page("task_types", Permission.ROUTING_MANAGE)
def sample(request: HttpRequest, here: Here) -> HttpResponse:
    """Features of calls are kept from now on (`on=1`), or none any more."""
    is_on = request.POST.get("on") == "1"
    done = "From now on features of calls are kept." if is_on else "Nothing is kept of calls; what was is deleted."
    return act(
        request,
        lambda: classifying.change_sampling(
            organization_id=here.id, changes={"is_on": is_on}, by=here.caller.actor, at=here.now
        ),
        done=done,
        to=address(here, "task_types"),
    )


def type_address(here: Here, name: str) -> str:
    base = reverse("dashboards:task_type", kwargs={"organization": here.organization.slug})
    return f"{base}?{urlencode({'name': name})}"


def _candidates(examined: Examined | None) -> list[tuple[Any, str, str]]:
    """With their verdicts; what looks broken has none of its own."""
    if examined is None:
        return []
    suspect = {model for flag in examined.flags for model in flag.models}
    told = []
    for one in examined.candidates:
        verdict = Verdict.SUSPECT.value if {one.model, examined.incumbent} & suspect else one.alone
        told.append((one, words.verdict(verdict), words.tone(verdict)))
    return told


def _wrongly(confused: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wrong = [one for one in confused if one["task_type"] != one["guessed"]]
    return sorted(wrong, key=lambda one: (-one["number"], one["task_type"], one["guessed"]))[:CONFUSED_SHOWN]


def _verdict(compared: Comparison) -> str:
    return Verdict.SUSPECT.value if compared.flags else compared.verdict.value


def _classifier(here: Here) -> dict[str, Any]:
    """What guesses types of calls that say none, and how well it does."""
    row = classify.in_force(here.id)
    told: dict[str, Any] = {
        "classifier": row,
        "training": classify.last_training(here.id),
        "sampling": classify.sampling(here.id),
        "sampled": classify.sampled_number(here.id),
    }
    if row is None:
        return told
    seen = classify.confused(here.id, here.now)
    return told | {
        "guessed": plots.guessed_daily(seen.days, row.least_right),
        "seen_wrongly": [one for one in seen.pairs if one.task_type != one.guessed][:CONFUSED_SHOWN],
        "accuracy": row.right / row.named if row.named else None,
        "named": row.named / row.calls if row.calls else None,
        "reliability": plots.reliability(row.bins, row.error),
        "confused": _wrongly(row.confused),
        "since": classify.since(here.id, row.id),
    }


def _prospects(here: Here) -> dict[str, Any]:
    """How likely models do calls well, and how honest that is."""
    row = prospects.in_force(here.id)
    if row is None:
        return {"prospects": None}
    since = {one["model"]: one for one in row.since}
    return {
        "prospects": row,
        "foreseen": [(one, since.get(one["model"])) for one in row.figures],
        "off": sorted({one["model"] for one in (*row.figures, *row.since) if one["is_off"]}),
        "chances": plots.chances(row.figures, row.light),
    }
