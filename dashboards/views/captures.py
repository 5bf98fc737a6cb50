"""Captures: whether prompts and answers are stored, which are, and one of them opened."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.actions import act, posted
from dashboards.gateway.capturing import CapturingForm
from dashboards.panels.bar import address
from finops.api import paging
from finops.core.errors import FinopsError, Forbidden
from finops.orgs.rules import Permission
from routing.captures import rules, selectors, services

SHOWN_BYTES: Final = 100_000


@require_http_methods(["GET", "HEAD", "POST"])
@page("captures", Permission.GATEWAY_READ, write=Permission.CAPTURES_MANAGE)
def captures(request: HttpRequest, here: Here) -> HttpResponse:
    """What is stored, said to everybody whose calls it may be; the calls themselves to those who may read them. A post
    switches it on, or changes it.
    """
    said = selectors.capturing(here.id)
    form = CapturingForm(posted(request), here.id, said)
    if form.is_bound and form.is_valid():
        try:
            services.set_capturing(organization_id=here.id, said=form.said(), by=here.caller.actor, at=here.now)
        except Forbidden:
            raise
        except FinopsError as error:
            form.take(error)
        else:
            messages.success(request, "Saved. Gateways know of it within a second.")
            return redirect(address(here, "captures"))
    context = {
        "said": said,
        "in_words": rules.in_words(said, selectors.project_slugs(here.id, said.project_ids)),
        "form": form,
        "may": here.caller.can(Permission.CAPTURES_MANAGE),
        "may_read": here.caller.can(Permission.CAPTURES_READ),
        **_listed(request, here),
    }
    return show(request, here, "captures", "pages/captures.html", context, status=422 if form.is_bound else 200)


def _listed(request: HttpRequest, here: Here) -> dict[str, Any]:
    if not here.caller.can(Permission.CAPTURES_READ):
        return {}
    rows = selectors.captures(here.id, here.now)
    found = paging.page(rows, Request(request), order=("-at", "-id"))
    base = address(here, "captures")
    return {
        "rows": found.rows,
        "first": base if request.GET.get("cursor") else "",
        "next": f"{base}?{urlencode({'cursor': found.next_cursor})}" if found.next_cursor else "",
    }


@never_cache
@require_safe
@page("captures", Permission.CAPTURES_READ)
def capture(request: HttpRequest, here: Here, call_id: str) -> HttpResponse:
    """One call as it was asked and answered. Looking at it is noted."""
    rules.check_reader(here.caller)
    opened = services.read_capture(organization_id=here.id, call_id=call_id, by=here.caller.actor, at=here.now)
    exchange = opened.exchange
    context = {
        "row": opened.row,
        "call": exchange,
        "back": address(here, "captures"),
        "body": _text(exchange.body),
        "answer": _text(exchange.answer),
        "cut": max(len(exchange.body), len(exchange.answer)) > SHOWN_BYTES,
        "most": SHOWN_BYTES,
    }
    return show(request, here, "captures", "pages/capture.html", context)


@require_POST
@page("captures", Permission.CAPTURES_MANAGE)
def switch_off(request: HttpRequest, here: Here) -> HttpResponse:
    off = replace(selectors.capturing(here.id), is_on=False)
    return act(
        request,
        lambda: services.set_capturing(organization_id=here.id, said=off, by=here.caller.actor, at=here.now),
        done="Off. Nothing more is captured; what is there stays until it expires, or until you delete it.",
        to=address(here, "captures"),
    )


@require_POST
@page("captures", Permission.CAPTURES_MANAGE)
def delete(request: HttpRequest, here: Here) -> HttpResponse:
    return act(
        request,
        lambda: services.delete_captured(organization_id=here.id, by=here.caller.actor, at=here.now),
        done="What was captured is deleted. Nobody can read it any more.",
        to=address(here, "captures"),
    )


def _text(raw: bytes) -> str:
    return raw[:SHOWN_BYTES].decode("utf-8", errors="replace").replace("\0", "\u2400")
