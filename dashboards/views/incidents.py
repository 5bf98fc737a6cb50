"""Incidents: what is so and somebody should know, looked after and over; and one with its story."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.actions import act
from dashboards.panels.bar import address
from dashboards.views.caps import cap_address
from finops.alerts import selectors
from finops.alerts.models import Delivery, Incident
from finops.alerts.rules.words import KINDS
from finops.alerts.services import incidents as services
from finops.alerts.types import Kind, Story
from finops.api import paging
from finops.orgs import selectors as orgs
from finops.orgs.rules import Permission

DELIVERIES_SHOWN: Final = 50
# What a list shows by its name in the address; '' is what is not over.
_STATES: Final = (
    ("", "Not over"),
    ("open", "Waiting"),
    ("acknowledged", "Looked after"),
    ("resolved", "Over"),
    ("all", "All"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One incident in words, as a list shows it."""

    incident: Incident
    story: Story
    state: str
    href: str


@require_safe
@page("incidents", Permission.ALERTS_READ)
def incidents(request: HttpRequest, here: Here) -> HttpResponse:
    state, kind = request.GET.get("state", ""), request.GET.get("kind", "")
    state = state if state in dict(_STATES) else ""
    kind = kind if kind in set(Kind) else ""
    known = state if state in selectors.STATES else ""
    found = selectors.incidents_seen(here.caller, state=known, kind=kind)
    if not state:
        found = found.filter(resolved_at__isnull=True)
    listed = paging.page(found, Request(request), order=("-id",))
    base = address(here, "incidents")
    query = {name: value for name, value in (("state", state), ("kind", kind)) if value}
    context = {
        "rows": rows(here, listed.rows),
        "state": state,
        "states": _STATES,
        "kind": kind,
        "kinds": [(one.value, KINDS[one]) for one in Kind],
        "filtered": bool(query),
        "may": here.caller.can(Permission.ALERTS_HANDLE),
        "first": f"{base}?{urlencode(query)}" if request.GET.get("cursor") else "",
        "next": f"{base}?{urlencode({**query, 'cursor': listed.next_cursor})}" if listed.next_cursor else "",
        "rules_href": address(here, "alert_rules"),
    }
    return show(request, here, "incidents", "pages/incidents.html", context)


@require_safe
@page("incidents", Permission.ALERTS_READ)
def incident(request: HttpRequest, here: Here, incident_id: int) -> HttpResponse:
    row = selectors.incident_seen(here.caller, incident_id)
    told = list(selectors.deliveries(here.id, incident_id=row.id)[:DELIVERIES_SHOWN])
    names = _names(here, row)
    context = {
        "row": rows(here, [row])[0],
        "acknowledged_by": names.get(row.acknowledged_by, row.acknowledged_by),
        "resolved_by": "by itself"
        if row.resolved_by == services.HOUSE.reference
        else f"by {names.get(row.resolved_by, row.resolved_by)}",
        "kind": KINDS.get(row.kind, row.kind),
        "details": sorted(row.details.items()),
        "deliveries": told,
        "waiting": Delivery.State.WAITING,
        "cap_href": cap_address(here, row.budget_id) if row.budget_id else "",
        "may": here.caller.can(Permission.ALERTS_HANDLE),
        "back": address(here, "incidents"),
    }
    return show(request, here, "incidents", "pages/incident.html", context)


@require_POST
@page("incidents", Permission.ALERTS_HANDLE)
def acknowledge(request: HttpRequest, here: Here, incident_id: int) -> HttpResponse:
    row = selectors.incident_seen(here.caller, incident_id)
    return act(
        request,
        lambda: services.acknowledge(organization_id=here.id, incident_id=row.id, by=here.caller.actor, at=here.now),
        done="You look after it now.",
        to=incident_address(here, row.id),
    )


@require_POST
@page("incidents", Permission.ALERTS_HANDLE)
def resolve(request: HttpRequest, here: Here, incident_id: int) -> HttpResponse:
    row = selectors.incident_seen(here.caller, incident_id)
    note = request.POST.get("note", "").replace("\0", "")
    return act(
        request,
        lambda: services.resolve(
            organization_id=here.id, incident_id=row.id, note=note, by=here.caller.actor, at=here.now
        ),
        done="It is over.",
        to=incident_address(here, row.id),
    )


def incident_address(here: Here, incident_id: int) -> str:
    return reverse("dashboards:incident", kwargs={"organization": here.organization.slug, "incident_id": incident_id})


def rows(here: Here, found: Iterable[Incident]) -> list[Row]:
    """Incidents in words. Names cost one question per kind, however many there are."""
    listed = list(found)
    if not listed:
        return []
    stories = selectors.stories(here.id, [(one, "") for one in listed])
    return [
        Row(one, story, selectors.state_of(one), incident_address(here, one.id))
        for one, story in zip(listed, stories, strict=True)
    ]


def newest(here: Here, most: int) -> list[Row]:
    """What waits for somebody, for the overview; nothing for who may not see incidents."""
    if not here.caller.can(Permission.ALERTS_READ):
        return []
    return rows(here, selectors.incidents_seen(here.caller, state="open")[:most])


def _names(here: Here, row: Incident) -> dict[str, str]:
    """Logins by their references."""
    logins = {int(one[5:]) for one in (row.acknowledged_by, row.resolved_by) if one.startswith("user:")}
    if not logins:
        return {}
    return {f"user:{one.user_id}": str(one.user) for one in orgs.members(here.id).filter(user_id__in=logins)}
