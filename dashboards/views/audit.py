"""The audit trail: who did what, when."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.panels.bar import address
from finops.api import paging
from finops.audit.models import AuditEvent
from finops.orgs import selectors as orgs
from finops.orgs.rules import Permission

SUBJECTS = (
    "organization",
    "team",
    "person",
    "project",
    "agent",
    "customer",
    "key",
    "user",
    "source",
    "quarantine",
    "job",
    "attribution_rule",
    "shared_cost",
    "promoted_tag",
    "budget",
    "increase",
    "alert_rule",
    "channel",
    "incident",
    "upstream",
    "capture",
    "contract",
    "model_alias",
    "exchange_rate",
)


@require_safe
@page("audit", Permission.AUDIT_READ)
def audit(request: HttpRequest, here: Here) -> HttpResponse:
    kind = request.GET.get("about", "")
    kind = kind if kind in SUBJECTS else ""
    found = paging.page(orgs.audit_events(here.id, subject_kind=kind), Request(request), order=("-at", "-id"))
    names = orgs.audit_names(here.id, found.rows)
    base = address(here, "audit")
    query = {"about": kind} if kind else {}
    context = {
        "rows": [_row(event, names) for event in found.rows],
        "subjects": SUBJECTS,
        "about": kind,
        "first": f"{base}?{urlencode(query)}" if request.GET.get("cursor") else "",
        "next": f"{base}?{urlencode({**query, 'cursor': found.next_cursor})}" if found.next_cursor else "",
    }
    return show(request, here, "audit", "pages/audit.html", context)


def _row(event: AuditEvent, names: dict[str, str]) -> dict[str, object]:
    subject = f"{event.subject_kind}:{event.subject_id}"
    return {
        "event": event,
        "who": names.get(event.actor, event.actor_label or event.actor),
        "what": names.get(subject, event.subject_label or event.subject_id),
        "details": json.dumps(event.details, indent=1, ensure_ascii=False) if event.details else "",
    }
