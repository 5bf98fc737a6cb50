"""What the house does by itself, for every organization that has anything to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from finops.config.celery import app
from routing.rollouts import tasks
from routing.rollouts.models import Rollout
from routing.rules import services as routing
from tests.factories.orgs import HOUSE, Cast
from tests.factories.rollouts import rolling


@pytest.fixture
def _at_once() -> Iterator[None]:
    app.conf.update(task_always_eager=True)
    yield
    app.conf.update(task_always_eager=False)


@pytest.mark.usefixtures("_at_once")
def test_rules_of_all_organizations_are_followed_and_measured(cast: Cast) -> None:
    now = timezone.now() - timedelta(minutes=5)
    mine = rolling(cast.acme.id, at=now)
    rolling(cast.globex.id, at=now, stage="full", held_back=0.0)
    tasks.follow()
    assert [row.rule_id for row in Rollout.objects.all()] == [mine.id]
    # What is retired is followed to its end, once.
    routing.retire(organization_id=cast.acme.id, rule_id=mine.id, by=HOUSE, at=now)
    for _ in range(2):
        tasks.follow()
        tasks.measure()
    assert Rollout.objects.get().state == "finished"


def test_both_are_on_the_schedule() -> None:
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert {tasks.follow.name, tasks.measure.name} <= scheduled
