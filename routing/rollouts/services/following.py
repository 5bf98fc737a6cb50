"""A rule's course: begun, watched, paused, rolled back or let go on, and taken the next step."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec
from django.db import connection, transaction

from finops.audit import services as audit
from finops.core.actors import Actor, system
from finops.core.errors import FinopsError, NotFound
from routing.evidence import selectors as evidence
from routing.rollouts import rules, selectors
from routing.rollouts.models import Rollout
from routing.rollouts.rules import Course, Heard
from routing.rollouts.types import UNDER_WAY, State
from routing.rollouts.watching import Decision, Known, Scored
from routing.rules import selectors as routing
from routing.rules import services as routing_services
from routing.rules.hot import Arm
from routing.rules.models import RoutingRule
from routing.rules.rollout import Stage, in_parts
from routing.rules.rollout import State as RuleState
from routing.rules.types import Rule

HOUSE: Final = system("rollouts")
# Signals, which alerts go by; `docs/guides/alerts.md`.
PAUSED: Final = "rollout.paused"
RESUMED: Final = "rollout.resumed"
ROLLED_BACK: Final = "rollout.rolled_back"
ENDED: Final = "rollout.ended"
_PACE: Final = ("by_itself", "least_scored", "least_minutes")
_TAKEN: Final = """
INSERT INTO rollouts_scoredsession (organization_id, rollout_id, session, at)
SELECT %s, %s, session, %s FROM unnest(%s::bigint[]) AS came (session)
ON CONFLICT (rollout_id, session) DO NOTHING RETURNING session
"""


class Followed(NamedTuple):
    """Rules of which a course began, and those that went another way."""

    begun: tuple[int, ...]
    moved: tuple[int, ...]


def follow(*, organization_id: int, by: Actor, at: datetime) -> Followed:
    """Begin what is to be followed, and look at all that is under way; each rule by itself. Again changes nothing."""
    begun = []
    moved = [row.rule_id for row in selectors.under_way(organization_id) if observe(rollout=row, by=by, at=at)]
    for row in selectors.beginning(organization_id):
        made = begin(organization_id=organization_id, rule_id=row.id, by=by, at=at)
        if made is not None:
            begun.append(row.id)
            if observe(rollout=made, by=by, at=at):
                moved.append(row.id)
    return Followed(tuple(begun), tuple(moved))


@transaction.atomic
def begin(*, organization_id: int, rule_id: int, by: Actor, at: datetime) -> Rollout | None:
    """A course of what a rule says now, with what is known of its incumbent, frozen. None where it holds for all or for
    none, or where there is one under way. Its pace is that of the course before. Raises NotFound.
    """
    row = routing.rule(organization_id, rule_id)
    if row.state != RuleState.IN_FORCE or row.version is None or row.stage == Stage.ROLLED_BACK:
        return None
    rule = routing.document_of(row.version)
    if not in_parts(rule) or (row.stage == Stage.FULL and not row.held_back):
        return None
    before = selectors.rollouts(organization_id, rule_id=rule_id).first()
    pace = {} if before is None else {name: getattr(before, name) for name in _PACE}
    course = Course().knowing(_frozen(organization_id, rules.incumbents(rule)))
    made, new = Rollout.objects.get_or_create(
        organization_id=organization_id,
        rule=row,
        state__in=UNDER_WAY,
        defaults={
            "version": row.version.number, "state": State.WATCHING, "since": row.stage_since, "started_at": at,
            "stepped_at": row.stage_since, "stage": row.stage, "share": row.share, "seen": rules.said(course),
            "last_outcome_id": selectors.last_outcome(organization_id, row.stage_since), "changed_at": at, **pace,
        },
    )  # fmt: skip
    if not new:
        return None
    _note("begun", made, row, {"version": made.version, "stage": row.stage}, by, at)
    return made


@transaction.atomic
def observe(*, rollout: Rollout, by: Actor, at: datetime) -> bool:
    """Hear what is new of a course, and do what follows from it; whether the rule went another way. Somebody else at
    it, or a course that is over: nothing happens.
    """
    found = Rollout.objects.select_for_update(skip_locked=True).filter(id=rollout.id, state__in=UNDER_WAY).first()
    if found is None:
        return False
    before = _values(found)
    row = routing.rule(found.organization_id, found.rule_id)
    course = rules.read(found.seen)
    over = _over(found, row)
    if over is not None:
        _end(found, row, *over, by, at)
        return False
    course = _aligned(found, row, course)
    assert row.version is not None  # noqa: S101 - else it is over
    course = _hear(found, course, routing.document_of(row.version), at)
    found.seen = rules.said(course)
    try:
        with transaction.atomic():
            moved = _act(found, row, course, by, at)
    except FinopsError:
        # Somebody moved the rule at this very moment: the next look is at what it is then.
        moved = False
    if _values(found) != before:
        found.changed_at = at
        found.save()
    return moved


@transaction.atomic
def change_pace(*, organization_id: int, rule_id: int, changes: dict[str, Any], by: Actor, at: datetime) -> Rollout:
    """How a rule goes on: `by_itself`, `least_scored`, `least_minutes`. Raises NotFound and PaceInvalid."""
    rules.check_pace(changes)
    last = selectors.rollout_of(organization_id, rule_id)
    row = Rollout.objects.select_for_update(of=("self",)).select_related("rule").get(id=last.id)
    changed = {name: value for name, value in changes.items() if name in _PACE and getattr(row, name) != value}
    if not changed:
        return row
    details = {name: [getattr(row, name), value] for name, value in changed.items()}
    for name, value in changed.items():
        setattr(row, name, value)
    row.changed_at = at
    row.save(update_fields=[*changed, "changed_at"])
    _note("pace_changed", row, row.rule, details, by, at)
    return row


def _frozen(organization_id: int, wanted: Iterable[tuple[str, str]]) -> list[Known]:
    """What runs say of these task types and models as it is now, by whoever scored most of it; of what none had, that
    nobody knows.
    """
    found = []
    for task_type, model in wanted:
        try:
            known = max(evidence.frozen(organization_id, task_type, model), key=lambda one: one.items)
        except NotFound:
            found.append(Known(task_type=task_type, model=model))
        else:
            found.append(
                Known(task_type=task_type, model=model, items=known.items, mean=known.mean, deviation=known.deviation)
            )
    return found


def _over(found: Rollout, row: RoutingRule) -> tuple[State, str] | None:
    """Whether what people did ends the course, and why."""
    if row.state == RuleState.RETIRED or row.version is None:
        return State.FINISHED, "The rule is retired."
    if row.version.number != found.version:
        return State.FINISHED, f"It says something else: version {row.version.number}."
    if row.stage == Stage.ROLLED_BACK:
        return State.ROLLED_BACK, "Somebody rolled it back."
    if row.stage == Stage.FULL and not row.held_back:
        return State.FINISHED, "It holds for all, and nothing is held back."
    return None


def _aligned(found: Rollout, row: RoutingRule, course: Course) -> Course:
    """As the rule is now, whoever moved it."""
    if (row.stage, row.share, row.stage_since) == (found.stage, found.share, found.stepped_at):
        return course
    found.stage, found.share, found.stepped_at, found.scored_here = row.stage, row.share, row.stage_since, 0
    if row.stage == Stage.PAUSED and found.state != State.PAUSED:
        found.state, found.paused_at, found.why = State.PAUSED, row.stage_since, "Somebody paused it."
        return rules.begun_pausing(course)
    if row.stage != Stage.PAUSED and found.state == State.PAUSED:
        found.state, found.paused_at, found.why = State.WATCHING, None, "Somebody let it go on."
        return rules.begun_anew(course)
    return course


def _hear(found: Rollout, course: Course, rule: Rule, at: datetime) -> Course:
    look = selectors.look(found, at)
    found.last_outcome_id = max(found.last_outcome_id, look.settled)
    each = _sessions(found, rule, look.scores)
    fresh = _new(found, each, at) if each else set()
    new = [one for session, one in each.items() if session in fresh]
    unknown = {(one.scored.task_type, one.model) for one in new} - {(one.task_type, one.model) for one in course.known}
    if unknown and len(course.known) < rules.MOST_KNOWN:
        course = course.knowing(_frozen(found.organization_id, sorted(unknown)))
    paused = found.state == State.PAUSED
    for one in new:
        course = rules.heard(course, one, paused=paused)
        if one.scored.treated:
            found.treated_scored += 1
            found.scored_here += 1
        else:
            found.stayed_scored += 1
        if not paused and course.detector.alarmed:
            break
    return course


def _new(found: Rollout, sessions: Iterable[int], at: datetime) -> set[int]:
    """Those of which no score was taken yet; from now on it was."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKEN, [found.organization_id, found.id, at, list(sessions)])
        return {session for (session,) in cursor.fetchall()}


