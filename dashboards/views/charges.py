"""Charges: the lines behind a figure, and one line with everything that is known of it."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from dashboards.access import Here, page, show
from dashboards.panels.bar import address, bar
from dashboards.panels.charge import TRUEUP, story
from dashboards.scope import Scope
from dashboards.views.spend import linker, pushed, scope_of
from finops.core.errors import NotFound
from finops.core.tokens import INPUT_SLICE, OUTPUT_SLICE
from finops.ledger import selectors as ledger
from finops.ledger.types import ChargePage, ChargeRow
from finops.orgs.rules import Permission, charge_visible

ROWS = 50
_LISTED = ("team", "person", "project", "agent", "provider", "model", "state")


@require_safe
@page("charges", Permission.CHARGES_READ)
def charges(request: HttpRequest, here: Here) -> HttpResponse:
    scope = scope_of(request, here)
    cursor, session = request.GET.get("cursor", ""), request.GET.get("session", "")[:300].replace("\0", "")
    filters = scope.charge_filters(here.caller)
    found = ChargePage((), "")
    if all(filters.values()):
        found = ledger.charges(here.id, scope.period.days, filters=filters, cursor=cursor, limit=ROWS, session=session)
    base = linker(here, "charges")(scope) + (f"&{urlencode({'session': session})}" if session else "")
    context = {
        "scope": scope,
        "bar": bar(here, scope, "charges", with_compare=False),
        "rows": _rows(here, scope, found.rows),
        "session": session,
        "own_only": not here.caller.sees_people,
        "first": base if cursor else "",
        "next": f"{base}&cursor={found.next_cursor}" if found.next_cursor else "",
        "spend": linker(here, "spend")(scope),
        "without_session": linker(here, "charges")(scope),
    }
    return pushed(
        show(request, here, "charges", "pages/charges.html", context), f"{base}&cursor={cursor}" if cursor else base
    )


@require_safe
@page("charges", Permission.CHARGES_READ)
def charge(request: HttpRequest, here: Here, charge_id: UUID) -> HttpResponse:
    row = ledger.charge(here.id, charge_id)
    if not charge_visible(here.caller, row.dimensions):
        # The same answer as for one that does not exist: an id must not tell whose it is.
        raise NotFound(f"there is no charge {charge_id}")
    scope = scope_of(request, here)
    context = {
        "story": story(here, scope, row),
        "row": row,
        "charges": address(here, "charges"),
        "tied_href": _tied(here, row),
        "session_href": f"{linker(here, 'charges')(scope)}&{urlencode({'session': row.session})}",
    }
    return show(request, here, "charges", "pages/charge.html", context)


def _tied(here: Here, row: ChargeRow) -> str:
    """The reconciliation of the day and provider of a line, '' for who may not see it."""
    if row.reason != TRUEUP or not here.caller.can(Permission.AUDIT_READ):
        return ""
    day = row.occurred_at.date()
    query = urlencode({"period": f"{day}..{day}", "provider": row.dimensions["provider"]})
    return f"{address(here, 'reconciliation')}?{query}"


def _rows(here: Here, scope: Scope, rows: tuple[ChargeRow, ...]) -> list[dict[str, object]]:
    """What the table shows: names looked up once per dimension, tokens added."""
    called = {
        name: here.reader.names(scope, name, {row.dimensions.get(name, 0) for row in rows} - {0}) for name in _LISTED
    }
    return [
        {
            "row": row,
            "input": sum(row.counts[index] for index in INPUT_SLICE),
            "output": sum(row.counts[index] for index in OUTPUT_SLICE),
            "href": f"{address(here, 'charges')}{row.id}/",
            **{name: called[name].get(row.dimensions.get(name, 0), "") for name in _LISTED},
        }
        for row in rows
    ]
