"""What a course carries on, when it goes a step on, and what may be said of its pace. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from finops.core.errors import Invalid
from routing.rollouts import watching
from routing.rollouts.watching import Contrast, Detector, Known, Scored, Sums
from routing.rules.hot import FOR_RULE
from routing.rules.rollout import Stage
from routing.rules.types import Rule

# At each step, unless somebody says otherwise.
LEAST_SCORED: Final = 50
LEAST_MINUTES: Final = 60
MOST_SCORED: Final = 100_000
MOST_MINUTES: Final = 60 * 24 * 31
LONGEST_WHY: Final = 500
# Task types and models of which what is known is kept; calls of any more are not watched.
MOST_KNOWN: Final = 200
_MONTH: Final = re.compile(r"([0-9]{4})-([0-9]{2})")
# Of charges that were made for a rule: `name`, or `name#id` as gateways say it.
TAG: Final = FOR_RULE


class PaceInvalid(Invalid):
    """A pace that cannot be; `field` says where."""

    code = "rollouts.pace_invalid"


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """What one version of a rule was seen to do so far."""

    known: tuple[Known, ...] = ()
    detector: Detector = Detector()
    contrast: Contrast = Contrast()
    # Scores of calls that stayed.
    stayed: tuple[Sums, ...] = ()

    def of(self, task_type: str, model: str) -> Known | None:
        """What is known of an incumbent; None where nobody looked."""
        return next((one for one in self.known if (one.task_type, one.model) == (task_type, model)), None)

    @property
    def watched(self) -> bool:
        """Whether anything is known that scores are held against."""
        return any(one.items for one in self.known)

    def knowing(self, found: Iterable[Known]) -> Course:
        rows = {(one.task_type, one.model): one for one in self.known} | {
            (one.task_type, one.model): one for one in found
        }
        return msgspec.structs.replace(self, known=tuple(rows.values())[:MOST_KNOWN])


class Heard(NamedTuple):
    """A session's scores of one arm, task type and source: `model` is what its calls asked for. `in_pause`: its calls
    were made since the rule was paused.
    """

    session: int
    scored: Scored
    model: str
    in_pause: bool


def heard(course: Course, one: Heard, *, paused: bool) -> Course:
    """With one session more."""
    scored, task_type = one.scored, one.scored.task_type
    if paused:
        if one.in_pause:
            course = msgspec.structs.replace(course, contrast=course.contrast.after(scored))
    elif scored.treated:
        known = course.of(task_type, one.model)
        if known is not None and known.items:
            course = msgspec.structs.replace(course, detector=course.detector.after(known, scored.score))
    if scored.treated:
        return course
    stayed = watching.summed(course.stayed, task_type, one.model, scored.score)
    course = msgspec.structs.replace(course, stayed=stayed)
    return _learned(course, task_type, one.model)


def _learned(course: Course, task_type: str, model: str) -> Course:
    """Where no run had the incumbent, enough calls that stayed with it are as good; from then on that is frozen."""
    known = course.of(task_type, model)
    if known is None or known.items:
        return course
    sums = _sums(course, known)
    return course.knowing([sums.known()]) if sums is not None and sums.number >= watching.ENOUGH else course


def begun_anew(course: Course) -> Course:
    """Once it was decided that it goes on: what stayed in the pause was scored as what was treated, so that it is what
    later scores are held against.
    """
    known = []
    for one in course.known:
        sums = _sums(course, one)
        known.append(sums.known() if sums is not None and sums.number >= watching.LEAST_SCORES else one)
    return Course(known=tuple(known))


def _sums(course: Course, known: Known) -> Sums | None:
    return next((one for one in course.stayed if (one.task_type, one.model) == (known.task_type, known.model)), None)


def begun_pausing(course: Course) -> Course:
    """What is decided is decided by calls that are made from now on."""
    return msgspec.structs.replace(course, contrast=Contrast(), stayed=())


def incumbents(rule: Rule) -> tuple[tuple[str, str], ...]:
    """Task types and models that a rule names: what is known of these is frozen when it begins."""
    policy = rule.policy
    models = (policy.incumbent.model,) if policy is not None else rule.when.models
    return tuple((task_type, model) for task_type in rule.when.task_types for model in models)[:MOST_KNOWN]


def incumbent_of(rule: Rule, asked: str) -> str:
    return rule.policy.incumbent.model if rule.policy is not None else asked


class Standing(NamedTuple):
    """What a step is decided by. `calls` were made since the last step, `scored` of the treated sessions."""

    stage: str
    scored: int
    calls: int
    since: datetime
    calm: bool
    watched: bool


def waits_for(now: Standing, *, least_scored: int, least_minutes: int, by_itself: bool, at: datetime) -> str:
    """Why it goes no step on yet; '' where it does."""
    if now.stage not in (Stage.SHADOW, Stage.CANARY, Stage.RAMP):
        return "It holds for all but those that are held back." if now.stage == Stage.FULL else "It is paused."
    if not by_itself:
        return "It goes on when somebody says so."
    if at - now.since < timedelta(minutes=least_minutes):
        return f"It stays for {least_minutes} minutes at least."
    if now.stage == Stage.SHADOW:
        return "" if now.calls >= least_scored else f"{now.calls} of {least_scored} calls were seen."
    if now.scored < least_scored:
        return f"{now.scored} of {least_scored} treated sessions were scored."
    if not now.watched and least_scored:
        return "Nothing is known of the incumbent to hold scores against."
    return "" if now.calm else "Scores are lower than they were of the incumbent; more of them will tell."


def check_pace(changes: dict[str, Any]) -> None:
    """Raises PaceInvalid."""
    for name, most in (("least_scored", MOST_SCORED), ("least_minutes", MOST_MINUTES)):
        value = changes.get(name, 0)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise PaceInvalid(f"a whole number from 0 to {most:,}", field=name)


def read_month(said: str) -> date | None:
    """The first day of a month that is said as 2026-11; None for anything else."""
    found = _MONTH.fullmatch(said)
    if found is None or not 1 <= int(found[2]) <= 12 or int(found[1]) < 2000:
        return None
    return date(int(found[1]), int(found[2]), 1)


def said(course: Course) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(course)
    return made


def read(document: object) -> Course:
    return msgspec.convert(document, Course)