def _sessions(found: Rollout, rule: Rule, scores: Iterable[selectors.Score]) -> dict[int, Heard]:
    """By digest, in the order in which they were first heard of: the mean of what was said of the same."""
    kept: dict[int, tuple[tuple[bool, str, int, str], list[selectors.Score]]] = {}
    for one in scores:
        session = int.from_bytes(blake2b(one.session.encode(), digest_size=8).digest(), "big", signed=True)
        what = one.arm == Arm.TREATED, one.task_type, one.source, rules.incumbent_of(rule, one.asked)
        same, mine = kept.setdefault(session, (what, []))
        if same == what:
            mine.append(one)
    since = found.paused_at
    return {
        session: Heard(
            session=session,
            scored=Scored(treated, sum(one.score for one in mine) / len(mine), task_type, source),
            model=model,
            in_pause=since is not None and all(one.at >= since for one in mine),
        )
        for session, ((treated, task_type, source, model), mine) in kept.items()
    }


def _act(found: Rollout, row: RoutingRule, course: Course, by: Actor, at: datetime) -> bool:
    if found.state == State.PAUSED:
        decided = course.contrast.decided()
        if decided is None:
            found.why = f"Half against half: {len(course.contrast.differences)} pairs so far."
            return False
        (_roll_back if decided is Decision.ROLL_BACK else _resume)(found, row, course, by, at)
        return True
    if course.detector.alarmed:
        _pause(found, row, course, by, at)
        return True
    standing = rules.Standing(
        stage=row.stage,
        scored=found.scored_here,
        calls=selectors.calls_seen(found, found.least_scored) if row.stage == Stage.SHADOW else 0,
        since=found.stepped_at,
        calm=course.detector.calm,
        watched=course.watched,
    )
    found.why = rules.waits_for(
        standing, least_scored=found.least_scored, least_minutes=found.least_minutes, by_itself=found.by_itself, at=at
    )
    if found.why or row.state != RuleState.IN_FORCE:
        return False
    _moved(found, routing_services.advance(**_rule(found), by=by, at=at))
    _note("stepped", found, row, {"stage": found.stage, "share": found.share}, by, at)
    return True


