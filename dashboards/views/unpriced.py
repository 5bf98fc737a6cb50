"""Unpriced: models whose calls are in no amount yet, and the way to a price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from dashboards import periods, reading
from dashboards.access import Here, page, show
from dashboards.actions import send
from dashboards.panels.bar import address
from dashboards.scope import Scope
from finops.core.errors import Invalid
from finops.core.periods import DayRange
from finops.ingest.services import RERATE, open_rework
from finops.ledger import selectors as ledger
from finops.ledger.types import UNPRICED, Grain
from finops.orgs.rules import Permission

LOOKED_BACK_DAYS = 365


@dataclass(frozen=True, slots=True)
class Group:
    """Calls of one model that no price is known for."""

    model_id: int
    model: str
    providers: tuple[str, ...]
    calls: int
    tokens: int
    first: date
    last: date
    charges: str
    alias: str
    own: str


@require_safe
@page("unpriced", Permission.PRICING_MANAGE)
def unpriced(request: HttpRequest, here: Here) -> HttpResponse:
    found = _groups(here)
    context = {"groups": found, "days": LOOKED_BACK_DAYS, "calls": sum(group.calls for group in found)}
    return show(request, here, "unpriced", "pages/unpriced.html", context)


@require_POST
@page("unpriced", Permission.PRICING_MANAGE, write=Permission.JOBS_RUN)
def rerate(request: HttpRequest, here: Here) -> HttpResponse:
    """Opens the job that rates again: one model's unpriced calls, or everybody's."""
    wanted = request.POST.get("model", "")
    found = [group for group in _groups(here) if not wanted or str(group.model_id) == wanted]
    if not found:
        raise Invalid("None of these calls is unpriced any more.", field="model")
    filters = {"state": [_state(here)], **({"model": [group.model_id for group in found]} if wanted else {})}
    period = DayRange(min(group.first for group in found), max(group.last for group in found) + timedelta(days=1))
    send(
        open_rework(
            organization_id=here.id, kind=RERATE, period=period, filters=filters, by=here.caller.actor, at=here.now
        )
    )
    messages.success(request, "The calls are being rated again. This page shows how far it is.")
    return redirect(address(here, "jobs"))


def _state(here: Here) -> int:
    return ledger.term_ids(here.id, "state", [UNPRICED]).get(UNPRICED, 0)


def _groups(here: Here) -> list[Group]:
    """By model over the last year, the most calls first. Three questions and the names."""
    state = _state(here)
    if not state:
        return []
    period = periods.parse(f"last-{LOOKED_BACK_DAYS}d", today=here.now.date())
    scope = Scope(period, reading.dimensions(here.caller)).narrowed_to({"state": state})
    by_day = reading.lines(here.reader.ask(scope.question(here.caller, group_by=("model",), grain=Grain.DAY)))
    days: dict[int, list[reading.Line]] = {}
    for line in by_day:
        if line.calls > 0:
            days.setdefault(line.values[0], []).append(line)
    providers = _providers(here, scope, frozenset(days))
    called = reading.names(scope, here.caller, "model", days)
    groups = []
    for model_id, several in days.items():
        seen = sorted(line.bucket for line in several if line.bucket)
        narrowed = scope.with_(period=periods.parse(f"{seen[0]}..{seen[-1]}", today=here.now.date())).narrowed_to(
            {"state": state, "model": model_id}
        )
        hint = {"model": called[model_id], "provider": (providers.get(model_id) or ("",))[0]}
        groups.append(
            Group(
                model_id=model_id,
                model=called[model_id],
                providers=providers.get(model_id, ()),
                calls=sum(line.calls for line in several),
                tokens=sum(line.tokens for line in several),
                first=seen[0],
                last=seen[-1],
                charges=f"{address(here, 'charges')}?{narrowed.query()}",
                alias=f"{address(here, 'alias_add')}?{urlencode(hint)}",
                own=f"{address(here, 'contract_custom')}?{urlencode(hint)}",
            )
        )
    return sorted(groups, key=lambda group: (-group.calls, group.model))


def _providers(here: Here, scope: Scope, models: frozenset[int]) -> dict[int, tuple[str, ...]]:
    """Which providers each model was called at (the state left out: the pair has a cube of its own)."""
    if not models:
        return {}
    wide = scope.without("state")
    rows = here.reader.ask(wide.question(here.caller, group_by=("provider", "model"), only={"model": models}))
    called = reading.names(scope, here.caller, "provider", {row.values[0] for row in rows})
    found: dict[int, tuple[str, ...]] = {}
    for row in rows:
        found[row.values[1]] = tuple(sorted({*found.get(row.values[1], ()), called[row.values[0]]}))
    return found
