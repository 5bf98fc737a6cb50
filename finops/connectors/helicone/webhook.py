"""Helicone's webhook: one call, with the provider's answer, or its address where that is longer than 10 KB. Pure.

It says no time but the answer's own, and that of OpenAI's dialect only; another call happened when it was received.
"""

from __future__ import annotations

from typing import Final

from finops.connectors.foreign import Part, received
from finops.connectors.helicone.call import NOT_USAGE, answer_of, event_of, stored_answer
from finops.connectors.keeping import ALL, Shape, kept, object_of, values_of, written
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.telling import mapping, words
from finops.connectors.types import Received, UsageEvent

PARSER: Final = "helicone_webhook"
_WHAT: Final = "a webhook of Helicone"
_SHAPE: Final[Shape] = {
    **dict.fromkeys(("request_id", "user_id", "model", "provider"), ALL),
    "metadata": {"cost": ALL},
}


def cut(body: bytes, *, stored: bytes | None = None) -> Page:
    """The call, with what its answer says of usage; what was asked and answered is left out. A call that failed is no
    row. `stored` is what `where_stored` led to, and goes before what the webhook itself holds. Raises BodyUnreadable.
    """
    rows = []
    for one in values_of(body, _WHAT):
        made = kept(one, _SHAPE)
        if made is not None:
            held = one.get("response_body") if stored is None else stored_answer(stored)
            made["answer"] = answer_of(held)
        row = written(made)
        found = parse(row)
        if found.problem is None or found.problem.code != NOT_USAGE:
            rows.append(row)
    return Page(tuple(rows))


def where_stored(body: bytes) -> str:
    """The address at which Helicone keeps the whole call for half an hour; '' where the webhook says none."""
    try:
        return _address(object_of(body, _WHAT).get("request_response_url"))
    except BodyUnreadable:
        return ""


def _address(said: object) -> str:
    """Signed addresses are longer than what a record may hold."""
    return said if isinstance(said, str) and len(said) <= 4_000 and said.isprintable() else ""


def parse(raw: bytes) -> Received:
    """One call as `cut` leaves it."""
    return received(raw, _event, lambda record: words(record.get("request_id")))


def _event(record: Part) -> UsageEvent:
    cost = Part(mapping(record.get("metadata")), "metadata").decimal("cost")
    return event_of(record, user=record.get("user_id"), model=words(record.get("model")), cost=cost)
