"""What crosses recommendations: what was worked out of each task type, and what follows from it."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec


class Kind(StrEnum):
    """What is advised. The strings are public."""

    SWITCH = "switch"
    ROUTE = "route"
    EFFORT = "effort"
    PIN = "pin"
    LOCAL = "local"
    HOST = "host"
    EXPERIMENT = "experiment"
    KEEP = "keep"


class State(StrEnum):
    """What became of it. The strings are public."""

    OPEN = "open"
    APPLIED = "applied"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Verdict(StrEnum):
    """Of a candidate, or of what is advised. PASS: as good, together with everything else that passes. SUSPECT: what is
    known of it looks broken. PRICE: no question of quality.
    """

    PASS = "pass"  # noqa: S105 - not a word that lets anybody in
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    SUSPECT = "suspect"
    PRICE = "price"


class Said(msgspec.Struct, frozen=True):
    """A number and its bounds; None where nothing bounds it."""

    value: float
    lower: float | None = None
    upper: float | None = None


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Dollars for a completed task: of both; `delta` is candidate minus incumbent, `ratio` candidate over incumbent,
    None where the incumbent costs nothing. Bounds are two-sided at 90 %. `tasks` had both costs told; where none had,
    it is `by_prices`: what the calls of the last 30 days cost at either's prices, and bounds are for a candidate that
    uses half as many tokens, or twice as many.
    """

    incumbent: float
    candidate: float
    delta: Said
    ratio: Said | None
    tasks: int
    by_prices: bool = False


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """Of one model, in one task type or in all, over the last 30 days by the ledger; in the reporting currency."""

    calls: int = 0
    spend: Decimal = Decimal(0)
    currency: str = ""


class Flagged(msgspec.Struct, frozen=True):
    """What looks broken, and of which models (`evidence.suspect`)."""

    code: str
    reason: str
    models: tuple[str, ...]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A model on the tasks of a type that the incumbent did too: mean score (0 to 1) and mean cost (dollars)."""

    model: str
    tasks: int
    quality: float
    cost: float | None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate against the incumbent. `difference` is of scores, candidate minus incumbent; its bounds hold at every
    look, each at 95 %. `log_evidence` is that of the e-value against "worse by the margin"; `alone` what it would be
    said of, were it the only one. `error` is the standard error of the difference, `needed` how many pairs would tell.
    `own_cost` is the mean of a task in dollars; `randomised` is False where nobody drew for any of it.
    """

    model: str
    pairs: int = 0
    clusters: int = 0
    difference: Said | None = None
    error: float | None = None
    log_evidence: float = 0.0
    alone: str = Verdict.INCONCLUSIVE.value
    needed: int = 0
    cost: Costs | None = None
    own_cost: float | None = None
    randomised: bool = True


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """A task type as it was worked out at `version` of its evidence. `asked` are names by which calls ask for the
    incumbent, `incumbent_by` is `spend` or `dearest`. `margin_from` is `evaluation`, or `incumbent`: a twentieth of its
    mean score when that was first known well enough; None of both until then.
    """

    task_type: str
    version: int
    incumbent: str
    incumbent_by: str
    asked: tuple[str, ...]
    incumbent_cost: float | None
    margin: float
    margin_from: str | None
    volume: Volume
    candidates: tuple[Measured, ...] = ()
    points: tuple[Point, ...] = ()
    flags: tuple[Flagged, ...] = ()


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment: so many more tasks at both models, and what they cost (dollars, None where nobody knows). `share`
    is what would be saved, should it pass.
    """

    tasks: int
    cost: Decimal | None
    share: float | None


class Considered(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate as the advice saw it, and why it is not the one, where it is not. `expected` is the difference that
    is to be expected, with those of other types in mind, and bounds of 90 %.
    """

    model: str
    verdict: str
    pairs: int
    difference: Said | None
    expected: Said | None
    cost: Costs | None
    why: str


class Saving(msgspec.Struct, frozen=True, kw_only=True):
    """A month's, at the volume of the last 30 days: amounts of its currency, and as shares of the incumbent's spend.
    `random_mix` is the share that sending calls at random to the other measured models saves at the same quality.
    """

    amount: Decimal = Decimal(0)
    lower: Decimal | None = None
    upper: Decimal | None = None
    share: Said | None = None
    random_mix: float | None = None
    random_mix_amount: Decimal | None = None


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What is recommended. `task_types` are those it is about; `task_type` is the one, '' where there are several or it
    is about no type. `rule` is a `rules.types.Rule` as plain values, `yaml` the same as a document; None and '' where
    there is nothing to apply. `basis` changes with the evidence (or the prices) it stands on. `brought` says that the
    candidate is new in the price book, and that nothing is known of it.
    """

    kind: str
    task_type: str
    task_types: tuple[str, ...]
    incumbent: str
    candidate: str
    verdict: str
    basis: str
    evidence_version: int
    in_words: str
    reasons: tuple[str, ...]
    volume: Volume
    saving: Saving = Saving()
    margin: float | None = None
    margin_from: str | None = None
    pairs: int = 0
    clusters: int = 0
    difference: Said | None = None
    cost: Costs | None = None
    trial: Trial | None = None
    rule: dict[str, Any] | None = None
    yaml: str = ""
    flags: tuple[Flagged, ...] = ()
    considered: tuple[Considered, ...] = ()
    brought: bool = False

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What there is one open recommendation of."""
        return (self.kind, self.task_type, self.incumbent, self.candidate)
