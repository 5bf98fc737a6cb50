"""Where calls go: upstreams, their credentials and models, and what keys wish of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.gateway.forms import AUTHS, DIALECTS, SORTS, CredentialForm, DeploymentForm, UpstreamForm, WishesForm
from dashboards.panels.bar import address
from finops.api import paging
from finops.core.errors import FinopsError, Forbidden, NotFound
from finops.orgs.rules import Permission
from routing.upstreams import selectors, services
from routing.upstreams.models import Upstream
from routing.upstreams.presets import BY_NAME, PRESETS
from routing.upstreams.types import Auth, Dialect

MODELS_SHOWN: Final = 4


@require_safe
@page("upstreams", Permission.GATEWAY_READ)
def upstreams(request: HttpRequest, here: Here) -> HttpResponse:
    """All there are: their number is bounded, so nobody pages through them."""
    rows = list(selectors.upstreams(here.id, archived=True).prefetch_related("deployments"))
    may = here.caller.can(Permission.GATEWAY_MANAGE)
    context = {
        "rows": [_shown(here, row) for row in rows if row.archived_at is None],
        "archived": [_shown(here, row) for row in rows if row.archived_at is not None],
        "presets": PRESETS,
        "may": may,
        # Keys are called by people's names, which not everybody may read.
        **(_wishes(request, here) if may else {}),
    }
    return show(request, here, "upstreams", "pages/upstreams.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("upstreams", Permission.GATEWAY_MANAGE)
def add(request: HttpRequest, here: Here) -> HttpResponse:
    name = request.GET.get("preset", "")
    preset = BY_NAME.get(name)
    if name and preset is None:
        raise NotFound("There is no such host among those that are known.")
    form = UpstreamForm(posted(request), preset=preset)
    return _form_page(
        request, here, form,
        lambda: services.create_upstream(
            organization_id=here.id, draft=form.draft(), credential=form.credential, by=here.caller.actor, at=here.now
        ),
        done="The upstream is made. Gateways know of it within a second.",
        title=f"New upstream: {preset.title}" if preset else "New upstream",
        lead="A server that answers calls of models.", submit="Make the upstream",
        back=("Upstreams", address(here, "upstreams")),
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("upstreams", Permission.GATEWAY_READ, write=Permission.GATEWAY_MANAGE)
def upstream(request: HttpRequest, here: Here, upstream_id: int) -> HttpResponse:
    """One upstream with its models; a post says that it serves a model."""
    row = selectors.upstream(here.id, upstream_id)
    form = DeploymentForm(posted(request))
    if form.is_bound and form.is_valid():
        try:
            services.set_deployment(
                organization_id=here.id, upstream_id=row.id, draft=form.draft(), by=here.caller.actor, at=here.now
            )
        except Forbidden:
            raise
        except FinopsError as error:
            form.take(error)
        else:
            messages.success(request, f"{row.name} serves {form.draft().model}.")
            return redirect(upstream_address(here, row.id))
    context = {
        "upstream": row,
        "dialect": DIALECTS[Dialect(row.dialect)],
        "auth": AUTHS[Auth(row.auth)],
        "sends": row.auth != Auth.NONE,
        "deployments": list(selectors.deployments(here.id, row.id)),
        "form": form,
        "may": here.caller.can(Permission.GATEWAY_MANAGE),
        "back": address(here, "upstreams"),
    }
    return show(request, here, "upstreams", "pages/upstream.html", context, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@page("upstreams", Permission.GATEWAY_MANAGE)
def change(request: HttpRequest, here: Here, upstream_id: int) -> HttpResponse:
    row = selectors.upstream(here.id, upstream_id)
    form = UpstreamForm(posted(request), row=row)
    return _form_page(
        request, here, form,
        lambda: services.change_upstream(
            organization_id=here.id, upstream_id=row.id, draft=form.draft(), credential=form.credential,
            by=here.caller.actor, at=here.now,
        ),
        done="The upstream is saved.", title=row.name, submit="Save",
        lead="Calls under way end as they began; the next ones go as it is said here.",
        back=(row.name, upstream_address(here, row.id)),
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("upstreams", Permission.GATEWAY_MANAGE)
def credential(request: HttpRequest, here: Here, upstream_id: int) -> HttpResponse:
    row = selectors.upstream(here.id, upstream_id)
    form = CredentialForm(posted(request))
    return form_page(
        request, here, "upstreams", form,
        lambda said: services.rotate_credential(
            organization_id=here.id, upstream_id=row.id, by=here.caller.actor, at=here.now, **said
        ),
        title="Another credential", submit="Replace it",
        lead="Make the new one at the provider, say it here, then revoke the old one there.",
         back=(row.name, upstream_address(here, row.id)), done="The credential is replaced.",
    )  # fmt: skip


@require_POST
@page("upstreams", Permission.GATEWAY_MANAGE)
def archive(request: HttpRequest, here: Here, upstream_id: int) -> HttpResponse:
    return act(
        request,
        lambda: services.archive_upstream(
            organization_id=here.id, upstream_id=upstream_id, by=here.caller.actor, at=here.now
        ),
        done="The upstream is archived. No call goes there any more.",
        to=address(here, "upstreams"),
    )


@require_POST
@page("upstreams", Permission.GATEWAY_MANAGE)
def restore(request: HttpRequest, here: Here, upstream_id: int) -> HttpResponse:
    return act(
        request,
        lambda: services.restore_upstream(
            organization_id=here.id, upstream_id=upstream_id, by=here.caller.actor, at=here.now
        ),
        done="The upstream is back, as it was.",
        to=upstream_address(here, upstream_id),
    )


@require_POST
@page("upstreams", Permission.GATEWAY_MANAGE)
def remove_deployment(request: HttpRequest, here: Here, upstream_id: int, deployment_id: int) -> HttpResponse:
    return act(
        request,
        lambda: services.remove_deployment(
            organization_id=here.id,
            upstream_id=upstream_id,
            deployment_id=deployment_id,
            by=here.caller.actor,
            at=here.now,
        ),
        done="It is not called for this model any more.",
        to=upstream_address(here, upstream_id),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page("upstreams", Permission.GATEWAY_MANAGE)
def add_wishes(request: HttpRequest, here: Here) -> HttpResponse:
    """What a key wishes, in place of what it wished before."""
    form = WishesForm(posted(request), here.id)
    return _wishes_page(request, here, form, lambda said: int(said["key"]), title="What a key wishes")


@require_http_methods(["GET", "HEAD", "POST"])
@page("upstreams", Permission.GATEWAY_MANAGE)
def change_wishes(request: HttpRequest, here: Here, key_id: int) -> HttpResponse:
    row = selectors.wishes_of(here.id, key_id)
    form = WishesForm(posted(request), here.id, row)
    return _wishes_page(request, here, form, lambda _: row.key_id, title=f"What {row.key.name} wishes")


@require_POST
@page("upstreams", Permission.GATEWAY_MANAGE)
def clear_wishes(request: HttpRequest, here: Here, key_id: int) -> HttpResponse:
    return act(
        request,
        lambda: services.clear_wishes(organization_id=here.id, key_id=key_id, by=here.caller.actor, at=here.now),
        done="The key wishes nothing any more.",
        to=address(here, "upstreams"),
    )


def _wishes_page(
    request: HttpRequest, here: Here, form: WishesForm, key_of: Callable[[dict[str, Any]], int], *, title: str
) -> HttpResponse:
    return form_page(
        request, here, "upstreams", form,
        lambda said: services.set_wishes(
            organization_id=here.id, key_id=key_of(said), draft=form.draft(), by=here.caller.actor, at=here.now
        ),
        title=title, submit="Save", back=("Upstreams", address(here, "upstreams")),
        lead="Its calls are held to this within a second. What a request wishes goes before it, and never beyond it.",
        done="The key’s wishes are saved.",
    )  # fmt: skip


def _wishes(request: HttpRequest, here: Here) -> dict[str, Any]:
    found = paging.page(selectors.wishes(here.id), Request(request), order=("key_id",))
    base = address(here, "upstreams")
    return {
        "wishes": [(row, SORTS[row.sort] if row.sort else "") for row in found.rows],
        "first": base if request.GET.get("cursor") else "",
        "next": f"{base}?cursor={found.next_cursor}" if found.next_cursor else "",
    }


def _form_page(
    request: HttpRequest, here: Here, form: UpstreamForm, save: Callable[[], Upstream], *, done: str, **words: Any
) -> HttpResponse:
    """An upstream's form: shown, refused with its errors (422), or saved and looked at."""
    if form.is_bound and form.is_valid():
        try:
            row = save()
        except Forbidden:
            raise
        except FinopsError as error:
            form.take(error)
        else:
            messages.success(request, done)
            return redirect(upstream_address(here, row.id))
    status = 422 if form.is_bound else 200
    return show(request, here, "upstreams", "pages/upstream_form.html", {"form": form, **words}, status=status)


def upstream_address(here: Here, upstream_id: int) -> str:
    return reverse("dashboards:upstream", kwargs={"organization": here.organization.slug, "upstream_id": upstream_id})


def _shown(here: Here, row: Upstream) -> dict[str, Any]:
    models = sorted(one.model for one in row.deployments.all())
    return {
        "upstream": row,
        "href": upstream_address(here, row.id),
        "models": models[:MODELS_SHOWN],
        "more": max(len(models) - MODELS_SHOWN, 0),
        # With neither nothing is ever sent there.
        "serves": bool(models) or row.any_model,
    }
