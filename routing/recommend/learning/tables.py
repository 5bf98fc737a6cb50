"""Measured tasks as tables to learn from: scores, costs, types, lengths and, where there are prompts, their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from routing.classify.hot import hashed
from routing.classify.words import BUCKETS
from routing.evidence.outcomes import Outcomes
from routing.evidence.types import Floats

# A text that a larger share of tasks has, and more of them than a few, is a form that they are all written in.
_COMMON: Final = 0.01
_FEW: Final = 10


@dataclass(frozen=True, slots=True)
class Tasks:
    """Tasks that the incumbent was tried on. `scores` and `costs` have the shape (tasks, models), the incumbent first,
    NaN where a model was not tried; `words` has (tasks, buckets): logarithmic counts, not yet weighed. Tasks of one
    number in `clusters`, of shape (tasks,), are drawn together: what one of them says, the others say again.
    """

    models: tuple[str, ...]
    types: NDArray[np.str_]
    characters: Floats
    words: sparse.csr_matrix | None
    scores: Floats
    costs: Floats
    clusters: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.types)

    def at(self, rows: NDArray[np.int64]) -> Tasks:
        words = None if self.words is None else self.words[rows]
        return Tasks(
            self.models, self.types[rows], self.characters[rows], words, self.scores[rows], self.costs[rows],
            self.clusters[rows],
        )  # fmt: skip

    def without_words(self) -> Tasks:
        return replace(self, words=None)

    def of(self, models: Sequence[str]) -> Tasks:
        """The same tasks with the incumbent and these candidates."""
        columns = [0, *(self.models.index(one) for one in models)]
        return replace(
            self, models=(self.models[0], *models), scores=self.scores[:, columns], costs=self.costs[:, columns]
        )


def tasks_of(outcomes: Outcomes, incumbent: str, candidates: Sequence[str]) -> Tasks:
    """Raises OutcomesInvalid for a model that there is not."""
    columns = [outcomes.of(one) for one in (incumbent, *candidates)]
    scores, costs = outcomes.scores[:, columns], outcomes.costs[:, columns]
    tried = ~np.isnan(scores[:, 0])
    prompts = outcomes.prompts[tried]
    words = words_of(prompts) if any(prompts) else None
    labels = [outcomes.sessions[tried]] if words is None else [outcomes.sessions[tried], contents_of(words)]
    return Tasks(
        (incumbent, *candidates),
        outcomes.types[tried],
        np.array([len(text) for text in prompts], dtype=float),
        words,
        scores[tried],
        costs[tried],
        drawn_together(*labels),
    )


def drawn_together(*labels: NDArray[np.object_]) -> NDArray[np.int64]:
    """A number for each task, from arrays of shape (tasks,): tasks that have a label of any of them in common, or are
    joined by others that have, have one number. '' is no label.
    """
    size = nodes = len(labels[0])
    tasks: list[NDArray[np.int64]] = []
    others: list[NDArray[np.int64]] = []
    for each in labels:
        mine = np.flatnonzero(each != "")
        names, which = np.unique(each[mine].astype(str), return_inverse=True)
        tasks.append(mine)
        others.append(which + nodes)
        nodes += len(names)
    rows, columns = np.concatenate(tasks), np.concatenate(others)
    graph = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(nodes, nodes))
    return np.asarray(connected_components(graph, directed=False)[1][:size], dtype=np.int64)


def contents_of(words: sparse.csr_matrix) -> NDArray[np.object_]:
    """A label of each text's words and how often they are in it, which its order, its case and its spaces do not
    change; '' where there is none, and where it is so common that it is the form of all tasks and not what one of them
    is about.
    """
    rows = words.copy()
    rows.sort_indices()
    found = []
    for first, last in pairwise(rows.indptr):
        said = rows.indices[first:last].tobytes() + rows.data[first:last].tobytes()
        found.append(blake2b(said, digest_size=16).hexdigest() if last > first else "")
    often = Counter(found)
    most = max(_COMMON * len(found), _FEW)
    return np.array([one if often[one] <= most else "" for one in found], dtype=np.object_)


def words_of(texts: Sequence[str] | NDArray[np.object_]) -> sparse.csr_matrix:
    """Logarithmic counts, one row for each text."""
    buckets: list[int] = []
    often: list[int] = []
    ends = [0]
    for text in texts:
        found = hashed(text)
        buckets += found.keys()
        often += found.values()
        ends.append(len(buckets))
    values = 1.0 + np.log(np.array(often, dtype=float))
    return sparse.csr_matrix((values, np.array(buckets, dtype=np.int64), ends), shape=(len(texts), BUCKETS))


def rarity_of(words: sparse.csr_matrix) -> Floats:
    """One number for each bucket, smoothed as scikit-learn has it; 0 for what came in fewer than two texts."""
    found = np.bincount(words.indices, minlength=words.shape[1])
    rarity: Any = np.log((1 + words.shape[0]) / (1 + found)) + 1
    return np.where(found < 2, 0.0, rarity)


def weighed_words(words: sparse.csr_matrix, rarity: Floats) -> sparse.csr_matrix:
    """As `words.weighed` has them."""
    values = sparse.csr_matrix(words.multiply(rarity))
    length = np.sqrt(np.asarray(values.multiply(values).sum(axis=1)).ravel())
    length[length == 0] = 1.0
    return sparse.csr_matrix(values.multiply(1.0 / length[:, None]))
