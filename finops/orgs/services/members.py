"""Who belongs to an organization, and as what. An organization always has an owner."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import FinopsError, Forbidden, Invalid
from finops.orgs import rules
from finops.orgs.models import Membership, Organization, Person, Team, User
from finops.orgs.rules import Role
from finops.orgs.services.checks import OwnerUnknown, locked


class LastOwner(FinopsError):
    """An organization without an owner could not be managed by anybody."""

    code = "orgs.last_owner"
    status = 409


class RoleRefused(Forbidden):
    """Only owners make and unmake owners."""

    code = "orgs.role_refused"


class RoleInvalid(Invalid):
    code = "orgs.role_invalid"


class AlreadyMember(FinopsError):
    code = "orgs.already_member"
    status = 409


@transaction.atomic
def invite(
    *,
    organization_id: int,
    email: str,
    role: str,
    name: str = "",
    team_ids: Iterable[int] = (),
    by: Actor,
    at: datetime,
) -> Membership:
    """Make somebody a member. A login is made when there is none; it has no password until its owner sets one through
    the link mailed to that address (`invitations.send`, after commit), so whoever invites never holds a credential.
    A person of the organization with this e-mail address is tied to the login.

    Raises AlreadyMember, RoleInvalid, RoleRefused, OwnerUnknown and Invalid for the address.
    """
    address = _address(email)
    wanted = _role(role)
    _may(organization_id, by, before=None, after=wanted)
    user = User.objects.filter(email=address).first()
    if user is None:
        user = User.objects.create_user(address, None, name=" ".join(name.split())[:200])
    membership = Membership.objects.filter(organization_id=organization_id, user=user).first()
    if membership is not None and membership.archived_at is None:
        raise AlreadyMember("This login is a member already.", field="email")
    if membership is None:
        membership = Membership(organization_id=organization_id, user=user)
    membership.role, membership.archived_at = wanted, None
    membership.save()
    _set_teams(membership, team_ids)
    _tie_person(organization_id, user)
    _note("member.invited", membership, by, at, {"role": wanted, "team_ids": sorted(team_ids)})
    return membership


@transaction.atomic
def change_role(
    *, organization_id: int, user_id: int, role: str, team_ids: Iterable[int] | None = None, by: Actor, at: datetime
) -> Membership:
    """Change a member's role, and the teams a lead reaches (None leaves them).

    Raises LastOwner, RoleInvalid, RoleRefused, OwnerUnknown and NotFound.
    """
    membership = _member(organization_id, user_id)
    before, after = Role(membership.role), _role(role)
    _may(organization_id, by, before=before, after=after)
    if after is not Role.OWNER:
        refuse_last_owner(membership)
    membership.role = after
    membership.save(update_fields=["role"])
    if team_ids is not None:
        _set_teams(membership, team_ids)
    teams = sorted(membership.teams.values_list("id", flat=True))
    _note("member.role_changed", membership, by, at, {"before": before, "after": after, "team_ids": teams})
    return membership


@transaction.atomic
def remove_member(*, organization_id: int, user_id: int, by: Actor, at: datetime) -> None:
    """The login stays, for other organizations it may belong to. Raises LastOwner, RoleRefused and NotFound."""
    membership = _member(organization_id, user_id)
    _may(organization_id, by, before=Role(membership.role), after=None)
    refuse_last_owner(membership)
    membership.archived_at = at
    membership.save(update_fields=["archived_at"])
    membership.teams.clear()
    _note("member.removed", membership, by, at, {"role": membership.role})


def refuse_last_owner(membership: Membership) -> None:
    """Raises LastOwner when this membership is the only active owner's. Call inside a transaction: it holds the
    organization's row, so that two owners cannot remove each other at once.
    """
    if membership.role != Role.OWNER:
        return
    Organization.objects.select_for_update().get(id=membership.organization_id)
    others = Membership.objects.filter(
        organization_id=membership.organization_id, role=Role.OWNER, archived_at__isnull=True, user__is_active=True
    ).exclude(id=membership.id)
    if not others.exists():
        raise LastOwner("This is the organization's last owner; make another one first.")


def _member(organization_id: int, user_id: int) -> Membership:
    # The organization's row first, in the order `refuse_last_owner` takes its locks.
    Organization.objects.select_for_update().filter(id=organization_id).first()
    row = Membership.objects.filter(organization_id=organization_id, user_id=user_id, archived_at__isnull=True).first()
    membership: Membership = locked(Membership, organization_id, row.id if row else 0, "member")
    return membership


def _may(organization_id: int, by: Actor, *, before: Role | None, after: Role | None) -> None:
    """A login acts by its own role here; the house itself (setup, the demo, its file of configuration) may do all; a
    key nothing.
    """
    kind, _, reference = by.reference.partition(":")
    if kind in {"system", "config"}:
        return
    membership = None
    if kind == "user" and reference.isdigit():
        membership = Membership.objects.filter(
            organization_id=organization_id, user_id=int(reference), archived_at__isnull=True
        ).first()
    if membership is None or not rules.may_set_role(Role(membership.role), before=before, after=after):
        raise RoleRefused("Only owners make and unmake owners; admins manage everyone else.")


def _role(raw: str) -> Role:
    try:
        return Role(raw)
    except ValueError:
        raise RoleInvalid(f"role is one of {', '.join(Role)}", field="role") from None


def _address(raw: str) -> str:
    address = raw.strip().lower()
    try:
        validate_email(address)
    except ValidationError:
        raise Invalid("this is not an e-mail address", field="email") from None
    return address


def _set_teams(membership: Membership, team_ids: Iterable[int]) -> None:
    wanted = set(team_ids)
    teams = Team.objects.filter(organization_id=membership.organization_id, id__in=wanted, archived_at__isnull=True)
    if len(teams) != len(wanted):
        raise OwnerUnknown("teams names a team that is not an active one of this organization", field="teams")
    membership.teams.set(teams)


def _tie_person(organization_id: int, user: User) -> None:
    people = Person.objects.filter(organization_id=organization_id)
    if people.filter(user=user).exists():
        return
    same = people.filter(email__iexact=user.email, user__isnull=True, erased_at__isnull=True).order_by("id").first()
    if same is not None:
        same.user = user
        same.save(update_fields=["user"])


def _note(verb: str, membership: Membership, by: Actor, at: datetime, details: dict[str, object]) -> None:
    audit.record(
        organization_id=membership.organization_id,
        verb=verb,
        subject_kind="user",
        subject_id=membership.user_id,
        details=details,
        by=by,
        at=at,
    )
