"""Sessions: the dearest runs of calls of a period, and one as the tree of its sub-agents; both lead to charges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from dashboards import periods
from dashboards.access import Here, page, show
from dashboards.caps.guarding import stop_address
from dashboards.panels.bar import address, bar
from dashboards.reading import dimensions
from dashboards.scope import Scope, ScopeUnclear
from dashboards.views.spend import linker, pushed, scope_of
from finops.core.errors import FinopsError, NotFound
from finops.ledger import selectors as ledger
from finops.ledger.rules.trees import Branch
from finops.ledger.selectors import SessionRow, SessionTree
from finops.ledger.selectors.sessions import FILTERS, refuse_beyond
from finops.orgs.rules import Permission

ROWS = 100
# A session that was quiet for so long is over, as far as anybody can tell.
LIVE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Run:
    """One row: names ('' for nobody), and the addresses of the session's page and of the charges that make the row."""

    row: SessionRow
    person: str
    agent: str
    project: str
    whole: str
    href: str
    # Where it is stopped, while it may still be going on.
    stop: str


@require_safe
@page("sessions", Permission.CHARGES_READ)
def sessions(request: HttpRequest, here: Here) -> HttpResponse:
    scope = scope_of(request, here).with_(group=(), compare=True, grain_given=False)
    for name in scope.filters:
        if name not in FILTERS:
            raise ScopeUnclear(f"Sessions are not kept by {name}.", field=name)
    filters = scope.charge_filters(here.caller)
    refuse_beyond(filters)
    rows: list[SessionRow] = []
    if all(filters.values()):
        rows = ledger.sessions(here.id, scope.period.days, filters=filters, limit=ROWS)
    context = {
        "scope": scope,
        "bar": bar(here, scope, "sessions", with_compare=False, only=FILTERS),
        "rows": _runs(here, scope, rows),
        "full": len(rows) == ROWS,
        "may_stop": here.caller.can(Permission.CALLS_STOP),
        "own_only": not here.caller.sees_people,
    }
    answer = show(request, here, "sessions", "pages/sessions.html", context)
    return pushed(answer, linker(here, "sessions")(scope))


def _runs(here: Here, scope: Scope, rows: list[SessionRow]) -> list[Run]:
    called = {
        name: here.reader.names(scope, name, {getattr(row, f"{name}_id") for row in rows} - {0}) for name in FILTERS
    }
    return [
        Run(
            row,
            called["person"].get(row.person_id, ""),
            called["agent"].get(row.agent_id, ""),
            called["project"].get(row.project_id, ""),
            session_address(here, row.session),
            _charges(here, scope, row),
            stop_address(here, "session", row.session) if row.last_at > here.now - LIVE else "",
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Shoot:
    """One row of the tree, with the names of what the organization knows."""

    branch: Branch
    agents: str
    models: str


@require_safe
@page("sessions", Permission.CHARGES_READ)
def session(request: HttpRequest, here: Here) -> HttpResponse:
    """One session, named in the query: what a source calls it may hold a slash."""
    name = request.GET.get("session", "")[:300].replace("\0", "")
    filters = dimensions(here.caller).charge_filters(here.caller, {})
    found = None
    if name and all(filters.values()):
        found = ledger.session_tree(here.id, name, filters=filters)
    if found is None:
        raise NotFound("There is no such session, or none of its calls is yours to see.")
    context = {
        "found": found,
        "rows": _shoots(here, found),
        "charges": _charges_of(here, name, found.since, found.until),
        "stop": stop_address(here, "session", name) if found.until > here.now - LIVE else "",
        "may_stop": here.caller.can(Permission.CALLS_STOP),
        "own_only": not here.caller.sees_people,
    }
    return show(request, here, "sessions", "pages/session.html", context)


def session_address(here: Here, name: str) -> str:
    return f"{address(here, 'session')}?{urlencode({'session': name})}"


def _shoots(here: Here, found: SessionTree) -> list[Shoot]:
    called = ledger.names_of(here.id, found)

    def names(dimension: str, ids: tuple[int, ...]) -> str:
        return ", ".join(sorted(called[dimension][one].name for one in ids))

    return [
        Shoot(branch, names("agent", branch.work.agents), names("model", branch.work.models))
        for branch in found.branches
    ]


def _charges_of(here: Here, name: str, first_at: datetime, last_at: datetime) -> str:
    query = urlencode({"period": f"{first_at:%Y-%m-%d}..{last_at:%Y-%m-%d}", "session": name})
    return f"{address(here, 'charges')}?{query}"


def _charges(here: Here, scope: Scope, row: SessionRow) -> str:
    """The row's charges, from its first day to its last, however long before the period that began."""
    token = f"{row.first_at:%Y-%m-%d}..{row.last_at:%Y-%m-%d}"
    try:
        period = periods.parse(token, today=here.now.date())
    except FinopsError:
        # A source told a time no address can hold; then the question's own period.
        period = scope.period
    ids = {name: frozenset({int(getattr(row, f"{name}_id"))}) for name in FILTERS}
    query = scope.with_(period=period, filters=ids).query()
    return f"{address(here, 'charges')}?{query}&{urlencode({'session': row.session})}"
