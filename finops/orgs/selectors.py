"""Reads: who somebody is, and the organization's owners of spend. Organization first, total order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from django.db.models import Q, QuerySet

from finops.audit.models import AuditEvent
from finops.core.actors import Actor
from finops.core.errors import FinopsError, NotFound
from finops.orgs import hot, rules, secrets
from finops.orgs.models import (
    Agent,
    Customer,
    Identity,
    Membership,
    Organization,
    Owned,
    Person,
    Project,
    Team,
    User,
    VirtualKey,
)
from finops.orgs.rules import KEY_PERMISSIONS, ROLE_PERMISSIONS, Caller, Permission, Role

Row = TypeVar("Row", bound=Owned)

# Kinds of owners, by the names `ledger` gives its dimensions.
OWNERS: Final[dict[str, type[Team | Person | Project | Agent | Customer | VirtualKey]]] = {
    "team": Team,
    "person": Person,
    "project": Project,
    "agent": Agent,
    "customer": Customer,
    "key": VirtualKey,
}


class KeyRefused(FinopsError):
    """One answer for a key that is unknown, wrong, revoked or expired."""

    code = "orgs.key_refused"
    status = 401


@dataclass(frozen=True, slots=True)
class KeyMatch:
    caller: Caller
    key_id: int
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class TeamNode:
    """A team at its place in the tree: `depth` 0 is a root, `cost_centre` its own or the nearest above."""

    team: Team
    depth: int
    cost_centre: str


def organization(organization_id: int) -> Organization:
    """Raises NotFound."""
    found = Organization.objects.filter(id=organization_id).first()
    if found is None:
        raise NotFound("There is no such organization.")
    return found


def organizations_of(user: User) -> list[Organization]:
    """The organizations a login belongs to, by name."""
    return list(
        Organization.objects.filter(membership__user=user, membership__archived_at__isnull=True).order_by("name", "id")
    )


def caller_for(user: User, slug: str) -> Caller:
    """A login in one organization, with its permissions and reach.

    Raises NotFound for an organization that does not exist or is not the login's: the same answer.
    """
    membership = (
        Membership.objects.select_related("organization")
        .filter(user=user, organization__slug=slug, archived_at__isnull=True)
        .first()
    )
    if membership is None or not user.is_active:
        raise NotFound("There is no such organization.")
    organization_id = membership.organization_id
    person = Person.objects.filter(organization_id=organization_id, user=user, erased_at__isnull=True).first()
    role = Role(membership.role)
    led: frozenset[int] = frozenset()
    own: frozenset[int] = frozenset()
    if role in (Role.TEAM_LEAD, Role.ENGINEER):
        parents = team_parents(organization_id)
        if role is Role.TEAM_LEAD:
            led = rules.below(parents, membership.teams.values_list("id", flat=True))
        if person is not None and person.team_id is not None:
            own = rules.below(parents, [person.team_id])
    person_id = None if person is None else person.id
    return Caller(
        organization_id=organization_id,
        organization_slug=membership.organization.slug,
        actor=Actor(f"user:{user.id}", str(user)),
        permissions=ROLE_PERMISSIONS[role],
        reach=rules.role_reach(role, team_ids=led, person_id=person_id, person_team_ids=own),
        team_ids=led if role is Role.TEAM_LEAD else None,
        person_id=person_id,
        user_id=user.id,
        role=role,
    )


def key_for_secret(secret: str, at: datetime) -> KeyMatch:
    """The key a secret belongs to, as a caller. One query, a second when the key is bound to a team.

    Raises KeyRefused.
    """
    prefix = secrets.prefix_of(secret)
    key = VirtualKey.objects.select_related("organization").filter(prefix=prefix).first() if prefix else None
    # Hashed even when there is no such key, so that the time does not tell which prefixes exist.
    good = (key.digest, key.former_digest, key.former_until) if key else ("0" * 64, "", None)
    matches = hot.fits(secrets.digest(secret), *good, at)
    if key is None or not matches or not key_live(key, at):
        raise KeyRefused("This key is not good: unknown, revoked or expired.")
    permissions = KEY_PERMISSIONS & {Permission(name) for name in key.permissions if name in set(Permission)}
    caller = Caller(
        organization_id=key.organization_id,
        organization_slug=key.organization.slug,
        actor=Actor(f"key:{key.prefix}", key.name),
        permissions=permissions,
        reach=_key_reach(key),
        person_id=key.person_id,
    )
    return KeyMatch(caller, key.id, key.last_used_at)


def caller_for_key(secret: str, at: datetime) -> Caller:
    """As `key_for_secret`, the caller alone. Raises KeyRefused."""
    return key_for_secret(secret, at).caller


def key_live(key: VirtualKey, at: datetime) -> bool:
    return key.revoked_at is None and key.archived_at is None and (key.expires_at is None or at < key.expires_at)


def _key_reach(key: VirtualKey) -> rules.Reach:
    reach: dict[str, frozenset[int]] = {}
    if key.team_id is not None:
        reach["team"] = rules.below(team_parents(key.organization_id), [key.team_id])
    bound = {"person": key.person_id, "project": key.project_id, "agent": key.agent_id, "customer": key.customer_id}
    reach |= {name: frozenset({owner}) for name, owner in bound.items() if owner is not None}
    return reach


def team_parents(organization_id: int) -> dict[int, int | None]:
    """Each team of the organization and the one above it, archived ones too: history still belongs to them."""
    return dict(Team.objects.filter(organization_id=organization_id).values_list("id", "parent_id"))


def team_tree(organization_id: int, *, archived: bool = False) -> list[TeamNode]:
    """The teams in tree order, brothers by name. A team below an archived one shows at its depth all the same."""
    every = list(Team.objects.filter(organization_id=organization_id).order_by("name", "id"))
    parents = {team.id: team.parent_id for team in every}
    centres = rules.effective_cost_centres(parents, {team.id: team.cost_centre for team in every})
    children: dict[int | None, list[Team]] = {}
    for team in every:
        children.setdefault(team.parent_id, []).append(team)
    nodes: list[TeamNode] = []
    waiting = [(team, 0) for team in reversed(children.get(None, []))]
    while waiting:
        team, depth = waiting.pop()
        if archived or team.archived_at is None:
            nodes.append(TeamNode(team, depth, centres[team.id]))
        waiting.extend((child, depth + 1) for child in reversed(children.get(team.id, [])))
    return nodes


def _owned(model: type[Row], organization_id: int, archived: bool) -> QuerySet[Row]:
    rows = model._default_manager.filter(organization_id=organization_id)
    return rows if archived else rows.filter(archived_at__isnull=True)


def teams(organization_id: int, *, archived: bool = False) -> QuerySet[Team]:
    return _owned(Team, organization_id, archived).select_related("parent").order_by("slug")


def people(organization_id: int, *, archived: bool = False) -> QuerySet[Person]:
    rows = _owned(Person, organization_id, archived).select_related("team")
    return rows.prefetch_related("identities").order_by("slug")


def projects(organization_id: int, *, archived: bool = False) -> QuerySet[Project]:
    return _owned(Project, organization_id, archived).select_related("team").order_by("slug")


def agents(organization_id: int, *, archived: bool = False) -> QuerySet[Agent]:
    return _owned(Agent, organization_id, archived).select_related("owner", "project").order_by("slug")


def customers(organization_id: int, *, archived: bool = False) -> QuerySet[Customer]:
    return _owned(Customer, organization_id, archived).order_by("slug")


def keys(organization_id: int, *, archived: bool = False) -> QuerySet[VirtualKey]:
    """Revoked and expired keys are listed too: they are part of the story."""
    rows = _owned(VirtualKey, organization_id, archived)
    return rows.select_related("team", "person", "project", "agent", "customer").order_by("-id")


def identities(organization_id: int, *, person_id: int | None = None) -> QuerySet[Identity]:
    rows = _owned(Identity, organization_id, archived=False).order_by("kind", "value", "id")
    return rows if person_id is None else rows.filter(person_id=person_id)


def members(organization_id: int) -> QuerySet[Membership]:
    rows = _owned(Membership, organization_id, archived=False)
    return rows.select_related("user").prefetch_related("teams").order_by("id")


def owner(organization_id: int, kind: str, reference: int | str) -> Any:
    """A team, person, project, agent, customer or key by id, or by slug (a key by its public prefix).

    Raises NotFound, also for one of another organization.
    """
    model = OWNERS[kind]
    rows: QuerySet[Any] = model._default_manager.filter(organization_id=organization_id)
    name = "prefix" if model is VirtualKey else "slug"
    found = (
        rows.filter(id=reference).first() if isinstance(reference, int) else rows.filter(**{name: reference}).first()
    )
    if found is None:
        raise NotFound(f"There is no such {kind}.")
    return found


def options(organization_id: int, kind: str, *, search: str = "", limit: int = 50) -> list[tuple[int, str]]:
    """What a picker offers: (id, label) of active owners of a kind whose name or slug holds `search`."""
    model = OWNERS[kind]
    rows: QuerySet[Any] = model._default_manager.filter(organization_id=organization_id, archived_at__isnull=True)
    if search:
        slug = "prefix" if model is VirtualKey else "slug"
        rows = rows.filter(Q(name__icontains=search) | Q(**{f"{slug}__icontains": search}))
    return list(rows.order_by("name", "id").values_list("id", "name")[:limit])


def owner_names(organization_id: int, kind: str, ids: frozenset[int]) -> dict[int, str]:
    """Names of owners by id, archived and erased ones too."""
    rows: QuerySet[Any] = OWNERS[kind]._default_manager.filter(organization_id=organization_id, id__in=ids)
    return dict(rows.order_by("id").values_list("id", "name"))


def audit_events(organization_id: int, *, subject_kind: str = "", subject_id: str = "") -> QuerySet[AuditEvent]:
    """The trail, newest first."""
    rows = AuditEvent.objects.filter(organization_id=organization_id).order_by("-at", "-id")
    if subject_kind:
        rows = rows.filter(subject_kind=subject_kind)
    return rows.filter(subject_id=subject_id) if subject_id else rows


def audit_names(organization_id: int, events: list[AuditEvent]) -> dict[str, str]:
    """What people read for the logins and persons of these events, by `user:7` or `person:12`.

    The trail itself holds no person's name, so that erasing a person need not rewrite it. A login that was never a
    member here stays a number.
    """
    users = {int(event.actor[5:]) for event in events if event.actor.startswith("user:")}
    users |= {int(event.subject_id) for event in events if event.subject_kind == "user" and event.subject_id.isdigit()}
    persons = {
        int(event.subject_id) for event in events if event.subject_kind == "person" and event.subject_id.isdigit()
    }
    found = {
        f"user:{membership.user_id}": str(membership.user)
        for membership in Membership.objects.select_related("user").filter(
            organization_id=organization_id, user_id__in=users
        )
    }
    found |= {f"person:{key}": name for key, name in owner_names(organization_id, "person", frozenset(persons)).items()}
    return found
