"""Rules under way, what was seen of them; and what rules saved, verified against calls that were drawn to stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.panels.bar import address
from dashboards.routing import plots, words
from dashboards.routing.saved import savings_csv
from dashboards.scope import ScopeUnclear
from dashboards.views.routing_rules import rule_address
from finops.api import paging
from finops.orgs.rules import Permission
from routing.rollouts import rules, selectors
from routing.rollouts.models import Rollout, SavingsMonth

ROLLOUTS_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Course:
    """A rollout in words."""

    row: Rollout
    state: str
    stage: str
    seen: str
    href: str


@require_safe
@page("savings", Permission.ROUTING_READ)
def savings(request: HttpRequest, here: Here) -> HttpResponse:
    courses = list(selectors.rollouts(here.id)[:ROLLOUTS_SHOWN])
    listed = paging.page(selectors.savings(here.id), Request(request), order=("-month", "-id"))
    base = address(here, "savings")
    rows = listed.rows
    context = {
        "courses": [_course(here, one) for one in courses],
        "rows": [(one, rule_address(here, one.rule_id)) for one in rows],
        "latest": rows[0].month if rows and not request.GET.get("cursor") else None,
        "net": _net(rows),
        "chart": plots.saved(rows, here.currency),
        "first": base if request.GET.get("cursor") else "",
        "next": f"{base}?cursor={listed.next_cursor}" if listed.next_cursor else "",
        "csv": address(here, "savings_csv") if here.caller.can(Permission.EXPORT) else "",
    }
    return show(request, here, "savings", "pages/savings.html", context)


@require_safe
@page("savings", Permission.ROUTING_READ)
def savings_export(request: HttpRequest, here: Here) -> HttpResponseBase:
    """All months, or the one that `month` names."""
    here.caller.require(Permission.EXPORT)
    return savings_csv(here, _month(request.GET.get("month", "")))


def _month(said: str) -> date | None:
    if not said:
        return None
    found = rules.read_month(said)
    if found is None:
        raise ScopeUnclear("A month is written as 2026-11.", field="month")
    return found


def _course(here: Here, row: Rollout) -> Course:
    return Course(
        row, words.COURSES.get(row.state, row.state), words.step(row), words.seen(row), rule_address(here, row.rule_id)
    )


def _net(rows: list[SavingsMonth]) -> Decimal | None:
    """Of the newest month, over its rules that are verified; None where none is."""
    found = [one.net for one in rows if one.month == rows[0].month and one.net is not None]
    return sum(found, Decimal(0)) if found else None
