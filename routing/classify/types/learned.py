"""What is learned from, and what is measured of what was learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from routing.classify.types import Signs, wire


class Labelled(NamedTuple):
    """Calls to learn from, each of them of length n. Calls of one session are never on both sides of a measurement."""

    signs: Sequence[Signs]
    types: Sequence[str]
    sessions: Sequence[str]


class Bin(NamedTuple):
    """Chances from `lower` to `upper`: how many, their mean, and the share of them that came true."""

    lower: float
    upper: float
    number: int
    chance: float
    right: float


class Confused(NamedTuple):
    """So many calls of one type were taken for another, or for UNKNOWN where `guessed` is ''."""

    task_type: str
    guessed: str
    number: int


class Measured(NamedTuple):
    """How well it does on calls that it had not seen. `named` of `calls` were sure enough, and `right` of these were;
    `least_right` is the lower bound of that share. `error` is the expected calibration error over all calls of whose
    words enough was known.
    """

    calls: int
    named: int
    right: int
    least_right: float
    error: float
    bins: tuple[Bin, ...]
    confused: tuple[Confused, ...]

    @property
    def accuracy(self) -> float:
        """Of what is named."""
        return self.right / self.named if self.named else 0.0


class Trained(NamedTuple):
    """`left_out` are types with too few calls or sessions."""

    published: wire.Classifier
    measured: Measured
    left_out: tuple[str, ...]


class Tried(NamedTuple):
    """Calls and how well models did them: `outcomes` has the shape (n, models), 0 to 1 and NaN where one was not tried.
    Calls of one session are never on both sides of a measurement.
    """

    models: Sequence[str]
    signs: Sequence[Signs]
    sessions: Sequence[str]
    outcomes: Any


class Prospect(NamedTuple):
    """One model: of `calls` that it was tried on, all figures are of chances that were told without having learned from
    the call. `error` is their expected calibration error, and `is_off` says whether they are clearly not what they
    say; `gain` is how much of the spread of outcomes they explain, 0 where they are no better than the mean. Of one
    that is `flat` too few went well or wrong to tell calls apart: its chance is its mean.
    """

    model: str
    calls: int
    mean: float
    flat: bool
    bins: tuple[Bin, ...]
    error: float
    is_off: bool
    gain: float


class Learnt(NamedTuple):
    published: wire.Prospects
    models: tuple[Prospect, ...]
