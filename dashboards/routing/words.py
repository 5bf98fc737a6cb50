"""What the pages of routing call things."""

from __future__ import annotations

from typing import Final

from dashboards.templatetags.measures import points
from routing.recommend.types import Advice, Kind, State, Verdict
from routing.rollouts import rules as rollouts
from routing.rollouts import watching
from routing.rollouts.models import Rollout
from routing.rollouts.types import UNDER_WAY
from routing.rollouts.types import State as Course
from routing.rules.hot import Arm
from routing.rules.models import RoutingRule
from routing.rules.rollout import Stage
from routing.rules.rollout import State as RuleState

KINDS: Final = {
    Kind.SWITCH: "Switch",
    Kind.ROUTE: "Route",
    Kind.EFFORT: "Less effort",
    Kind.PIN: "Pin sub-agents",
    Kind.LOCAL: "Move local",
    Kind.HOST: "Cheaper host",
    Kind.EXPERIMENT: "Experiment",
    Kind.KEEP: "Keep",
}
STATES: Final = {
    State.OPEN: "Open",
    State.APPLIED: "Applied",
    State.DISMISSED: "Dismissed",
    State.WITHDRAWN: "Withdrawn",
    State.EXPIRED: "Expired",
}
VERDICTS: Final = {
    Verdict.PASS: "as good",
    Verdict.FAIL: "worse",
    Verdict.INCONCLUSIVE: "cannot tell yet",
    Verdict.SUSPECT: "suspect data",
    Verdict.PRICE: "price only",
}
TONES: Final = {Verdict.PASS: "good", Verdict.FAIL: "bad", Verdict.SUSPECT: "bad", Verdict.PRICE: "info"}
STAGES: Final = {
    Stage.SHADOW: "shadow",
    Stage.CANARY: "canary",
    Stage.RAMP: "ramp",
    Stage.FULL: "full",
    Stage.PAUSED: "paused",
    Stage.ROLLED_BACK: "rolled back",
}
RULE_STATES: Final = {
    RuleState.IN_FORCE: "in force",
    RuleState.SWITCHED_OFF: "switched off",
    RuleState.RETIRED: "retired",
}
ARMS: Final = {
    Arm.TREATED: "treated",
    Arm.CONTROL: "not drawn",
    Arm.HELD_BACK: "held back",
    Arm.SHADOW: "shadow",
}
COURSES: Final = {
    Course.WATCHING.value: "watching",
    Course.PAUSED.value: "paused",
    Course.ROLLED_BACK.value: "rolled back",
    Course.FINISHED.value: "finished",
}
# Of flags, by their codes.
FLAGS: Final = {
    "format_collapse": "Answer format",
    "truncated_run": "Runs cut short",
    "judge_drift": "Judge drift",
    "duplicated_items": "Duplicated items",
    "one_order": "One order",
}
MARGINS: Final = {
    "evaluation": "said with the evaluation",
    "incumbent": "a twentieth of the incumbent’s mean score",
}


def verdict(value: str) -> str:
    return VERDICTS.get(Verdict(value), value)


def tone(value: str) -> str:
    return TONES.get(Verdict(value), "")


def about(advice: Advice) -> str:
    """What a recommendation is about, for a list."""
    if advice.task_type:
        return advice.task_type
    return f"{len(advice.task_types):,} task types" if advice.task_types else "all its calls"


def stage_of(row: RoutingRule) -> str:
    """`canary, 5 %`"""
    name = STAGES.get(Stage(row.stage), row.stage)
    return f"{name}, {row.share * 100:g}\u202f%" if row.stage in (Stage.CANARY, Stage.RAMP, Stage.PAUSED) else name


def state_of(row: RoutingRule) -> str:
    """What was rolled back is in force for nobody, though nobody switched it off."""
    state = RuleState(row.state)
    return "not in force" if state is RuleState.IN_FORCE and row.stage == Stage.ROLLED_BACK else RULE_STATES[state]


def stage_tone(row: RoutingRule) -> str:
    if row.state != RuleState.IN_FORCE:
        return ""
    return {Stage.FULL: "good", Stage.PAUSED: "warn", Stage.ROLLED_BACK: "bad"}.get(Stage(row.stage), "info")


def step(row: Rollout) -> str:
    """`ramp, 25 %`, of a rollout."""
    name = STAGES[Stage(row.stage)] if row.stage in set(Stage) else row.stage
    return f"{name}, {row.share * 100:g}\u202f%" if row.stage in (Stage.CANARY, Stage.RAMP, Stage.PAUSED) else name


def seen(row: Rollout) -> str:
    """What scores say of a rollout, in a sentence."""
    if row.state not in UNDER_WAY:
        return f"{row.treated_scored:,} treated sessions were scored."
    course = rollouts.read(row.seen)
    detector, contrast = course.detector, course.contrast
    if row.state == Course.PAUSED:
        if contrast.mean is None:
            return "Half against half: no pair of scores yet."
        return (
            f"Half against half: after {len(contrast.differences):,} pairs the treated half is"
            f" {points(contrast.mean)} points from the other, which does not decide yet."
        )
    if not course.watched:
        return "Nothing is known of the incumbent to hold scores against: post an evaluation that has it."
    if not detector.seen:
        return "No treated session was scored yet."
    told = f"{detector.seen:,} scored session{'' if detector.seen == 1 else 's'}"
    if detector.calm:
        return f"No drop seen in {told}."
    return (
        f"Scores of {told} are {points(-detector.mean)} points from the incumbent’s: evidence of {detector.e_value:.1f}"
        f" to 1 that it is worse; at {watching.ALARMED_AT:.0f} to 1 it is paused."
    )
