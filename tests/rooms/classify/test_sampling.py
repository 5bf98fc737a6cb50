"""Features of calls that pass: kept by lot, made labels of, held against guesses, and gone when nobody wants them."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from finops.alerts.models import Incident
from finops.alerts.services.signals import take_signals
from finops.audit.models import AuditEvent, Signal
from routing.classify import rules, selectors, services, tasks
from routing.classify import store as module
from routing.classify.hot import Classifier, draw_of, features, signs
from routing.classify.models import ConfusedDay, LabelledCall, SampledCall, TrainedClassifier
from routing.classify.packed import drawn_with, pack
from routing.classify.rules import Label, SamplingInvalid
from routing.classify.services import DRIFTING, change_sampling, label_calls, take_sampled, train
from routing.classify.store import DAY_FULL, STORED, SWITCHED_OFF, Row, Stored, store
from routing.classify.types import SAMPLING, Source
from tests.factories.classify import WORK, labelled, labels, prompt
from tests.factories.orgs import HOUSE, NOON, Cast

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}
DAY = NOON.date()
LATER = NOON + timedelta(days=1)


def wire() -> psycopg.Connection[Any]:
    """As a gateway has it, here within the test's transaction."""
    connection.ensure_connection()
    inner: psycopg.Connection[Any] = connection.connection
    return inner


def row(call_id: str, task_type: str = "triage", text: str = "a ticket of a customer", **given: Any) -> Row:
    packed = pack(signs(features(text)))
    usual: dict[str, Any] = {
        "at": NOON, "day": DAY, "source": "header" if task_type else "", "draw": draw_of(call_id),
        "session": drawn_with(1, call_id), "words": packed.words, "marks": packed.marks, "chances": {},
        "foreseen_by": 0,
    }  # fmt: skip
    return Row(call_id=call_id, task_type=task_type, **usual | given)


def put(cast: Cast, *rows: Row) -> Stored:
    return store(wire(), cast.acme.id, DAY, rows)


