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
from dashboards.panels.bar import address
from dashboards.scope import Scope
from finops.core.errors import Invalid
from finops.core.periods import DayRange
from finops.ingest.services import RERATE, open_rework
from finops.ingest.tasks import send
from finops.ledger import selectors as ledger
from finops.ledger.types import UNPRICED
from finops.orgs.rules import Permission, spend_filters

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
    """By model over the last year, the most calls first. The ledger tells a model's calls at each provider apart."""
    period = periods.parse(f"last-{LOOKED_BACK_DAYS}d", today=here.now.date())
    models: dict[int, list[ledger.UnpricedGroup]] = {}
    for found in ledger.unpriced(here.id, period.days, spend_filters(here.caller)):
        models.setdefault(found.model.id, []).append(found)
    whole = Scope(period, reading.dimensions(here.caller)).narrowed_to({"state": _state(here)})
    groups = [_group(here, whole, several) for several in models.values()]
    return sorted(groups, key=lambda group: (-group.calls, group.model))


def _group(here: Here, whole: Scope, several: list[ledger.UnpricedGroup]) -> Group:
    model = several[0].model
    providers = sorted(one.provider.name for one in several if one.provider.id)
    first, last = min(one.first_day for one in several), max(one.last_day for one in several)
    days = periods.parse(f"{first}..{last}", today=here.now.date())
    narrowed = whole.with_(period=days).narrowed_to({"model": model.id})
    hint = urlencode({"model": model.name, "provider": providers[0] if providers else ""})
    return Group(
        model_id=model.id,
        model=model.name,
        providers=tuple(providers),
        calls=sum(one.calls for one in several),
        tokens=sum(one.input_tokens + one.output_tokens for one in several),
        first=first,
        last=last,
        charges=f"{address(here, 'charges')}?{narrowed.query()}",
        alias=f"{address(here, 'alias_add')}?{hint}",
        own=f"{address(here, 'contract_custom')}?{hint}",
    )
