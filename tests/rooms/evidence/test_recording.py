"""Outcomes in the database: recorded once, never changed, withdrawn whole, and each organization's own."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from finops.audit.models import AuditEvent
from finops.core.errors import NotFound
from routing.evidence import selectors
from routing.evidence.models import Evaluation, Outcome, TypeVersion
from routing.evidence.rules import EvaluationConflict, EvaluationWithdrawn, OutcomeConflict, OutcomeInvalid
from routing.evidence.services import add_outcomes, record_evaluation, withdraw_evaluation
from routing.evidence.types import Kind, Status
from tests.factories.evidence import CHEAP, STRONG, draft, heard, outcome, recorded, run_of
from tests.factories.orgs import HOUSE, NOON, Cast

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON}


def verbs() -> list[str]:
    return list(AuditEvent.objects.filter(subject_kind="evaluation").order_by("id").values_list("verb", flat=True))


def version(cast: Cast) -> int:
    return selectors.versions(cast.acme.id).get("triage", 0)


def test_a_run_is_recorded_with_who_measured(cast: Cast) -> None:
    found = recorded(
        cast.acme.id, run_of({STRONG: [1, 0], CHEAP: [1]}, costs={CHEAP: "0.001"}), at=NOON, margin=Decimal("0.03")
    )
    assert (found.new, found.repeated, found.conflicting) == ((0, 1, 2), (), ())
    row = selectors.evaluation(cast.acme.id, found.evaluation_id)
    assert (row.outcome_count, row.model_names, row.task_types) == (3, [CHEAP, STRONG], ["triage"])
    assert (row.evaluator, row.evaluator_version, row.margin, row.randomised) == ("suite", "1", Decimal("0.0300"), True)
    one = Outcome.objects.get(model=CHEAP)
    assert (one.score, one.cost, one.status, one.randomised) == (1.0, Decimal("0.001"), Status.COMPLETED.value, True)
    assert (one.occurred_at, one.recorded_at) == (NOON, NOON)
    assert verbs() == ["evaluation.created", "outcomes.recorded"]
    assert selectors.task_types(cast.acme.id) == [("triage", 1, 3, NOON)]


def test_the_same_again_changes_nothing_and_something_else_is_refused_whole(cast: Cast) -> None:
    run = run_of({STRONG: [1, 0], CHEAP: [1, 1]})
    recorded(cast.acme.id, run, at=NOON)
    again = recorded(cast.acme.id, [*run, outcome("item-2")], at=NOON + timedelta(hours=1))
    assert (again.new, again.repeated) == ((4,), (0, 1, 2, 3))
    assert (version(cast), len(verbs())) == (2, 3)
    with pytest.raises(OutcomeConflict, match="'cheap' on 'item-1'") as refused:
        recorded(cast.acme.id, [outcome("item-3"), outcome("item-1", CHEAP, 0.0)], at=NOON)
    assert refused.value.field == "outcomes[1]"
    assert Outcome.objects.count() == 5
    assert version(cast) == 2


def test_what_contradicts_itself_is_refused(cast: Cast) -> None:
    with pytest.raises(OutcomeConflict) as refused:
        recorded(cast.acme.id, [outcome(score=1.0), outcome(score=1.0), outcome(score=0.5)], at=NOON)
    assert refused.value.field == "outcomes[2]"
    assert not Evaluation.objects.exists()


def test_a_name_is_one_evaluation_with_one_evaluator(cast: Cast) -> None:
    recorded(cast.acme.id, [outcome()], at=NOON, margin=Decimal("0.05"))
    for other in (
        {"evaluator": "another"},
        {"evaluator_version": "2"},
        {"randomised": False},
        {"margin": Decimal("0.1")},
    ):
        with pytest.raises(EvaluationConflict) as refused:
            recorded(cast.acme.id, [outcome("2")], at=NOON, **({"margin": Decimal("0.05")} | other))
        assert refused.value.field == next(iter(other))
    # Unsaid, the margin is what it was; and globex has names of its own.
    assert recorded(cast.acme.id, [outcome("2")], at=NOON).new == (0,)
    assert recorded(cast.globex.id, [outcome("2")], at=NOON, evaluator="another").new == (0,)


def test_outcomes_are_added_to_a_run(cast: Cast) -> None:
    run = recorded(cast.acme.id, [outcome()], at=NOON).evaluation_id
    given: dict[str, Any] = {"evaluation_id": run, "outcomes": [outcome("2"), outcome("1")]}
    assert add_outcomes(organization_id=cast.acme.id, **given, **WHO).new == (0,)
    with pytest.raises(NotFound):
        add_outcomes(organization_id=cast.globex.id, **given, **WHO)
    calls = heard(cast.acme.id, [outcome()], at=NOON).evaluation_id
    with pytest.raises(OutcomeInvalid, match="by their source"):
        add_outcomes(organization_id=cast.acme.id, evaluation_id=calls, outcomes=[outcome("2")], **WHO)
    with pytest.raises(OutcomeInvalid, match="of calls"):
        record_evaluation(organization_id=cast.acme.id, draft=draft(kind=Kind.SIGNAL), outcomes=[], **WHO)


def test_feedback_is_taken_one_by_one_and_is_random_only_where_it_was_drawn(cast: Cast) -> None:
    first = heard(cast.acme.id, [outcome("call-1"), outcome("call-2", CHEAP, 0.0, propensity=0.1)], at=NOON)
    assert first.new == (0, 1)
    assert [one.randomised for one in Outcome.objects.order_by("item")] == [False, True]
    more = heard(cast.acme.id, [outcome("call-1", score=0.0), outcome("call-1"), outcome("call-3")], at=NOON)
    assert (more.new, more.repeated, more.conflicting) == ((2,), (1,), (0,))
    with pytest.raises(OutcomeConflict) as refused:
        heard(cast.acme.id, [outcome("call-1", score=0.0)], at=NOON)
    assert refused.value.field == "outcomes[0]"
    row = Evaluation.objects.get()
    assert (row.standing, row.randomised, row.outcome_count) == (True, False, 3)
    with pytest.raises(OutcomeInvalid, match="a judge's, feedback or signals"):
        heard(cast.acme.id, [outcome("call-9")], at=NOON, kind=Kind.EVALUATION)


def test_withdrawn_it_is_kept_and_is_no_evidence(cast: Cast) -> None:
    run = recorded(cast.acme.id, run_of({STRONG: [1] * 30, CHEAP: [1] * 30}), at=NOON).evaluation_id
    heard(cast.acme.id, [outcome("call-1")], at=NOON)
    before = version(cast)
    row = withdraw_evaluation(
        organization_id=cast.acme.id, evaluation_id=run, because="the answer key was wrong", **WHO
    )
    assert (row.withdrawn_at, row.withdrawn_by, row.withdrawn_because) == (
        NOON, HOUSE.reference, "the answer key was wrong",
    )  # fmt: skip
    assert version(cast) == before + 1
    assert TypeVersion.objects.get().outcomes == 1
    assert selectors.paired(cast.acme.id, "triage", STRONG, CHEAP).differences.size == 0
    assert [one.model for one in selectors.models_of(cast.acme.id, "triage")] == [STRONG]
    assert selectors.outcomes(cast.acme.id).count() == 61
    again = withdraw_evaluation(organization_id=cast.acme.id, evaluation_id=run, because="again", by=HOUSE, at=NOON)
    assert again.withdrawn_because == "the answer key was wrong"
    assert verbs().count("evaluation.withdrawn") == 1
    with pytest.raises(EvaluationWithdrawn):
        recorded(cast.acme.id, [outcome("new")], at=NOON)
    with pytest.raises(NotFound):
        withdraw_evaluation(organization_id=cast.globex.id, evaluation_id=run, because="mine", **WHO)
    with pytest.raises(OutcomeInvalid, match="say why"):
        withdraw_evaluation(organization_id=cast.acme.id, evaluation_id=run, because=" ", **WHO)


def test_of_a_fault_in_the_middle_nothing_stays(cast: Cast) -> None:
    with pytest.raises(OutcomeInvalid), transaction.atomic():
        recorded(cast.acme.id, [outcome("1"), outcome("2", score=2.0)], at=NOON)
    with pytest.raises(OutcomeInvalid, match="at most 200 models"):
        recorded(cast.acme.id, [outcome("1", f"model-{n}") for n in range(201)], at=NOON)
    assert not Evaluation.objects.exists()
    assert not TypeVersion.objects.exists()
    assert verbs() == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("score", "1.5"), ("score", "'NaN'"), ("human_score", "-1"), ("cost", "-1"), ("latency_s", "-1"),
        ("propensity", "0"), ("propensity", "2"), ("status", "'lost'"),
    ],
)  # fmt: skip
def test_the_database_refuses_what_cannot_be(cast: Cast, column: str, value: str) -> None:
    recorded(cast.acme.id, [outcome()], at=NOON)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE evidence_outcome SET {column} = {value}")


def test_the_database_refuses_another_organizations_evaluation(cast: Cast) -> None:
    recorded(cast.acme.id, [outcome()], at=NOON)
    with pytest.raises(IntegrityError), transaction.atomic():
        Outcome.objects.update(organization_id=cast.globex.id)
    with pytest.raises(IntegrityError), transaction.atomic():
        one = Outcome.objects.get()
        one.id = None
        one.save(force_insert=True)


def test_a_chance_is_only_of_what_was_drawn(cast: Cast) -> None:
    recorded(cast.acme.id, [outcome()], at=NOON, randomised=False)
    with pytest.raises(IntegrityError), transaction.atomic():
        Outcome.objects.update(propensity=0.5)


def test_thousands_are_recorded_in_as_many_statements_as_few(
    cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    recorded(cast.acme.id, [outcome("0")], at=NOON)
    with django_assert_num_queries(9) as few:
        recorded(cast.acme.id, [outcome("0"), *run_of({STRONG: [1] * 5})], at=NOON)
    with django_assert_num_queries(len(few.captured_queries)):
        found = recorded(cast.acme.id, run_of({STRONG: [1] * 5_005, CHEAP: [1] * 4_900}), at=NOON)
    assert (len(found.new), len(found.repeated)) == (9_900, 5)
