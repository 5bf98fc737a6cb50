"""Decisions as gateways keep them: each once, and no longer than is promised."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from routing.rules import selectors, services
from routing.rules.models import Decision
from routing.rules.services import keeping
from routing.rules.store import Row, store
from routing.rules.tasks import forget_decisions as task
from tests.factories.orgs import NOON, Cast
from tests.factories.rules import decision, old


def row(organization_id: int, call_id: str, **given: Any) -> Row:
    usual: dict[str, Any] = {
        "at": NOON, "rule_id": 3, "rule_version": 2, "arm": "treated", "propensity": 0.95, "asked": "frontier",
        "chosen": "small",
    }  # fmt: skip
    return Row(organization_id, call_id, **usual | given)


def wire() -> psycopg.Connection[Any]:
    """As a gateway has it, here within the test's transaction."""
    connection.ensure_connection()
    inner: psycopg.Connection[Any] = connection.connection
    return inner


def test_each_call_is_kept_once_as_it_was_decided(cast: Cast) -> None:
    first = row(
        cast.acme.id, "c1", session="s", confidence=0.8, team_id=cast.search.id, tokens=2**40,
        passed_over=(("frontier", "dearer"),),
    )  # fmt: skip
    assert store(wire(), [first, row(cast.globex.id, "c1"), row(cast.acme.id, "c2")]) == 3
    assert store(wire(), [row(cast.acme.id, "c1", chosen="other"), row(cast.acme.id, "c3")]) == 1
    kept = Decision.objects.get(organization=cast.acme, call_id="c1")
    assert (kept.chosen, kept.session, kept.confidence, kept.team_id, kept.tokens, kept.passed_over) == (
        "small", "s", 0.8, cast.search.id, 2**40, [["frontier", "dearer"]],
    )  # fmt: skip
    assert kept.at == NOON
    assert store(wire(), []) == 0


def test_more_than_one_statement_takes_are_kept_all_the_same(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routing.rules.store.AT_ONCE", 2)
    assert store(wire(), [row(cast.acme.id, f"c{number}") for number in range(5)]) == 5


def test_strangers_words_make_nothing_fail(cast: Cast) -> None:
    odd = "\0\ud800é" + "x" * 1_000
    store(wire(), [row(cast.acme.id, "c1", asked=odd, session=odd, why=odd, task_type=odd, passed_over=((odd, odd),))])
    kept = Decision.objects.get()
    assert (kept.asked[:2], len(kept.asked), len(kept.session), len(kept.why)) == ("éx", 200, 300, 500)
    assert len(kept.passed_over[0][1]) == 200


def test_one_that_cannot_be_and_none_is_kept(cast: Cast) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        store(wire(), [row(cast.acme.id, "c1"), row(cast.acme.id, "c2", propensity=1.5)])
    assert not Decision.objects.exists()


def test_lists_are_newest_first_and_within_reach(cast: Cast) -> None:
    decision(cast.acme.id, "c1", at=NOON, team_id=cast.search.id)
    decision(cast.acme.id, "c2", at=NOON, rule_id=2, arm="held_back", propensity=0.05, team_id=cast.chat.id)
    decision(cast.globex.id, "c3", at=NOON)

    def seen(**given: Any) -> list[str]:
        given = {"reach": {}} | given
        return [one.call_id for one in selectors.decisions(cast.acme.id, **given)]

    assert seen() == ["c2", "c1"]
    assert (seen(rule_id=2), seen(arm="treated"), seen(call_id="c2")) == (["c2"], ["c1"], ["c2"])
    assert seen(reach={"team": frozenset({cast.search.id})}) == ["c1"]
    assert seen(reach={"person": frozenset({cast.bob.id})}) == []


def test_what_is_over_is_deleted_little_by_little(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    for number in range(5):
        decision(cast.acme.id, f"old{number}", at=old(now))
    decision(cast.globex.id, "young", at=now)
    monkeypatch.setattr(keeping, "AT_ONCE", 2)
    monkeypatch.setattr(keeping, "MOST_A_RUN", 4)
    assert services.forget_decisions(at=now) == 4
    task(unknown="argument")
    assert [one.call_id for one in Decision.objects.all()] == ["young"]


def test_the_database_refuses_what_no_decision_is(cast: Cast) -> None:
    kept = decision(cast.acme.id, "c1", at=NOON)
    for wrong in ({"propensity": 0}, {"propensity": 1.1}, {"arm": "lost"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Decision.objects.filter(id=kept.id).update(**wrong)
    with pytest.raises(IntegrityError), transaction.atomic():
        decision(cast.acme.id, "c1", at=NOON)
