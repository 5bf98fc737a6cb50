"""Teams, projects, agents and customers: added, changed, moved, archived. Never deleted: charges name them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import Invalid
from finops.orgs import rules, selectors
from finops.orgs.models import Agent, Customer, Person, Project, Team
from finops.orgs.services.checks import (
    PersonErased,
    Slugged,
    active,
    clean_name,
    clean_slug,
    free_slug,
    locked,
    save_new,
)

# What `change_owner` may change of each kind, and the model a reference must name. Teams move by `move_team`.
_CHANGEABLE: Final[dict[str, dict[str, type[Team | Person | Project] | None]]] = {
    "team": {"name": None, "cost_centre": None},
    "person": {"name": None, "email": None, "team_id": Team},
    "project": {"name": None, "team_id": Team},
    "agent": {"name": None, "owner_id": Person, "project_id": Project},
    "customer": {"name": None},
}
MODELS: Final[dict[str, type[Slugged]]] = {
    "team": Team,
    "person": Person,
    "project": Project,
    "agent": Agent,
    "customer": Customer,
}


class TeamCycle(Invalid):
    """The team would be above itself."""

    code = "orgs.team_cycle"


class FieldUnknown(Invalid):
    code = "orgs.field_unknown"


class StillInUse(Invalid):
    """An active team below, or somebody in it: those go first, so that nobody is in a team that is gone."""

    code = "orgs.still_in_use"


@transaction.atomic
def add_team(
    *,
    organization_id: int,
    name: str,
    slug: str = "",
    parent_id: int | None = None,
    cost_centre: str = "",
    by: Actor,
    at: datetime,
) -> Team:
    """Raises NameInvalid, SlugInvalid, SlugTaken, and OwnerUnknown for a parent that is not of the organization."""
    row = Team(
        parent_id=active(Team, organization_id, parent_id, field="parent"),
        cost_centre=clean_name(cost_centre, field="cost_centre", most=40) if cost_centre.strip() else "",
    )
    _add("team", row, organization_id, name, slug, by, at)
    return row


@transaction.atomic
def add_project(
    *, organization_id: int, name: str, slug: str = "", team_id: int | None = None, by: Actor, at: datetime
) -> Project:
    row = Project(team_id=active(Team, organization_id, team_id, field="team"))
    _add("project", row, organization_id, name, slug, by, at)
    return row


@transaction.atomic
def add_agent(
    *,
    organization_id: int,
    name: str,
    slug: str = "",
    owner_id: int | None = None,
    project_id: int | None = None,
    by: Actor,
    at: datetime,
) -> Agent:
    """`owner_id` is the person who answers for it."""
    row = Agent(
        owner_id=active(Person, organization_id, owner_id, field="owner"),
        project_id=active(Project, organization_id, project_id, field="project"),
    )
    _add("agent", row, organization_id, name, slug, by, at)
    return row


@transaction.atomic
def add_customer(*, organization_id: int, name: str, slug: str = "", by: Actor, at: datetime) -> Customer:
    row = Customer()
    _add("customer", row, organization_id, name, slug, by, at)
    return row


def _add(kind: str, row: Slugged, organization_id: int, name: str, slug: str, by: Actor, at: datetime) -> None:
    row.organization_id = organization_id
    row.name = clean_name(name)
    row.slug = clean_slug(slug) if slug else free_slug(MODELS[kind], organization_id, row.name, kind=kind)
    save_new(row, slug=row.slug)
    note(f"{kind}.added", kind, row, by, at, {"slug": row.slug, **_plain(row, _CHANGEABLE[kind])})


@transaction.atomic
def change_owner(
    *, organization_id: int, kind: str, owner_id: int, changes: Mapping[str, Any], by: Actor, at: datetime
) -> Any:
    """Change fields of a team, person, project, agent or customer; names of fields as in the model, references by id.

    Raises FieldUnknown, NameInvalid, OwnerUnknown, PersonErased and NotFound.
    """
    row = locked(MODELS[kind], organization_id, owner_id, kind)
    if isinstance(row, Person) and row.erased_at is not None:
        raise PersonErased("This person was erased.")
    allowed = _CHANGEABLE[kind]
    cleaned: dict[str, Any] = {}
    for field, value in changes.items():
        if field not in allowed:
            raise FieldUnknown(f"{field} of a {kind} cannot be changed", field=field)
        referred = allowed[field]
        if referred is not None:
            cleaned[field] = active(referred, organization_id, value, field=field.removesuffix("_id"))
        elif field == "name":
            cleaned[field] = clean_name(str(value))
        else:
            cleaned[field] = clean_name(str(value), field=field) if str(value).strip() else ""
    if len(cleaned.get("cost_centre", "")) > 40:
        raise Invalid("cost_centre has at most 40 characters", field="cost_centre")
    before = _plain(row, cleaned)
    changed = {field: value for field, value in cleaned.items() if before[field] != value}
    if not changed:
        return row
    for field, value in changed.items():
        setattr(row, field, value)
    row.save(update_fields=list(changed))
    # A person's words stay out of the trail, which erasure cannot rewrite.
    shown = (
        {"fields": sorted(changed)}
        if kind == "person"
        else {
            "before": {field: before[field] for field in changed},
            "after": changed,
        }
    )
    note(f"{kind}.changed", kind, row, by, at, shown)
    return row


@transaction.atomic
def move_team(*, organization_id: int, team_id: int, parent_id: int | None, by: Actor, at: datetime) -> Team:
    """Put a team below another, or at the root. Past charges keep the team they were booked to.

    Raises TeamCycle, OwnerUnknown and NotFound.
    """
    # The same lock as the database's own guard takes, so that two moves never pass each other unseen.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('orgs_team'), %s)", [organization_id])
    row: Team = locked(Team, organization_id, team_id, "team")
    active(Team, organization_id, parent_id, field="parent")
    if rules.would_cycle(selectors.team_parents(organization_id), team=team_id, parent=parent_id):
        raise TeamCycle("A team cannot be below itself.", field="parent")
    if row.parent_id == parent_id:
        return row
    before, row.parent_id = row.parent_id, parent_id
    row.save(update_fields=["parent"])
    note("team.moved", "team", row, by, at, {"before": before, "after": parent_id})
    return row


@transaction.atomic
def archive(*, organization_id: int, kind: str, owner_id: int, by: Actor, at: datetime) -> Any:
    """Take an owner out of pickers; its charges stay its own. Archiving twice is as good as once.

    Raises StillInUse for a team with active teams or people in it, and NotFound.
    """
    row = locked(MODELS[kind], organization_id, owner_id, kind)
    if row.archived_at is not None:
        return row
    if isinstance(row, Team):
        inside = Team.objects.filter(parent=row, archived_at__isnull=True).count()
        people = Person.objects.filter(team=row, archived_at__isnull=True).count()
        if inside or people:
            raise StillInUse(f"{row.name} still has {inside} active teams and {people} people in it.")
    row.archived_at = at
    row.save(update_fields=["archived_at"])
    note(f"{kind}.archived", kind, row, by, at, {})
    return row


@transaction.atomic
def restore(*, organization_id: int, kind: str, owner_id: int, by: Actor, at: datetime) -> Any:
    """Undo `archive`. Raises NotFound; Invalid for a person who was erased."""
    row = locked(MODELS[kind], organization_id, owner_id, kind)
    if row.archived_at is None:
        return row
    if isinstance(row, Person) and row.erased_at is not None:
        raise Invalid("An erased person stays archived.")
    row.archived_at = None
    row.save(update_fields=["archived_at"])
    note(f"{kind}.restored", kind, row, by, at, {})
    return row


def note(verb: str, kind: str, row: Any, by: Actor, at: datetime, details: dict[str, Any]) -> None:
    """The audit row of a change to an owner. A person is named by id alone."""
    audit.record(
        organization_id=row.organization_id,
        verb=verb,
        subject_kind=kind,
        subject_id=row.id,
        subject_label="" if kind == "person" else row.name,
        details=details,
        by=by,
        at=at,
    )


def _plain(row: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {field: getattr(row, field) for field in fields}
