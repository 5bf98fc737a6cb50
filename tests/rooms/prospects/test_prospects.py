"""How likely models do calls well: learned from what calls came to, told of calls, and held against what came since."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from finops.audit.models import AuditEvent
from routing.classify.hot import Prospects, features
from routing.classify.models import SampledCall
from routing.configuration import services as configuration
from routing.configuration import wire as published_wire
from routing.configuration.models import Published
from routing.evidence.models import Evaluation
from routing.evidence.services import withdraw_evaluation
from routing.prospects import rules, selectors, services, tasks
from routing.prospects.models import TrainedProspects
from routing.prospects.rules import CannotForesee, LightBy
from tests.factories.evidence import outcome, recorded
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.factories.prospects import CHANCES, foreseen, published_prospects, tried

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}
LATER = NOON + timedelta(days=1)
EASY = features("an urgent ticket of a customer, escalate the complaint and refund")
HARD = features("find the caller of the function in the module of the repository")


def by_model(row: TrainedProspects) -> dict[str, dict[str, Any]]:
    return {one["model"]: one for one in row.figures}


def test_what_calls_came_to_says_what_models_are_good_for(cast: Cast) -> None:
    row = published_prospects(cast.acme.id, at=NOON)
    assert (row.version, row.calls, row.outcomes, row.light, row.light_by) == (1, 400, 400, "gpt-mini", "cost")
    figures = by_model(row)
    assert {name: one["calls"] for name, one in figures.items()} == {"gpt": 200, "gpt-mini": 200}
    light = figures["gpt-mini"]
    assert (light["gain"] > 0.1, light["is_off"], light["flat"], light["drawn"]) == (True, False, False, 0)
    assert sum(one["number"] for one in light["bins"]) == 200
    easy, hard = foreseen(cast.acme.id, EASY), foreseen(cast.acme.id, HARD)
    assert easy.chances["gpt-mini"] > 0.75 > 0.5 > hard.chances["gpt-mini"]
    assert hard.chances["gpt"] > hard.chances["gpt-mini"]
    assert easy.difficulty < 0.25 < 0.5 < hard.difficulty
    assert AuditEvent.objects.get(verb="prospects.learned").details == {"models": 2, "calls": 400, "off": []}
    assert selectors.published(cast.globex.id) is None


def test_gateways_are_told_within_the_next_publication(cast: Cast) -> None:
    configuration.publish_changes(NOON)
    published_prospects(cast.acme.id, at=NOON)
    assert cast.acme.id in configuration.publish_changes(LATER)
    body = bytes(Published.objects.get(organization_id=cast.acme.id).body)
    found = published_wire.decode_organization(body)
    assert found.prospects is not None
    assert Prospects(found.prospects).foresee(HARD) == foreseen(cast.acme.id, HARD)


def test_without_costs_the_light_one_is_who_does_fewest_well(cast: Cast) -> None:
    tried(cast.acme.id, at=NOON, costs={})
    assert services.learn(organization_id=cast.acme.id, **WHO).light_by == LightBy.QUALITY
    # What is dear and bad is not light where costs are known.
    tried(cast.globex.id, at=NOON, costs={"gpt-mini": "0.5", "gpt": "0.01"})
    assert services.learn(organization_id=cast.globex.id, **WHO).light == "gpt"


def test_a_replay_of_the_same_calls_with_another_model_counts_too(cast: Cast) -> None:
    """Its items are the calls: drawn for all models alike."""
    calls = tried(cast.acme.id, 120, at=NOON, chances={"gpt": CHANCES["gpt"]})
    replayed = [outcome(call, "small", float(place % 2), task_type="triage") for place, call in enumerate(calls)]
    recorded(cast.acme.id, replayed, at=NOON)
    figures = by_model(services.learn(organization_id=cast.acme.id, **WHO))
    assert (figures["small"]["calls"], figures["small"]["drawn"], figures["gpt"]["drawn"]) == (120, 120, 0)


def test_with_too_little_nothing_is_learned_and_what_was_in_force_stays(cast: Cast) -> None:
    with pytest.raises(CannotForesee, match="there are 0"):
        services.learn(organization_id=cast.acme.id, **WHO)
    assert services.follow(organization_id=cast.acme.id, **WHO) is None
    tried(cast.acme.id, 70, at=NOON)
    with pytest.raises(CannotForesee, match=r"40 outcomes of one model.* there are 35"):
        services.learn(organization_id=cast.acme.id, **WHO)
    row = published_prospects(cast.acme.id, at=NOON)
    SampledCall.objects.all().delete()
    with pytest.raises(CannotForesee):
        services.learn(organization_id=cast.acme.id, **WHO)
    found = selectors.in_force(cast.acme.id)
    assert found is not None
    assert found.id == row.id


def test_what_is_withdrawn_teaches_nothing(cast: Cast) -> None:
    tried(cast.acme.id, at=NOON)
    row = Evaluation.objects.get()
    withdraw_evaluation(organization_id=cast.acme.id, evaluation_id=row.id, because="A bug.", **WHO)
    assert selectors.came(cast.acme.id) == []


def test_of_many_models_those_with_most_outcomes(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_MODELS", 2)
    calls = tried(cast.acme.id, 100, at=NOON, chances={"gpt": CHANCES["gpt"]})
    for number, name in ((60, "b"), (50, "a")):
        recorded(cast.acme.id, [outcome(one, name, 1.0) for one in calls[:number]], at=NOON, name=name)
    assert set(by_model(services.learn(organization_id=cast.acme.id, **WHO))) == {"gpt", "b"}


def test_what_was_foreseen_is_held_against_what_calls_came_to(cast: Cast) -> None:
    """First as it was learned; then the light model has become worse, and nobody has learned it."""
    published_prospects(cast.acme.id, at=NOON)
    tried(cast.acme.id, 44, at=LATER, seed=2)
    assert services.follow(organization_id=cast.acme.id, by=HOUSE, at=LATER) is not None
    row = TrainedProspects.objects.get(version=1)
    since = {one["model"]: one for one in row.since}
    assert (since["gpt-mini"]["calls"], since["gpt-mini"]["is_off"], row.since_at) == (22, False, LATER)
    # As few of a model as say nothing are not told.
    assert set(since) == {"gpt", "gpt-mini"}
    worse = {"gpt-mini": dict.fromkeys(CHANCES["gpt-mini"], 0.2), "gpt": CHANCES["gpt"]}
    tried(cast.acme.id, 48, at=LATER, seed=3, chances=worse)
    tried(cast.acme.id, 400, at=LATER, seed=4, chances=worse, name="later")
    services.follow(organization_id=cast.acme.id, by=HOUSE, at=LATER)
    since = {one["model"]: one for one in TrainedProspects.objects.get(version=2).since}
    assert since["gpt-mini"]["is_off"]
    assert since["gpt-mini"]["error"] > 0.2
    assert not since["gpt"]["is_off"]


def test_it_learns_again_where_there_is_enough_more(cast: Cast) -> None:
    published_prospects(cast.acme.id, at=NOON)
    soon = NOON + timedelta(hours=1)
    tried(cast.acme.id, 30, at=soon, seed=2)
    assert services.follow(organization_id=cast.acme.id, by=HOUSE, at=soon) is None
    tried(cast.acme.id, 30, at=soon, seed=3)
    row = services.follow(organization_id=cast.acme.id, by=HOUSE, at=soon)
    assert row is not None
    assert (row.version, row.outcomes) == (2, 460)
    assert [one.is_in_force for one in selectors.versions(cast.acme.id)] == [True, False]
    # A day later anything new is enough, and without it nothing is learned twice.
    day = soon + rules.RENEWED_AFTER
    assert services.follow(organization_id=cast.acme.id, by=HOUSE, at=day) is None
    tried(cast.acme.id, 5, at=day, seed=4)
    assert services.follow(organization_id=cast.acme.id, by=HOUSE, at=day) is not None


def test_of_many_calls_the_newest_are_learned_from_and_not_again_and_again(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MOST_CALLS", 150)
    tried(cast.acme.id, at=NOON)
    row = services.follow(organization_id=cast.acme.id, **WHO)
    assert row is not None
    assert (row.calls, row.outcomes) == (150, 150)
    assert services.follow(organization_id=cast.acme.id, by=HOUSE, at=LATER + timedelta(days=3)) is None


def test_old_versions_are_forgotten(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_VERSIONS", 2)
    published_prospects(cast.acme.id, at=NOON)
    for _ in range(2):
        services.learn(organization_id=cast.acme.id, **WHO)
    assert [one.version for one in selectors.versions(cast.acme.id)] == [3, 2]


def test_the_schedule_queues_whoever_has_calls(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    tried(cast.globex.id, at=NOON)
    queued: list[int] = []
    monkeypatch.setattr(tasks.follow_one, "apply_async", lambda kwargs, **_: queued.append(kwargs["organization_id"]))
    tasks.follow()
    assert queued == [cast.globex.id]
    tasks.follow_one(organization_id=cast.globex.id)
    assert selectors.in_force(cast.globex.id) is not None


def test_reads_take_as_many_queries_however_much_there_is(cast: Cast) -> None:
    published_prospects(cast.acme.id, at=NOON)
    with CaptureQueriesContext(connection) as few:
        selectors.in_force(cast.acme.id)
        selectors.came(cast.acme.id)
    assert len(few) == 2
    assert '"body"' not in few.captured_queries[0]["sql"]


def test_the_database_refuses_what_cannot_be(cast: Cast) -> None:
    row = published_prospects(cast.acme.id, at=NOON)
    wrong: list[dict[str, Any]] = [{"light_by": "luck"}, {"calls": 0}, {"calls": row.outcomes + 1}]
    for one in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            TrainedProspects.objects.filter(id=row.id).update(**one)
    services.learn(organization_id=cast.acme.id, **WHO)
    with pytest.raises(IntegrityError), transaction.atomic():
        TrainedProspects.objects.filter(id=row.id).update(is_in_force=True)
