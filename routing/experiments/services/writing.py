"""Experiments as people make them: drafted, started with a key and a cap of their own, stopped and resumed."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec
from django.db import connection, transaction

from finops.budgets.services import budgets
from finops.budgets.types import Draft, Enforcement, Period
from finops.core.actors import Actor
from finops.core.errors import NotFound
from finops.jobs import services as jobs
from finops.orgs.models import Project
from finops.orgs.rules import Permission
from finops.orgs.services.keys import issue_key
from routing.captures import selectors as captures
from routing.experiments import rules, selectors
from routing.experiments.models import Experiment
from routing.experiments.services.common import note, sealer, turn
from routing.experiments.types import UNDER_WAY, ExperimentDraft, Mode, State

# Of advisory locks, so that nobody else's number is ours.
_LOCKS: Final = 0x7EC1


@transaction.atomic
def create(
    *, organization_id: int, draft: ExperimentDraft, recommendation_id: int | None = None, by: Actor, at: datetime
) -> Experiment:
    """A draft: nothing is asked of anybody before it is started. Raises ExperimentInvalid and TooMany."""
    said = rules.check(draft)
    if said.project_id and not Project.objects.filter(organization_id=organization_id, id=said.project_id).exists():
        raise rules.ExperimentInvalid("there is no such project", field="project")
    _one_at_a_time(organization_id)
    if Experiment.objects.filter(organization_id=organization_id).count() >= rules.MOST_KEPT:
        raise rules.TooMany(f"An organization has at most {rules.MOST_KEPT:,} experiments.")
    fields = {name: getattr(said, name) for name in said.__struct_fields__}
    row = Experiment.objects.create(
        organization_id=organization_id,
        **fields | {"candidates": list(said.candidates), "gate": None if said.gate is None else _plain(said)},
        way=rules.way_of_scoring(said),
        state=State.DRAFT.value,
        recommendation_id=recommendation_id,
        created_by=by.reference,
        created_at=at,
        changed_at=at,
    )
    note("created", row, {"mode": row.mode, "tasks": row.tasks, "most_cost": str(row.most_cost)}, by, at)
    return row


@transaction.atomic
def start(*, organization_id: int, experiment_id: int, by: Actor, at: datetime) -> Experiment:
    """It gets a key of its own, which goes to exactly the model that is asked for, a hard budget on that key of what it
    may cost, and a job. Whoever may start one may open captures: the caller sees to that. Started again it is as it is.

    Raises NotFound, WrongState, CapturesOff, TooMany, and what `create_budget` does.
    """
    _one_at_a_time(organization_id)
    row = selectors.experiment(organization_id, experiment_id, lock=True)
    if row.state in UNDER_WAY:
        return row
    rules.check_start(row.state)
    check_captures(organization_id, selectors.draft_of(row), at)
    running = Experiment.objects.filter(organization_id=organization_id, state__in=[*UNDER_WAY, State.STOPPED])
    if running.count() >= rules.MOST_UNDER_WAY:
        raise rules.TooMany(f"At most {rules.MOST_UNDER_WAY} experiments at once; end one first.")
    name = rules.budget_name(row.id)
    issued = issue_key(
        organization_id=organization_id, name=name, permissions=(Permission.CALLS_MAKE, Permission.CALLS_MEASURE),
        task_type=rules.TASK_TYPE, by=by, at=at,
    )  # fmt: skip
    cap = Draft(
        name=name, limit_amount=row.most_cost, period=Period.TOTAL, enforcement=Enforcement.HARD,
        scope={"key": (str(issued.key.id),)}, thresholds=(),
    )  # fmt: skip
    budget = budgets.create_budget(organization_id=organization_id, draft=cap, by=by, at=at)
    job = jobs.open_job(
        organization_id=organization_id, kind=selectors.KIND, parameters={"experiment": row.id}, total=row.tasks,
        by=by, at=at,
    )  # fmt: skip
    row.key_id, row.budget_id, row.job_id, row.started_at = issued.key.id, budget.id, job.id, at
    row.sealed = sealer(organization_id).seal(issued.secret)
    row.save(update_fields=["key_id", "budget_id", "job_id", "started_at", "sealed"])
    turn(row, State.RUNNING, "", look_at=at, at=at)
    note("started", row, {"key": issued.key.prefix, "budget": budget.id}, by, at)
    return row


@transaction.atomic
def stop(*, organization_id: int, experiment_id: int, by: Actor, at: datetime) -> Experiment:
    """No call is begun any more; those under way end, and are kept. Stopped again it is as it is. Raises NotFound and
    WrongState.
    """
    row = selectors.experiment(organization_id, experiment_id, lock=True)
    if row.state == State.STOPPED:
        return row
    rules.check_stop(row.state)
    jobs.request_stop(organization_id=organization_id, job_id=_job(row), by=by, at=at, by_owner=True)
    turn(row, State.STOPPED, "", look_at=None, at=at)
    note("stopped", row, {}, by, at)
    return row


@transaction.atomic
def resume(*, organization_id: int, experiment_id: int, by: Actor, at: datetime) -> Experiment:
    """It goes on from where it stood, within the same cap; no call is made twice. One that is under way is looked at
    again now. Raises NotFound, WrongState and CapturesOff.
    """
    row = selectors.experiment(organization_id, experiment_id, lock=True)
    rules.check_resume(row.state)
    if row.state == State.RUNNING:
        return row
    check_captures(organization_id, selectors.draft_of(row), at)
    jobs.resume(organization_id=organization_id, job_id=_job(row), by=by, at=at, by_owner=True)
    turn(row, State.RUNNING, "", look_at=at, at=at)
    note("resumed", row, {}, by, at)
    return row


def check_captures(organization_id: int, draft: ExperimentDraft, at: datetime) -> None:
    """Whether there is anything to measure, or will be. Raises CapturesOff, and says what is to be switched on."""
    said = captures.capturing(organization_id)
    taken = said.is_on and (not said.task_types or draft.task_type in said.task_types)
    if draft.mode is Mode.SHADOW and not taken:
        raise rules.CapturesOff(
            f"A shadow needs captures of {draft.task_type!r} as they come: switch captures on for this task type"
            " (Captures, or PATCH /api/v1/captures/settings)."
        )
    if draft.mode is Mode.REPLAY and not selectors.captured(organization_id, draft, at):
        how = "wait until some are captured" if taken else "switch captures on for this task type, and wait for some"
        raise rules.CapturesOff(
            f"No call of {draft.task_type!r} that {draft.incumbent} answered is captured: {how}"
            " (Captures, or PATCH /api/v1/captures/settings)."
        )


def _plain(draft: ExperimentDraft) -> object:
    return msgspec.to_builtins(draft.gate)


def _job(row: Experiment) -> int:
    if row.job_id is None:
        raise NotFound("There is no such job.")
    return row.job_id


def _one_at_a_time(organization_id: int) -> None:
    """Whoever counts, counts alone, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCKS, organization_id])
