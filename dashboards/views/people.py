"""People and teams, projects, agents and customers: whoever spend can belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.db import transaction
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from rest_framework.request import Request

from dashboards.access import Here, page, show
from dashboards.actions import act, form_page, posted
from dashboards.forms import ActionForm, OwnerField
from dashboards.panels.bar import address
from dashboards.views.discovered import may_discover
from finops.api import paging
from finops.budgets import guard_rules
from finops.core.errors import NotFound
from finops.ingest import services as ingest
from finops.orgs import selectors as orgs
from finops.orgs import services
from finops.orgs.models import Identity, Person, Team
from finops.orgs.rules import Permission

THINGS = {"project": orgs.projects, "agent": orgs.agents, "customer": orgs.customers}
_ADD = {"project": services.add_project, "agent": services.add_agent, "customer": services.add_customer}


class TeamForm(ActionForm):
    name = forms.CharField(max_length=200)
    cost_centre = forms.CharField(max_length=40, required=False, help_text="Empty: that of the team above.")

    def __init__(self, *args: Any, organization_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["parent"] = OwnerField(organization_id, "team", label="Below the team")


class PersonForm(ActionForm):
    name = forms.CharField(max_length=200)
    email = forms.EmailField(required=False, label="E-mail", help_text="Calls that name it are theirs.")

    def __init__(self, *args: Any, organization_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"] = OwnerField(organization_id, "team")


class ThingForm(ActionForm):
    """A project (of a team), an agent (of a person and a project), or a customer."""

    name = forms.CharField(max_length=200)

    def __init__(self, *args: Any, organization_id: int, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if kind == "project":
            self.fields["team"] = OwnerField(organization_id, "team")
        if kind == "agent":
            self.fields["owner"] = OwnerField(organization_id, "person", label="Who answers for it")
            self.fields["project"] = OwnerField(organization_id, "project")


class IdentityForm(ActionForm):
    kind = forms.ChoiceField(choices=Identity.Kind.choices)
    value = forms.CharField(max_length=200)


class EraseForm(ActionForm):
    """Typing the name is the confirmation: this cannot be undone."""

    confirm = forms.CharField(max_length=200, label="Type the name to confirm")

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"]
        if typed.strip() != self.name:
            raise forms.ValidationError(f"Type “{self.name}” exactly.")
        return typed


@dataclass(frozen=True, slots=True)
class Branch:
    """A team at its place in the tree, with how many people are in it."""

    team: Team
    depth: int
    cost_centre: str
    people: int


@require_safe
@page("people", Permission.PEOPLE_READ)
def people(request: HttpRequest, here: Here) -> HttpResponse:
    search = request.GET.get("q", "")[:80].replace("\0", "")
    rows = orgs.people(here.id)
    # Addresses and identities are for whoever manages people, as over REST: not shown, and not found by trying.
    may = here.caller.can(Permission.PEOPLE_MANAGE)
    if search:
        wanted = Q(name__icontains=search) | Q(slug__icontains=search)
        rows = rows.filter(wanted | Q(email__icontains=search) if may else wanted)
    found = paging.page(rows, Request(request), order=("slug",))
    base, query = address(here, "people"), {"q": search} if search else {}
    context = {
        "people": found.rows,
        "search": search,
        "tree": _tree(here),
        "things": list(THINGS),
        "may": may,
        "discovers": may_discover(here.caller) and not search and not request.GET.get("cursor"),
        "first": f"{base}?{urlencode(query)}" if request.GET.get("cursor") else "",
        "next": f"{base}?{urlencode({**query, 'cursor': found.next_cursor})}" if found.next_cursor else "",
    }
    return show(request, here, "people", "pages/people.html", context)


@require_safe
@page("people", Permission.PEOPLE_READ)
def person(request: HttpRequest, here: Here, person: str) -> HttpResponse:
    row: Person = orgs.owner(here.id, "person", person)
    may = here.caller.can(Permission.PEOPLE_MANAGE)
    sees = here.caller.sees_people or here.caller.person_id == row.id
    context = {
        "person": row,
        "identities": list(orgs.identities(here.id, person_id=row.id)) if may else [],
        "form": IdentityForm(),
        "back": address(here, "people"),
        "spend": f"{address(here, 'spend')}?person={row.id}" if sees and here.caller.can(Permission.SPEND_READ) else "",
        "may": may,
        "may_stop": guard_rules.may_stop(here.caller, "person", str(row.id), at=here.now),
        "may_erase": here.caller.can(Permission.PEOPLE_ERASE) and row.erased_at is None,
    }
    return show(request, here, "people", "pages/person.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("people", Permission.PEOPLE_MANAGE)
def add_person(request: HttpRequest, here: Here) -> HttpResponse:
    return form_page(
        request, here, "people", PersonForm(posted(request), organization_id=here.id),
        lambda said: services.add_person(
            organization_id=here.id, name=said["name"], email=said["email"], team_id=said["team"],
            by=here.caller.actor, at=here.now,
        ),
        title="Add a person", submit="Add the person", back=("People and teams", address(here, "people")),
        done="The person is added.",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("people", Permission.PEOPLE_MANAGE)
def edit_person(request: HttpRequest, here: Here, person: str) -> HttpResponse:
    row: Person = orgs.owner(here.id, "person", person)
    initial = {"name": row.name, "email": row.email, "team": row.team.slug if row.team else ""}
    return form_page(
        request, here, "people", PersonForm(posted(request), organization_id=here.id, initial=initial),
        lambda said: services.change_owner(
            organization_id=here.id, kind="person", owner_id=row.id,
            changes={"name": said["name"], "email": said["email"], "team_id": said["team"]},
            by=here.caller.actor, at=here.now,
        ),
        title=f"Change {row.name}", submit="Save", back=("People and teams", address(here, "people")), done="Saved.",
        lead="Another team holds for calls from now on; past charges keep the team they were booked to.",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("people", Permission.PEOPLE_ERASE)
def erase(request: HttpRequest, here: Here, person: str) -> HttpResponse:
    row: Person = orgs.owner(here.id, "person", person)
    return form_page(
        request, here, "people", EraseForm(posted(request), name=row.name),
        lambda _said: ingest.erase_person(
            organization_id=here.id, person_id=row.id, by=here.caller.actor, at=here.now
        ),
        title=f"Erase {row.name}", submit="Erase for good", back=("People and teams", address(here, "people")),
        done="The person is pseudonymised.", danger=True,
        lead="Name, e-mail and identities are blanked and the login is detached. No charge is touched: they name a "
        "number that nobody can read back. This cannot be undone.",
    )  # fmt: skip


@require_POST
@page("people", Permission.PEOPLE_MANAGE)
def add_identity(request: HttpRequest, here: Here, person: str) -> HttpResponse:
    row: Person = orgs.owner(here.id, "person", person)
    kind, value = request.POST.get("kind", ""), request.POST.get("value", "")
    return act(
        request,
        lambda: services.add_identity(
            organization_id=here.id, person_id=row.id, kind=kind, value=value, by=here.caller.actor, at=here.now
        ),
        done="Calls that name it are theirs from now on.",
        to=f"{address(here, 'people')}who/{row.slug}/",
    )


@require_POST
@page("people", Permission.PEOPLE_MANAGE)
def remove_identity(request: HttpRequest, here: Here, identity_id: int) -> HttpResponse:
    return act(
        request,
        lambda: services.remove_identity(
            organization_id=here.id, identity_id=identity_id, by=here.caller.actor, at=here.now
        ),
        done="Calls that name it are no longer theirs. What was attributed stays.",
        to=address(here, "people"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page("people", Permission.PEOPLE_MANAGE)
def add_team(request: HttpRequest, here: Here) -> HttpResponse:
    return form_page(
        request, here, "people", TeamForm(posted(request), organization_id=here.id),
        lambda said: services.add_team(
            organization_id=here.id, name=said["name"], cost_centre=said["cost_centre"], parent_id=said["parent"],
            by=here.caller.actor, at=here.now,
        ),
        title="Add a team", submit="Add the team", back=("People and teams", address(here, "people")),
        done="The team is added.",
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page("people", Permission.PEOPLE_MANAGE)
def edit_team(request: HttpRequest, here: Here, team: str) -> HttpResponse:
    row: Team = orgs.owner(here.id, "team", team)
    initial = {"name": row.name, "cost_centre": row.cost_centre, "parent": row.parent.slug if row.parent else ""}

    def save(said: dict[str, Any]) -> None:
        who: dict[str, Any] = {"organization_id": here.id, "by": here.caller.actor, "at": here.now}
        changes = {"name": said["name"], "cost_centre": said["cost_centre"]}
        # One form, two services: both or neither.
        with transaction.atomic():
            if said["parent"] != row.parent_id:
                services.move_team(team_id=row.id, parent_id=said["parent"], **who)
            services.change_owner(kind="team", owner_id=row.id, changes=changes, **who)

    return form_page(
        request, here, "people", TeamForm(posted(request), organization_id=here.id, initial=initial), save,
        title=f"Change {row.name}", submit="Save", back=("People and teams", address(here, "people")), done="Saved.",
        lead="Past charges keep the team they were booked to.",
    )  # fmt: skip


@require_POST
@page("people", Permission.PEOPLE_MANAGE)
def archive_team(request: HttpRequest, here: Here, team: str) -> HttpResponse:
    row: Team = orgs.owner(here.id, "team", team)
    return act(
        request,
        lambda: services.archive(
            organization_id=here.id, kind="team", owner_id=row.id, by=here.caller.actor, at=here.now
        ),
        done=f"{row.name} is archived. Its charges stay its own.",
        to=address(here, "people"),
    )


@require_safe
@page("people", Permission.ORG_READ)
def things(request: HttpRequest, here: Here, kind: str) -> HttpResponse:
    """Projects, agents or customers."""
    found = paging.page(_rows_of(kind)(here.id), Request(request), order=("slug",))
    base = f"{address(here, 'people')}kinds/{kind}/"
    may_stop = guard_rules.may_stop_each(here.caller, [(kind, str(row.id)) for row in found.rows], at=here.now)
    context = {
        "kind": kind,
        "rows": list(zip(found.rows, may_stop, strict=True)),
        "things": list(THINGS),
        "spend": address(here, "spend"),
        "may": here.caller.can(Permission.PEOPLE_MANAGE),
        "first": base if request.GET.get("cursor") else "",
        "next": f"{base}?cursor={found.next_cursor}" if found.next_cursor else "",
    }
    return show(request, here, "people", "pages/things.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page("people", Permission.PEOPLE_MANAGE)
def add_thing(request: HttpRequest, here: Here, kind: str) -> HttpResponse:
    _rows_of(kind)

    def save(said: dict[str, Any]) -> None:
        owners = {f"{name}_id": value for name, value in said.items() if name != "name"}
        add: Any = _ADD[kind]
        add(organization_id=here.id, name=said["name"], **owners, by=here.caller.actor, at=here.now)

    return form_page(
        request, here, "people", ThingForm(posted(request), organization_id=here.id, kind=kind), save,
        title=f"Add a{'n' if kind == 'agent' else ''} {kind}", submit=f"Add the {kind}",
        back=(f"{kind.capitalize()}s", f"{address(here, 'people')}kinds/{kind}/"), done=f"The {kind} is added.",
    )  # fmt: skip


@require_POST
@page("people", Permission.PEOPLE_MANAGE)
def archive_thing(request: HttpRequest, here: Here, kind: str, reference: str) -> HttpResponse:
    _rows_of(kind)
    row = orgs.owner(here.id, kind, reference)
    return act(
        request,
        lambda: services.archive(
            organization_id=here.id, kind=kind, owner_id=row.id, by=here.caller.actor, at=here.now
        ),
        done=f"{row.name} is archived. Its charges stay its own.",
        to=f"{address(here, 'people')}kinds/{kind}/",
    )


def _rows_of(kind: str) -> Any:
    if kind not in THINGS:
        raise NotFound("There is nothing of that kind.")
    return THINGS[kind]


def _tree(here: Here) -> list[Branch]:
    rows = orgs.people(here.id).select_related(None).prefetch_related(None).order_by("team_id")
    members = dict(rows.values_list("team_id").annotate(many=Count("id")))
    return [
        Branch(node.team, node.depth, node.cost_centre, members.get(node.team.id, 0))
        for node in orgs.team_tree(here.id)
    ]
