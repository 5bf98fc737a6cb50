"""How a rule comes into force step by step, and goes out of it. Pure.

Shadow says what a rule would do. Then it holds for a share of sessions, which grows, and in the end for all but those
that are held back. Who is drawn is drawn by session, and a share that grows keeps whom it had: so on its way up a rule
moves a session at most once, and none back.
"""

from __future__ import annotations

from enum import StrEnum
from math import isfinite
from typing import Final, NamedTuple

from finops.core.errors import FinopsError, Invalid
from routing.rules.types import Rule

HELD_BACK: Final = 0.05
MOST_HELD_BACK: Final = 0.5
CANARY: Final = 0.05
PAUSED: Final = 0.5


class Stage(StrEnum):
    """The strings are public."""

    SHADOW = "shadow"
    CANARY = "canary"
    RAMP = "ramp"
    FULL = "full"
    # Half and half, until the contrast says which.
    PAUSED = "paused"
    ROLLED_BACK = "rolled_back"


class State(StrEnum):
    """Of a rule. What is switched off comes back as it was."""

    IN_FORCE = "in_force"
    SWITCHED_OFF = "switched_off"
    RETIRED = "retired"


class Step(NamedTuple):
    """`share` of sessions are treated, those that are held back left out."""

    stage: Stage
    share: float


# How a rollout may begin.
BEGINNINGS: Final = {
    Stage.SHADOW: Step(Stage.SHADOW, 0.0),
    Stage.CANARY: Step(Stage.CANARY, CANARY),
    Stage.FULL: Step(Stage.FULL, 1.0),
}
_NEXT: Final = {
    Step(Stage.SHADOW, 0.0): BEGINNINGS[Stage.CANARY],
    BEGINNINGS[Stage.CANARY]: Step(Stage.RAMP, 0.25),
    Step(Stage.RAMP, 0.25): Step(Stage.RAMP, 0.5),
    Step(Stage.RAMP, 0.5): BEGINNINGS[Stage.FULL],
    # Where half and half has shown that it is good, half stay where they are.
    Step(Stage.PAUSED, PAUSED): Step(Stage.RAMP, PAUSED),
}


class StageInvalid(Invalid):
    """A stage or a share that cannot be; `field` says where."""

    code = "rules.stage_invalid"


class StageRefused(FinopsError):
    """There is no such step from where the rule is."""

    code = "rules.stage_refused"
    status = 409


def in_parts(rule: Rule) -> bool:
    """Whether it may hold for some sessions and not for others. Limits hold for all or for none, and so does what is
    decided for sensitive calls: whoever is left out of it would go elsewhere.
    """
    return chooses(rule) and rule.when.sensitive is not True


def chooses(rule: Rule) -> bool:
    return bool(rule.use) or rule.policy is not None


def beginning(stage: str, rule: Rule, *, field: str = "stage") -> Step:
    """Raises StageInvalid."""
    found = BEGINNINGS.get(stage)  # type: ignore[call-overload]  # a StrEnum's words are its members
    if found is None:
        raise StageInvalid(f"a rollout begins as {', '.join(BEGINNINGS)}", field=field)
    if found.stage is not Stage.FULL and not in_parts(rule):
        raise StageInvalid("a limit, and what is decided for sensitive calls, holds for all: full", field=field)
    step: Step = found
    return step


def following(stage: str, share: float) -> Step:
    """The step after this one. Raises StageRefused."""
    found = _NEXT.get(Step(Stage(stage), share))
    if found is None:
        why = "it holds for all already" if stage == Stage.FULL else f"from {stage} there is none: begin anew"
        raise StageRefused(f"There is no next step: {why}.", field="to")
    return found


def paused(stage: str, rule: Rule) -> Step:
    """Half and half. Raises StageRefused."""
    if not in_parts(rule):
        raise StageRefused("A limit, and what is decided for sensitive calls, holds for all or for none.", field="to")
    if stage in (Stage.SHADOW, Stage.ROLLED_BACK):
        raise StageRefused(f"In {stage} it holds for nobody: there is nothing to pause.", field="to")
    return Step(Stage.PAUSED, PAUSED)


def check_held_back(held_back: float | None, rule: Rule, usual: float = HELD_BACK) -> float:
    """The share of sessions that a rule never holds for. Raises StageInvalid."""
    if not in_parts(rule):
        if held_back:
            raise StageInvalid("a limit, and what is decided for sensitive calls, holds for all", field="held_back")
        return 0.0
    if held_back is None:
        return usual
    if not isfinite(held_back) or not 0 <= held_back <= MOST_HELD_BACK:
        raise StageInvalid(f"0 to {MOST_HELD_BACK} of sessions may be held back", field="held_back")
    return float(held_back)
