"""Who may do what: permissions, the roles that hold them, and the reach of one caller. Pure.

What is decided here, once for pages and API:

* Seeing named people's spend is a permission of its own (`spend.read_people`). Without it nobody may group or filter
  by a dimension that names people, except to ask about themselves, and of single charges sees only their own.
* A team lead reaches the teams named in the membership and all below them.
* An engineer reaches their own team's totals, and their own spend wherever it fell.
* A viewer reaches every total, and no person.
* A key reaches what it is bound to: a key of team Search with `spend.read` reads Search and the teams below it, also
  when the question is about the key's own person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from finops.core.actors import Actor
from finops.core.errors import Forbidden


class Permission(StrEnum):
    """One thing a caller may do. The strings are public: keys carry them, the docs and the tests quote them."""

    USAGE_WRITE = "usage.write"
    SPEND_READ = "spend.read"
    SPEND_READ_PEOPLE = "spend.read_people"
    CHARGES_READ = "charges.read"
    EXPORT = "export"
    ORG_READ = "org.read"
    ORG_MANAGE = "org.manage"
    PEOPLE_READ = "people.read"
    PEOPLE_MANAGE = "people.manage"
    PEOPLE_ERASE = "people.erase"
    KEYS_MANAGE = "keys.manage"
    MEMBERS_MANAGE = "members.manage"
    PRICING_READ = "pricing.read"
    PRICING_MANAGE = "pricing.manage"
    ATTRIBUTION_MANAGE = "attribution.manage"
    SOURCES_MANAGE = "sources.manage"
    QUARANTINE_MANAGE = "quarantine.manage"
    BUDGETS_READ = "budgets.read"
    BUDGETS_ASK = "budgets.ask"
    # Inside the envelope of one's own team; who manages budgets does so anywhere.
    BUDGETS_TEAM = "budgets.team"
    BUDGETS_MANAGE = "budgets.manage"
    # Ask before a call whether it may be made, and say what became of it: for proxies.
    CALLS_AUTHORIZE = "calls.authorize"
    # Call models through the gateway: for the keys of engineers and of what they build.
    CALLS_MAKE = "calls.make"
    # Measure models by calls: they go to the very model they ask for, within what limits leave, and none is captured.
    CALLS_MEASURE = "calls.measure"
    # Stop agents, sessions, keys, teams or everything within one's reach at once, and let them go on.
    CALLS_STOP = "calls.stop"
    # Where the gateway sends calls: upstreams and deployments, without their credentials.
    GATEWAY_READ = "gateway.read"
    GATEWAY_MANAGE = "gateway.manage"
    # What was asked and answered, where an organization has some of it kept: read it; say whether, and of which calls.
    CAPTURES_READ = "captures.read"
    CAPTURES_MANAGE = "captures.manage"
    # Which model answers what: outcomes, recommendations, rules and what became of calls; and changing the rules.
    ROUTING_READ = "routing.read"
    ROUTING_MANAGE = "routing.manage"
    # Say how well models did: for evaluation harnesses and for what engineers build.
    OUTCOMES_WRITE = "outcomes.write"
    ALERTS_READ = "alerts.read"
    # Acknowledge and resolve incidents.
    ALERTS_HANDLE = "alerts.handle"
    ALERTS_MANAGE = "alerts.manage"
    # Close a month with what is known of it, and take the last closing back.
    MONTHS_CLOSE = "months.close"
    JOBS_RUN = "jobs.run"
    AUDIT_READ = "audit.read"


class Role(StrEnum):
    """The same words as `Membership.Role`, here without a database; a test keeps the two lists one."""

    OWNER = "owner"
    ADMIN = "admin"
    FINANCE = "finance"
    TEAM_LEAD = "team_lead"
    ENGINEER = "engineer"
    VIEWER = "viewer"


ALL_PERMISSIONS: Final = frozenset(Permission)
_VIEWER: Final = frozenset(
    {Permission.SPEND_READ, Permission.ORG_READ, Permission.PRICING_READ, Permission.BUDGETS_READ}
)
_ENGINEER: Final = _VIEWER | {
    Permission.CHARGES_READ,
    Permission.PEOPLE_READ,
    Permission.EXPORT,
    Permission.BUDGETS_ASK,
    Permission.ALERTS_READ,
    Permission.GATEWAY_READ,
    Permission.ROUTING_READ,
    Permission.OUTCOMES_WRITE,
}

ROLE_PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.OWNER: ALL_PERMISSIONS,
        # Everything an owner may do; that only owners make and unmake owners is `may_set_role`.
        Role.ADMIN: ALL_PERMISSIONS,
        Role.FINANCE: _ENGINEER
        | {
            Permission.SPEND_READ_PEOPLE,
            Permission.PRICING_MANAGE,
            Permission.ATTRIBUTION_MANAGE,
            Permission.QUARANTINE_MANAGE,
            Permission.MONTHS_CLOSE,
            Permission.JOBS_RUN,
            Permission.AUDIT_READ,
            Permission.ALERTS_HANDLE,
            Permission.ALERTS_MANAGE,
        },
        Role.TEAM_LEAD: _ENGINEER
        | {
            Permission.SPEND_READ_PEOPLE,
            Permission.BUDGETS_TEAM,
            Permission.CALLS_STOP,
            Permission.ALERTS_HANDLE,
        },
        Role.ENGINEER: _ENGINEER,
        Role.VIEWER: _VIEWER,
    }
)

# What a key may carry. Nothing that makes callers, removes people or has prompts kept, so that a leaked key cannot make
# itself at home.
KEY_PERMISSIONS: Final = ALL_PERMISSIONS - {
    Permission.KEYS_MANAGE,
    Permission.MEMBERS_MANAGE,
    Permission.ORG_MANAGE,
    Permission.PEOPLE_ERASE,
    Permission.CAPTURES_MANAGE,
}

# Dimensions whose values name a person: a key is often somebody's.
PEOPLE_DIMENSIONS: Final = frozenset({"person", "key"})
Reach = Mapping[str, frozenset[int]]
EVERYTHING: Final[Reach] = MappingProxyType({})


class PermissionMissing(Forbidden):
    code = "orgs.permission_missing"


class OutOfReach(Forbidden):
    """The question is about what the caller may not see; names the dimension."""

    code = "orgs.out_of_reach"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, in one organization: a login through its membership, or a key.

    `reach` maps a dimension to the ids that must be forced into the filters of every question about spend: an empty
    mapping is everything, an empty set of ids is nothing. Pages and API do not apply it themselves: they pass their
    filters through `spend_filters` or `charge_filters`.
    """

    organization_id: int
    organization_slug: str
    actor: Actor
    permissions: frozenset[Permission]
    reach: Reach = field(default_factory=lambda: EVERYTHING)
    # A team lead's teams with all below them; None for everyone else.
    team_ids: frozenset[int] | None = None
    person_id: int | None = None
    user_id: int | None = None
    role: str = ""

    @property
    def is_authenticated(self) -> bool:
        """What Django and DRF ask of a request's user."""
        return True

    def can(self, permission: Permission | str) -> bool:
        return permission in self.permissions

    def require(self, permission: Permission | str) -> None:
        """Raises PermissionMissing unless the caller holds it."""
        if permission not in self.permissions:
            raise PermissionMissing(f"This needs the permission {permission}, which {self.actor.reference} lacks.")

    @property
    def sees_people(self) -> bool:
        return Permission.SPEND_READ_PEOPLE in self.permissions


