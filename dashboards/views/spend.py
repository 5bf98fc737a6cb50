"""Overview and Spend explorer: one question bar, one answer, as a page, as a part of it, or as CSV."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_safe

from dashboards import reading
from dashboards import scope as scopes
from dashboards.access import Here, page, show
from dashboards.caps.outlook import this_month
from dashboards.caps.sight import Sight
from dashboards.charts.as_svg import spark
from dashboards.exports.spend_csv import spend_csv
from dashboards.panels.bar import address, bar
from dashboards.panels.groups import GroupTable, groups
from dashboards.panels.tiles import Summary, summary
from dashboards.panels.trend import trend
from dashboards.routing.saved import saved_in
from dashboards.scope import Scope
from dashboards.views.caps import Full, fullest
from dashboards.views.incidents import newest
from finops.core.errors import NotFound
from finops.core.periods import DayRange
from finops.ledger import selectors as ledger
from finops.ledger.types import UNPRICED
from finops.orgs.rules import PEOPLE_DIMENSIONS, Permission, spend_filters

TOP = 6
INCIDENTS = 5
TABLE_ROWS = 200
PICKER_ROWS = 60
PICKER_BACK = timedelta(days=400)
OPEN = "Still open: the last bar will grow"


def scope_of(request: HttpRequest, here: Here) -> Scope:
    return scopes.parse(
        request.GET, today=here.now.date(), dimensions=reading.dimensions(here.caller), calendar=here.calendar
    )


def linker(here: Here, key: str) -> Callable[[Scope], str]:
    """Addresses of one page that carry a scope."""
    base = address(here, key)
    return lambda scope: f"{base}?{scope.query()}"


def charge_linker(here: Here) -> Callable[[Scope], str] | None:
    """Addresses of the charges behind a figure, or None for who may not see single charges."""
    if not here.caller.can(Permission.CHARGES_READ):
        return None
    base = address(here, "charges")
    return lambda scope: f"{base}?{scope.with_(group=(), compare=True, grain_given=False).query()}"


@require_safe
@page("overview", Permission.SPEND_READ)
def overview(request: HttpRequest, here: Here) -> HttpResponse:
    scope = scope_of(request, here)
    found = summary(here, scope)
    explore = linker(here, "spend")
    dimension = scope.group[0] if scope.group else "team"
    chart = trend(here, scope, dimension, key="overview", link=explore)
    tops = [
        (label, _table(here, scope, name, found, TOP), explore(scope.with_(group=(name,))))
        for name, label in (("team", "Teams"), ("model", "Models"), ("person", "People"), ("agent", "Agents"))
        if name not in PEOPLE_DIMENSIONS or here.caller.sees_people
    ]
    context = {
        "scope": scope,
        "bar": bar(here, scope, "overview"),
        "summary": found,
        "chart": chart,
        "dimension": dimension,
        "dimension_label": scope.dimensions.label(dimension),
        "stackable": [
            (scope.dimensions.label(name), linker(here, "overview")(scope.with_(group=(name,))), name == dimension)
            for name in ("team", "model", "provider", "project")
        ],
        "tops": tops,
        "spark": spark(chart.spec.totals),
        "caps": _caps(here),
        "caps_href": address(here, "caps"),
        "incidents": newest(here, INCIDENTS),
        "incidents_href": address(here, "incidents"),
        "open_note": OPEN if scope.period.open else "",
        "freshness": ledger.freshness(here.id),
        "outlook": this_month(here, scope) if scope.period.open else None,
        "explore": explore(scope),
        "all_charges": _charges(here, scope),
        "unattributed_href": _state_link(here, scope, found, "unattributed"),
        "unpriced_href": address(here, "unpriced") if here.caller.can(Permission.PRICING_MANAGE) else "",
        "by_model": explore(scope.with_(group=("model",))),
        "saved": saved_in(here, scope),
        "savings_href": address(here, "savings"),
    }
    return pushed(show(request, here, "overview", "pages/overview.html", context), linker(here, "overview")(scope))


@require_safe
@page("spend", Permission.SPEND_READ)
def explorer(request: HttpRequest, here: Here) -> HttpResponse:
    scope = scope_of(request, here)
    found = summary(here, scope)
    explore = linker(here, "spend")
    table = _table(here, scope, "", found, TABLE_ROWS) if scope.group else None
    chart = trend(here, scope, scope.group[0] if scope.group else None, key="spend", link=explore)
    group_label = " and ".join(scope.dimensions.label(name).lower() for name in scope.group)
    context = {
        "scope": scope,
        "bar": bar(here, scope, "spend", with_group=True),
        "summary": found,
        "chart": chart,
        "spark": spark(chart.spec.totals),
        "table": table,
        "one_group": len(scope.group) == 1,
        "group_label": group_label,
        "table_title": f"By {group_label}",
        "open_note": OPEN if scope.period.open else "",
        "freshness": ledger.freshness(here.id),
        "all_charges": _charges(here, scope),
        "csv": f"{address(here, 'spend_csv')}?{scope.query()}" if here.caller.can(Permission.EXPORT) else "",
    }
    return pushed(show(request, here, "spend", "pages/spend.html", context), explore(scope))


@require_safe
@page("spend", Permission.EXPORT)
def export(request: HttpRequest, here: Here) -> HttpResponseBase:
    return spend_csv(here, scope_of(request, here))


@require_safe
@page("spend", Permission.SPEND_READ)
def pick(request: HttpRequest, here: Here) -> HttpResponse:
    """Values of one dimension, to choose a filter from."""
    scope = scope_of(request, here)
    name, target, search = request.GET.get("pick", ""), request.GET.get("for", "spend"), request.GET.get("q", "")[:80]
    if name not in scope.dimensions.offered(here.caller) or target not in {
        "overview",
        "spend",
        "charges",
        "sessions",
        "value",
        "reconciliation",
    }:
        raise NotFound("There is nothing here by that name to filter by.")
    search = search.replace("\0", "")
    allowed = _within_reach(here, scope, name)
    found = ledger.options(here.id, scope.dimensions.column(name), search, PICKER_ROWS, only=allowed)
    link = linker(here, target)
    nobody = here.reader.names(scope, name, {0})[0]
    context = {
        "scope": scope,
        "name": name,
        "label": scope.dimensions.label(name),
        "target": target,
        "search": search,
        "choices": [(label, link(scope.widened_by(name, one))) for one, label in found],
        "nobody": (nobody, link(scope.widened_by(name, 0)))
        if (allowed is None or 0 in allowed) and not search
        else None,
        "more": len(found) == PICKER_ROWS,
        "back": link(scope),
        "hidden": [pair.split("=", 1) for pair in scope.query().split("&")],
    }
    return show(request, here, "spend", "pages/pick.html", context)


def _within_reach(here: Here, scope: Scope, name: str) -> frozenset[int] | None:
    """Values a caller who reaches a part may choose: those of the reach, else those its late spend had. None: all."""
    reach = spend_filters(here.caller, group_by=(name,))
    if not reach or name in reach:
        return reach.get(name)
    tomorrow = here.now.date() + timedelta(days=1)
    days = DayRange(tomorrow - PICKER_BACK, tomorrow)
    rows = here.reader.ask(scope.with_(filters={}).question(here.caller, group_by=(name,), days=days))
    return frozenset(row.values[0] for row in rows)


def pushed(response: HttpResponse, url: str) -> HttpResponse:
    """Tells htmx the canonical address of what it shows."""
    response["HX-Push-Url"] = url
    return response


def _table(here: Here, scope: Scope, name: str, found: Summary, limit: int) -> GroupTable:
    return groups(
        here,
        scope,
        (name,) if name else scope.group,
        whole=found.now,
        whole_before=found.before,
        unpriced_state=found.states[UNPRICED][0] if UNPRICED in found.states else 0,
        limit=limit,
        narrow=linker(here, "spend"),
        charges=charge_linker(here),
    )


def _caps(here: Here) -> list[Full]:
    return fullest(here, Sight(here), TOP) if here.caller.can(Permission.BUDGETS_READ) else []


def _charges(here: Here, scope: Scope) -> str:
    link = charge_linker(here)
    return link(scope) if link else ""


def _state_link(here: Here, scope: Scope, found: Summary, state: str) -> str:
    if state not in found.states:
        return ""
    return linker(here, "spend")(scope.narrowed_to({"state": found.states[state][0]}).with_(group=("source", "model")))
