"""Experiments worked on, by turns: a page of captured calls is opened, measured through the gateway, and recorded.

A call is begun once: its item is there, and committed, before anything is asked for it. Whoever dies in between leaves
it as it is, and who comes after closes it. Everything in the database is done by the thread that has the job; the
others only ask.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

import httpx2
from django.conf import settings
from django.db import OperationalError, transaction

from finops.jobs import services as jobs
from finops.jobs.models import Job
from routing.captures.hot import Exchange
from routing.captures.services import read_captures
from routing.evidence.rules import EvaluationWithdrawn
from routing.experiments import reading, selectors
from routing.experiments.asking import Asking
from routing.experiments.measuring import Unfinished, measure
from routing.experiments.models import Experiment
from routing.experiments.models import Item as Row
from routing.experiments.places import NotPublished, Places
from routing.experiments.reading import NotAgain
from routing.experiments.rules import CapturesOff, WrongState
from routing.experiments.services.common import HOUSE, note, sealer, turn
from routing.experiments.services.ending import end
from routing.experiments.services.recording import record
from routing.experiments.services.writing import check_captures
from routing.experiments.types import UNDER_WAY, ExperimentDraft, Item, ItemState, Mode, Plan, State

# Captured calls that are measured beside each other.
AT_ONCE: Final = 4
# Opened together, with one line in the trail.
A_PAGE: Final = 16
# One turn, then others have theirs.
TURN_S: Final = 20.0
# A worker that is silent for a minute is taken for dead.
_BEAT_S: Final = 15.0
# A shadow that has seen all looks again, and what may pass is tried again, after so long.
LOOKS_EVERY: Final = timedelta(seconds=30)
TRIES_AGAIN_AFTER: Final = timedelta(minutes=5)
NOT_TOLD_AFTER: Final = timedelta(seconds=3)
Clock = Callable[[], datetime]


class Means(NamedTuple):
    """What a turn works with. `transport` and `pause` are the usual ones where they are None."""

    job: Job
    now: Clock
    transport: httpx2.BaseTransport | None = None
    pause: Callable[[float], None] = time.sleep


class _Over(Exception):
    """The turn ends: the experiment does so too (`state`), or waits until `look_at`."""

    def __init__(self, state: State, code: str, after: timedelta = timedelta()) -> None:
        super().__init__(code)
        self.state, self.code, self.after = state, code, after


class _Stopped(Exception):
    """Somebody stopped it."""


def run(means: Means) -> bool:
    """One turn of an experiment; True where there is more to do at once. What is unexpected ends the experiment, and
    is raised again. Raises JobLost and OperationalError.
    """
    job = means.job
    row = selectors.experiment(job.organization_id, int(job.parameters["experiment"]))
    if row.state not in UNDER_WAY:
        # Somebody woke the job, and not the experiment.
        raise WrongState(f"The experiment is {row.state}: resume it there.")
    _close_what_was_left(row, means.now())
    try:
        _turn(row, means)
    except _Stopped:
        _stopped(row, means.now())
        return False
    except _Over as over:
        return _settled(row, over, means)
    except (jobs.JobLost, OperationalError):
        raise
    except EvaluationWithdrawn:
        return _settled(row, _Over(State.FAILED, "evidence_withdrawn"), means)
    except Exception:
        end(row=row, state=State.FAILED, code="broke", at=means.now())
        raise
    return _settled(row, _Over(State.RUNNING, ""), means)


def _turn(row: Experiment, means: Means) -> None:
    """Pages until the turn's time is over. Raises _Over and _Stopped."""
    draft = selectors.draft_of(row)
    if not settings.GATEWAY_URL:
        raise _Over(State.PAUSED, "gateway_unknown", TRIES_AGAIN_AFTER)
    secret = sealer(row.organization_id).open(row.sealed)
    began = time.monotonic()
    asking = partial(
        Asking, settings.GATEWAY_URL, secret, experiment_id=row.id, budget_id=row.budget_id or 0,
        transport=means.transport, pause=means.pause,
    )  # fmt: skip
    with asking() as asks, ThreadPoolExecutor(AT_ONCE) as pool:
        while True:
            left = row.tasks - _measured(row)
            if not jobs.progress(job=means.job, done=row.tasks - max(left, 0), at=means.now()):
                raise _Stopped
            if left <= 0:
                raise _Over(State.DONE, "measured")
            plans = _page(row, draft, min(left, A_PAGE), means)
            for place in range(0, len(plans), AT_ONCE):
                if place and not jobs.progress(job=means.job, done=means.job.done, at=means.now()):
                    raise _Stopped
                _wave(row, draft, plans[place : place + AT_ONCE], asks, pool, means)
            if time.monotonic() - began >= TURN_S:
                return


