"""The snapshot: what it is read from, and that it is never stale."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from pytest_django import DjangoAssertNumQueries

from finops.attribution import services
from finops.attribution.rules import attribute
from finops.attribution.selectors import load_snapshot, snapshot_with
from finops.connectors.types import NO_COUNTS, Dimensions, UsageEvent
from finops.core.errors import NotFound
from finops.orgs import services as orgs
from finops.orgs.models import Organization, Person, Team, VirtualKey
from finops.sources.models import Source
from tests.factories.attribution import draft, promoted, rule
from tests.factories.attribution import source as make_source
from tests.factories.orgs import HOUSE, NOON, Cast, the_cast

LATER = NOON + timedelta(days=30)


def call(**told: Any) -> UsageEvent:
    given: dict[str, Any] = {
        "external_id": "call-1",
        "occurred_at": NOON,
        "provider": "openai",
        "model": "gpt-5-mini",
        "counts": NO_COUNTS,
    }
    return UsageEvent(**(given | told))


def test_a_key_an_identity_and_a_rule_lead_to_their_owners(cast: Cast) -> None:
    acme = cast.acme.id
    ranking = orgs.add_project(organization_id=acme, name="Ranking", team_id=cast.search.id, by=HOUSE, at=NOON)
    crawler = orgs.add_agent(
        organization_id=acme, name="Crawler", owner_id=cast.bob.id, project_id=ranking.id, by=HOUSE, at=NOON
    )
    globex = orgs.add_customer(organization_id=acme, name="Globex", by=HOUSE, at=NOON)
    key = orgs.issue_key(
        organization_id=acme, name="Crawler", agent_id=crawler.id, customer_id=globex.id, task_type="crawl",
        by=HOUSE, at=NOON,
    ).key  # fmt: skip
    source = make_source(cast.acme)
    rule(acme, draft(("source", "is", ("gateway",)), ("tag:desk", "is", ("chat",)), team=cast.chat.id))

    snapshot = load_snapshot(acme)
    by_key = attribute(snapshot, call(key_prefix=key.prefix), source.id)
    assert by_key[:7] == (cast.search.id, 0, ranking.id, crawler.id, globex.id, key.id, "crawl")
    by_identity = attribute(snapshot, call(identities=(("email", "BOB@acme.example"),)), source.id)
    assert (by_identity.person_id, by_identity.team_id) == (cast.bob.id, cast.search.id)
    by_rule = attribute(snapshot, call(tags=(("desk", "chat"),)), source.id)
    assert by_rule.team_id == cast.chat.id
    outright = attribute(snapshot, call(dimensions=Dimensions(team="chat", person=str(cast.alice.id))), source.id)
    assert (outright.team_id, outright.person_id) == (cast.chat.id, cast.alice.id)


def test_nothing_of_another_organization_is_in_it(cast: Cast) -> None:
    rule(cast.globex.id, draft(team=Team.objects.create(organization=cast.globex, slug="theirs", name="Theirs").id))
    snapshot = load_snapshot(cast.acme.id)
    assert snapshot.rules == ()
    told = call(
        dimensions=Dimensions(team="theirs", person="charlie"), identities=(("email", "charlie@globex.example"),)
    )
    assert not attribute(snapshot, told, 0).attributed
    # An id of theirs names nobody here.
    assert not attribute(snapshot, call(dimensions=Dimensions(person=str(cast.charlie.id))), 0).attributed


def test_reading_it_again_costs_one_query(cast: Cast, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    rule(cast.acme.id, draft(team=cast.chat.id))
    with django_assert_num_queries(15):
        first = load_snapshot(cast.acme.id)
    with django_assert_num_queries(1):
        assert load_snapshot(cast.acme.id) is first


def test_an_archived_owner_and_a_removed_identity_keep_their_past(cast: Cast) -> None:
    acme = cast.acme.id
    mail = cast.bob.identities.get(kind="email")
    orgs.remove_identity(organization_id=acme, identity_id=mail.id, by=HOUSE, at=LATER)
    orgs.add_identity(
        organization_id=acme, person_id=cast.alice.id, kind="email", value="bob@acme.example", by=HOUSE, at=LATER
    )
    orgs.archive(organization_id=acme, kind="team", owner_id=cast.chat.id, by=HOUSE, at=LATER)
    snapshot = load_snapshot(acme)
    told = {"identities": (("email", "bob@acme.example"),), "dimensions": Dimensions(team="chat")}
    before = attribute(snapshot, call(**told), 0)
    after = attribute(snapshot, call(**told, occurred_at=LATER), 0)
    assert (before.team_id, before.person_id) == (cast.chat.id, cast.bob.id)
    assert (after.team_id, after.person_id) == (0, cast.alice.id)


def _change_team(cast: Cast) -> None:
    Team.objects.create(organization=cast.acme, slug="new", name="New")


def _move_person(cast: Cast) -> None:
    Person.objects.filter(id=cast.bob.id).update(team=cast.chat)


def _drop_identity(cast: Cast) -> None:
    cast.bob.identities.all().delete()


def _add_source(cast: Cast) -> None:
    make_source(cast.acme)


def _add_rule(cast: Cast) -> None:
    rule(cast.acme.id, draft(team=cast.chat.id))


def _promote(cast: Cast) -> None:
    promoted(cast.acme.id, "cost-centre")


def _issue_key(cast: Cast) -> None:
    orgs.issue_key(organization_id=cast.acme.id, name="Key", by=HOUSE, at=NOON)


@pytest.mark.parametrize(
    "change", [_change_team, _move_person, _drop_identity, _add_source, _add_rule, _promote, _issue_key]
)
def test_whatever_changes_the_next_read_sees_it(cast: Cast, change: Callable[[Cast], None]) -> None:
    before, theirs = load_snapshot(cast.acme.id), load_snapshot(cast.globex.id)
    change(cast)
    after = load_snapshot(cast.acme.id)
    assert after is not before
    assert after.stamp != before.stamp
    assert load_snapshot(cast.globex.id) is theirs


def test_using_a_key_or_a_source_is_no_change(cast: Cast) -> None:
    key = orgs.issue_key(organization_id=cast.acme.id, name="Key", by=HOUSE, at=NOON).key
    source = make_source(cast.acme)
    kept = load_snapshot(cast.acme.id)
    VirtualKey.objects.filter(id=key.id).update(last_used_at=LATER)
    Source.objects.filter(id=source.id).update(last_received_at=LATER)
    Person.objects.filter(organization=cast.acme).update(team_id=None, name="x")  # and this is one
    assert load_snapshot(cast.acme.id) is not kept
    kept = load_snapshot(cast.acme.id)
    VirtualKey.objects.filter(id=key.id).update(last_used_at=NOON)
    assert load_snapshot(cast.acme.id) is kept


def test_a_change_that_is_rolled_back_leaves_no_trace(cast: Cast) -> None:
    before = load_snapshot(cast.acme.id)
    sid = transaction.savepoint()
    _change_team(cast)
    during = load_snapshot(cast.acme.id)
    transaction.savepoint_rollback(sid)
    after = load_snapshot(cast.acme.id)
    assert "new" in during.names[0]
    assert "new" not in after.names[0]
    assert after.stamp == before.stamp
    # Another change after the rollback is not mistaken for the one that never was.
    Team.objects.create(organization=cast.acme, slug="other", name="Other")
    assert "other" in load_snapshot(cast.acme.id).names[0]


def test_thousands_of_people_are_one_stamp(cast: Cast) -> None:
    Person.objects.bulk_create(
        Person(organization=cast.acme, slug=f"p-{number}", name=f"P {number}", team=cast.search)
        for number in range(3000)
    )
    assert len(load_snapshot(cast.acme.id).person_team) == 3001


def test_an_organization_with_nothing_attributes_nothing(db: None) -> None:
    empty = Organization.objects.create(slug="empty", name="Empty")
    assert load_snapshot(empty.id).stamp == ""
    assert not attribute(load_snapshot(empty.id), call(dimensions=Dimensions(team="search")), 1).attributed


def test_a_draft_is_seen_without_being_saved(cast: Cast) -> None:
    saved = rule(cast.acme.id, draft(("model", "is", ("o3",)), team=cast.search.id))
    new = snapshot_with(cast.acme.id, draft(team=cast.chat.id), position=1)
    assert attribute(new, call(model="o3"), 0).team_id == cast.chat.id
    changed = snapshot_with(cast.acme.id, draft(team=cast.chat.id), rule_id=saved.id)
    assert attribute(changed, call(), 0).team_id == cast.chat.id
    # A draft that begins later leaves the version before it in force until then.
    dated = snapshot_with(cast.acme.id, draft(team=cast.chat.id, since=LATER), rule_id=saved.id)
    assert attribute(dated, call(model="o3"), 0).team_id == cast.search.id
    assert attribute(dated, call(model="o3", occurred_at=LATER), 0).team_id == cast.chat.id
    assert not attribute(load_snapshot(cast.acme.id), call(), 0).attributed
    with pytest.raises(NotFound):
        snapshot_with(cast.globex.id, draft(team=cast.chat.id), rule_id=saved.id)


@pytest.mark.django_db(transaction=True)
def test_a_reader_never_keeps_old_rows_under_a_new_stamp() -> None:
    """Two writers and a reader: once the writers are done, the reader's next snapshot has everything they wrote."""
    cast = the_cast()
    load_snapshot(cast.acme.id)
    failures: list[BaseException] = []

    def write(letter: str) -> None:
        try:
            for number in range(15):
                services.promote_tag(organization_id=cast.acme.id, key="shared", by=HOUSE, at=NOON)
                Team.objects.create(organization_id=cast.acme.id, slug=f"{letter}-{number}", name="Team")
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            failures.append(error)
        finally:
            connections.close_all()

    writers = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        load_snapshot(cast.acme.id)
    for writer in writers:
        writer.join()
    assert not failures
    names = load_snapshot(cast.acme.id).names[0]
    assert {f"{letter}-{number}" for letter in "ab" for number in range(15)} <= names.keys()
