"""What crosses evidence: outcomes as they are said, and arrays of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Whole: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


class Interval(NamedTuple):
    lower: float
    upper: float


class Kind(StrEnum):
    """How an outcome came to be known."""

    EVALUATION = "evaluation"
    JUDGE = "judge"
    FEEDBACK = "feedback"
    SIGNAL = "signal"


class Status(StrEnum):
    """How the answer ended that was scored."""

    COMPLETED = "completed"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    ERROR = "error"


class Order(StrEnum):
    """In which order a judge was shown two answers; NONE where it saw one alone."""

    NONE = ""
    AB = "ab"
    BA = "ba"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeDraft:
    """How well one model did on one item, as somebody says it.

    `item` is an id of the caller's, the same for all models on it; `fingerprint` is of its content, so that the same
    item is found under two ids; `cluster` is what items come from together, a session or a user. `score` is 0 to 1,
    `human_score` what a person gave the same answer; `cost` is in dollars, `latency_s` in seconds. `propensity` is the
    chance by which the call went to this model, where that was drawn. `signals` are what `score` was made of.
    """

    item: str
    task_type: str
    model: str
    score: float
    provider: str = ""
    fingerprint: str = ""
    cluster: str = ""
    cost: Decimal | None = None
    latency_s: float | None = None
    status: Status = Status.COMPLETED
    order_shown: Order = Order.NONE
    human_score: float | None = None
    propensity: float | None = None
    occurred_at: datetime | None = None
    signals: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationDraft:
    """A run of items and models, or a source that stands: who measured, and with what. `margin` is how much worse, of
    1, is as good; fixed before anybody looks. `randomised`: which model did an item was not chosen by how hard it is;
    so it is where all models do the same items.
    """

    name: str
    kind: Kind
    evaluator: str
    evaluator_version: str = ""
    judge_model: str = ""
    margin: Decimal | None = None
    randomised: bool = True


class Measure(NamedTuple):
    """With what was measured. Scores of two measures are never subtracted from each other."""

    kind: str
    evaluator: str
    version: str


class Recorded(NamedTuple):
    """What became of outcomes, by their place in what was sent: `new`, `repeated` (the same was known) and
    `conflicting` (something else was known, and stays).
    """

    evaluation_id: int
    new: tuple[int, ...]
    repeated: tuple[int, ...]
    conflicting: tuple[int, ...]


class Flag(NamedTuple):
    """Something about the data that looks broken. `code` is stable, `reason` is for people. `models` are those it is
    about: nothing is recommended by what is known of them in this task type. `items` are some of those concerned.
    """

    code: str
    reason: str
    task_type: str
    models: tuple[str, ...]
    items: tuple[str, ...] = ()


class Rows(NamedTuple):
    """Outcomes of one task type as columns of the length n. `item`, `model` and `measure` point into `items`, `models`
    and `measures`; the items come in an order that was drawn (by their hash), models and measures by name.

    `cluster` numbers what is drawn together; `fingerprint` what is the same item, -1 where nobody said. `run` is the
    evaluation's id, `batch` when it was recorded (microseconds). `status` is 0 for completed, else 1 truncated,
    2 refused, 3 error; `order` 0 for none, 1 ab, 2 ba. `cost` (dollars), `propensity` and `human` are NaN where there
    is none.
    """

    task_type: str
    items: NDArray[np.object_]
    models: tuple[str, ...]
    measures: tuple[Measure, ...]
    item: Whole
    model: Whole
    measure: Whole
    cluster: Whole
    fingerprint: Whole
    run: Whole
    batch: Whole
    status: Whole
    order: Whole
    randomised: Flags
    score: Floats
    cost: Floats
    propensity: Floats
    human: Floats

    def where(self, keep: Flags) -> Rows:
        """Those rows alone; items, models and measures stay as they are numbered."""
        return self._replace(**{name: getattr(self, name)[keep] for name in COLUMNS})


COLUMNS = (
    "item", "model", "measure", "cluster", "fingerprint", "run", "batch", "status", "order", "randomised", "score",
    "cost", "propensity", "human",
)  # fmt: skip


class TypeEvidence(NamedTuple):
    """What is known of one task type from assignments that were random.

    A task is one item by one measure, so that scores in one row may be subtracted. `scores` (0 to 1), `costs`
    (dollars), `failed` and `arrived` have the shape (tasks, models); scores and costs are NaN where a model was not
    tried, or nobody said what it cost. What was measured several times is the mean of it. `failed`: an answer was
    truncated, refused or an error. `arrived` numbers the recordings, later is larger; -1 where there is none.

    `items` (names), `clusters` (tasks of one number are drawn together: one item by two measures, two items of one
    session) and `measure` (into `measures`) have the shape (tasks,). Tasks are in an order that was drawn; pairs are
    taken by `rules.pairs`, which keeps those known first first.

    `abstained` of shape (tasks,): a judge preferred another answer when it saw them the other way round; all scores of
    the task are then the same. `version` changes with every change of the type.
    """

    task_type: str
    version: int
    models: tuple[str, ...]
    measures: tuple[Measure, ...]
    items: NDArray[np.object_]
    clusters: Whole
    measure: Whole
    scores: Floats
    costs: Floats
    failed: Flags
    arrived: Whole
    abstained: Flags


class Evidence(NamedTuple):
    """All of an organization's: the task types by name, and what looks broken in them."""

    types: tuple[TypeEvidence, ...]
    flags: tuple[Flag, ...]


class Pairs(NamedTuple):
    """Both models on the same task, of shape (n,) each, in the order to look at them: recordings in the order they
    came, what came together in an order that was drawn. `differences` are candidate minus incumbent; costs are dollars,
    NaN where nobody said. Pairs of one number in `clusters` are drawn together.
    """

    items: NDArray[np.object_]
    clusters: Whole
    differences: Floats
    incumbent: Floats
    candidate: Floats
    incumbent_cost: Floats
    candidate_cost: Floats


class Logged(NamedTuple):
    """Outcomes of calls whose model was drawn with a chance that was written down, (n,) each: for what another rule
    would have come to (`statistics.offpolicy`). `model` points into `models`.
    """

    models: tuple[str, ...]
    model: Whole
    scores: Floats
    costs: Floats
    propensities: Floats
    clusters: Whole


class Labelled(NamedTuple):
    """Differences of two models, candidate minus incumbent, by judges: `judged` where nobody else looked; `judged_too`
    where people scored both answers as well, (n,), and `human` what they said, (n,).
    """

    judged: Floats
    judged_too: Floats
    human: Floats


class Seen(NamedTuple):
    """Outcomes of one model that nobody drew for: they may suggest an experiment, and nothing else."""

    model: str
    outcomes: int
    mean: float
    mean_cost: float | None


class Frozen(NamedTuple):
    """How an incumbent did in a task type by one evaluator, as it was known at one version: what a rollback is judged
    against. `deviation` is of single scores; `mean_cost` is in dollars, None where nobody said.
    """

    task_type: str
    incumbent: str
    evaluator: str
    evaluator_version: str
    version: int
    items: int
    mean: float
    deviation: float
    mean_cost: float | None


class Known(NamedTuple):
    """A task type and how much is known of it."""

    task_type: str
    version: int
    outcomes: int
    changed_at: datetime


class ModelKnown(NamedTuple):
    """A model in one task type."""

    model: str
    outcomes: int
    mean: float
