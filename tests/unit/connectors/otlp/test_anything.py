"""Whatever stands wherever: nothing raises that is not meant to, nothing is negative, nothing is endless."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.bodies import TooManyRecords
from finops.connectors.otlp import logs, metrics, spans
from finops.connectors.pages import BodyUnreadable
from finops.connectors.registry import reparse
from finops.connectors.types import Received, content_hash
from finops.core.tokens import MAX_COUNT
from tests.factories import otlp

CLAUDE = {"event.name": "claude_code.api_request", "request_id": "r", "model": "m", "input_tokens": 1, "cost_usd": 0.5}
GOOD: dict[str, tuple[Any, Any, bytes]] = {
    "otlp_spans": (spans.cut, spans.parse, otlp.traces(otlp.span(otlp.chat(input_tokens=9)), **{"team.id": "search"})),
    "otlp_logs": (logs.cut, logs.parse, otlp.logs(otlp.log(CLAUDE), **{"service.name": "claude-code"})),
    "otlp_metrics": (
        metrics.cut,
        metrics.parse,
        otlp.metrics(
            otlp.metric("claude_code.token.usage", otlp.point(4, {"type": "input", "model": "m"}), temporality=2),
            otlp.metric("claude_code.cost.usage", otlp.point(0.5, {"model": "m"})),
        ),
    ),
}
NUMBERS = st.integers(-(10**25), 10**25) | st.floats() | st.sampled_from(["1", "-1", "1e99", "NaN", "0x1", str(10**13)])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8) | st.just("\x00"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["stringValue", "intValue", "key", "value", "attributes", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def places(told: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    return [path, *[found for name, one in inside for found in places(one, (*path, name))]]


def with_value(told: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    name, rest = path[0], path[1:]
    if isinstance(told, dict):
        return {**told, name: with_value(told[name], rest, value)}
    return [with_value(one, rest, value) if place == name else one for place, one in enumerate(told)]


def holds(received: Received) -> None:
    assert (received.event is None) != (received.problem is None)
    if received.problem is not None:
        assert received.problem.field
        return
    event = received.event
    assert event is not None
    assert 0 < len(event.external_id) <= 300
    assert all(0 <= number <= 2 * MAX_COUNT for number in event.counts)
    assert len(event.tags) <= 50
    assert all(len(name) <= 60 and len(value) <= 200 for name, value in event.tags)
    assert not any("\x00" in text for pair in (*event.tags, *event.identities) for text in pair)
    assert event.occurred_at.utcoffset() is not None
    assert content_hash(event)


@pytest.mark.parametrize("parser", GOOD)
@given(data=st.data())
def test_any_value_in_any_place_of_a_body(parser: str, data: st.DataObject) -> None:
    cut, parse, body = GOOD[parser]
    told = json.loads(body)
    path = data.draw(st.sampled_from(places(told)))
    bent = json.dumps(with_value(told, path, data.draw(JSON))).encode()
    try:
        rows = cut(bent).rows
    except (BodyUnreadable, TooManyRecords):
        return
    for row in rows:
        received = parse(row)
        holds(received)
        assert parse(row) == received
        assert reparse(parser, row) == received


@pytest.mark.parametrize("parser", GOOD)
@given(data=st.data())
def test_any_value_in_any_place_of_a_record(parser: str, data: st.DataObject) -> None:
    cut, parse, body = GOOD[parser]
    told = json.loads(cut(body).rows[0])
    path = data.draw(st.sampled_from(places(told)))
    holds(parse(json.dumps(with_value(told, path, data.draw(JSON))).encode()))


@pytest.mark.parametrize("parser", GOOD)
@given(raw=st.binary(max_size=60))
def test_any_bytes(parser: str, raw: bytes) -> None:
    cut, parse, _ = GOOD[parser]
    assert parse(raw).problem is not None
    with pytest.raises(BodyUnreadable):
        cut(b"<" + raw)


def _row(parser: str) -> tuple[Callable[[bytes], Received], bytes]:
    cut, parse, body = GOOD[parser]
    return parse, cut(body).rows[0]


@pytest.mark.parametrize("parser", GOOD)
def test_a_record_is_read_again_alone(parser: str) -> None:
    parse, row = _row(parser)
    assert parse(row).event is not None
    assert reparse(parser, row) == parse(row)
