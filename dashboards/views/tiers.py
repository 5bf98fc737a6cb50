"""Where a month's calls and money went by tier, what of frontier is needed, and what the month would have come to."""

from __future__ import annotations

from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from dashboards.access import Here, page, show
from dashboards.panels.bar import address
from dashboards.routing import tiers as words
from finops.core.errors import FinopsError, Forbidden
from finops.core.periods import DayRange, month_start, months_on, next_month
from finops.orgs.rules import Permission
from routing.bills import rules, selectors
from routing.bills.selectors import Report
from routing.bills.types import Bill, Needed
from routing.tiers.types import Tier
from routing.upstreams import selectors as upstreams

ROWS_SHOWN: Final = 50
_OFFERED: Final = 200


@require_safe
@page("tiers", Permission.ROUTING_READ)
def tiers(request: HttpRequest, here: Here) -> HttpResponse:
    """Of a month, `?month=2026-10`; with `kind` and the fields of its form, what it would have come to."""
    today = here.now.date()
    month = rules.month_of(request.GET.get("month", "").replace("\0", "")[:7], today)
    found = selectors.report(here.caller, month, here.now)
    shares = found.shares
    frontier = words.part_of(shares.tiers, Tier.FRONTIER)
    context = {
        "month": month,
        "word": f"{month:%Y-%m}",
        "found": found,
        "shares": shares,
        "frontier": frontier,
        "needs": shares.needs,
        "chart": words.daily(shares, DayRange(month, next_month(month)), here.currency, today=today),
        "rows": [_needed(one) for one in shares.frontier[:ROWS_SHOWN]],
        "more": max(len(shares.frontier) - ROWS_SHOWN, 0),
        "bill": found.all_frontier,
        "bill_rows": found.all_frontier.rows[:ROWS_SHOWN] if found.all_frontier else (),
        "earlier": _of_month(here, months_on(month, -1)),
        "later": _of_month(here, next_month(month)) if next_month(month) <= month_start(today) else "",
        **_what_if(request, here, found),
    }
    return show(request, here, "tiers", "pages/tiers.html", context)


def _needed(one: Needed) -> tuple[Needed, str, str]:
    return one, words.NEEDS[one.told.need], words.TONES[one.told.need]


def _of_month(here: Here, month: date) -> str:
    return f"{address(here, 'tiers')}?{urlencode({'month': f'{month:%Y-%m}'})}"


def _what_if(request: HttpRequest, here: Here, found: Report) -> dict[str, Any]:
    kind = request.GET.get("kind", "")
    kind = kind if kind in words.FORMS else "move"
    asked = request.GET if set(request.GET) - {"month", "kind"} else None
    deployed = upstreams.deployments_in_use(here.id).order_by("model").values_list("model", flat=True).distinct()
    used = [one.known.model for one in found.shares.models]
    offered = list(dict.fromkeys([*used, *deployed[:_OFFERED]]))
    form = words.FORMS[kind](asked, found.shares, offered)
    answer: Bill | None = None
    if form.is_bound and form.is_valid():
        try:
            answer = selectors.what_if(here.caller, found.month, [form.change()], here.now)
        except Forbidden:
            raise
        except FinopsError as error:
            form.take(error)
    base = _of_month(here, found.month)
    return {
        "kind": kind,
        "kinds": [(name, label, f"{base}&kind={name}#what-if") for name, label in words.KINDS.items()],
        "form": form,
        "answer": answer,
        "answer_rows": answer.rows[:ROWS_SHOWN] if answer else (),
    }