def work(number: int, *, seed: int = 1, wrong: float = 0.0) -> list[Row]:
    """So many calls of made-up kinds of work, two of a session; a share of them is called otherwise than it is."""
    draw = random.Random(seed)
    found = []
    for one in labels(number // len(WORK), seed=seed, before="s"):
        said = "triage" if draw.random() < wrong else one.task_type
        packed = pack(one.signs)
        shared = drawn_with(1, one.session)
        found.append(row(one.call_id, said, session=shared, words=packed.words, marks=packed.marks))
    return found


def test_of_a_type_and_a_day_the_lowest_draws_are_kept_however_they_come(cast: Cast) -> None:
    """So that a call of the morning at one gateway is as likely to be kept as one of the evening at another."""
    change_sampling(organization_id=cast.acme.id, changes={"most_a_day": 5}, **WHO)
    calls = [f"c{number}" for number in range(40)]
    lowest = sorted(calls, key=draw_of)[:5]
    random.Random(3).shuffle(calls)
    said = [put(cast, *(row(one) for one in calls[start : start + 8])) for start in range(0, 40, 8)]
    assert sorted(SampledCall.objects.values_list("call_id", flat=True)) == sorted(lowest)
    assert said[-1].full == {"triage": max(map(draw_of, lowest))}
    # Of another type and of another day there is room of its own.
    assert put(cast, row("d1", "translate")).full == {}
    next_day = row("d2", day=LATER.date(), at=LATER)
    assert store(wire(), cast.acme.id, LATER.date(), [next_day]).counts[STORED] == 1
    assert SampledCall.objects.count() == 7


def test_a_call_is_kept_once_and_a_day_has_an_end(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    put(cast, row("c1"))
    put(cast, row("c1", "translate"))
    assert [one.task_type for one in SampledCall.objects.all()] == ["triage"]
    monkeypatch.setattr(module, "MOST_OF_A_DAY", 3)
    # Types are strangers' words: a new one in each call makes no more rows.
    many = put(cast, *(row(f"d{number}", f"type {number}") for number in range(10)))
    assert many.counts == {STORED: 2, DAY_FULL: 8}
    assert SampledCall.objects.count() == 3


def test_what_is_switched_off_is_gone_and_nothing_comes_after(cast: Cast) -> None:
    put(cast, row("c1"), row("c2", ""))
    take_sampled(**WHO)
    label_calls(organization_id=cast.acme.id, labels=[Label("c9", "triage", signs(features("one")))], **WHO)
    store(wire(), cast.globex.id, DAY, [row("c1")])
    said = change_sampling(organization_id=cast.acme.id, changes={"is_on": False}, **WHO)
    assert (said.is_on, selectors.sampling(cast.acme.id)) == (False, said)
    assert SampledCall.objects.filter(organization=cast.acme).count() == 0
    # What somebody labelled one by one was never of a call that passed.
    assert [one.call_id for one in LabelledCall.objects.filter(organization=cast.acme)] == ["c9"]
    assert put(cast, row("c3")).counts == {SWITCHED_OFF: 1}
    event = AuditEvent.objects.get(verb="sampling.changed")
    assert event.details == {"is_on": [True, False], "deleted": 2, "labels_deleted": 1}
    assert SampledCall.objects.filter(organization=cast.globex).count() == 1
    # Said again, nothing changes; on again, it begins anew.
    change_sampling(organization_id=cast.acme.id, changes={"is_on": False}, **WHO)
    assert AuditEvent.objects.filter(verb="sampling.changed").count() == 1
    change_sampling(organization_id=cast.acme.id, changes={"is_on": True}, **WHO)
    assert put(cast, row("c3")).counts[STORED] == 1


@pytest.mark.parametrize("most", [0, rules.MOST_A_DAY + 1])
def test_how_many_a_day_has_bounds(cast: Cast, most: int) -> None:
    with pytest.raises(SamplingInvalid) as refused:
        change_sampling(organization_id=cast.acme.id, changes={"most_a_day": most}, **WHO)
    assert refused.value.field == "most_a_day"
    assert selectors.sampling(cast.acme.id) == SAMPLING


def test_calls_that_said_their_type_become_labels_once(cast: Cast) -> None:
    put(cast, row("c1"), row("c2", "translate", source="key"), row("c3", ""))
    assert take_sampled(**WHO) == 2
    assert take_sampled(**WHO) == 0
    kept = {one.call_id: one for one in LabelledCall.objects.all()}
    assert {name: (one.task_type, one.source) for name, one in kept.items()} == {
        "c1": ("triage", "header"), "c2": ("translate", "key"),
    }  # fmt: skip
    sample = SampledCall.objects.get(call_id="c1")
    assert [bytes(getattr(kept["c1"], name)) for name in ("words", "marks", "session")] == [
        bytes(getattr(sample, name)) for name in ("words", "marks", "session")
    ]
    [counts] = [one for one in selectors.task_types(cast.acme.id) if one.task_type == "triage"]
    assert (counts.labelled, counts.by_source) == (1, {"header": 1})
    # Calls are facts: no line in the trail for each.
    assert not AuditEvent.objects.filter(verb="task_types.labelled").exists()


def test_whoever_labels_a_call_by_rest_knows_better_than_its_header(cast: Cast) -> None:
    said = Label("c1", "summarize", signs(features("one")))
    label_calls(organization_id=cast.acme.id, labels=[said], **WHO)
    put(cast, row("c1"), row("c2"))
    take_sampled(**WHO)
    assert {one.call_id: one.task_type for one in LabelledCall.objects.all()} == {"c1": "summarize", "c2": "triage"}


@pytest.mark.parametrize("odd", ["unknown", "two\nlines", "\x07"])
def test_a_type_that_is_none_is_no_label_and_nothing_waits_for_it(cast: Cast, odd: str) -> None:
    put(cast, row("c1", odd), row("c2"))
    assert take_sampled(**WHO) == 2
    assert [one.call_id for one in LabelledCall.objects.all()] == ["c2"]
    assert take_sampled(**WHO) == 0


def test_types_beyond_what_there_may_be_are_no_labels(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_LABELLED_TYPES", 2)
    put(cast, *(row(f"c{number}", f"type {number}") for number in range(5)))
    take_sampled(**WHO)
    assert len(selectors.task_types(cast.acme.id)) == 2
    assert not selectors.with_untaken()


def test_labels_said_one_by_one_are_not_crowded_out_by_traffic(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_PER_TYPE", 6)
    mine = [Label(f"r{number}", "triage", signs(features("one"))) for number in range(5)]
    label_calls(organization_id=cast.acme.id, labels=mine, **WHO)
    put(cast, *(row(f"c{number}") for number in range(20)))
    take_sampled(by=HOUSE, at=LATER)
    sources = [one.source for one in LabelledCall.objects.all()]
    assert (len(sources), sources.count(Source.API)) == (6, 3)


def test_a_classifier_is_learned_from_traffic_alone(cast: Cast) -> None:
    put(cast, *work(160))
    take_sampled(**WHO)
    train(organization_id=cast.acme.id, **WHO)
    published = selectors.published(cast.acme.id)
    assert published is not None
    guess = Classifier.of(published).guess(features(prompt("translate", random.Random(6), about=0.8)))
    assert guess.task_type == "translate"


def trained(cast: Cast) -> TrainedClassifier:
    labelled(cast.acme.id, labels(40), at=NOON)
    return train(organization_id=cast.acme.id, **WHO)


def test_guesses_of_calls_that_said_their_type_are_kept_by_day(cast: Cast) -> None:
    trained(cast)
    put(cast, *work(160, seed=2))
    take_sampled(by=HOUSE, at=LATER)
    put(cast, *work(80, seed=3))
    take_sampled(by=HOUSE, at=LATER + timedelta(days=1))
    found = selectors.confused(cast.acme.id, LATER + timedelta(days=1))
    assert [(one.day, one.calls) for one in found.days] == [
        (LATER.date(), 160), ((LATER + timedelta(days=1)).date(), 80),
    ]  # fmt: skip
    assert sum(one.number for one in found.pairs) == 240
    right = sum(one.number for one in found.pairs if one.guessed == one.task_type)
    assert right == sum(one.right for one in found.days)
    named = sum(one.number for one in found.pairs if one.guessed)
    assert named == sum(one.named for one in found.days)
    assert right / named > 0.85
    assert not Signal.objects.filter(kind=DRIFTING).exists()
    # Days long ago are neither told nor kept.
    assert selectors.confused(cast.acme.id, LATER + timedelta(days=40)).pairs == []
    first = ConfusedDay.objects.filter(day=LATER.date()).count()
    assert services.forget_confused(at=LATER + rules.CONFUSED_FOR + timedelta(days=1)) == first
    assert set(ConfusedDay.objects.values_list("day", flat=True)) == {(LATER + timedelta(days=1)).date()}


def test_drift_is_an_incident_that_another_classifier_ends(cast: Cast) -> None:
    """The work is called otherwise since: half of it goes by another name."""
    trained(cast)
    put(cast, *work(200, seed=2, wrong=0.5))
    take_sampled(by=HOUSE, at=LATER)
    take_signals(at=LATER)
    incident = Incident.objects.get(kind=DRIFTING)
    assert (incident.key, incident.resolved_at) == ("classifier:1", None)
    assert "were to be expected" in incident.details["reason"]
    # A week later it still does: it is seen again, and no other incident.
    week = LATER + timedelta(days=7)
    put(cast, *work(200, seed=3, wrong=0.5))
    take_sampled(by=HOUSE, at=week)
    take_signals(at=week)
    incident.refresh_from_db()
    assert (Incident.objects.filter(kind=DRIFTING).count(), incident.resolved_at) == (1, None)
    assert incident.count > 1
    assert AuditEvent.objects.filter(verb=DRIFTING).count() == 1
    # Learned anew, of labels that are right.
    LabelledCall.objects.all().delete()
    labelled(cast.acme.id, labels(60, seed=9), at=week)
    train(organization_id=cast.acme.id, by=HOUSE, at=week)
    take_signals(at=week)
    incident.refresh_from_db()
    assert incident.resolved_at == week


def test_what_is_over_is_forgotten_and_so_is_what_is_too_much(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    put(cast, *(row(f"c{number}", at=NOON + timedelta(minutes=number)) for number in range(6)))
    monkeypatch.setattr(rules, "MOST_SAMPLED", 4)
    assert services.forget_sampled(at=NOON) == 2
    assert sorted(SampledCall.objects.values_list("call_id", flat=True)) == ["c2", "c3", "c4", "c5"]
    assert services.forget_sampled(at=NOON + rules.SAMPLED_FOR + timedelta(minutes=3)) == 2
    assert sorted(SampledCall.objects.values_list("call_id", flat=True)) == ["c4", "c5"]


def test_every_minute_labels_are_taken_and_what_is_over_goes(cast: Cast) -> None:
    now = timezone.now()
    store(wire(), cast.acme.id, now.date(), [row("c1", at=now, day=now.date())])
    put(cast, row("old", at=now - rules.SAMPLED_FOR - timedelta(days=1)))
    tasks.take_sampled()
    assert [one.call_id for one in SampledCall.objects.all()] == ["c1"]
    assert {one.call_id for one in LabelledCall.objects.all()} == {"c1", "old"}


def test_two_hundred_calls_take_few_statements(cast: Cast) -> None:
    trained(cast)
    put(cast, *work(200, seed=4))
    with CaptureQueriesContext(connection) as few:
        take_sampled(by=HOUSE, at=LATER)
    assert len(few) <= 40
    with CaptureQueriesContext(connection) as read:
        selectors.confused(cast.acme.id, LATER)
    assert len(read) == 2


def test_the_database_refuses_what_cannot_be(cast: Cast) -> None:
    put(cast, row("c1"))
    own = trained(cast)
    wrong: list[dict[str, Any]] = [
        {"source": ""},
        {"task_type": ""},
        {"source": "", "task_type": "", "is_taken": False},
    ]
    for one in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            SampledCall.objects.filter(call_id="c1").update(**one)
    with pytest.raises(IntegrityError), transaction.atomic():
        ConfusedDay.objects.create(organization=cast.globex, classifier=own, day=DAY, task_type="a", number=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        ConfusedDay.objects.create(organization=cast.acme, classifier=own, day=DAY, task_type="a", number=0)
    # The same call of another organization is another call.
    assert store(wire(), cast.globex.id, DAY, [row("c1")]).counts[STORED] == 1