def _page(row: Experiment, draft: ExperimentDraft, size: int, means: Means) -> list[Plan]:
    """Calls that are next and may be measured; what may not is noted as skipped. Raises _Over where there is none."""
    at = means.now()
    ids = selectors.next_calls(row, at, limit=A_PAGE)
    if not ids:
        _nothing_left(row, draft, at)
    try:
        places = Places(row.organization_id)
    except NotPublished:
        raise _Over(State.PAUSED, "gateway_not_told", NOT_TOLD_AFTER) from None
    opened = read_captures(
        organization_id=row.organization_id, call_ids=ids, for_kind="experiment", for_id=row.id, by=HOUSE, at=at
    )
    exchanges = {one.exchange.call_id: one.exchange for one in opened}
    found: dict[str, Plan] = {}
    skipped: list[tuple[str, str]] = []
    for call_id in ids:
        try:
            found[call_id] = _plan(places, exchanges.get(call_id), draft, at)
        except NotAgain as error:
            skipped.append((call_id, error.code))
    known = selectors.known_content(row, [plan.fingerprint for plan in found.values()])
    plans: list[Plan] = []
    for plan in found.values():
        if plan.fingerprint in known:
            skipped.append((plan.call_id, "same_content"))
        elif len(plans) < size:
            known.add(plan.fingerprint)
            plans.append(plan)
    _skip(row, skipped, at)
    return plans


def _plan(places: Places, exchange: Exchange | None, draft: ExperimentDraft, at: datetime) -> Plan:
    if exchange is None:
        raise NotAgain("cannot_be_opened")
    return places.plan(exchange, draft, at)


def _nothing_left(row: Experiment, draft: ExperimentDraft, at: datetime) -> None:
    if row.mode == Mode.REPLAY:
        raise _Over(State.DONE, "used_up")
    try:
        check_captures(row.organization_id, draft, at)
    except CapturesOff:
        raise _Over(State.PAUSED, "captures_off", TRIES_AGAIN_AFTER) from None
    raise _Over(State.RUNNING, "", LOOKS_EVERY)


def _wave(
    row: Experiment, draft: ExperimentDraft, plans: Sequence[Plan], asks: Asking, pool: ThreadPoolExecutor, means: Means
) -> None:
    """Several calls beside each other, and what came of them recorded. Raises _Over and _Stopped after that."""
    begun = _begin(row, plans, means.now())
    futures = [pool.submit(_measure, plan, draft, asks) for plan in begun]
    stopped = _waited(futures, means)
    done, unfinished = _sorted(futures)
    record(row=row, draft=draft, items=done, at=means.now())
    _give_up(row, unfinished, means.now())
    _mark_running(row, done, means)
    if any(one.cap for one in unfinished):
        raise _Over(State.DONE, "cap_reached")
    if stopped:
        raise _Stopped
    if unfinished:
        code = unfinished[0].code
        raise _Over(State.PAUSED, code, NOT_TOLD_AFTER if code == "gateway_not_told" else TRIES_AGAIN_AFTER)


def _measure(plan: Plan, draft: ExperimentDraft, asks: Asking) -> Item:
    return measure(plan, draft, asks, partial(reading.again_of, plan.body))