def spend_filters(caller: Caller, *, group_by: Iterable[str] = (), filters: Reach = EVERYTHING) -> Reach:
    """The filters a question about totals is to be asked with: those wished for, within the caller's reach.

    Raises PermissionMissing without `spend.read`; OutOfReach when the question names people the caller may not see,
    or only ids beyond the reach.
    """
    caller.require(Permission.SPEND_READ)
    if _about_self(caller, filters):
        return _within(_bound(caller), filters)
    if not caller.sees_people:
        named = sorted(PEOPLE_DIMENSIONS & ({*group_by} | set(filters)))
        # Asking for oneself among others is refused too: the difference would tell the others' spend.
        if named:
            raise OutOfReach(f"Seeing spend by {named[0]} needs the permission spend.read_people.", field=named[0])
    return _within(caller.reach, filters)


def whole_organization(caller: Caller, *, group_by: Iterable[str] = ()) -> None:
    """Raises OutOfReach for a caller who reaches a part only, and as `spend_filters` does."""
    reach = spend_filters(caller, group_by=group_by)
    if reach:
        name = min(reach)
        raise OutOfReach(f"This is about the whole organization, and the caller is bound to a {name}.", field=name)


def charge_filters(caller: Caller, *, filters: Reach = EVERYTHING) -> Reach:
    """The filters single charges are to be listed with. A charge names its person, so without `spend.read_people`
    the list is the caller's own charges.

    Raises PermissionMissing without `charges.read`; OutOfReach as `spend_filters`.
    """
    caller.require(Permission.CHARGES_READ)
    if caller.sees_people:
        return _within(caller.reach, filters)
    own = frozenset() if caller.person_id is None else frozenset({caller.person_id})
    return _within({**_bound(caller), "person": own}, filters)