def _pause(found: Rollout, row: RoutingRule, course: Course, by: Actor, at: datetime) -> None:
    detector = course.detector
    found.why = (
        f"Scores of treated calls are {100 * detector.mean:.1f} points below the incumbent's, by {detector.seen} of"
        " them. Half of the sessions are treated until the two halves tell."
    )
    _moved(found, routing_services.pause(**_rule(found), by=by, at=at))
    found.state, found.paused_at = State.PAUSED, found.stepped_at
    found.seen = rules.said(rules.begun_pausing(course))
    details = {"scores": detector.seen, "points": round(100 * detector.mean, 1), "e": round(detector.e_value, 1)}
    _note("paused", found, row, details, by, at)
    _tell(PAUSED, found, row, details, at)


def _roll_back(found: Rollout, row: RoutingRule, course: Course, by: Actor, at: datetime) -> None:
    details = _contrast(course)
    _moved(found, routing_services.roll_back(**_rule(found), by=by, at=at))
    found.state, found.ended_at = State.ROLLED_BACK, at
    points, pairs = -details["points"], details["pairs"]
    found.why = f"Half against half, it is {points:.1f} points worse than the incumbent, by {pairs} pairs."
    _note("rolled_back", found, row, details, by, at)
    _tell(ENDED, found, row, {}, at)
    _tell(ROLLED_BACK, found, row, details, at)


def _resume(found: Rollout, row: RoutingRule, course: Course, by: Actor, at: datetime) -> None:
    details = _contrast(course)
    _moved(found, routing_services.advance(**_rule(found), by=by, at=at))
    found.state, found.paused_at = State.WATCHING, None
    found.why = f"Half against half, it is as good as the incumbent, by {details['pairs']} pairs."
    found.seen = rules.said(rules.begun_anew(course))
    _note("resumed", found, row, details, by, at)
    _tell(RESUMED, found, row, details, at)


def _contrast(course: Course) -> dict[str, Any]:
    return {"pairs": len(course.contrast.differences), "points": round(100 * (course.contrast.mean or 0.0), 1)}


def _end(found: Rollout, row: RoutingRule, state: State, why: str, by: Actor, at: datetime) -> None:
    found.state, found.why, found.ended_at, found.changed_at = state, why, at, at
    if row.stage == Stage.ROLLED_BACK:
        found.stage, found.share, found.stepped_at = row.stage, row.share, row.stage_since
    found.save()
    _note("ended", found, row, {"state": state.value}, by, at)
    if found.paused_at is not None:
        _tell(ENDED, found, row, {}, at)


def _values(found: Rollout) -> dict[str, Any]:
    """Mostly nothing is new: then nothing is written."""
    return {field.attname: getattr(found, field.attname) for field in Rollout._meta.concrete_fields}


def _rule(found: Rollout) -> dict[str, int]:
    return {"organization_id": found.organization_id, "rule_id": found.rule_id}


def _moved(found: Rollout, row: RoutingRule) -> None:
    found.stage, found.share, found.stepped_at, found.scored_here = row.stage, row.share, row.stage_since, 0


def _tell(kind: str, found: Rollout, row: RoutingRule, details: dict[str, Any], at: datetime) -> None:
    """Whoever listens for it. What a rule is called and does is no secret, and names nobody."""
    said = {"rule_id": row.id, "rule": row.name, "reason": found.why, "rollout": found.id, **details}
    audit.announce(
        organization_id=found.organization_id, kind=kind, key=f"rule:{row.id}", at=at,
        details=msgspec.to_builtins(said),
    )  # fmt: skip


def _note(verb: str, found: Rollout, row: RoutingRule, details: dict[str, Any], by: Actor, at: datetime) -> None:
    audit.record(
        organization_id=found.organization_id, verb=f"rollout.{verb}", subject_kind="routing_rule", subject_id=row.id,
        subject_label=row.name, details={"rollout": found.id, **details}, by=by, at=at,
    )  # fmt: skip
