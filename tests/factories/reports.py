"""Reports of providers: the examples beside the checkout, rows read, and what every reader of them promises."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import strategies as st

from finops.connectors.capstan.record import LONGEST, MOST_TAGS
from finops.connectors.types import Problem, Received, UsageEvent, content_hash
from finops.core.money import MAX_PICO
from finops.core.tokens import MAX_COUNT, METER_INDEX
from finops.ingest.rules import check

Parse = Callable[[bytes], Received]
AFTERWARDS: Final = datetime(2026, 12, 1, tzinfo=UTC)
JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\x00", "-1", "1e400", "2026-11-20", "2026-11-20T00:00:00Z", "9" * 400, "USD", 10**12, 10**13]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def read(parse: Parse, raw: bytes) -> UsageEvent:
    """An event that the corridor takes."""
    received = parse(raw)
    assert received.event is not None, received.problem
    kept(parse, raw)
    assert check(received.event, now=AFTERWARDS) is None
    return received.event


def wrong(parse: Parse, value: Any) -> Problem:
    received = parse(json.dumps(value).encode())
    assert received.problem is not None, received.event
    return received.problem


def meters(found: UsageEvent) -> dict[str, int]:
    return {name: found.counts[place] for name, place in METER_INDEX.items() if found.counts[place]}


def changed(value: Any, path: tuple[str | int, ...], to: Any) -> Any:
    """A copy with another value at a place; None takes a name away."""
    if not path:
        return to
    head, *rest = path
    if isinstance(value, list):
        return [changed(one, tuple(rest), to) if place == head else one for place, one in enumerate(value)]
    made = {**value, head: changed(value.get(head, {}), tuple(rest), to)}
    return {name: one for name, one in made.items() if one is not None or name != head}


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of everything in it, itself included."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield from places(one, (*path, name))


def kept(parse: Parse, raw: bytes) -> None:
    """What is promised of any record: an event or a problem, texts that can be stored, counts and money that are some,
    and the same again when it is read again.
    """
    received = parse(raw)
    assert (received.event is None) != (received.problem is None)
    assert received.raw == raw
    assert len(received.external_id) <= LONGEST
    if received.problem is not None:
        assert received.problem.field
        assert received.problem.code.startswith("connectors.")
        for text in received.problem:
            assert "\x00" not in text
            text.encode()
    found, again = received.event, parse(raw).event
    if found is None or again is None:
        assert found is again
        return
    assert content_hash(found) == content_hash(again)
    assert found.external_id == received.external_id == again.external_id
    assert found.external_id
    assert all(0 <= count <= MAX_COUNT * 8 for count in found.counts)
    assert found.occurred_at.utcoffset() == AFTERWARDS.utcoffset()
    assert found.cost is None or abs(found.cost.pico) <= MAX_PICO
    assert len(found.tags) <= MOST_TAGS
    assert list(found.tags) == sorted(found.tags)
    assert len(dict(found.identities)) == len(found.identities)
    words = [found.external_id, found.model, found.service_tier, found.region, found.host, found.provider_account]
    words += [found.provider_request_id, found.session, *(text for pair in found.identities for text in pair)]
    for text in (*words, *(text for pair in found.tags for text in pair)):
        assert len(text) <= LONGEST
        assert "\x00" not in text
        text.encode()
