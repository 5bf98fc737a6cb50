"""Events that OpenMeter has taken, as its API lists them: `GET /api/v1/events` (a list) and `GET /api/v2/events` (pages
with a cursor). Each holds the CloudEvent that was sent, which `cloudevents` reads; here is only what differs. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from finops.connectors.cloudevents.parse import PARSER, parse
from finops.connectors.keeping import value_of, written
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.telling import mapping, words

__all__ = ["PARSER", "cut", "parse"]
_WHAT: Final = "a page of OpenMeter's events"
_TOTAL: Final = "total_tokens"
_TOTALS: Final = ("prompt_tokens", "completion_tokens")
_COST: Final = "cost"


def cut(body: bytes, *, types: Collection[str] = ()) -> Page:
    """The CloudEvents of a page, of these types where any are named: OpenMeter meters anything, and an event that says
    nothing of a model would be held. `next` is the cursor, '' for the older endpoint. Raises BodyUnreadable.
    """
    try:
        said = value_of(body)
    except ValueError:
        said = None
    items = said if isinstance(said, list) else mapping(said).get("items")
    if not isinstance(items, list):
        raise BodyUnreadable(f"This is not {_WHAT}: there is no list of events in it.")
    rows = []
    for item in items:
        event = item.get("event") if isinstance(item, Mapping) else None
        if not types or words(mapping(event).get("type")) in types:
            rows.append(written(_mended(event)))
    return Page(tuple(rows), words(mapping(said).get("nextCursor")))


def _mended(event: Any) -> Any:
    """LiteLLM's own sender puts a sum and its estimate of the cost beside the totals, and says nothing of what was
    cached: the sum is no further count, the cost no text with its currency, and the counts are an estimate.
    """
    data = mapping(event).get("data")
    if not isinstance(data, Mapping) or _TOTAL not in data or not all(name in data for name in _TOTALS):
        return event
    kept = {name: value for name, value in data.items() if name not in (_TOTAL, _COST)}
    cost = words(data.get(_COST))
    return {**event, "data": {**kept, "evidence": "estimated", **({"stated_cost_usd": cost} if cost else {})}}
