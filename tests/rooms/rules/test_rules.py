"""Rules as the database has them: versions and proposals, stages and switches, and what gateways are told of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from django.db import IntegrityError, transaction

from finops.audit.models import AuditEvent
from finops.core.errors import NotFound
from finops.orgs.services import add_project, add_team
from routing.configuration import wire
from routing.configuration.models import Published
from routing.configuration.services import publish_changes
from routing.rules import selectors, services
from routing.rules.models import RoutingRule, RulesVersion, RuleVersion
from routing.rules.rollout import StageInvalid, StageRefused
from routing.rules.rules import RuleInvalid
from routing.rules.types import Rule, Use, When, Within
from routing.tiers.services import set_entry
from routing.tiers.types import Entry
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.factories.rules import by_type, learned_rule, local_only, saved, triage

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}
WHY = "It does as well, and costs a tenth."


def told(organization_id: int) -> tuple[Any, ...]:
    """What gateways are published."""
    publish_changes(NOON)
    body = Published.objects.get(organization_id=organization_id).body
    return wire.decode_organization(bytes(body)).rules


def trail() -> list[tuple[str, Any]]:
    rows = AuditEvent.objects.filter(subject_kind="routing_rule").order_by("id")
    return list(rows.values_list("verb", "details"))


def test_a_rule_is_made_published_changed_and_retired(cast: Cast) -> None:
    assert told(cast.acme.id) == ()
    row, first, changes = saved(cast.acme.id, at=NOON)
    [published] = told(cast.acme.id)
    assert (published.rule, published.version, published.share, published.held_back) == (triage(), 1, 1.0, 0.0)
    assert (published.rule_id, published.salt, published.shadow) == (row.id, "triage", False)
    assert "use: nothing → small, then frontier" in changes
    assert first.in_words == "Calls of triage for frontier go to small, and where that fails to frontier."
    other = triage(use=(Use(model="tiny"),))
    again = saved(cast.acme.id, other, at=NOON)
    assert (again.row.id, again.version.number, again.changes) == (
        row.id, 2, ("use: small, then frontier → tiny",),
    )  # fmt: skip
    assert [(one.version, one.rule) for one in told(cast.acme.id)] == [(2, other)]
    assert told(cast.globex.id) == ()
    services.retire(organization_id=cast.acme.id, rule_id=row.id, **WHO)
    services.retire(organization_id=cast.acme.id, rule_id=row.id, **WHO)
    assert told(cast.acme.id) == ()
    # Its name is free, and its story stays.
    assert saved(cast.acme.id, at=NOON).row.id != row.id
    assert [one.number for one in selectors.versions(cast.acme.id, row.id)] == [2, 1]
    assert [verb for verb, _ in trail()] == [
        "routing_rule.created", "routing_rule.changed", "routing_rule.retired", "routing_rule.created",
    ]  # fmt: skip


def test_saying_the_same_again_changes_and_notes_nothing(cast: Cast) -> None:
    saved(cast.acme.id, at=NOON)
    token, noted = RulesVersion.objects.get().token, trail()
    assert saved(cast.acme.id, at=NOON).changes == ()
    assert (RulesVersion.objects.get().token, trail()) == (token, noted)


def test_a_learned_rule_comes_out_of_the_database_to_the_last_bit(cast: Cast) -> None:
    rule = learned_rule()
    saved(cast.acme.id, rule, at=NOON)
    assert selectors.documents(cast.acme.id) == [rule]
    assert [one.rule for one in told(cast.acme.id)] == [rule]
    assert msgspec.msgpack.encode(selectors.documents(cast.acme.id)[0]) == msgspec.msgpack.encode(rule)
    [row] = selectors.rules(cast.acme.id)
    assert row.version is not None
    assert row.version.learned
    # Lists are read without what is large.
    assert "policy" in row.version.get_deferred_fields()


def test_owners_are_published_by_their_ids_and_teams_with_those_below(cast: Cast) -> None:
    below = add_team(organization_id=cast.acme.id, name="Ranking", parent_id=cast.search.id, **WHO)
    answers = add_project(organization_id=cast.acme.id, name="Answers", **WHO)
    rule = triage(when=When(teams=(cast.search.slug,), projects=(answers.slug,)))
    saved(cast.acme.id, rule, at=NOON)
    [published] = told(cast.acme.id)
    assert published.owners == {
        "team": frozenset({cast.search.id, below.id}), "project": frozenset({answers.id}),
    }  # fmt: skip
    # A team that comes later is in it too: owners have a stamp of their own, which publishes.
    later = add_team(organization_id=cast.acme.id, name="Later", parent_id=below.id, **WHO)
    assert later.id in told(cast.acme.id)[0].owners["team"]


def test_an_owner_of_somebody_else_is_none(cast: Cast) -> None:
    theirs = add_project(organization_id=cast.globex.id, name="Theirs", **WHO)
    with pytest.raises(RuleInvalid) as refused:
        saved(cast.acme.id, triage(when=When(projects=(theirs.slug,))), at=NOON)
    assert refused.value.field == "when.projects"
    assert not RoutingRule.objects.exists()


def test_a_maker_that_nobody_knows_is_a_slip(cast: Cast) -> None:
    for within in (Within(never_vendors=("deepseek", "deepsek")), Within(vendors=("our-lab",))):
        with pytest.raises(RuleInvalid) as refused:
            saved(cast.acme.id, Rule(name="makers", within=within), at=NOON)
        assert refused.value.field in ("within.never_vendors", "within.vendors")
    assert not RoutingRule.objects.exists()
    ours = Entry(model="our-own", vendor="our-lab", origin="DE")
    set_entry(organization_id=cast.acme.id, entry=ours, by=HOUSE, at=NOON)
    saved(cast.acme.id, Rule(name="makers", within=Within(vendors=("our-lab",))), at=NOON)
    assert told(cast.acme.id)[0].rule.within.vendors == ("our-lab",)


def test_a_rollout_goes_up_step_by_step_and_holds_some_back(cast: Cast) -> None:
    row = saved(cast.acme.id, stage="shadow", at=NOON).row
    of: dict[str, Any] = {"organization_id": cast.acme.id, "rule_id": row.id, **WHO}
    assert told(cast.acme.id)[0].shadow
    services.start_rollout(stage="canary", **of)
    seen = [(one.share, one.held_back, one.shadow) for one in told(cast.acme.id)]
    assert seen == [(0.05, 0.05, False)]
    shares = []
    for _ in range(3):
        services.advance(**of)
        shares.append(told(cast.acme.id)[0].share)
    assert shares == [0.25, 0.5, 1.0]
    assert told(cast.acme.id)[0].held_back == 0.05
    with pytest.raises(StageRefused):
        services.advance(**of)
    services.pause(**of)
    assert told(cast.acme.id)[0].share == 0.5
    services.advance(**of)
    assert RoutingRule.objects.get().stage == "ramp"
    services.roll_back(**of)
    services.roll_back(**of)
    assert told(cast.acme.id) == ()
    with pytest.raises(StageRefused):
        services.advance(**of)
    services.start_rollout(stage="full", held_back=0.01, **of)
    assert [(one.share, one.held_back) for one in told(cast.acme.id)] == [(1.0, 0.01)]
    assert [verb.removeprefix("routing_rule.") for verb, _ in trail()] == [
        "created", "rollout_started", "advanced", "advanced", "advanced", "paused", "advanced", "rolled_back",
        "rollout_started",
    ]  # fmt: skip


def test_a_limit_holds_for_all_or_for_none(cast: Cast) -> None:
    row = saved(cast.acme.id, local_only(), at=NOON).row
    of: dict[str, Any] = {"organization_id": cast.acme.id, "rule_id": row.id, **WHO}
    for stage in ("shadow", "canary"):
        with pytest.raises(StageInvalid):
            services.start_rollout(stage=stage, **of)
    with pytest.raises(StageInvalid):
        services.start_rollout(stage="full", held_back=0.1, **of)
    with pytest.raises(StageRefused):
        services.pause(**of)
    # Nor is anybody left out of what is decided for sensitive calls.
    here = triage(name="here", when=When(sensitive=True))
    with pytest.raises(StageInvalid):
        saved(cast.acme.id, here, stage="canary", at=NOON)
    assert [(one.share, one.held_back) for one in told(cast.acme.id)] == [(1.0, 0.0)]


def test_a_rule_on_its_way_that_becomes_a_limit_holds_for_all(cast: Cast) -> None:
    row = saved(cast.acme.id, stage="canary", held_back=None, at=NOON).row
    saved(cast.acme.id, local_only(name="triage"), rule_id=row.id, at=NOON)
    assert [(one.share, one.held_back) for one in told(cast.acme.id)] == [(1.0, 0.0)]


def test_the_kill_switch_ends_every_choice_and_lets_nothing_out(cast: Cast) -> None:
    first = saved(cast.acme.id, at=NOON).row
    saved(cast.acme.id, Rule(name="learned", policy=by_type()), stage="canary", at=NOON)
    saved(cast.acme.id, local_only(), at=NOON)
    saved(cast.acme.id, triage(name="here", when=When(sensitive=True)), at=NOON)
    saved(cast.globex.id, at=NOON)
    gone = services.switch_off(organization_id=cast.acme.id, **WHO)
    assert [row.name for row in gone] == ["triage", "learned"]
    assert [one.rule.name for one in told(cast.acme.id)] == ["local-only", "here"]
    assert len(told(cast.globex.id)) == 1
    assert services.switch_off(organization_id=cast.acme.id, **WHO) == ()
    services.switch_on(organization_id=cast.acme.id, rule_id=first.id, **WHO)
    assert [one.rule.name for one in told(cast.acme.id)] == ["triage", "local-only", "here"]
    # By its name anything is switched off.
    limit = RoutingRule.objects.get(organization=cast.acme, name="local-only")
    services.switch_off(organization_id=cast.acme.id, rule_id=limit.id, **WHO)
    assert [one.rule.name for one in told(cast.acme.id)] == ["triage", "here"]


def test_a_proposal_waits_until_it_is_decided(cast: Cast) -> None:
    row = saved(cast.acme.id, at=NOON).row
    of: dict[str, Any] = {"organization_id": cast.acme.id, "rule_id": row.id, "why": WHY, **WHO}
    tiny, big = triage(use=(Use(model="tiny"),)), triage(use=(Use(model="big"),))
    first = services.propose_version(rule=tiny, **of)
    assert services.propose_version(rule=tiny, **of).id == first.id
    second = services.propose_version(rule=big, **of)
    assert [one.rule for one in told(cast.acme.id)] == [triage()]
    services.decide_proposal(number=first.number, accept=False, **of)
    accepted = services.decide_proposal(number=second.number, accept=True, **of)
    assert [(one.rule, one.version) for one in told(cast.acme.id)] == [(big, 3)]
    assert (accepted.decided_by, accepted.decided_why) == (HOUSE.reference, WHY)
    states = RuleVersion.objects.order_by("number").values_list("state", flat=True)
    assert list(states) == ["superseded", "refused", "in_force"]
    for number in (first.number, second.number):
        with pytest.raises(services.ProposalDecided):
            services.decide_proposal(number=number, accept=True, **of)
    with pytest.raises(NotFound):
        services.decide_proposal(number=9, accept=True, **of)
    with pytest.raises(RuleInvalid):
        services.propose_version(rule=big, **of)


def test_rules_are_asked_in_the_order_somebody_says(cast: Cast) -> None:
    ids = [saved(cast.acme.id, triage(name=name), at=NOON).row.id for name in ("one", "two", "three")]
    assert [one.rule.name for one in told(cast.acme.id)] == ["one", "two", "three"]
    services.reorder(organization_id=cast.acme.id, rule_ids=[ids[2], ids[0], ids[1]], **WHO)
    assert [one.rule.name for one in told(cast.acme.id)] == ["three", "one", "two"]
    moved = len([verb for verb, _ in trail() if verb == "routing_rule.moved"])
    assert moved == 3
    for wrong in (ids[:2], [*ids, ids[0]], [*ids[:2], 2**31 - 1]):
        with pytest.raises(RuleInvalid):
            services.reorder(organization_id=cast.acme.id, rule_ids=wrong, **WHO)


def test_two_rules_of_one_name_are_refused(cast: Cast) -> None:
    saved(cast.acme.id, at=NOON)
    other = saved(cast.acme.id, triage(name="other"), at=NOON).row
    with pytest.raises(services.RuleNameTaken):
        services.create_rule(organization_id=cast.acme.id, rule=triage(), why=WHY, **WHO)
    with pytest.raises(services.RuleNameTaken):
        saved(cast.acme.id, triage(), rule_id=other.id, at=NOON)
    renamed = saved(cast.acme.id, triage(name="renamed"), rule_id=other.id, at=NOON)
    # Whoever was drawn stays drawn.
    assert (renamed.row.name, renamed.row.salt) == ("renamed", "other")


def test_a_retired_rule_does_not_change(cast: Cast) -> None:
    row = saved(cast.acme.id, at=NOON).row
    services.retire(organization_id=cast.acme.id, rule_id=row.id, **WHO)
    of: dict[str, Any] = {"organization_id": cast.acme.id, "rule_id": row.id, **WHO}
    for act in (services.advance, services.pause, services.roll_back, services.switch_on):
        with pytest.raises(services.RuleRetired):
            act(**of)
    with pytest.raises(services.RuleRetired):
        saved(cast.acme.id, rule_id=row.id, at=NOON)


def test_another_organization_changes_nothing_here(cast: Cast) -> None:
    row = saved(cast.acme.id, at=NOON).row
    of: dict[str, Any] = {"organization_id": cast.globex.id, "rule_id": row.id, **WHO}
    for act in (services.advance, services.pause, services.roll_back, services.switch_off, services.retire):
        with pytest.raises(NotFound):
            act(**of)
    with pytest.raises(NotFound):
        selectors.rule(cast.globex.id, row.id)
    assert len(told(cast.acme.id)) == 1


def test_the_database_refuses_what_no_rule_is(cast: Cast) -> None:
    row = saved(cast.acme.id, at=NOON).row
    refused: list[dict[str, Any]] = [
        {"share": 1.1}, {"held_back": 0.6}, {"stage": "soon"}, {"state": "lost"}, {"name": "Two Words"},
    ]  # fmt: skip
    for wrong in refused:
        with pytest.raises(IntegrityError), transaction.atomic():
            RoutingRule.objects.filter(id=row.id).update(**wrong)
    other = saved(cast.acme.id, triage(name="other"), at=NOON).row
    with pytest.raises(IntegrityError), transaction.atomic():
        RoutingRule.objects.filter(id=other.id).update(name="triage")
    saved(cast.acme.id, triage(use=(Use(model="tiny"),)), at=NOON)
    with pytest.raises(IntegrityError), transaction.atomic():
        RuleVersion.objects.filter(rule=row).update(state="in_force")
