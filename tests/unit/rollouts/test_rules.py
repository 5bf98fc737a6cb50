"""When a rule goes a step on, and what its course carries on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from routing.rollouts.rules import (
    MOST_KNOWN,
    MOST_SCORED,
    Course,
    Heard,
    PaceInvalid,
    Standing,
    begun_anew,
    begun_pausing,
    check_pace,
    heard,
    incumbent_of,
    incumbents,
    read,
    said,
    waits_for,
)
from routing.rollouts.watching import ENOUGH, Known, Scored
from routing.rules.types import Rule, Use, When
from tests.factories.orgs import NOON
from tests.factories.rules import by_type, triage

GOOD = Known(task_type="triage", model="frontier", items=400, mean=0.8, deviation=0.4)
NOBODY = Known(task_type="triage", model="frontier")


def one(score: float = 1.0, *, treated: bool = True, in_pause: bool = False, task_type: str = "triage") -> Heard:
    return Heard(1, Scored(treated, score, task_type, 1), "frontier", in_pause)


def waits(**given: Any) -> str:
    pace = {"least_scored": 50, "least_minutes": 60, "by_itself": True} | {
        name: given.pop(name) for name in ("least_scored", "by_itself") if name in given
    }
    usual: dict[str, Any] = {
        "stage": "canary", "scored": 50, "calls": 0, "since": NOON, "calm": True, "watched": True,
    }  # fmt: skip
    after = given.pop("after", 60)
    return waits_for(Standing(**usual | given), **pace, at=NOON + timedelta(minutes=after))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, ""),
        ({"after": 59}, "It stays for 60 minutes at least."),
        ({"scored": 49}, "49 of 50 treated sessions were scored."),
        ({"calm": False}, "Scores are lower than they were of the incumbent; more of them will tell."),
        ({"watched": False}, "Nothing is known of the incumbent to hold scores against."),
        ({"watched": False, "scored": 0, "least_scored": 0}, ""),
        ({"by_itself": False}, "It goes on when somebody says so."),
        ({"stage": "shadow", "calls": 49}, "49 of 50 calls were seen."),
        ({"stage": "shadow", "calls": 50, "scored": 0, "watched": False}, ""),
        ({"stage": "full"}, "It holds for all but those that are held back."),
        ({"stage": "paused"}, "It is paused."),
    ],
)
def test_a_step_waits_for_time_and_for_scores(given: dict[str, Any], why: str) -> None:
    assert waits(**given) == why


def test_treated_scores_are_held_against_what_is_known_of_their_task_type() -> None:
    course = Course(known=(GOOD,))
    assert heard(course, one(), paused=False).detector.seen == 1
    assert heard(course, one(task_type="chat"), paused=False) == course
    assert heard(Course(known=(NOBODY,)), one(), paused=False).detector.seen == 0
    assert (course.watched, Course(known=(NOBODY,)).watched, Course().watched) == (True, False, False)


def test_in_a_pause_only_calls_that_were_made_in_it_are_paired() -> None:
    course = Course(known=(GOOD,))
    for each in (one(), one(0.0, treated=False), one(in_pause=True), one(0.0, treated=False, in_pause=True)):
        course = heard(course, each, paused=True)
    assert (course.contrast.differences, course.contrast.waiting, course.detector.seen) == ((1.0,), (), 0)


def test_what_stayed_is_frozen_once_it_is_enough_where_no_run_had_it() -> None:
    course = Course(known=(NOBODY,))
    for number in range(ENOUGH):
        assert not course.watched
        course = heard(course, one(float(number % 4 > 0), treated=False), paused=False)
    known = course.of("triage", "frontier")
    assert known is not None
    assert (known.items, known.mean, known.by) == (ENOUGH, 0.75, "rollout")
    assert heard(course, one(0.0, treated=False), paused=False).known == course.known
    # What a run had stays as it was frozen, and what nobody asked for is only counted.
    other = heard(Course(known=(GOOD,)), one(0.0, treated=False, task_type="chat"), paused=False)
    assert (other.known, [sums.task_type for sums in other.stayed]) == ((GOOD,), ["chat"])


def test_after_a_pause_it_is_held_against_what_stayed_in_it() -> None:
    course = heard(Course(known=(GOOD,)), one(0.0, treated=False), paused=False)
    paused = begun_pausing(heard(course, one(), paused=False))
    assert (paused.stayed, paused.contrast.differences, paused.detector.seen) == ((), (), 1)
    for _ in range(19):
        paused = heard(paused, one(0.5, treated=False, in_pause=True), paused=True)
    assert begun_anew(paused) == Course(known=(GOOD,))
    paused = heard(paused, one(0.5, treated=False, in_pause=True), paused=True)
    [known] = begun_anew(paused).known
    assert (known.items, known.mean, known.by) == (20, 0.5, "rollout")


def test_what_is_known_is_bounded_and_the_newest_of_it_counts() -> None:
    many = [Known(task_type=f"type-{number}", model="frontier", items=1) for number in range(MOST_KNOWN + 1)]
    assert len(Course().knowing(many).known) == MOST_KNOWN
    assert Course(known=(NOBODY,)).knowing([GOOD]).known == (GOOD,)


def test_a_course_is_kept_as_plain_values() -> None:
    course = heard(Course(known=(GOOD,)), one(0.25), paused=False)
    course = heard(course, one(0.5, in_pause=True), paused=True)
    assert read(said(course)) == course


def test_incumbents_are_those_that_a_rule_names() -> None:
    assert incumbents(triage()) == (("triage", "frontier"),)
    assert incumbents(Rule(name="all", use=(Use(model="small"),))) == ()
    learned = Rule(name="learned", when=When(task_types=("chat",), models=("auto",)), policy=by_type())
    assert incumbents(learned) == (("chat", "frontier"),)
    assert (incumbent_of(learned, "auto"), incumbent_of(triage(), "auto")) == ("frontier", "auto")


@pytest.mark.parametrize("value", [-1, MOST_SCORED + 1, 1.5, True, "many"])
def test_a_pace_is_a_whole_number(value: object) -> None:
    with pytest.raises(PaceInvalid) as wrong:
        check_pace({"least_scored": value})
    assert wrong.value.field == "least_scored"
    check_pace({"least_scored": 0, "least_minutes": 60, "by_itself": False})
