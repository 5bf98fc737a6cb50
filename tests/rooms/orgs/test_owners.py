"""Teams and everything else that owns spend: a tree without cycles, one organization, nothing ever deleted."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import Error, connection, connections, transaction

from finops.audit.models import AuditEvent
from finops.core.errors import FinopsError, NotFound
from finops.orgs import selectors, services
from finops.orgs.models import Agent, Organization, Person, Project, Team, VirtualKey
from finops.orgs.services.checks import NameInvalid, OwnerUnknown, SlugInvalid, SlugTaken
from finops.orgs.services.owners import FieldUnknown, StillInUse, TeamCycle
from tests.factories.orgs import HOUSE, NOON, Cast, the_cast

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}


def test_a_team_tree_inherits_its_cost_centre_and_is_listed_in_order(cast: Cast) -> None:
    ranking = services.add_team(organization_id=cast.acme.id, name="Ranking", parent_id=cast.search.id, **WHO)
    services.add_team(organization_id=cast.acme.id, name="Ads", parent_id=ranking.id, cost_centre="CC-900", **WHO)
    found = [(node.team.name, node.depth, node.cost_centre) for node in selectors.team_tree(cast.acme.id)]
    assert found == [("Chat", 0, "CC-200"), ("Search", 0, "CC-100"), ("Ranking", 1, "CC-100"), ("Ads", 2, "CC-900")]


def test_a_team_cannot_be_put_below_itself(cast: Cast) -> None:
    ranking = services.add_team(organization_id=cast.acme.id, name="Ranking", parent_id=cast.search.id, **WHO)
    for parent in (ranking.id, cast.search.id):
        with pytest.raises(TeamCycle):
            services.move_team(organization_id=cast.acme.id, team_id=cast.search.id, parent_id=parent, **WHO)
    # Nor by whoever writes SQL.
    with pytest.raises(Error, match="above itself"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE orgs_team SET parent_id = %s WHERE id = %s", [ranking.id, cast.search.id])


@pytest.mark.django_db(transaction=True)
def test_two_moves_at_once_cannot_close_a_ring() -> None:
    cast = the_cast()
    ready = threading.Barrier(2)
    outcomes: list[str] = []

    def move(team_id: int, parent_id: int) -> None:
        try:
            ready.wait(timeout=10)
            services.move_team(organization_id=cast.acme.id, team_id=team_id, parent_id=parent_id, **WHO)
            outcomes.append("moved")
        except TeamCycle:
            outcomes.append("refused")
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=move, args=(cast.search.id, cast.chat.id)),
        threading.Thread(target=move, args=(cast.chat.id, cast.search.id)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(outcomes) == ["moved", "refused"]


@pytest.mark.parametrize("model", [Organization, Team, Person, Project, Agent, VirtualKey])
def test_what_owns_spend_cannot_be_deleted(cast: Cast, model: type[Team]) -> None:
    services.add_project(organization_id=cast.acme.id, name="Apollo", **WHO)
    services.add_agent(organization_id=cast.acme.id, name="Crawler", **WHO)
    services.issue_key(organization_id=cast.acme.id, name="CI", **WHO)
    with pytest.raises(Error, match="Cannot delete"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {model._meta.db_table}")


def test_what_a_row_names_is_of_its_own_organization(cast: Cast) -> None:
    theirs = services.add_team(organization_id=cast.globex.id, name="Theirs", **WHO)
    with pytest.raises(OwnerUnknown) as refused:
        services.add_project(organization_id=cast.acme.id, name="Apollo", team_id=theirs.id, **WHO)
    assert refused.value.field == "team"
    with pytest.raises(OwnerUnknown):
        services.add_team(organization_id=cast.acme.id, name="Sub", parent_id=theirs.id, **WHO)
    with pytest.raises(OwnerUnknown):
        services.issue_key(organization_id=cast.acme.id, name="CI", person_id=cast.charlie.id, **WHO)
    with pytest.raises(NotFound):
        services.move_team(organization_id=cast.acme.id, team_id=theirs.id, parent_id=None, **WHO)


@pytest.mark.parametrize(
    ("table", "column", "their_table"),
    [
        ("orgs_team", "parent_id", "orgs_team"),
        ("orgs_person", "team_id", "orgs_team"),
        ("orgs_identity", "person_id", "orgs_person"),
        ("orgs_project", "team_id", "orgs_team"),
        ("orgs_agent", "owner_id", "orgs_person"),
        ("orgs_agent", "project_id", "orgs_project"),
        ("orgs_virtualkey", "team_id", "orgs_team"),
        ("orgs_virtualkey", "person_id", "orgs_person"),
        ("orgs_virtualkey", "project_id", "orgs_project"),
        ("orgs_virtualkey", "agent_id", "orgs_agent"),
        ("orgs_virtualkey", "customer_id", "orgs_customer"),
    ],
)
def test_the_database_keeps_organizations_apart_by_itself(
    cast: Cast, table: str, column: str, their_table: str
) -> None:
    for organization in (cast.acme, cast.globex):
        here: dict[str, Any] = {"organization_id": organization.id, **WHO}
        services.add_team(name="Team", **here)
        services.add_project(name="Project", **here)
        services.add_agent(name="Agent", **here)
        services.add_customer(name="Customer", **here)
        services.issue_key(name="Key", **here)
    move = (
        f"UPDATE {table} SET {column} = (SELECT max(id) FROM {their_table} WHERE organization_id = %s) "
        f"WHERE id = (SELECT min(id) FROM {table} WHERE organization_id = %s)"
    )
    with pytest.raises(Error, match="same_organization"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(move, [cast.globex.id, cast.acme.id])


def test_slugs_are_made_from_names_and_stay_unique(cast: Cast) -> None:
    here: dict[str, Any] = {"organization_id": cast.acme.id, **WHO}
    assert [services.add_project(name="Apollo ✨ 11", **here).slug for _ in range(3)] == [
        "apollo-11", "apollo-11-2", "apollo-11-3",
    ]  # fmt: skip
    assert services.add_project(name="🚀", **here).slug == "project"
    assert services.add_project(name="2026", **here).slug == "project-2026"
    with pytest.raises(SlugTaken):
        services.add_project(name="Other", slug="apollo-11", **here)
    # Another organization may use it.
    assert services.add_project(organization_id=cast.globex.id, name="Apollo ✨ 11", **WHO).slug == "apollo-11"


@pytest.mark.parametrize("slug", ["12", "a b", "a/b", "é", "a" * 81, "a\x00"])
def test_a_slug_that_addresses_or_ids_would_trip_over_is_refused(cast: Cast, slug: str) -> None:
    with pytest.raises(SlugInvalid):
        services.add_team(organization_id=cast.acme.id, name="Team", slug=slug, **WHO)


@pytest.mark.parametrize("name", ["", "   ", "a\x00b", "a" * 201, "a\u202eb"])
def test_a_name_nobody_can_read_is_refused(cast: Cast, name: str) -> None:
    with pytest.raises(NameInvalid):
        services.add_team(organization_id=cast.acme.id, name=name, **WHO)


def test_a_change_says_before_and_after_and_an_empty_one_says_nothing(cast: Cast) -> None:
    change: dict[str, Any] = {"organization_id": cast.acme.id, "kind": "team", "owner_id": cast.search.id, **WHO}
    services.change_owner(changes={"name": "Search & Ads", "cost_centre": "CC-101"}, **change)
    services.change_owner(changes={"name": "Search & Ads"}, **change)
    written = AuditEvent.objects.filter(verb="team.changed")
    assert [event.details for event in written] == [
        {
            "before": {"name": "Search", "cost_centre": "CC-100"},
            "after": {"name": "Search & Ads", "cost_centre": "CC-101"},
        }
    ]
    with pytest.raises(FieldUnknown):
        services.change_owner(changes={"organization_id": cast.globex.id}, **change)


def test_a_team_is_archived_when_it_is_empty_and_can_come_back(cast: Cast) -> None:
    archive: dict[str, Any] = {"organization_id": cast.acme.id, "kind": "team", **WHO}
    with pytest.raises(StillInUse):
        services.archive(owner_id=cast.search.id, **archive)  # Bob is in it
    services.archive(owner_id=cast.chat.id, **archive)
    services.archive(owner_id=cast.chat.id, **archive)
    assert [team.slug for team in selectors.teams(cast.acme.id)] == ["search"]
    assert selectors.owner_names(cast.acme.id, "team", frozenset({cast.chat.id})) == {cast.chat.id: "Chat"}
    services.restore(owner_id=cast.chat.id, **archive)
    assert [team.slug for team in selectors.teams(cast.acme.id)] == ["chat", "search"]
    assert AuditEvent.objects.filter(verb="team.archived").count() == 1


def test_every_refusal_is_one_of_ours() -> None:
    for error in (TeamCycle, StillInUse, SlugTaken, SlugInvalid, NameInvalid, OwnerUnknown, FieldUnknown):
        assert issubclass(error, FinopsError)
        assert error.code.startswith("orgs.")
        assert 400 <= error.status < 500
