"""Sources and quarantine: where usage comes from, and what of it could not be booked."""

from __future__ import annotations

from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.forms import ActionForm
from dashboards.panels.bar import address
from dashboards.polling.words import standing
from finops.api import paging
from finops.ingest import selectors as quarantine
from finops.ingest.models import QuarantinedRecord
from finops.ingest.services import discard, replay, replay_held
from finops.months import selectors as months
from finops.orgs.rules import Permission
from finops.polling import selectors as polling
from finops.sources import selectors, services
from finops.sources.models import Source

SHOWN_BYTES = 20_000


class SourceForm(ActionForm):
    slug = forms.SlugField(
        max_length=80, label="Short name", help_text="Part of every charge's identity; it never changes."
    )
    name = forms.CharField(max_length=200, required=False)
    kind = forms.ChoiceField(choices=[(kind, kind) for kind in services.KINDS])
    level = forms.ChoiceField(choices=Source.Level.choices)
    revises = forms.BooleanField(
        required=False,
        label="It restates itself",
        help_text="A report whose record may come again with other figures: the same id is then a correction.",
    )


@require_safe
@page("sources", Permission.QUARANTINE_MANAGE)
def sources(request: HttpRequest, here: Here) -> HttpResponse:
    rows = list(selectors.sources(here.id, archived=True))
    reasons = quarantine.held_by_code(here.id)
    state = request.GET.get("state", QuarantinedRecord.State.HELD)
    state = state if state in QuarantinedRecord.State.values else QuarantinedRecord.State.HELD
    code = request.GET.get("code", "")[:80].replace("\0", "")
    source = request.GET.get("source", "")[:80].replace("\0", "")
    found = paging.page(
        quarantine.quarantine(here.id, state=state, code=code, source=source),
        Request(request),
        order=("-received_at", "-id"),
    )
    given = {"state": state, "code": code, "source": source}
    base, query = address(here, "sources"), {name: value for name, value in given.items() if value}
    polled = {feed.source_id: standing(feed, here.now) for feed in polling.feeds(here.id)}
    changed = months.sources_changed(here.id)
    context = {
        "sources": [(row, polled.get(row.id), row.id in changed) for row in rows],
        "reasons": reasons,
        "source": source,
        "records": found.rows,
        "state": state,
        "states": QuarantinedRecord.State.choices,
        "code": code,
        "after": _after(request.GET.get("after", "")),
        "first": f"{base}?{urlencode(query)}" if request.GET.get("cursor") else "",
        "next": f"{base}?{urlencode({**query, 'cursor': found.next_cursor})}" if found.next_cursor else "",
        "may_add": here.caller.can(Permission.SOURCES_MANAGE),
    }
    return show(request, here, "sources", "pages/sources.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("sources", Permission.SOURCES_MANAGE)
def add(request: HttpRequest, here: Here) -> HttpResponse:
    return form_page(
        request, here, "sources", SourceForm(posted(request)),
        lambda said: services.add_source(organization_id=here.id, **said, by=here.caller.actor, at=here.now),
        title="Add a source", submit="Add the source", back=("Sources", address(here, "sources")),
        done="The source is added.",
    )  # fmt: skip


@require_safe
@page("sources", Permission.QUARANTINE_MANAGE)
def record(request: HttpRequest, here: Here, record_id: int) -> HttpResponse:
    row = quarantine.quarantined(here.id, record_id)
    raw = bytes(row.raw)
    context = {
        "record": row,
        "raw": raw[:SHOWN_BYTES].decode("utf-8", errors="replace").replace("\0", "\u2400"),
        "cut": len(raw) > SHOWN_BYTES,
        "size": len(raw),
        "back": address(here, "sources"),
        "held": row.state == QuarantinedRecord.State.HELD,
    }
    return show(request, here, "sources", "pages/record.html", context)


@require_POST
@page("sources", Permission.QUARANTINE_MANAGE)
def replay_one(request: HttpRequest, here: Here, record_id: int) -> HttpResponse:
    quarantine.quarantined(here.id, record_id)
    outcomes = replay(organization_id=here.id, record_ids=[record_id], by=here.caller.actor, at=here.now)
    problem = outcomes[0].problem if outcomes else None
    if problem:
        messages.error(request, f"Still not bookable: {problem.message}")
    else:
        messages.success(request, "The record is booked.")
    return redirect("dashboards:record", organization=here.caller.organization_slug, record_id=record_id)


@require_POST
@page("sources", Permission.QUARANTINE_MANAGE)
def replay_reason(request: HttpRequest, here: Here) -> HttpResponse:
    """Everything held for one reason, as many as one request can carry; the next goes on behind those that stay."""
    code = request.POST.get("code", "")[:80].replace("\0", "")
    after = _after(request.POST.get("after", ""))
    done = replay_held(organization_id=here.id, code=code, after=after, by=here.caller.actor, at=here.now)
    if not done.records:
        messages.info(request, "Nothing is held for that reason.")
        return redirect(address(here, "sources"))
    say = messages.success if done.held < done.records else messages.warning
    more = " There are newer ones: replay again to go on." if done.after else ""
    say(request, f"{done.records - done.held} of {done.records} records are booked; {done.held} stay held.{more}")
    on = f"?{urlencode({'code': code, 'after': done.after})}" if done.after else ""
    return redirect(address(here, "sources") + on)


def _after(said: str) -> int:
    return int(said) if said.isascii() and said.isdigit() and len(said) < 19 else 0


@require_POST
@page("sources", Permission.QUARANTINE_MANAGE)
def discard_one(request: HttpRequest, here: Here, record_id: int) -> HttpResponse:
    return act(
        request,
        lambda: discard(organization_id=here.id, record_id=record_id, by=here.caller.actor, at=here.now),
        done="The record is given up; it stays readable.",
        to=address(here, "sources"),
    )
