"""Signs of many calls as one sparse table, and weighed as `words.weighed` weighs one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, TypeAlias

import numpy as np
from scipy.sparse import csr_matrix

from routing.classify.calibration import Floats
from routing.classify.hot import MARKS
from routing.classify.types import Signs
from routing.classify.words import BUCKETS

# scipy ships no types.
Table: TypeAlias = Any
WIDTH: Final = BUCKETS + MARKS


def matrix_of(signs: Sequence[Signs]) -> Table:
    """Of shape (n, WIDTH): how often each word came, and a 1 for each mark."""
    sizes = [len(one.words) + len(one.marks) for one in signs]
    starts = np.concatenate([[0], np.cumsum(sizes)]) if sizes else np.zeros(1)
    columns = np.fromiter(chain.from_iterable(chain(one.words, one.marks) for one in signs), np.int64, sum(sizes))
    often = chain.from_iterable(chain(one.words.values(), (1 for _ in one.marks)) for one in signs)
    values = np.fromiter(often, np.float64, sum(sizes))
    return csr_matrix((values, columns, starts.astype(np.int64)), shape=(len(signs), WIDTH))


def weighed(table: Table, buckets: Any, rarities: Floats) -> Table:
    """Of shape (n, buckets): words by TF-IDF, of length 1 together, and marks by rarity alone. `buckets` ascend."""
    found = table[:, buckets].astype(np.float64).tocsr()
    found.data = (1.0 + np.log(found.data)) * rarities[found.indices]
    words = np.searchsorted(buckets, BUCKETS)
    rows = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
    is_word = found.indices < words
    squares = np.bincount(rows[is_word], weights=found.data[is_word] ** 2, minlength=found.shape[0])
    lengths = np.sqrt(np.where(squares > 0, squares, 1.0))
    found.data = np.where(is_word, found.data / lengths[rows], found.data)
    return found


def known_share(table: Table, buckets: Any) -> Floats:
    """Of each call's distinct buckets of words, the share that is among these; 0 where there is no word."""
    words = table[:, :BUCKETS]
    mine = words[:, buckets[buckets < BUCKETS]]
    number = np.diff(words.indptr)
    found: Floats = np.diff(mine.indptr) / np.maximum(number, 1)
    return found
