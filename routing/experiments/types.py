"""What crosses experiments: what somebody wants measured, and what was measured of one call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec

from routing.evidence.types import Order, Status
from routing.rules.types import Gate


class Mode(StrEnum):
    """Of which calls: those that were captured already, or a share of those that are from now on. The strings are
    public, as are those below.
    """

    REPLAY = "replay"
    SHADOW = "shadow"


class Scoring(StrEnum):
    """How two answers to one call are compared: each by a gate of routing rules, or both by a model that judges."""

    GATE = "gate"
    JUDGE = "judge"


class State(StrEnum):
    """PAUSED is by itself, for something that may pass: it goes on by itself too. STOPPED is by somebody."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"
    FAILED = "failed"


UNDER_WAY = (State.RUNNING, State.PAUSED)
ENDED = (State.DONE, State.FAILED)


class ItemState(StrEnum):
    """Of one call. ASKED: calls are being made for it; it is never begun anew. SKIPPED: no call was made."""

    ASKED = "asked"
    MEASURED = "measured"
    FAILED = "failed"
    SKIPPED = "skipped"


class ExperimentDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured: `candidates` beside the `incumbent`, on so many `tasks` of a type, for at most
    `most_cost` (of the reporting currency). `margin` is how much worse, of 1, is as good. `share` is of captured calls,
    for a shadow. `project_id` is 0 for any.
    """

    mode: Mode
    task_type: str
    incumbent: str
    candidates: tuple[str, ...]
    tasks: int
    margin: Decimal
    scoring: Scoring
    most_cost: Decimal
    gate: Gate | None = None
    judge: str = ""
    question: str = ""
    share: Decimal = Decimal(1)
    project_id: int = 0


class Answer(NamedTuple):
    """What a model answered: its text, with what it would have called written out; whether it ended by itself."""

    text: str
    ended: bool
    calls_tools: bool = False


class Way(NamedTuple):
    """Where a model may be asked: in which family's API, and at which upstreams alone."""

    family: str
    model: str
    upstreams: tuple[str, ...]


class Plan(NamedTuple):
    """One captured call, and all that is to be asked for it. `ways` are by candidate; a candidate that may not be asked
    is in `kept_from`, with the code of why. `headers` say how the body is meant. `judge` is None for gates.
    """

    call_id: str
    at: datetime
    dialect: str
    body: bytes
    headers: Mapping[str, str]
    label: str
    asked: str
    incumbent: Answer
    incumbent_cost: Decimal | None
    incumbent_s: float
    fingerprint: str
    cluster: str
    ways: Mapping[str, Way]
    kept_from: Mapping[str, str]
    judge: Way | None = None


class Score(NamedTuple):
    """Of both answers, 0 to 1; a judge's in one order."""

    incumbent: float
    candidate: float
    order: Order = Order.NONE


class Measured(NamedTuple):
    """One candidate on one call. Without `scores` it came to nothing, and `code` says why. `cost` is the candidate's
    own, None where nobody knows it.
    """

    candidate: str
    scores: tuple[Score, ...] = ()
    status: Status = Status.COMPLETED
    cost: Decimal | None = None
    took_s: float | None = None
    code: str = ""


class Item(NamedTuple):
    """What became of one call: each candidate on it, and what all calls that were made for it came to."""

    plan: Plan
    measured: tuple[Measured, ...]
    spent: Decimal = Decimal(0)
    judged: Decimal = Decimal(0)
