"""Records of other people's formats: those of the reference, and the same with anything in any place."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.types import Received, UsageEvent, content_hash
from finops.core.money import from_pico
from finops.core.tokens import METER_INDEX

TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from('\x00🚀|%\n"\\'), max_size=12)
ODD = st.sampled_from(
    ["\x00", "x" * 400, "-1", "1e999", "NaN", "2026-13-40", "0001-01-01T00:00:00+14:00", 10**13, 10**10, 2**31, -1,
     -(10**30), 2**63, 1.5, 1e300, 5e-324, -0.0, True, False, None, "", [], {}, [None], {"": None}]
)  # fmt: skip
ANYTHING = st.recursive(
    ODD | TEXT | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def said(received: Received) -> UsageEvent:
    assert received.event is not None, received.problem
    return received.event


def meters(event: UsageEvent) -> dict[str, int]:
    return {name: event.counts[place] for name, place in METER_INDEX.items() if event.counts[place]}


def dollars(event: UsageEvent) -> str:
    """What it cost as text; '' where that is not said."""
    return "" if event.cost is None else format(from_pico(event.cost.pico).normalize(), "f")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a value, the whole of it too."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))


@st.composite
def bent(draw: st.DrawFn, value: Any) -> bytes:
    """The same as JSON, with anything in one of its places."""
    made = copy.deepcopy(value)
    path = draw(st.sampled_from(list(places(made))))
    odd = draw(ANYTHING)
    if not path:
        return json.dumps(odd).encode()
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = odd
    return json.dumps(made).encode()


def checked(raw: bytes, parse: Callable[[bytes], Received]) -> None:
    """It is an event or a problem, never both, and nothing in it is below nothing; read again it is the same."""
    received = parse(raw)
    assert (received.event is None) != (received.problem is None)
    if received.problem is not None:
        assert received.problem.code.startswith("connectors.")
        assert received.problem.field
        "".join(received.problem).encode()
        return
    event, again = said(received), said(parse(raw))
    assert min(event.counts) >= 0
    assert 0 < len(event.external_id) <= 300
    assert received.external_id == event.external_id == again.external_id
    assert content_hash(event) == content_hash(again)
    texts = [event.external_id, event.model, event.session, *(text for pair in event.tags for text in pair)]
    assert all("\x00" not in text for text in texts)
    assert len(event.tags) <= 50
    assert event.tags == tuple(sorted(event.tags))
    assert event.cost is None or event.cost.pico >= 0 or event.category in ("Credit", "Adjustment")


def checked_page(body: bytes, cut: Callable[[bytes], Page], parse: Callable[[bytes], Received]) -> None:
    try:
        page = cut(body)
    except BodyUnreadable:
        return
    for raw in page.rows:
        checked(raw, parse)
