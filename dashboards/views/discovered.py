"""Names that sources told and nobody has: a section of the page of people, and whom to give each to."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.forms import ActionForm, OwnerField
from dashboards.panels.bar import address
from finops.ledger import selectors as ledger
from finops.ledger.selectors.discovered import LOOKED_BACK_DAYS
from finops.orgs import selectors as orgs
from finops.orgs import services
from finops.orgs.models import Identity
from finops.orgs.rules import Caller, OutOfReach, Permission, PermissionMissing, whole_organization

SHOWN = 20
_DONE = (
    "Calls that name it are theirs from now on. For calls of before, attribute their months again, at the end of the "
    "page Attribution rules."
)


class AssignForm(ActionForm):
    """A name that was told, for somebody there is or somebody new."""

    name = forms.CharField(max_length=200, required=False, label="Or the name of a new person")
    kind = forms.ChoiceField(choices=Identity.Kind.choices)
    value = forms.CharField(max_length=200)

    field_order = ("kind", "value", "person", "name")

    def __init__(self, *args: Any, organization_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["person"] = OwnerField(organization_id, "person", label="Whose it is")
        self.order_fields(self.field_order)


def may_discover(caller: Caller) -> bool:
    """Who manages people and sees everybody's spend: the list tells both."""
    try:
        whole_organization(caller, group_by=("person",))
    except (OutOfReach, PermissionMissing):
        return False
    return caller.can(Permission.PEOPLE_MANAGE)


@require_safe
@page("people", Permission.PEOPLE_MANAGE)
def discovered(request: HttpRequest, here: Here) -> HttpResponse:
    """On its own, so that the page of people does not wait for a look through the charges."""
    whole_organization(here.caller, group_by=("person",))
    found = ledger.discovered(here.id, at=here.now, most=SHOWN + 1)
    context = {
        "found": found[:SHOWN],
        "more": len(found) > SHOWN,
        "shown": SHOWN,
        "days": LOOKED_BACK_DAYS,
        "back": address(here, "people"),
    }
    return show(request, here, "people", "pages/discovered.html", context)


@require_POST
@page("people", Permission.PEOPLE_MANAGE)
def take_suggestion(request: HttpRequest, here: Here) -> HttpResponse:
    told = {name: request.POST.get(name, "") for name in ("kind", "value")}
    row = orgs.owner(here.id, "person", request.POST.get("person", "").replace("\0", ""))
    return act(
        request,
        lambda: services.assign_identity(
            organization_id=here.id, **told, person_id=row.id, by=here.caller.actor, at=here.now
        ),
        done=_DONE,
        to=address(here, "people"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page("people", Permission.PEOPLE_MANAGE)
def assign(request: HttpRequest, here: Here) -> HttpResponse:
    initial = {name: request.GET.get(name, "")[:200] for name in ("kind", "value")}
    return form_page(
        request, here, "people", AssignForm(posted(request), organization_id=here.id, initial=initial),
        lambda said: services.assign_identity(
            organization_id=here.id, kind=said["kind"], value=said["value"], person_id=said["person"],
            name=said["name"], by=here.caller.actor, at=here.now,
        ),
        title="Whose name is it?", submit="It is theirs", back=("People and teams", address(here, "people")),
        done=_DONE, lead="A person there is, or a new one.",
    )  # fmt: skip