def charge_visible(caller: Caller, dimensions: Mapping[str, int]) -> bool:
    """Whether one charge, by its owners' ids, is among those `charge_filters` would list."""
    allowed = charge_filters(caller)
    return all(dimensions.get(name, 0) in ids for name, ids in allowed.items())


def _about_self(caller: Caller, filters: Reach) -> bool:
    """A question about nobody but the caller: theirs to ask, whatever team the spend fell on."""
    return caller.person_id is not None and filters.get("person") == frozenset({caller.person_id})


def _bound(caller: Caller) -> Reach:
    """What holds for questions about oneself too: a key's reach. A login's own spend is its own wherever it fell."""
    return caller.reach if caller.user_id is None else EVERYTHING


def _within(reach: Reach, filters: Reach) -> Reach:
    narrowed = dict(filters)
    for name, allowed in reach.items():
        wished = filters.get(name)
        if wished is None:
            narrowed[name] = allowed
            continue
        narrowed[name] = wished & allowed
        if wished and not narrowed[name]:
            raise OutOfReach(f"This {name} is beyond what you may see.", field=name)
    return narrowed


def role_reach(
    role: Role, *, team_ids: frozenset[int], person_id: int | None, person_team_ids: frozenset[int]
) -> Reach:
    """The reach of a membership. `team_ids` are a lead's teams with all below; `person_team_ids` the login's own."""
    if role is Role.TEAM_LEAD:
        return {"team": team_ids}
    if role is Role.ENGINEER:
        if person_team_ids:
            return {"team": person_team_ids}
        return {"person": frozenset() if person_id is None else frozenset({person_id})}
    return EVERYTHING


def may_set_role(actor_role: Role, *, before: Role | None, after: Role | None) -> bool:
    """Whether one with `actor_role` may change a membership so; None is "not a member". Only owners touch owners."""
    if Permission.MEMBERS_MANAGE not in ROLE_PERMISSIONS[actor_role]:
        return False
    return actor_role is Role.OWNER or Role.OWNER not in (before, after)


def below(parents: Mapping[int, int | None], roots: Iterable[int]) -> frozenset[int]:
    """`roots` and every team below them. `parents` maps each team to the one above it."""
    children: dict[int, list[int]] = {}
    for team, parent in parents.items():
        if parent is not None:
            children.setdefault(parent, []).append(team)
    found: set[int] = set()
    waiting = [root for root in roots if root in parents]
    while waiting:
        team = waiting.pop()
        if team not in found:
            found.add(team)
            waiting.extend(children.get(team, ()))
    return frozenset(found)


def would_cycle(parents: Mapping[int, int | None], *, team: int, parent: int | None) -> bool:
    """Whether putting `team` below `parent` makes the tree bite its tail."""
    return parent is not None and parent in below(parents, [team])


def effective_cost_centres(parents: Mapping[int, int | None], own: Mapping[int, str]) -> dict[int, str]:
    """Each team's cost centre: its own, or that of the nearest team above that has one, or ''."""
    found: dict[int, str] = {}
    for team in parents:
        walk: int | None = team
        seen: set[int] = set()
        while walk is not None and walk not in seen and not own.get(walk):
            seen.add(walk)
            walk = parents.get(walk)
        found[team] = own.get(walk, "") if walk is not None else ""
    return found
