"""Files of outcomes: recorded as one run, once, and from where it stood."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from finops.jobs import services as jobs
from finops.jobs.models import Job
from routing.evidence import imports, selectors
from routing.evidence.imports import Imported, run_import
from routing.evidence.models import Evaluation, Outcome
from routing.evidence.outcomes import OutcomesInvalid, read_outcomes
from routing.evidence.rules import OutcomeInvalid
from tests.factories.evidence import CHEAP, STRONG, draft, published
from tests.factories.orgs import HOUSE, NOON, Cast


@pytest.fixture
def clock() -> Any:
    ticks = [NOON]

    def now() -> datetime:
        ticks[0] += timedelta(seconds=1)
        return ticks[0]

    return now


def file_of(folder: Path, tasks: int, **wrong: Any) -> Path:
    said: dict[str, Any] = {
        "dataset": ["house"] * 2 * tasks,
        "task_id": [f"{n // 2}" for n in range(2 * tasks)],
        "task_type": ["triage"] * 2 * tasks,
        "prompt": [f"Do {n // 2 % 8}" for n in range(2 * tasks)],
        "model": [STRONG, CHEAP] * tasks,
        "score": [1.0, 0.5] * tasks,
        "cost_usd": [0.02, 0.001] * tasks,
    }
    path = folder / "outcomes.parquet"
    pd.DataFrame(said | wrong).to_parquet(path)
    return path


def imported(cast: Cast, path: Path, clock: Any, name: str = "published") -> Imported:
    return run_import(
        organization_id=cast.acme.id, path=path, draft=draft(name), by=HOUSE, now=clock, tell=lambda done, total: None
    )


def test_a_file_is_a_run_and_the_same_file_again_is_nothing_new(cast: Cast, tmp_path: Path, clock: Any) -> None:
    path = file_of(tmp_path, 50)
    first = imported(cast, path, clock)
    assert (first.rows, first.new, first.repeated, first.finished) == (100, 100, 0, True)
    assert imported(cast, path, clock)[1:4] == (100, 0, 100)
    found = selectors.paired(cast.acme.id, "triage", STRONG, CHEAP)
    assert (found.differences.size, set(found.differences), set(found.candidate_cost)) == (50, {-0.5}, {0.001})
    # Eight prompts, each under several ids: they go together, and no prompt is kept.
    assert len(set(found.clusters)) == 8
    one = Outcome.objects.earliest("id")
    assert (one.item, len(one.fingerprint)) == ("house:0", 32)
    [job, _] = Job.objects.order_by("id")
    assert (job.kind, job.state, job.done, job.total, job.result["new"]) == ("outcomes", "done", 100, 100, 100)


def test_it_goes_on_where_it_was_stopped(
    cast: Cast, tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "PIECE", 30)
    path = file_of(tmp_path, 50)

    def stop(done: int, total: int) -> None:
        if done == 30:
            job = Job.objects.get()
            jobs.request_stop(organization_id=cast.acme.id, job_id=job.id, by=HOUSE, at=clock())

    first = run_import(
        organization_id=cast.acme.id, path=path, draft=draft("published"), by=HOUSE, now=clock, tell=stop
    )
    assert (first.rows, first.new, first.finished) == (60, 60, False)
    second = imported(cast, path, clock)
    assert (second.rows, second.new, second.repeated, second.finished) == (100, 100, 0, True)
    assert Outcome.objects.count() == Evaluation.objects.get().outcome_count == 100
    # What came in one file came at one time, whatever the clock said.
    assert Outcome.objects.values("recorded_at").distinct().count() == 1


def test_somebody_elses_turn_is_not_taken(cast: Cast, tmp_path: Path, clock: Any) -> None:
    path = file_of(tmp_path, 5)
    parameters = {"file": path.name, "digest": imports.digest_of(path), "evaluation": "published"}
    job = jobs.open_job(
        organization_id=cast.acme.id, kind=imports.KIND, parameters=parameters, total=10, by=HOUSE, at=clock()
    )
    jobs.claim(job_id=job.id, at=clock())
    with pytest.raises(jobs.JobLost):
        imported(cast, path, clock)
    assert not Outcome.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "error", "field", "said"),
    [
        ({"score": [1.0] * 99 + [1.5]}, OutcomesInvalid, "score", "score of row 100 is no number from 0 to 1"),
        ({"model": [STRONG, ""] * 50}, OutcomesInvalid, "model", "row 2 has no model"),
        ({"task_type": ["triage"] * 69 + [""] + ["triage"] * 30}, OutcomeInvalid, "rows[70].task_type", "one line"),
    ],
)
def test_what_cannot_be_is_named_by_its_row(
    cast: Cast,
    tmp_path: Path,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, Any],
    error: type[Exception],
    field: str,
    said: str,
) -> None:
    monkeypatch.setattr(imports, "PIECE", 30)
    with pytest.raises(error, match=said) as refused:
        imported(cast, file_of(tmp_path, 50, **wrong), clock)
    assert refused.value.field == field  # type: ignore[attr-defined]
    [job] = Job.objects.all()
    assert (job.state, said in job.error) == ("failed", True)


def test_what_is_no_such_file_is_refused(cast: Cast, tmp_path: Path, clock: Any) -> None:
    text = tmp_path / "text.parquet"
    text.write_text("no")
    with pytest.raises(OutcomesInvalid, match="cannot be read as Parquet"):
        imported(cast, text, clock)
    pd.read_parquet(file_of(tmp_path, 5)).drop(columns="score").to_parquet(text)
    with pytest.raises(OutcomesInvalid, match="there is no column score"):
        imported(cast, text, clock)
    assert not Job.objects.exists()


def test_by_command(cast: Cast, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = file_of(tmp_path, 5)
    given = (str(path), "--organization=acme", "--evaluator=suite", "--margin=0.05")
    call_command("import_outcomes", *given)
    assert capsys.readouterr().out == "10 rows: 10 recorded, 0 known before.\n"
    call_command("import_outcomes", *given)
    assert capsys.readouterr().out == "10 rows: 0 recorded, 10 known before.\n"
    assert Evaluation.objects.get().name == "outcomes.parquet"
    for wrong, said in (
        ("--organization=nobody", "no organization 'nobody'"),
        ("--margin=much", "--margin is a number"),
        ("--margin=2", "margin: a margin is"),
    ):
        with pytest.raises(CommandError, match=said):
            call_command("import_outcomes", *given, wrong)
    with pytest.raises(CommandError, match="no file"):
        call_command("import_outcomes", str(tmp_path / "nothing"), *given[1:])


def test_published_outcomes_are_the_same_in_the_database_as_in_their_file(cast: Cast, clock: Any) -> None:
    path = published("fourteen_tasks_nine_models")
    imported(cast, path, clock)
    outcomes = read_outcomes(path)
    incumbent, candidate = "llama-3.1-nemotron-51b-instruct", "gemma-2-9b-it"
    differences, types = outcomes.differences(incumbent, candidate)
    for task_type in ("gsm8k", "mbpp"):
        found = selectors.paired(cast.acme.id, task_type, incumbent, candidate)
        assert sorted(found.differences) == sorted(differences[types == task_type])
