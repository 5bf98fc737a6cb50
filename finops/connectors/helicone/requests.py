"""Rows of Helicone's query API (`POST /v1/request/query-clickhouse`): one call each, with its time and its properties.
Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from finops.connectors.foreign import Part, received, rows_of
from finops.connectors.helicone.call import NOT_USAGE, answer_of, event_of, stored_answer
from finops.connectors.keeping import ALL, Shape, kept, object_of, written
from finops.connectors.pages import Page
from finops.connectors.telling import first, pairs, words
from finops.connectors.types import Received, UsageEvent

PARSER: Final = "helicone_requests"
_WHAT: Final = "a page of Helicone's requests"
_SHAPE: Final[Shape] = {
    **dict.fromkeys(("request_id", "request_created_at", "request_user_id", "response_status", "provider"), ALL),
    **dict.fromkeys(("model", "response_model", "request_model", "model_override", "cache_reference_id"), ALL),
    **dict.fromkeys(("properties", "request_properties", "cost", "costUSD"), ALL),
}
_NOT_CACHED: Final = frozenset({"", "00000000-0000-0000-0000-000000000000"})
_NOTHING: Final[Mapping[str, bytes]] = {}


def cut(body: bytes, *, offset: int = 0, limit: int = 0, stored: Mapping[str, bytes] = _NOTHING) -> Page:
    """A page's calls that are usage. `stored` are the objects that `signed_body_url` led to, by `request_id`, where a
    row does not hold its answer. The next page is an offset, where this one was full. Raises BodyUnreadable.
    """
    found = rows_of(object_of(body, _WHAT), "data", _WHAT)
    rows = []
    for one in found:
        made = kept(one, _SHAPE)
        if made is not None:
            kept_apart = stored.get(words(one.get("request_id")))
            held = one.get("response_body") if kept_apart is None else stored_answer(kept_apart)
            made["answer"] = answer_of(held)
        row = written(made)
        read = parse(row)
        if read.problem is None or read.problem.code != NOT_USAGE:
            rows.append(row)
    return Page(tuple(rows), str(offset + limit) if 0 < limit <= len(found) else "")


def parse(raw: bytes) -> Received:
    """One call as `cut` leaves it."""
    return received(raw, _event, lambda record: words(record.get("request_id")))


def _event(record: Part) -> UsageEvent:
    status: Any = record.get("response_status")
    names = ("response_model", "model", "model_override", "request_model")
    cost = record.decimal("cost")
    return event_of(
        record,
        user=record.get("request_user_id"),
        at=record.moment("request_created_at"),
        model=first(*(record.get(name) for name in names)),
        properties={**dict(pairs(record.get("request_properties"))), **dict(pairs(record.get("properties")))},
        cost=record.decimal("costUSD") if cost is None else cost,
        from_cache=words(record.get("cache_reference_id")) not in _NOT_CACHED,
        # Below 0 is Helicone's own: cancelled, or waiting.
        failed=type(status) is int and not 200 <= status < 300,
    )
