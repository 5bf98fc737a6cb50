"""What may be said of experiments, and what may become of them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from decimal import Decimal
from typing import Final

import msgspec

from finops.core.errors import FinopsError, Invalid
from finops.core.money import to_ledger
from routing.evidence import rules as evidence
from routing.experiments.types import ENDED, UNDER_WAY, ExperimentDraft, Mode, Scoring, State
from routing.rules.gate_rules import why_not
from routing.rules.types import GateKind
from routing.upstreams.rules import AUTO

LONGEST_NAME: Final = evidence.LONGEST_NAME
LONGEST_QUESTION: Final = 1_000
LONGEST_REASON: Final = 300
MOST_CANDIDATES: Final = 5
MOST_TASKS: Final = 5_000
LEAST_SHARE: Final = Decimal("0.001")
SHARE_PLACES: Final = 3
MOST_COST: Final = Decimal(100_000)
# Of one organization at once: each has a budget and a key of its own.
MOST_UNDER_WAY: Final = 20
# Of one organization in all.
MOST_KEPT: Final = 2_000
# What calls of experiments are charged as: nothing is measured of that.
TASK_TYPE: Final = "experiment"
TAG: Final = "for-experiment"
# What an answer can be looked at by without asking anybody.
GATES: Final = (GateKind.JSON, GateKind.SCHEMA, GateKind.PATTERN)

# Why an experiment is not running, by stable codes.
WHY: Final = {
    "measured": "All tasks were measured.",
    "used_up": "Every captured call was used: there are no more to measure.",
    "cap_reached": "Its cap is reached: the next call might have cost more than is left.",
    "captures_off": "Captures are off for this task type: switch them on (PATCH /api/v1/captures/settings).",
    "gateway_unknown": "Nobody said where the gateway is: set CAPSTAN_GATEWAY_URL for the workers.",
    "gateway_away": "The gateway does not answer.",
    "gateway_not_told": "The gateway does not know the experiment's key yet.",
    "refused": "A budget, a limit or a stop that is not its own refuses its calls.",
    "evidence_withdrawn": "Its evaluation was withdrawn: what it measured is no evidence any more.",
    "broke": "Something went wrong here; the worker's log says what.",
}


class ExperimentInvalid(Invalid):
    """An experiment that cannot be; `field` says where."""

    code = "experiments.invalid"


class CapturesOff(FinopsError):
    """There is nothing to replay."""

    code = "experiments.captures_off"
    status = 409


class WrongState(FinopsError):
    """Not from the state that it is in."""

    code = "experiments.wrong_state"
    status = 409


class TooMany(FinopsError):
    code = "experiments.too_many"
    status = 409


def check(draft: ExperimentDraft) -> ExperimentDraft:
    """As it is kept. Raises ExperimentInvalid, which names the field."""
    task_type = _line(draft.task_type, "task_type")
    if task_type == TASK_TYPE:
        raise ExperimentInvalid(f"calls of experiments are charged as {TASK_TYPE!r}", field="task_type")
    incumbent = _model(draft.incumbent, "incumbent")
    candidates = tuple(_model(one, f"candidates[{place}]") for place, one in enumerate(draft.candidates))
    if not 1 <= len(candidates) <= MOST_CANDIDATES:
        raise ExperimentInvalid(f"1 to {MOST_CANDIDATES} candidates", field="candidates")
    if len({incumbent, *candidates}) <= len(candidates):
        raise ExperimentInvalid("every model once, the incumbent too", field="candidates")
    if not 1 <= draft.tasks <= MOST_TASKS:
        raise ExperimentInvalid(f"1 to {MOST_TASKS:,} tasks", field="tasks")
    margin = draft.margin
    if not margin.is_finite() or not evidence.LEAST_MARGIN <= margin <= evidence.MOST_MARGIN:
        raise ExperimentInvalid(
            f"a margin is {evidence.LEAST_MARGIN} to {evidence.MOST_MARGIN}: 0.05 is 5 points", field="margin"
        )
    if margin != round(margin, evidence.MARGIN_PLACES):
        raise ExperimentInvalid(f"a margin has at most {evidence.MARGIN_PLACES} places", field="margin")
    cost = draft.most_cost
    if not cost.is_finite() or not 0 < cost <= MOST_COST:
        raise ExperimentInvalid(f"more than 0 and at most {MOST_COST:,}", field="most_cost")
    share = draft.share
    if not share.is_finite() or not LEAST_SHARE <= share <= 1 or share != round(share, SHARE_PLACES):
        raise ExperimentInvalid(f"{LEAST_SHARE} to 1, with {SHARE_PLACES} places", field="share")
    if draft.mode is Mode.REPLAY and share != 1:
        raise ExperimentInvalid("a share is of calls to come: a replay says how many tasks", field="share")
    judge = _scored(draft, {incumbent, *candidates})
    return msgspec.structs.replace(
        draft, task_type=task_type, incumbent=incumbent, candidates=candidates, most_cost=to_ledger(cost), judge=judge,
        margin=round(margin, evidence.MARGIN_PLACES), share=round(share, SHARE_PLACES), question=draft.question.strip(),
    )  # fmt: skip


def _scored(draft: ExperimentDraft, models: Collection[str]) -> str:
    """Whether answers can be scored so; gives the judge."""
    if draft.scoring is Scoring.GATE:
        if draft.judge or draft.question:
            raise ExperimentInvalid("a gate asks nobody", field="judge" if draft.judge else "question")
        if draft.gate is None or draft.gate.kind not in GATES:
            raise ExperimentInvalid(f"a gate of kind {', '.join(GATES)}", field="gate")
        refused = why_not(draft.gate)
        if refused is not None:
            raise ExperimentInvalid(refused[1], field=f"gate.{refused[0]}")
        return ""
    if draft.gate is not None:
        raise ExperimentInvalid("a judge has no gate", field="gate")
    judge = _model(draft.judge, "judge")
    if judge in models:
        raise ExperimentInvalid("a model does not judge itself: name another", field="judge")
    if len(draft.question) > LONGEST_QUESTION or not all(one.isprintable() or one in "\n\t" for one in draft.question):
        raise ExperimentInvalid(f"at most {LONGEST_QUESTION:,} characters of text", field="question")
    return judge


def check_start(state: str) -> None:
    """Raises WrongState."""
    if state != State.DRAFT:
        raise WrongState(f"It was started already, and is {state}.")


def check_stop(state: str) -> None:
    """Raises WrongState."""
    if state not in UNDER_WAY:
        raise WrongState(f"It is not under way: it is {state}.")


def check_resume(state: str) -> None:
    """Raises WrongState."""
    if state in ENDED:
        raise WrongState(f"It has ended: it is {state}. What it measured is kept; make another one for more.")
    if state == State.DRAFT:
        raise WrongState("It was never started.")


def budget_name(experiment_id: int) -> str:
    return f"Experiment {experiment_id}"


def way_of_scoring(draft: ExperimentDraft) -> str:
    """A digest of how answers are scored: two experiments of one way would say the same of the same calls again."""
    said = (draft.scoring.value, msgspec.json.encode(draft.gate), draft.judge, draft.question)
    return hashlib.blake2b(repr(said).encode(), digest_size=8).hexdigest()


def evaluator(draft: ExperimentDraft, candidate: str) -> str:
    """Who scores, as evidence knows it. What a judge gives an answer depends on what stands beside it, so that each
    candidate has an evaluator of its own; and another question is another evaluator.
    """
    if draft.scoring is Scoring.GATE:
        assert draft.gate is not None  # noqa: S101 - `check` saw to it
        return f"gate {draft.gate.kind.value} {way_of_scoring(draft)}"
    said = f"{draft.judge} beside {candidate}" + (f", question {way_of_scoring(draft)}" if draft.question else "")
    if len(said) <= evidence.LONGEST_WORD:
        return said
    return f"judge {hashlib.blake2b(said.encode(), digest_size=8).hexdigest()}"


def _model(value: str, field: str) -> str:
    name = _line(value, field)
    if name == AUTO:
        raise ExperimentInvalid(f"{AUTO} leaves the choice to routing and is no model", field=field)
    return name


def _line(value: str, field: str) -> str:
    kept = value.strip()
    if not kept or len(kept) > LONGEST_NAME or not kept.isprintable():
        raise ExperimentInvalid(f"one line of 1 to {LONGEST_NAME} characters", field=field)
    return kept
