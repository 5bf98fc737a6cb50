"""Who may do what, from values alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.core.actors import Actor
from finops.orgs import rules
from finops.orgs.rules import (
    ALL_PERMISSIONS,
    KEY_PERMISSIONS,
    ROLE_PERMISSIONS,
    Caller,
    OutOfReach,
    Permission,
    PermissionMissing,
    Role,
)

# The whole table, written out a second time on purpose: a change of a role's powers has to be made in both places.
TABLE = {
    "usage.write": "owner admin",
    "spend.read": "owner admin finance team_lead engineer viewer",
    "spend.read_people": "owner admin finance team_lead",
    "charges.read": "owner admin finance team_lead engineer",
    "export": "owner admin finance team_lead engineer",
    "org.read": "owner admin finance team_lead engineer viewer",
    "org.manage": "owner admin",
    "people.read": "owner admin finance team_lead engineer",
    "people.manage": "owner admin",
    "people.erase": "owner admin",
    "keys.manage": "owner admin",
    "members.manage": "owner admin",
    "pricing.read": "owner admin finance team_lead engineer viewer",
    "pricing.manage": "owner admin finance",
    "attribution.manage": "owner admin finance",
    "sources.manage": "owner admin",
    "quarantine.manage": "owner admin finance",
    "budgets.read": "owner admin finance team_lead engineer viewer",
    "budgets.ask": "owner admin finance team_lead engineer",
    "budgets.team": "owner admin team_lead",
    "budgets.manage": "owner admin",
    "calls.authorize": "owner admin",
    "calls.make": "owner admin",
    "calls.measure": "owner admin",
    "calls.stop": "owner admin team_lead",
    "gateway.read": "owner admin finance team_lead engineer",
    "routing.read": "owner admin finance team_lead engineer",
    "routing.manage": "owner admin",
    "outcomes.write": "owner admin finance team_lead engineer",
    "gateway.manage": "owner admin",
    "captures.read": "owner admin",
    "captures.manage": "owner admin",
    "alerts.read": "owner admin finance team_lead engineer",
    "alerts.handle": "owner admin finance team_lead",
    "alerts.manage": "owner admin finance",
    "months.close": "owner admin finance",
    "jobs.run": "owner admin finance",
    "audit.read": "owner admin finance",
}


@pytest.mark.parametrize("permission", list(Permission))
@pytest.mark.parametrize("role", list(Role))
def test_every_role_holds_exactly_its_permissions(role: Role, permission: Permission) -> None:
    assert (permission in ROLE_PERMISSIONS[role]) == (role.value in TABLE[permission.value].split())


def test_a_key_cannot_make_callers_nor_outgrow_whoever_issues_it() -> None:
    for role, held in ROLE_PERMISSIONS.items():
        if Permission.KEYS_MANAGE in held:
            assert held >= KEY_PERMISSIONS, role
    assert not KEY_PERMISSIONS & {"keys.manage", "members.manage", "org.manage", "people.erase", "captures.manage"}


@pytest.mark.parametrize(
    ("actor", "before", "after", "allowed"),
    [
        ("owner", "owner", "viewer", True),
        ("owner", None, "owner", True),
        ("admin", None, "viewer", True),
        ("admin", "viewer", "admin", True),
        ("admin", "viewer", "owner", False),
        ("admin", "owner", None, False),
        ("finance", None, "viewer", False),
        ("viewer", "viewer", "owner", False),
    ],
)
def test_only_owners_make_and_unmake_owners(actor: str, before: str | None, after: str | None, allowed: bool) -> None:
    asked = rules.may_set_role(
        Role(actor), before=Role(before) if before else None, after=Role(after) if after else None
    )
    assert asked is allowed


def a_caller(role: Role, **fields: object) -> Caller:
    base: dict[str, object] = {
        "organization_id": 1,
        "organization_slug": "acme",
        "actor": Actor("user:1", "Bob"),
        "permissions": ROLE_PERMISSIONS[role],
    }
    return Caller(**(base | fields))  # type: ignore[arg-type]


ids = st.frozensets(st.integers(1, 9), min_size=1, max_size=4)
dimensions = st.sampled_from(["team", "project", "agent", "customer", "model"])
filters = st.dictionaries(dimensions, ids, max_size=3)


@given(reach=st.dictionaries(st.sampled_from(["team", "project"]), ids, max_size=2), wished=filters)
def test_no_question_leaves_the_reach(reach: dict[str, frozenset[int]], wished: dict[str, frozenset[int]]) -> None:
    asked = a_caller(Role.TEAM_LEAD, reach=reach)
    try:
        narrowed = rules.spend_filters(asked, filters=wished)
    except OutOfReach:
        assert any(name in wished and not wished[name] & allowed for name, allowed in reach.items())
        return
    for name, allowed in reach.items():
        assert narrowed[name] <= allowed
    for name, wanted in wished.items():
        assert narrowed[name] <= wanted


def test_a_viewer_sees_every_total_and_no_person() -> None:
    viewer = a_caller(Role.VIEWER)
    assert rules.spend_filters(viewer, group_by=("team", "model")) == {}
    for question in ({"group_by": ("person",)}, {"filters": {"person": frozenset({7})}}, {"group_by": ("key",)}):
        with pytest.raises(OutOfReach, match=r"spend\.read_people"):
            rules.spend_filters(viewer, **question)
    with pytest.raises(PermissionMissing):
        rules.charge_filters(viewer)


def test_an_engineer_sees_the_teams_totals_and_themselves_wherever_the_spend_fell() -> None:
    reach = rules.role_reach(Role.ENGINEER, team_ids=frozenset(), person_id=7, person_team_ids=frozenset({3}))
    bob = a_caller(Role.ENGINEER, reach=reach, person_id=7, user_id=1)
    assert rules.spend_filters(bob) == {"team": frozenset({3})}
    with pytest.raises(OutOfReach):
        rules.spend_filters(bob, filters={"team": frozenset({4})})
    itself = {"person": frozenset({7})}
    assert rules.spend_filters(bob, group_by=("key",), filters=itself) == itself
    # Oneself together with another would tell the other's spend by subtraction.
    with pytest.raises(OutOfReach):
        rules.spend_filters(bob, filters={"person": frozenset({7, 8})})
    assert rules.charge_filters(bob) == itself
    assert rules.charge_visible(bob, {"person": 7, "team": 4})
    assert not rules.charge_visible(bob, {"person": 8, "team": 3})


def test_a_key_keeps_to_its_reach_even_when_asked_about_its_own_person() -> None:
    own, reach = frozenset({7}), {"team": frozenset({3}), "person": frozenset({7})}
    key = a_caller(Role.ENGINEER, reach=reach, person_id=7, user_id=None)
    assert rules.spend_filters(key, filters={"person": own}) == reach
    assert rules.charge_filters(key) == reach
    assert not rules.charge_visible(key, {"person": 7, "team": 4})
    with pytest.raises(OutOfReach):
        rules.spend_filters(key, filters={"person": own, "team": frozenset({4})})


def test_an_engineer_without_a_team_or_person_sees_nothing() -> None:
    reach = rules.role_reach(Role.ENGINEER, team_ids=frozenset(), person_id=None, person_team_ids=frozenset())
    nobody = a_caller(Role.ENGINEER, reach=reach)
    # The filter is the rule's own, an empty set: nothing matches it.
    assert rules.spend_filters(nobody) == {"person": frozenset()}
    assert rules.charge_filters(nobody) == {"person": frozenset()}


trees = st.dictionaries(st.integers(1, 12), st.none() | st.integers(1, 12), max_size=12)


@given(parents=trees, team=st.integers(1, 12), parent=st.none() | st.integers(1, 12))
def test_a_move_that_would_cycle_is_seen_before_it_is_made(
    parents: dict[int, int | None], team: int, parent: int | None
) -> None:
    tree = _acyclic(parents)
    if team not in tree or (parent is not None and parent not in tree):
        return
    moved = tree | {team: parent}
    assert rules.would_cycle(tree, team=team, parent=parent) == _has_cycle(moved)


@given(parents=trees, own=st.dictionaries(st.integers(1, 12), st.sampled_from(["", "A", "B"])))
def test_a_team_without_a_cost_centre_has_the_nearest_above(
    parents: dict[int, int | None], own: dict[int, str]
) -> None:
    tree = _acyclic(parents)
    found = rules.effective_cost_centres(tree, own)
    for team, parent in tree.items():
        if own.get(team):
            assert found[team] == own[team]
        else:
            assert found[team] == (found[parent] if parent is not None else "")


def _acyclic(parents: dict[int, int | None]) -> dict[int, int | None]:
    """The same teams, below a team of a smaller number or at the root: always a tree."""
    return {team: parent if parent in parents and parent < team else None for team, parent in parents.items() if team}


def _has_cycle(parents: dict[int, int | None]) -> bool:
    for start in parents:
        walk, steps = parents[start], 0
        while walk is not None:
            if walk == start or steps > len(parents):
                return True
            walk, steps = parents.get(walk), steps + 1
    return False


def test_permission_words_are_unique_and_stable() -> None:
    assert {str(each) for each in ALL_PERMISSIONS} == set(TABLE)
