"""The door of every page: a login, an organization it belongs to, a permission; and errors as pages, not as traces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from dashboards import nav
from dashboards.reading import Reader
from finops.api.requests import request_id
from finops.core.errors import FinopsError
from finops.core.fiscal import FiscalCalendar
from finops.orgs import selectors as orgs
from finops.orgs.models import Organization, User
from finops.orgs.rules import Caller, Permission

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Here:
    """Who looks at a page, where and when."""

    caller: Caller
    organization: Organization
    user: User
    now: datetime
    reader: Reader

    @property
    def currency(self) -> str:
        return self.organization.reporting_currency

    @property
    def calendar(self) -> FiscalCalendar:
        return FiscalCalendar(self.organization.fiscal_calendar, self.organization.fiscal_start_month)

    @property
    def id(self) -> int:
        return self.caller.organization_id


PageView = Callable[Concatenate[HttpRequest, Here, P], HttpResponse]


def page(key: str, permission: Permission, *, write: Permission | None = None) -> Callable[[Any], Any]:
    """Marks a view as the page `key` of an organization. Reading needs `permission`, posting `write` (or the same).

    The view gets (request, here, …). A stranger to the organization gets 404, one without the permission 403, a
    FinopsError its own status, each as a page that says what to do.
    """

    def mark(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        @login_required
        def answer(request: HttpRequest, organization: str, **kwargs: Any) -> HttpResponse:
            user = cast("User", request.user)
            here: Here | None = None
            try:
                caller = orgs.caller_for(user, organization)
                organization_row = orgs.organization(caller.organization_id)
                here = Here(caller, organization_row, user, timezone.now(), Reader(caller))  # noqa: TID251  a door
                caller.require(permission if request.method in {"GET", "HEAD"} else write or permission)
                response = view(request, here, **kwargs)
            except FinopsError as error:
                response = problem(request, here, key, error)
            patch_vary_headers(response, ["HX-Request", "Cookie"])
            return response

        answer.permission = permission  # type: ignore[attr-defined]
        answer.page_key = key  # type: ignore[attr-defined]
        return answer

    return mark


def show(
    request: HttpRequest, here: Here | None, key: str, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Renders a page; to htmx, which asked for one part of it, only the partial `answer`."""
    if wants_part(request):
        template = f"{template}#answer"
    return render(request, template, frame(here, key) | context, status=status)


def wants_part(request: HttpRequest) -> bool:
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def frame(here: Here | None, key: str) -> dict[str, Any]:
    """What `base.html` needs of an organization's page."""
    if here is None:
        return {"page_key": key}
    return {
        "here": here,
        "page_key": key,
        "navigation": nav.links(here.caller, key),
        "organizations": orgs.organizations_of(here.user),
    }


def problem(request: HttpRequest, here: Here | None, key: str, error: FinopsError) -> HttpResponse:
    """An anticipated failure, as a page: what happened, which input, and a way on."""
    context = {
        "error": error,
        "reference": request_id(request),
        "clean_path": request.path,
        "titles": _TITLES.get(error.status, "This cannot be answered"),
    }
    return show(request, here, key, "pages/problem.html", context, status=error.status)


_TITLES = {403: "Not yours to see", 404: "There is no such thing here", 409: "This has changed meanwhile"}
