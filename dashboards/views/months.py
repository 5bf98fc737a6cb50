"""Months: how each stands; one with its checklist, its statement and what came since; closing, and taking that back."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_http_methods, require_safe

from dashboards.access import Here, page, show
from dashboards.actions import form_page, posted
from dashboards.exports.spend_csv import stream
from dashboards.forms import ActionForm
from dashboards.panels import months as panels
from dashboards.panels.bar import address
from dashboards.panels.months import STATES, month_address, month_name
from dashboards.scope import ScopeUnclear
from finops.audit.models import AuditEvent
from finops.core.errors import NotFound
from finops.months import rules, selectors, services, sheet
from finops.months.checklist import checklist
from finops.months.types import State
from finops.orgs import selectors as orgs
from finops.orgs.rules import Permission, whole_organization


class CloseForm(ActionForm):
    reason = forms.CharField(
        max_length=rules.LONGEST_REASON, widget=forms.Textarea(attrs={"rows": 3}), label="Why it is closed all the same"
    )

    def __init__(self, *args: Any, needed: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not needed:
            del self.fields["reason"]


class ReopenForm(ActionForm):
    reason = forms.CharField(max_length=rules.LONGEST_REASON, widget=forms.Textarea(attrs={"rows": 3}), label="Why")


@require_safe
@page("months", Permission.AUDIT_READ)
def months(request: HttpRequest, here: Here) -> HttpResponse:
    whole_organization(here.caller)
    found = selectors.listed(here.id, at=here.now)
    closed = {row.month: row for row in selectors.closings(here.id)}
    context = {
        "rows": [
            (
                one,
                panels.shown(one, here.currency),
                *STATES[one.state],
                month_address(here, one.month),
                closed.get(one.month),
            )
            for one in found
        ],
        "next": next((one for one in reversed(found) if one.may_close), None) if closed else None,
        "late": sum(one.late for one in found),
        "some": any(one.state is not State.RUNNING for one in found),
        "may_close": here.caller.can(Permission.MONTHS_CLOSE),
    }
    return show(request, here, "months", "pages/months.html", context)


@require_safe
@page("months", Permission.AUDIT_READ)
def month(request: HttpRequest, here: Here, month: str) -> HttpResponse:
    whole_organization(here.caller)
    day, by = _month(here, month), _by(request, here)
    [found] = selectors.listed(here.id, at=here.now, only=day)
    row = selectors.closings(here.id).filter(month=day).first()
    own, earlier = panels.charged(here, row, by) if row else ([], [])
    due = selectors.late(here.id) if selectors.is_next(here.id, day) else []
    state, tone = STATES[found.state]
    base, shown = month_address(here, day), panels.shown(found, here.currency)
    context = {
        "month": found,
        "shown": shown,
        "name": month_name(day),
        "state": state,
        "tone": tone,
        "row": row,
        "by": by,
        "by_label": panels.OWNERS[by],
        "choices": [(label, f"{base}?by={name}", name == by) for name, label in panels.OWNERS.items()],
        "checks": panels.checked(here, day, checklist(here.id, day, at=here.now)) if row is None else [],
        "was_open": panels.checked(here, day, selectors.was_open(row)) if row else [],
        "own": own,
        "earlier": earlier,
        "late": panels.late(here, selectors.unsaid(here.id, rules.days_of(day)) if row else [], by, shown.late),
        "due": panels.late(here, due, by),
        "carried": [(month_name(one.month), month_address(here, one.month), *more)
                    for one, *more in selectors.carried_on(here.id, day)],
        "next_name": month_name(rules.days_of(max(selectors.closed_months(here.id), default=day)).end),
        "trail": _trail(here, day),
        "may_close": here.caller.can(Permission.MONTHS_CLOSE) and found.may_close,
        "may_reopen": here.caller.can(Permission.MONTHS_CLOSE) and found.may_reopen,
        "csv": f"{base}statement.csv" if row and here.caller.can(Permission.EXPORT) else "",
        "back": address(here, "months"),
        "spend": f"{address(here, 'spend')}?period={rules.written(day)}",
    }  # fmt: skip
    return show(request, here, "months", "pages/month.html", context)


def _month(here: Here, said: str) -> date:
    found = rules.month_told(said)
    if found > here.now.date():
        raise NotFound(f"{month_name(found)} has not begun.")
    return found


def _by(request: HttpRequest, here: Here) -> str:
    by = request.GET.get("by", "team")
    if by not in panels.OWNERS:
        raise ScopeUnclear(f"A statement is by one of {', '.join(panels.OWNERS)}.", field="by")
    whole_organization(here.caller, group_by=(by,))
    return by


def _trail(here: Here, month: date) -> list[dict[str, Any]]:
    """Who closed it and opened it again, newest first. It is in the trail, and two questions."""
    events = list(
        AuditEvent.objects.filter(
            organization_id=here.id, subject_kind="month", subject_label=rules.written(month)
        ).order_by("-at", "-id")[:50]
    )
    names = orgs.audit_names(here.id, events)
    return [
        {
            "event": event,
            "what": "Closed" if event.verb == "month.closed" else "Opened again",
            "who": names.get(event.actor, event.actor),
            "amount": event.details.get("amount"),
            "reason": event.details.get("reason", ""),
        }
        for event in events
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@page("months", Permission.MONTHS_CLOSE)
def close(request: HttpRequest, here: Here, month: str) -> HttpResponse:
    whole_organization(here.caller)
    day = _month(here, month)
    rules.check_close(day, selectors.closed_months(here.id), first=selectors.first_day(here.id), today=here.now.date())
    left = panels.checked(here, day, rules.open_items(checklist(here.id, day, at=here.now)))
    still = f" Still open: {'; '.join(f'{one.label.lower()} ({one.counted})' for one in left)}." if left else ""
    return form_page(
        request, here, "months", CloseForm(posted(request), needed=bool(left)),
        lambda said: services.close_month(
            organization_id=here.id, month=day, reason=said.get("reason", ""), by=here.caller.actor, at=here.now
        ),
        title=f"Close {month_name(day)}", submit="Close the month", back=(month_name(day), month_address(here, day)),
        done=f"{month_name(day)} is closed.",
        lead=f"Its statement says what is known of it now. What comes later is booked as ever, and the statement of the"
        f" next month carries it.{still}",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("months", Permission.MONTHS_CLOSE)
def reopen(request: HttpRequest, here: Here, month: str) -> HttpResponse:
    whole_organization(here.caller)
    day = _month(here, month)
    rules.check_reopen(day, selectors.closed_months(here.id))
    return form_page(
        request, here, "months", ReopenForm(posted(request)),
        lambda said: services.reopen_month(
            organization_id=here.id, month=day, reason=said["reason"], by=here.caller.actor, at=here.now
        ),
        title=f"Open {month_name(day)} again", submit="Open it again", danger=True,
        back=(month_name(day), month_address(here, day)), done=f"{month_name(day)} is open again.",
        lead="Its statement stays readable and counts no more. If somebody was charged by it, tell them: the next one"
        " says all of the month, and of earlier ones what this one carried.",
    )  # fmt: skip


@require_safe
@page("months", Permission.AUDIT_READ)
def export(request: HttpRequest, here: Here, month: str) -> HttpResponseBase:
    """The statement as CSV."""
    here.caller.require(Permission.EXPORT)
    whole_organization(here.caller, group_by=("person",))
    row = selectors.closing(here.id, _month(here, month))
    return stream(sheet.table(row), sheet.filename(row, here.organization.slug))
