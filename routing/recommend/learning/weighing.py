"""How careful to be. Of many policies that are told to keep enough, the one that saves most was also told too well.

What that costs is measured, by draws of what might have been told instead: tasks as good as these, drawn anew, the same
ones for every policy. Policies that send the same calls the same way are told too well together, and to choose between
them costs nothing; to choose between what differs, and from a curve that is told badly, costs what it costs here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from routing.evidence.types import Floats

# A chance of nine in ten is told to one in a hundred.
_DRAWS: Final = 1_000
# Standard errors by which more than the target is to be kept: the fewest of these that do.
_ERRORS: Final = np.arange(0.0, 4.01, 0.05)
# Fresh tasks differ by more than draws of few tasks say, by a fifth to a half (docs/benchmarks.md).
_WIDER: Final = 1.5
# Who saves less than this share of the cost need not bother.
_WORTH: Final = 0.02
# Tasks of which luck is drawn at a time, so that many need no more memory than these.
_AT_ONCE: Final = 4_096


class Weighed(NamedTuple):
    """Of policies, shape (policies,): the shares of quality and of cost that each is expected to keep and to save, and
    the standard error of what it keeps on as many fresh tasks. And drawn, (policies, draws): by how much more is kept
    because of the tasks that it was learned from, and because of those that it will meet.
    """

    kept: Floats
    saved: Floats
    error: Floats
    luck: Floats
    fresh: Floats


def weighed(kept: Floats, saved: Floats, off: Floats, apart: Floats) -> Weighed:
    """`off`, (policies, clusters): what each cluster of tasks, which are drawn together, adds to how far what is kept
    is off. `apart`, (policies,): the variance of what is kept by who goes where.
    """
    drawn = np.random.default_rng(0)
    luck, fresh = np.zeros((len(off), _DRAWS)), np.zeros((len(off), _DRAWS))
    for first in range(0, off.shape[1], _AT_ONCE):
        part = off[:, first : first + _AT_ONCE]
        luck += part @ drawn.standard_normal((part.shape[1], _DRAWS))
        fresh += part @ drawn.standard_normal((part.shape[1], _DRAWS))
    fresh += np.sqrt(apart)[:, None] * drawn.standard_normal(_DRAWS)
    # Of these tasks, of those, and of who goes where.
    return Weighed(kept, saved, np.sqrt(2 * (off**2).sum(axis=1) + apart), luck, fresh)


def chosen(kinds: Sequence[Weighed], *, target: float, assurance: float) -> tuple[int, int] | None:
    """Which kind, and which policy of it: the one that saves most of those that stay enough standard errors above the
    target. None where nothing may be changed.
    """
    if not kinds:
        return None
    every = Weighed(*(np.concatenate(each) for each in zip(*kinds, strict=True)))
    errors = errors_needed(every, target=target, assurance=assurance)
    if errors is None:
        return None
    place = int(_best(every, every.kept[:, None], errors, target)[0])
    if place < 0:
        return None
    ends = np.cumsum([len(one.kept) for one in kinds])
    kind = int(np.searchsorted(ends, place, side="right"))
    return kind, place - int(ends[kind] - len(kinds[kind].kept))


def errors_needed(every: Weighed, *, target: float, assurance: float) -> float | None:
    """The fewest standard errors with which what is chosen, by what would have been told, keeps the target on average,
    and on fresh tasks with a chance of `assurance`. None where no number is enough.
    """
    told = every.kept[:, None] + every.luck
    draws = np.arange(told.shape[1])
    for errors in _ERRORS:
        best = _best(every, told, float(errors), target)
        # Where nothing is worth it the incumbent stays, and keeps all.
        kept = np.where(best >= 0, every.kept[best], 1.0)
        fresh = np.where(best >= 0, kept + _WIDER * every.fresh[best, draws], 1.0)
        if kept.mean() >= target and (fresh >= target).mean() >= assurance:
            return float(errors)
    return None


def _best(every: Weighed, told: Floats, errors: float, target: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """For each draw of what is told to be kept, (policies, draws), what would be chosen; -1 for nothing."""
    saved = np.where(told - errors * every.error[:, None] >= target, every.saved[:, None], 0.0)
    places = saved.argmax(axis=0)
    return np.where(saved[places, np.arange(told.shape[1])] >= _WORTH, places, -1)
