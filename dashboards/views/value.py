"""Cost, energy and value: what was spent, how much energy it took, and what was completed with it, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from dashboards.access import Here, page, show
from dashboards.panels.bar import address, bar
from dashboards.scope import Scope, ScopeUnclear
from dashboards.views.spend import linker, pushed, scope_of
from finops.energy import selectors as energy
from finops.energy.book import RELEASE
from finops.orgs.rules import PEOPLE_DIMENSIONS, Permission
from routing.value import rules, selectors
from routing.value.types import Line

LINES: Final = 50
MODELS: Final = 50


@dataclass(frozen=True, slots=True)
class Row:
    """A group with its name, and the address of its spend."""

    line: Line
    name: str
    href: str


@require_safe
@page("value", Permission.ROUTING_READ)
def value(request: HttpRequest, here: Here) -> HttpResponse:
    scope = scope_of(request, here)
    offered = scope.dimensions.offered(here.caller)
    choices = [name for name in rules.BY if name in offered]
    by = scope.group[0] if scope.group else choices[0]
    if by not in rules.BY or len(scope.group) > 1:
        raise ScopeUnclear(f"Choose one of {', '.join(choices)}.", field="group")
    scope = scope.with_(group=(by,), compare=True, grain_given=False)
    report = selectors.report(
        here.caller, scope.dimensions, scope.period.days, by=by, filters=scope.filters, limit=LINES
    )
    rows = here.reader.ask(scope.question(here.caller, group_by=("provider", "model")))
    uses = energy.model_uses(here.id, rows)
    link = linker(here, "value")
    context = {
        "scope": scope,
        "bar": bar(here, scope, "value", with_compare=False),
        "by_label": scope.dimensions.label(by),
        "choices": [(scope.dimensions.label(name), link(scope.with_(group=(name,))), name == by) for name in choices],
        "report": report,
        "rows": [_row(here, scope, by, line) for line in report.lines],
        "uses": uses[:MODELS],
        "more_models": max(len(uses) - MODELS, 0),
        "method": f"EcoLogits {RELEASE}",
        "own_only": "person" in PEOPLE_DIMENSIONS - set(offered),
    }
    return pushed(show(request, here, "value", "pages/value.html", context), link(scope))


def _row(here: Here, scope: Scope, by: str, line: Line) -> Row:
    group = line.group
    name = group.name if group is not None and group.id else f"No {scope.dimensions.label(by).lower()}"
    narrowed = scope.narrowed_to({by: group.id if group else 0}).with_(group=("model",))
    return Row(line, name, f"{address(here, 'spend')}?{narrowed.query()}")
