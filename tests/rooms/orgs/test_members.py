"""Who belongs, as what, and what that lets them reach. An organization always keeps an owner."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connections

from finops.core.actors import Actor
from finops.core.errors import NotFound
from finops.orgs import selectors, services
from finops.orgs.models import Membership, User
from finops.orgs.rules import ROLE_PERMISSIONS, Permission, Role
from finops.orgs.services.checks import OwnerUnknown
from finops.orgs.services.members import AlreadyMember, LastOwner, RoleInvalid, RoleRefused
from tests.factories.orgs import HOUSE, NOON, Cast, actor, member, the_cast

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}


def test_the_roles_of_the_database_are_the_roles_of_the_rules() -> None:
    assert [*Membership.Role.values] == [*Role]


def test_the_last_owner_stays(cast: Cast) -> None:
    alice: dict[str, Any] = {"organization_id": cast.acme.id, "user_id": cast.alice_login.id, **WHO}
    with pytest.raises(LastOwner):
        services.remove_member(**alice)
    with pytest.raises(LastOwner):
        services.change_role(role="admin", **alice)
    services.change_role(organization_id=cast.acme.id, user_id=cast.dana_login.id, role="owner", **WHO)
    services.remove_member(**alice)
    with pytest.raises(NotFound):
        selectors.caller_for(cast.alice_login, "acme")


def test_an_owner_whose_login_is_switched_off_does_not_count(cast: Cast) -> None:
    services.change_role(organization_id=cast.acme.id, user_id=cast.dana_login.id, role="owner", **WHO)
    User.objects.filter(id=cast.dana_login.id).update(is_active=False)
    with pytest.raises(LastOwner):
        services.remove_member(organization_id=cast.acme.id, user_id=cast.alice_login.id, **WHO)


@pytest.mark.django_db(transaction=True)
def test_two_owners_cannot_remove_each_other_at_once() -> None:
    cast = the_cast()
    services.change_role(organization_id=cast.acme.id, user_id=cast.dana_login.id, role="owner", **WHO)
    alice, dana = cast.alice_login, cast.dana_login
    ready = threading.Barrier(2)
    outcomes: list[str] = []

    def remove(by: User, whom: User) -> None:
        try:
            ready.wait(timeout=10)
            services.remove_member(organization_id=cast.acme.id, user_id=whom.id, by=actor(by), at=NOON)
            outcomes.append("removed")
        except (LastOwner, RoleRefused):
            outcomes.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=remove, args=pair) for pair in ((alice, dana), (dana, alice))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(outcomes) == ["refused", "removed"]


def test_an_admin_cannot_make_themselves_an_owner(cast: Cast) -> None:
    services.change_role(organization_id=cast.acme.id, user_id=cast.dana_login.id, role="admin", **WHO)
    dana: dict[str, Any] = {"organization_id": cast.acme.id, "by": actor(cast.dana_login), "at": NOON}
    with pytest.raises(RoleRefused):
        services.change_role(user_id=cast.dana_login.id, role="owner", **dana)
    with pytest.raises(RoleRefused):
        services.invite(email="friend@acme.example", role="owner", **dana)
    services.invite(email="friend@acme.example", role="viewer", **dana)
    with pytest.raises(RoleRefused):
        services.invite(
            organization_id=cast.acme.id, email="x@acme.example", role="viewer", by=Actor("key:cap_ab12cd34"), at=NOON
        )
    # An owner elsewhere is nobody here.
    with pytest.raises(RoleRefused):
        services.invite(
            organization_id=cast.acme.id, email="x@acme.example", role="viewer", by=actor(cast.charlie_login), at=NOON
        )


def test_an_invitation_ties_the_person_with_that_address_and_comes_back_after_removal(cast: Cast) -> None:
    here: dict[str, Any] = {"organization_id": cast.acme.id, **WHO}
    erin = services.add_person(name="Erin", email="erin@acme.example", **here)
    membership = services.invite(email="ERIN@acme.example", role="engineer", **here)
    erin.refresh_from_db()
    assert erin.user_id == membership.user_id
    assert not membership.user.has_usable_password()
    with pytest.raises(AlreadyMember):
        services.invite(email="erin@acme.example", role="viewer", **here)
    services.remove_member(user_id=membership.user_id, **here)
    again = services.invite(email="erin@acme.example", role="viewer", **here)
    assert (again.id, again.role, again.archived_at) == (membership.id, "viewer", None)
    with pytest.raises(RoleInvalid):
        services.change_role(user_id=membership.user_id, role="emperor", **here)


@pytest.mark.parametrize("role", list(Role))
def test_a_caller_holds_the_permissions_of_the_membership(cast: Cast, role: Role) -> None:
    erin = member(cast.acme, "Erin", role.value)
    assert erin.user is not None
    caller = selectors.caller_for(erin.user, "acme")
    assert caller.permissions == ROLE_PERMISSIONS[role]
    assert (caller.organization_id, caller.organization_slug) == (cast.acme.id, "acme")
    assert (caller.person_id, caller.user_id, caller.role) == (erin.id, erin.user_id, role)
    assert caller.actor.reference == f"user:{erin.user_id}"


def test_nobody_is_a_caller_of_an_organization_that_is_not_theirs(cast: Cast) -> None:
    for slug in ("globex", "nowhere"):
        with pytest.raises(NotFound):
            selectors.caller_for(cast.alice_login, slug)
    bob = cast.bob_login
    bob.is_active = False
    with pytest.raises(NotFound):
        selectors.caller_for(bob, "acme")


def test_a_team_lead_reaches_the_teams_named_and_all_below(cast: Cast) -> None:
    here: dict[str, Any] = {"organization_id": cast.acme.id, **WHO}
    ranking = services.add_team(name="Ranking", parent_id=cast.search.id, **here)
    ads = services.add_team(name="Ads", parent_id=ranking.id, **here)
    erin = member(cast.acme, "Erin", "team_lead")
    assert erin.user is not None
    services.change_role(user_id=erin.user.id, role="team_lead", team_ids=[cast.search.id], **here)
    reached = frozenset({cast.search.id, ranking.id, ads.id})
    caller = selectors.caller_for(erin.user, "acme")
    assert caller.reach == {"team": reached}
    assert caller.team_ids == reached
    # A lead of no team reaches nothing, which is not the same as everything.
    services.change_role(user_id=erin.user.id, role="team_lead", team_ids=[], **here)
    assert selectors.caller_for(erin.user, "acme").reach == {"team": frozenset()}
    theirs = services.add_team(organization_id=cast.globex.id, name="Theirs", **WHO)
    with pytest.raises(OwnerUnknown):
        services.change_role(user_id=erin.user.id, role="team_lead", team_ids=[theirs.id], **here)


def test_an_engineer_reaches_their_own_team(cast: Cast) -> None:
    bob = selectors.caller_for(cast.bob_login, "acme")
    assert bob.reach == {"team": frozenset({cast.search.id})}
    assert not bob.can(Permission.SPEND_READ_PEOPLE)
    assert bob.team_ids is None
