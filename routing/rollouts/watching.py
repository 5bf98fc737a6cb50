"""Whether a rule makes answers worse: noticed against what is known of the incumbent, decided half against half. Pure.

Noticing. Somebody bets, score by score, against "it is worse by no more than TOLERANCE". A rule may be good for months
and then not, so that what was lost before counts for nothing: their worth never starts a bet below 1 (a detector of
changes made of e-values, the CUSUM of Shin, Ramdas and Rinaldo, "E-detectors", New England Journal of Statistics in
Data Science 2 (2024)). The bet is the tolerance over the variance, half of what makes wealth grow fastest where it is
worse by CAUGHT: that tells CAUGHT from nothing by the fewest scores, wherever it begins. At a worth of ALARM the rule
is paused, which costs little: half of the sessions stay as they are.

Deciding. Half of the sessions are treated then, and drawn for it: a score of either half in the order they came is a
pair, and pairs bet as `evidence.statistics.betting` does. It is rolled back when it is refuted that it is as good, and
goes on when it is refuted that it is worse by twice the tolerance. After MOST_PAIRS their mean decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from math import exp, log, log1p, sqrt
from typing import Final, NamedTuple

import msgspec
import numpy as np

from routing.evidence.statistics.betting import LEAST_PAIRS, refuted_after

# Of a score, 0 to 1.
TOLERANCE: Final = 0.05
CAUGHT: Final = 3 * TOLERANCE
# By simulation (tests/unit/rollouts): paused by mistake in fewer than 5 of 100 times 2,000 scores, and after fewer than
# 150 where it is worse by CAUGHT, for any share of good answers.
ALARMED_AT: Final = 17.0
ALARM: Final = log(ALARMED_AT)
LEAST_SCORES: Final = 20
# A new rule is trusted a little less than one that has been good (the head start of Lucas and Crosier, "Fast initial
# response for CUSUM quality control schemes", Technometrics 24 (1982)).
HEAD_START: Final = 0.5
# No more than this share of what would lose all at once is bet.
_BOLDEST: Final = 0.75
# The variance that is frozen counts like so many scores. It is never believed to be less than this: of an incumbent
# that is nearly always right, a bet by its variance alone takes two misses for a change.
_KNOWN: Final = 50.0
_LEAST_VARIANCE: Final = 0.15
ERROR: Final = 0.05
MOST_PAIRS: Final = 2_000
# Scores of one half that wait for one of the other: those that came first are forgotten first.
MOST_WAITING: Final = 200
# So many scores of the other arms are as good as a run, where none had the incumbent.
ENOUGH: Final = 100
_PLACES: Final = 6


class Decision(StrEnum):
    ROLL_BACK = "roll_back"
    GO_ON = "go_on"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """How the incumbent did, frozen; of a task type. `by` is `evidence`, runs that had it, or `rollout`, scores of
    calls that were drawn to stay with it. Nobody knows where `items` is 0.
    """

    task_type: str
    model: str
    by: str = "evidence"
    items: int = 0
    mean: float = 0.0
    deviation: float = 0.0


class Scored(NamedTuple):
    """A session's mean score: those of one arm, task type and source (who scored)."""

    treated: bool
    score: float
    task_type: str
    source: int


class Detector(msgspec.Struct, frozen=True, kw_only=True):
    """What was noticed so far: the logarithm of the worth, and of how far scores are below what is known their number,
    mean, and summed squares of distances from it.
    """

    worth: float = HEAD_START
    seen: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @property
    def alarmed(self) -> bool:
        return self.worth >= ALARM and self.seen >= LEAST_SCORES

    @property
    def calm(self) -> bool:
        """Nothing that looks like the beginning of an alarm."""
        return self.worth < ALARM / 2

    @property
    def e_value(self) -> float:
        return exp(min(self.worth, 700.0))

    def after(self, known: Known, score: float) -> Detector:
        """`score` is of a session that was treated."""
        below = known.mean - score
        variance = max((known.deviation**2 * _KNOWN + self.squares) / (_KNOWN + self.seen), _LEAST_VARIANCE)
        bet = min((CAUGHT - 2 * TOLERANCE) / variance, _BOLDEST / (1.0 + TOLERANCE))
        seen = self.seen + 1
        mean = self.mean + (below - self.mean) / seen
        return Detector(
            worth=max(self.worth, 0.0) + log1p(bet * (below - TOLERANCE)),
            seen=seen,
            mean=mean,
            squares=self.squares + (below - self.mean) * (below - mean),
        )


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of one arm that have no counterpart yet, of a task type by one source."""

    task_type: str
    source: int
    treated: bool
    scores: tuple[float, ...]


class Contrast(msgspec.Struct, frozen=True, kw_only=True):
    """Treated minus not treated, pair by pair, and what waits for its other half."""

    differences: tuple[float, ...] = ()
    waiting: tuple[Waiting, ...] = ()

    def after(self, one: Scored) -> Contrast:
        """Once decided it takes no more: what it said was by these pairs."""
        score = round(one.score, _PLACES)
        mine = [row for row in self.waiting if (row.task_type, row.source) == (one.task_type, one.source)]
        others = tuple(row for row in self.waiting if row not in mine)
        found = mine[0] if mine else None
        if found is None or found.treated is one.treated:
            kept = (*(found.scores if found else ()), score)[-MOST_WAITING:]
            made = Waiting(task_type=one.task_type, source=one.source, treated=one.treated, scores=kept)
            return Contrast(differences=self.differences, waiting=(*others, made))
        first, *rest = found.scores
        difference = round(score - first if one.treated else first - score, _PLACES)
        left = (msgspec.structs.replace(found, scores=tuple(rest)),) if rest else ()
        return Contrast(differences=(*self.differences, difference), waiting=(*others, *left))

    @property
    def mean(self) -> float | None:
        return sum(self.differences) / len(self.differences) if self.differences else None

    def decided(self) -> Decision | None:
        """What was refuted first; None while nothing was."""
        pairs = np.array(self.differences[:MOST_PAIRS])
        if pairs.size < LEAST_PAIRS:
            return None
        worse = refuted_after(-pairs, 0.0, alpha=ERROR)
        good = refuted_after(pairs, -2 * TOLERANCE, alpha=ERROR)
        if worse is not None and (good is None or worse <= good):
            return Decision.ROLL_BACK
        if good is not None:
            return Decision.GO_ON
        if pairs.size < MOST_PAIRS:
            return None
        return Decision.ROLL_BACK if float(pairs.mean()) < -TOLERANCE else Decision.GO_ON


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of calls that were drawn to stay with the incumbent, in a task type."""

    task_type: str
    model: str
    number: int = 0
    total: float = 0.0
    squares: float = 0.0

    def after(self, score: float) -> Sums:
        return Sums(
            task_type=self.task_type,
            model=self.model,
            number=self.number + 1,
            total=self.total + score,
            squares=self.squares + score**2,
        )

    def known(self) -> Known:
        mean = self.total / self.number
        spread = sqrt(max(self.squares / self.number - mean**2, 0.0))
        return Known(
            task_type=self.task_type, model=self.model, by="rollout", items=self.number, mean=mean, deviation=spread
        )


def summed(sums: Iterable[Sums], task_type: str, model: str, score: float) -> tuple[Sums, ...]:
    """With one score more."""
    rows = {(one.task_type, one.model): one for one in sums}
    mine = rows.get((task_type, model), Sums(task_type=task_type, model=model))
    rows[task_type, model] = mine.after(score)
    return tuple(rows.values())
