"""Keys: issued, shown once, rotated, revoked."""

from __future__ import annotations

from datetime import timedelta

from django import forms
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.actions import act, posted
from dashboards.forms import ActionForm, InstantField, OwnerField
from dashboards.panels.bar import address
from finops.api import paging
from finops.core.errors import FinopsError, Forbidden
from finops.orgs import selectors as orgs
from finops.orgs import services
from finops.orgs.models import VirtualKey
from finops.orgs.rules import KEY_PERMISSIONS, Permission
from finops.orgs.services.keys import Issued

EXPIRING = timedelta(days=14)


class KeyForm(ActionForm):
    name = forms.CharField(max_length=200, help_text="What uses it: “gateway, production”.")
    permissions = forms.MultipleChoiceField(
        choices=[(str(one), str(one)) for one in sorted(KEY_PERMISSIONS)],
        initial=[str(Permission.USAGE_WRITE)],
        widget=forms.CheckboxSelectMultiple,
        label="It may",
    )
    task_type = forms.CharField(
        max_length=60, required=False, help_text="What its calls are for, where they do not say."
    )
    expires_at = InstantField(label="Expires", help_text="At the start of this day, UTC. Empty: never.")

    def __init__(self, *args: object, organization_id: int) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        for kind in ("team", "person", "project", "agent", "customer"):
            self.fields[kind] = OwnerField(organization_id, kind, label=f"Default {kind}")
        self.order_fields(["name", "permissions", "team", "person", "project", "agent", "customer"])


@require_safe
@page("keys", Permission.KEYS_MANAGE)
def keys(request: HttpRequest, here: Here) -> HttpResponse:
    found = paging.page(orgs.keys(here.id), Request(request), order=("-id",))
    base = address(here, "keys")
    context = {
        "rows": [(key, _state(key, here)) for key in found.rows],
        "may_stop": here.caller.can(Permission.CALLS_STOP),
        "first": base if request.GET.get("cursor") else "",
        "next": f"{base}?cursor={found.next_cursor}" if found.next_cursor else "",
    }
    return show(request, here, "keys", "pages/keys.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("keys", Permission.KEYS_MANAGE)
def issue(request: HttpRequest, here: Here) -> HttpResponse:
    form = KeyForm(posted(request), organization_id=here.id)
    if form.is_bound and form.is_valid():
        said = dict(form.cleaned_data)
        owners = {f"{kind}_id": said.pop(kind) for kind in ("team", "person", "project", "agent", "customer")}
        try:
            issued = services.issue_key(organization_id=here.id, **said, **owners, by=here.caller.actor, at=here.now)
        except Forbidden:
            raise
        except FinopsError as error:
            form.take(error)
        else:
            return _once(request, here, issued)
    context = {
        "form": form,
        "title": "Issue a key",
        "lead": "Its secret is shown once, on the next page.",
        "submit": "Issue the key",
        "back": ("Keys", address(here, "keys")),
    }
    return show(request, here, "keys", "pages/form.html", context, status=422 if form.is_bound else 200)


@require_POST
@page("keys", Permission.KEYS_MANAGE)
def rotate(request: HttpRequest, here: Here, key_id: int) -> HttpResponse:
    """A new secret of the key; the one before works for a day more, so that nothing breaks meanwhile."""
    issued = services.rotate_key(organization_id=here.id, key_id=key_id, by=here.caller.actor, at=here.now)
    return _once(request, here, issued)


@require_POST
@page("keys", Permission.KEYS_MANAGE)
def revoke(request: HttpRequest, here: Here, key_id: int) -> HttpResponse:
    return act(
        request,
        lambda: services.revoke_key(organization_id=here.id, key_id=key_id, by=here.caller.actor, at=here.now),
        done="The key is revoked. Calls with it are refused from now on.",
        to=address(here, "keys"),
    )


def _once(request: HttpRequest, here: Here, issued: Issued) -> HttpResponse:
    """The only answer that ever holds a secret; nothing on the way may keep it."""
    response = show(
        request, here, "keys", "pages/key_issued.html", {"key": issued.key, "secret": issued.secret}, status=201
    )
    response["Cache-Control"] = "no-store"
    return response


def _state(key: VirtualKey, here: Here) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "active"
    if key.expires_at <= here.now:
        return "expired"
    return "expiring" if key.expires_at <= here.now + EXPIRING else "active"