def _waited(futures: Sequence[Future[Item]], means: Means) -> bool:
    """Until all of them are done, with a sign of life now and then; whether it was stopped in the meantime."""
    stopped = False
    pending = set(futures)
    while pending:
        _, pending = wait(pending, timeout=_BEAT_S)
        if pending and not stopped:
            stopped = not jobs.progress(job=means.job, done=means.job.done, at=means.now())
    return stopped


def _sorted(futures: Iterable[Future[Item]]) -> tuple[list[Item], list[Unfinished]]:
    done: list[Item] = []
    unfinished: list[Unfinished] = []
    for future in futures:
        try:
            done.append(future.result())
        except Unfinished as error:
            unfinished.append(error)
    return done, unfinished


def _begin(row: Experiment, plans: Sequence[Plan], at: datetime) -> list[Plan]:
    """Those of which the item is ours now; committed before anything is asked."""
    begun = []
    for plan in plans:
        _, made = Row.objects.get_or_create(
            experiment=row, call_id=plan.call_id,
            defaults={
                "organization_id": row.organization_id, "state": ItemState.ASKED, "fingerprint": plan.fingerprint,
                "at": at,
            },
        )  # fmt: skip
        begun += [plan] if made else []
    return begun


def _give_up(row: Experiment, unfinished: Sequence[Unfinished], at: datetime) -> None:
    """Calls of which nothing was asked are free to be measured later; the others came to nothing, and are paid."""
    for one in unfinished:
        mine = Row.objects.filter(experiment=row, call_id=one.item.plan.call_id, state=ItemState.ASKED)
        if one.begun:
            item = one.item
            mine.update(
                state=ItemState.FAILED, code="not_finished", spent=item.spent, judged=item.judged, fingerprint="", at=at
            )
        else:
            mine.delete()


def _close_what_was_left(row: Experiment, at: datetime) -> None:
    """Of whoever worked on it before and died: what was asked may have been answered, and is not asked again."""
    left = Row.objects.filter(experiment=row, state=ItemState.ASKED)
    left.update(state=ItemState.FAILED, code="interrupted", fingerprint="", at=at)


def _skip(row: Experiment, skipped: Sequence[tuple[str, str]], at: datetime) -> None:
    rows = [
        Row(
            organization_id=row.organization_id, experiment=row, call_id=call_id, state=ItemState.SKIPPED,
            code=code[:60], at=at,
        )
        for call_id, code in skipped
    ]  # fmt: skip
    Row.objects.bulk_create(rows, ignore_conflicts=True)


def _measured(row: Experiment) -> int:
    return Row.objects.filter(experiment=row, state=ItemState.MEASURED).count()


def _mark_running(row: Experiment, done: Sequence[Item], means: Means) -> None:
    """What was in its way has passed."""
    if done and row.state == State.PAUSED:
        _change(row, State.RUNNING, "", None, means.now())


def _stopped(row: Experiment, at: datetime) -> None:
    """The job has heeded it."""
    _change(row, State.STOPPED, "", None, at)


def _settled(row: Experiment, over: _Over, means: Means) -> bool:
    """What the end of a turn means for the experiment and its job; whether there is more to do at once."""
    at = means.now()
    if over.state in (State.DONE, State.FAILED):
        with transaction.atomic():
            end(row=row, state=over.state, code=over.code, at=at)
            jobs.finish(job=means.job, result={"measured": _measured(row), "ended": over.code}, at=at)
        return False
    _change(row, over.state, over.code, at + over.after, at)
    return jobs.wait(job=means.job, at=at) and not over.after


def _change(row: Experiment, state: State, code: str, look_at: datetime | None, at: datetime) -> None:
    """Unless somebody stopped or ended it in the meantime."""
    with transaction.atomic():
        now = selectors.experiment(row.organization_id, row.id, lock=True)
        if now.state not in UNDER_WAY:
            return
        told = (now.state, now.code) != (state, code)
        turn(now, state, code, look_at=look_at, at=at)
        if told:
            note(state.value, now, {"code": code}, HOUSE, at)
    row.state, row.code = state.value, code
