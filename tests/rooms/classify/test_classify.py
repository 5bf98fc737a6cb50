"""Labels taken, learned from, watched and forgotten: what the database has of calls' kinds of work."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from finops.audit.models import AuditEvent, Signal
from finops.jobs import services as jobs
from finops.jobs.models import Job
from routing.classify import rules, selectors, services, tasks
from routing.classify.hot import Classifier, features, signs
from routing.classify.models import LabelledCall, TrainedClassifier, Watched
from routing.classify.rules import CannotLearn, Label, LabelInvalid
from routing.classify.services import DRIFTING, Taken, label_calls, open_training, train
from routing.classify.types import Source
from tests.factories.classify import labelled, labels, prompt
from tests.factories.orgs import HOUSE, NOON, Cast

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}
LATER = NOON + timedelta(days=1)


def label(call_id: str, task_type: str, text: str = "a ticket of a customer", **given: Any) -> Label:
    return Label(call_id, task_type, signs(features(text)), **given)


def say(cast: Cast, *given: Label) -> Taken:
    return label_calls(organization_id=cast.acme.id, labels=given, **WHO)


def types(cast: Cast) -> dict[str, int]:
    return {one.task_type: one.labelled for one in selectors.task_types(cast.acme.id)}


def verbs() -> list[str]:
    return list(AuditEvent.objects.filter(subject_kind="classifier").order_by("id").values_list("verb", flat=True))


def test_a_call_has_one_label_and_said_again_nothing_changes(cast: Cast) -> None:
    assert say(cast, label("c1", "triage"), label("c2", " translate ")) == Taken(new=2)
    assert say(cast, label("c1", "triage"), label("c2", "translate")) == Taken(same=2)
    assert say(cast, label("c1", "summarize"), label("c3", "triage")) == Taken(new=1, changed=1)
    assert types(cast) == {"summarize": 1, "translate": 1, "triage": 1}
    assert verbs() == ["task_types.labelled"] * 2
    assert AuditEvent.objects.latest("id").details["task_types"] == {"triage": 1, "summarize": 1}


def test_no_word_of_a_call_is_in_any_row_or_trail(cast: Cast) -> None:
    say(cast, label("c1", "triage", "Zzyzx merger with Initech", session="meeting with Initech"))
    train_on(cast)
    for table in ("classify_labelledcall", "classify_trainedclassifier", "audit_auditevent"):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT string_agg(t::text, ' ') FROM {table} t")
            said = cursor.fetchone()[0].lower()
        assert "zzyzx" not in said
        assert "initech" not in said
        assert b"Initech".hex() not in said


def test_whose_word_counts_more_stays(cast: Cast) -> None:
    assert say(cast, label("c1", "triage", source=Source.HEADER)) == Taken(new=1)
    assert say(cast, label("c1", "translate", source=Source.KEY)) == Taken(kept=1)
    assert types(cast) == {"triage": 1}
    assert say(cast, label("c1", "triage", source=Source.API)) == Taken(same=1)
    assert say(cast, label("c1", "translate", source=Source.HEADER)) == Taken(kept=1)
    assert say(cast, label("c1", "translate", source=Source.API)) == Taken(changed=1)
    assert types(cast) == {"translate": 1}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (label("c2", ""), "labels[1].task_type"),
        (label("c2", "x" * 201), "labels[1].task_type"),
        (label("c2", "two\nlines"), "labels[1].task_type"),
        (label("c2", "Unknown"), "labels[1].task_type"),
        (label("", "triage"), "labels[1].call_id"),
        (label("c1", "triage"), "labels[1].call_id"),
        (label("c2", "triage", session="x" * 201), "labels[1].session"),
        (label("c2", "triage")._replace(signs=signs(features(""))._replace(words={-1: 1})), "labels[1].features"),
        (label("c2", "triage")._replace(signs=signs(features(""))._replace(marks=(1,))), "labels[1].features"),
    ],
)
def test_one_that_cannot_be_is_named_and_then_none_is_taken(cast: Cast, wrong: Label, field: str) -> None:
    with pytest.raises(LabelInvalid) as refused:
        say(cast, label("c1", "triage"), wrong)
    assert refused.value.field == field
    assert types(cast) == {}
    with pytest.raises(LabelInvalid):
        say(cast, *[label(f"c{number}", "triage") for number in range(201)])


def test_of_each_type_only_the_newest_are_kept(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_PER_TYPE", 3)
    for number in range(5):
        at = NOON + timedelta(minutes=number)
        label_calls(
            organization_id=cast.acme.id,
            labels=[label(f"c{number}", "triage"), label(f"d{number}", ("translate", "summarize")[number % 2])],
            by=HOUSE,
            at=at,
        )
    assert types(cast) == {"summarize": 2, "translate": 3, "triage": 3}
    kept = LabelledCall.objects.filter(task_type="triage").order_by("call_id").values_list("call_id", flat=True)
    assert list(kept) == ["c2", "c3", "c4"]


def test_there_is_an_end_of_task_types(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_LABELLED_TYPES", 2)
    say(cast, label("c1", "triage"), label("c2", "translate"))
    with pytest.raises(LabelInvalid, match="at most 2 task types"):
        say(cast, label("c3", "summarize"))
    assert say(cast, label("c3", "triage")) == Taken(new=1)


def train_on(cast: Cast, each: int = 40) -> TrainedClassifier:
    labelled(cast.acme.id, labels(each), at=NOON)
    return train(organization_id=cast.acme.id, **WHO)


def test_what_was_learned_is_in_force_with_its_figures(cast: Cast) -> None:
    row = train_on(cast)
    found = selectors.in_force(cast.acme.id)
    assert found is not None
    assert (found.id, found.version, found.labelled, found.calls) == (row.id, 1, 160, 160)
    assert found.task_types == ["code-search", "summarize", "translate", "triage"]
    assert found.least_right >= 0.9
    assert sum(one["number"] for one in found.confused) == 160
    published = selectors.published(cast.acme.id)
    assert published is not None
    assert Classifier.of(published).guess(features(prompt("triage", random.Random(4), about=0.8))).task_type == "triage"
    assert selectors.published(cast.globex.id) is None
    assert verbs()[-1] == "classifier.trained"
    again = train(organization_id=cast.acme.id, **WHO)
    assert (again.version, again.body == row.body) == (2, False)
    assert [one.version for one in selectors.classifiers(cast.acme.id)] == [2, 1]
    assert TrainedClassifier.objects.get(is_in_force=True).version == 2


def test_what_cannot_be_learned_leaves_what_was_in_force(cast: Cast) -> None:
    with pytest.raises(CannotLearn):
        train(organization_id=cast.acme.id, **WHO)
    row = train_on(cast)
    LabelledCall.objects.filter(organization=cast.acme).delete()
    with pytest.raises(CannotLearn):
        train(organization_id=cast.acme.id, **WHO)
    found = selectors.in_force(cast.acme.id)
    assert found is not None
    assert found.id == row.id


def test_old_versions_are_forgotten(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_VERSIONS", 2)
    train_on(cast, 20)
    for _ in range(2):
        train(organization_id=cast.acme.id, **WHO)
    assert [one.version for one in selectors.classifiers(cast.acme.id)] == [3, 2]


def wrongly(given: list[Label], share: float) -> list[Label]:
    """Labels as they would come were the work called otherwise since."""
    draw = random.Random(1)
    return [one._replace(task_type="triage") if draw.random() < share else one for one in given]


def test_calls_that_come_with_a_label_are_held_against_the_guess(cast: Cast) -> None:
    row = train_on(cast)
    assert selectors.since(cast.acme.id, row.id) == (0, 0, 0)
    labelled(cast.acme.id, labels(40, seed=2), at=LATER)
    since = selectors.since(cast.acme.id, row.id)
    assert (since.calls, since.named >= 100, since.right / since.named > 0.85) == (160, True, True)
    # Said again, they are not counted again.
    labelled(cast.acme.id, labels(40, seed=2), at=LATER)
    assert selectors.since(cast.acme.id, row.id) == since
    watched = Watched.objects.get()
    assert (watched.week.isoformat(), watched.calls) == ("2026-09-28", 160)
    assert not Signal.objects.filter(kind=DRIFTING).exists()
    assert TrainedClassifier.objects.get().drifting_at is None


def test_one_that_names_calls_worse_than_was_measured_is_said_to_drift_once(cast: Cast) -> None:
    row = train_on(cast)
    labelled(cast.acme.id, wrongly(labels(50, seed=2), 0.4), at=LATER)
    labelled(cast.acme.id, wrongly(labels(50, seed=3), 0.4), at=LATER)
    [signal] = Signal.objects.filter(kind=DRIFTING)
    assert (signal.key, signal.details["version"]) == ("classifier:1", 1)
    assert TrainedClassifier.objects.get(id=row.id).drifting_at == LATER
    assert verbs().count(DRIFTING) == 1
    # What is learned anew, from labels that are right again, does not.
    labelled(cast.acme.id, labels(400, seed=5), at=LATER)
    assert train(organization_id=cast.acme.id, by=HOUSE, at=LATER).drifting_at is None


def test_a_type_that_it_never_learned_is_a_wrong_guess_too(cast: Cast) -> None:
    train_on(cast)
    given = [one._replace(task_type="legal") for one in labels(60, seed=4, types=("summarize",))]
    labelled(cast.acme.id, given, at=LATER)
    assert Signal.objects.filter(kind=DRIFTING).count() == 1


def test_a_training_is_a_job_and_one_at_a_time(cast: Cast) -> None:
    with pytest.raises(CannotLearn):
        open_training(organization_id=cast.acme.id, **WHO)
    labelled(cast.acme.id, labels(30), at=NOON)
    job = open_training(organization_id=cast.acme.id, **WHO)
    assert open_training(organization_id=cast.acme.id, **WHO).id == job.id
    tasks.run_training(job_id=job.id)
    job.refresh_from_db()
    assert (job.state, job.done, job.total, job.result["version"]) == ("done", 4, 5, 1)
    found = selectors.in_force(cast.acme.id)
    assert found is not None
    assert found.trained_by == HOUSE.reference
    # Worked once, it is not worked again.
    tasks.run_training(job_id=job.id)
    assert TrainedClassifier.objects.count() == 1
    assert open_training(organization_id=cast.acme.id, **WHO).id != job.id


def test_a_training_that_cannot_be_says_why(cast: Cast) -> None:
    one_session = [one._replace(session="one") for one in labels(30)]
    labelled(cast.acme.id, one_session, at=NOON)
    job = open_training(organization_id=cast.acme.id, **WHO)
    tasks.run_training(job_id=job.id)
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert "20 labelled calls of 5 sessions each" in job.error


def test_a_training_is_stopped_between_steps(cast: Cast) -> None:
    labelled(cast.acme.id, labels(30), at=NOON)
    job = open_training(organization_id=cast.acme.id, **WHO)
    claimed = jobs.claim(job_id=job.id, at=NOON)
    assert claimed is not None
    jobs.request_stop(organization_id=cast.acme.id, job_id=job.id, **WHO)
    services.run_training(job=claimed, now=lambda: NOON)
    job.refresh_from_db()
    assert job.state == Job.State.STOPPED
    assert not TrainedClassifier.objects.exists()


def test_every_day_those_are_trained_that_have_more_to_learn_from(cast: Cast) -> None:
    labelled(cast.acme.id, labels(15), at=NOON)
    labelled(cast.globex.id, labels(30), at=NOON)
    tasks.train_daily()
    [job] = Job.objects.all()
    assert (job.organization_id, job.requested_by) == (cast.globex.id, "system:trainer")
    tasks.run_training(job_id=job.id)
    tasks.train_daily()
    assert Job.objects.count() == 1
    labelled(cast.globex.id, labels(30, seed=2), at=LATER)
    tasks.train_daily()
    assert Job.objects.count() == 2


def test_reads_take_as_many_queries_however_much_there_is(cast: Cast) -> None:
    row = train_on(cast)
    with CaptureQueriesContext(connection) as few:
        selectors.task_types(cast.acme.id)
        list(selectors.classifiers(cast.acme.id))
        selectors.since(cast.acme.id, row.id)
        selectors.last_training(cast.acme.id)
    assert len(few) == 4
    assert not any('"body"' in one["sql"] for one in few.captured_queries)


def test_two_hundred_labels_take_few_queries(cast: Cast) -> None:
    train_on(cast)
    given = labels(50, seed=9)
    with CaptureQueriesContext(connection) as taken:
        say(cast, *given)
    assert len(taken) <= 25


def test_one_organization_learns_nothing_of_another(cast: Cast) -> None:
    train_on(cast)
    assert selectors.task_types(cast.globex.id) == []
    assert selectors.in_force(cast.globex.id) is None
    assert selectors.labelled(cast.globex.id).types == []
    with pytest.raises(CannotLearn):
        train(organization_id=cast.globex.id, **WHO)
    # The same call id of another organization is another call.
    assert label_calls(organization_id=cast.globex.id, labels=[labels(1)[0]], **WHO) == Taken(new=1)


def test_the_database_refuses_what_cannot_be(cast: Cast) -> None:
    row = train_on(cast, 20)
    refused: list[dict[str, Any]] = [{"right": row.named + 1}, {"named": row.calls + 1}, {"calls": row.labelled + 1}]
    for wrong in refused:
        with pytest.raises(IntegrityError), transaction.atomic():
            TrainedClassifier.objects.filter(id=row.id).update(**wrong)
    second = train(organization_id=cast.acme.id, **WHO)
    with pytest.raises(IntegrityError), transaction.atomic():
        TrainedClassifier.objects.filter(id=row.id).update(is_in_force=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Watched.objects.create(organization=cast.globex, classifier=second, week=NOON.date())
    with pytest.raises(IntegrityError), transaction.atomic():
        Watched.objects.create(organization=cast.acme, classifier=second, week=NOON.date(), named=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        LabelledCall.objects.filter(call_id="c1-triage-0").update(task_type="")
    with pytest.raises(IntegrityError), transaction.atomic():
        LabelledCall.objects.filter(call_id="c1-triage-0").update(call_id="c1-triage-1")
