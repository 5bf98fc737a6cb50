"""Tables of outcomes become columns of numbers. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from routing.evidence.types import Measure, Order, Rows, Status, Whole

_STATUSES: Final = {one.value: place for place, one in enumerate(Status)}
_ORDERS: Final = {one.value: place for place, one in enumerate(Order)}


def rows_of(task_type: str, table: pa.Table, measures: Mapping[int, Sequence[str]]) -> Rows:
    """`table` has a column for each of: run, batch, item, cluster, fingerprint, model, score, cost, status,
    order_shown, randomised, propensity, human; `batch` in seconds. `measures` says kind, evaluator and version of
    each run.

    What is drawn together is one cluster: items of a session where somebody said so, else those with one fingerprint,
    else each by itself.
    """
    items, item = _words(table["item"])
    item, items = _drawn(items, item)
    models, model = _words(table["model"])
    sessions, session = _words(table["cluster"])
    prints, fingerprint = _words(table["fingerprint"])
    told, marked = sessions[session] != "", prints[fingerprint] != ""
    clusters = np.where(
        told, session, np.where(marked, len(sessions) + fingerprint, len(sessions) + len(prints) + item)
    )
    run = _numbers(table["run"]).astype(np.int64)
    known = tuple(sorted({Measure(*of) for of in measures.values()}))
    number = {one: known.index(Measure(*of)) for one, of in measures.items()}
    runs, place = np.unique(run, return_inverse=True)
    return Rows(
        task_type=task_type,
        items=items,
        models=tuple(str(one) for one in models),
        measures=known,
        item=item,
        model=model,
        measure=np.array([number[int(one)] for one in runs], dtype=np.int64)[place],
        cluster=np.unique(clusters, return_inverse=True)[1].astype(np.int64),
        fingerprint=np.where(marked, fingerprint, -1),
        run=run,
        batch=np.round(_numbers(table["batch"]).astype(np.float64) * 1e6).astype(np.int64),
        status=_coded(table["status"], _STATUSES),
        order=_coded(table["order_shown"], _ORDERS),
        randomised=_numbers(table["randomised"]).astype(bool),
        score=_numbers(table["score"]),
        cost=_numbers(table["cost"]),
        propensity=_numbers(table["propensity"]),
        human=_numbers(table["human"]),
    )


def _words(column: pa.ChunkedArray) -> tuple[np.ndarray[Any, Any], Whole]:
    """The words of a column by name, and which of them each row has."""
    coded = column.combine_chunks().dictionary_encode()
    words = np.array(coded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(words) if words.size else np.empty(0, dtype=np.int64)
    places = np.empty(order.size, dtype=np.int64)
    places[order] = np.arange(order.size)
    return words[order], places[coded.indices.to_numpy(zero_copy_only=False)]


def _drawn(words: np.ndarray[Any, Any], which: Whole) -> tuple[Whole, np.ndarray[Any, Any]]:
    """The same in an order that nobody chose and that stays: by a hash of the word."""
    keys = [hashlib.blake2b(str(one).encode(), digest_size=8).digest() for one in words]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    places = np.empty(order.size, dtype=np.int64)
    places[order] = np.arange(order.size)
    return places[which], words[order]


def _coded(column: pa.ChunkedArray, codes: Mapping[str, int]) -> Whole:
    words, which = _words(column)
    return np.array([codes[str(one)] for one in words], dtype=np.int64)[which]


def _numbers(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """NaN where there is none."""
    found: np.ndarray[Any, Any] = column.combine_chunks().to_numpy(zero_copy_only=False)
    return found
