"""CloudEvents 1.0, as OpenMeter takes them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.cloudevents.parse import external_id, from_headers, is_binary, parse
from finops.connectors.registry import ParserUnknown, reparse
from finops.connectors.types import Problem, UsageEvent, content_hash, dated
from finops.core.tokens import METER_INDEX

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def event(**changes: Any) -> dict[str, Any]:
    """OpenMeter's own example; None takes an attribute away."""
    made: dict[str, Any] = {
        "specversion": "1.0",
        "id": "req_01",
        "source": "gateway/eu-1",
        "type": "llm.request",
        "subject": "team-search",
        "time": "2026-11-20T10:15:00Z",
        "datacontenttype": "application/json",
        "data": {"provider": "anthropic", "model": "opus", "input_tokens": "12012", "output_tokens": "503"},
    } | changes
    return {name: value for name, value in made.items() if value is not None}


def read(value: Any) -> UsageEvent:
    received = parse(json.dumps(value).encode())
    assert received.event is not None, received.problem
    return received.event


def wrong(value: Any) -> Problem:
    received = parse(json.dumps(value).encode())
    assert received.problem is not None
    return received.problem


def meters(found: UsageEvent) -> dict[str, int]:
    return {name: found.counts[place] for name, place in METER_INDEX.items() if found.counts[place]}


def test_openmeters_example() -> None:
    found = read(event())
    assert found.external_id == "gateway/eu-1#req_01"
    assert meters(found) == {"input_uncached": 12012, "output_text": 503, "requests": 1}
    assert found.identities == (("provider_user", "team-search"),)
    assert found.tags == (("subject", "team-search"), ("type", "llm.request"))


def test_flat_counts_include_their_parts() -> None:
    data = {"model": "gpt", "prompt_tokens": 100, "cached_tokens": 40, "completion_tokens": 9, "reasoning_tokens": 5}
    assert meters(read(event(data=data))) == {
        "input_uncached": 60, "cache_read": 40, "output_text": 4, "output_reasoning": 5, "requests": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "meter", "requests"),
    [("input", "input_uncached", 1), ("completion", "output_text", 0), ("system", "input_uncached", 0)],
)
def test_tokens_with_a_type(kind: str, meter: str, requests: int) -> None:
    found = meters(read(event(data={"model": "gpt", "tokens": "17", "type": kind})))
    assert (found[meter], found.get("requests", 0)) == (17, requests)


def test_our_own_fields_stand_in_data_as_they_are() -> None:
    data = {
        "model": "gpt", "usage": {"cache_read": 5, "output_text": 1}, "project": "indexer", "tags": {"env": "prod"},
        "identities": {"email": "bob@acme.example"}, "route": "/v1/chat", "stream": True,
    }  # fmt: skip
    found = read(event(data=data))
    assert (found.dimensions.project, meters(found)) == ("indexer", {"cache_read": 5, "output_text": 1, "requests": 1})
    assert dict(found.tags) == {
        "env": "prod", "route": "/v1/chat", "stream": "true", "subject": "team-search", "type": "llm.request",
    }  # fmt: skip
    assert found.identities == (("email", "bob@acme.example"), ("provider_user", "team-search"))


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (event(specversion=None), "specversion"),
        (event(specversion="0.3"), "specversion"),
        (event(id=""), "id"),
        (event(id=4), "id"),
        (event(source="s" * 300), "id"),
        (event(time="today"), "time"),
        (event(subject=4), "subject"),
        (event(data=None), "data"),
        (event(data="text"), "data"),
        (event(data={}), "data.model"),
        (event(data={"model": "gpt"}), "data.usage"),
        (event(data={"model": 4, "input_tokens": 1}), "data.model"),
        (event(data={"model": "gpt", "input_tokens": 1, "cached_tokens": 2}), "data.usage.input_tokens"),
        (event(data={"model": "gpt", "input_tokens": -1}), "data.usage.input_tokens"),
        (event(data={"model": "gpt", "ouput_tokens": 1}), "data.ouput_tokens"),
        (event(data={"model": "gpt", "input_tokens": 1, "usage": {}}), "data.input_tokens"),
        (event(data={"model": "gpt", "tokens": 1}), "data.type"),
        (event(data={"model": "gpt", "tokens": 1, "type": "words"}), "data.type"),
        (event(data={"model": "gpt", "tokens": 1, "type": ["input"]}), "data.type"),
        (event(data={"model": "gpt", "tokens": 1.5, "type": "input"}), "data.usage.input_uncached"),
        (event(data={"model": "gpt", "input_tokens": 1, "nested": {}}), "data.nested"),
        (event(datacontenttype="text/xml"), "datacontenttype"),
        (event(data=None, data_base64="%%"), "data_base64"),
        (event(subject="a\x00"), "subject"),
        ([], "$"),
    ],
)
def test_what_is_wrong_is_named(value: Any, field: str) -> None:
    assert wrong(value).field == field


@pytest.mark.parametrize("value", [event(time=None), event() | {"time": None}])
def test_without_a_time_it_happened_when_it_was_received(value: Any) -> None:
    received = parse(json.dumps(value).encode())
    first, again = dated(received, NOON).event, dated(received, NOON + timedelta(days=40)).event
    assert first is not None
    assert again is not None
    assert first.occurred_at == NOON
    assert content_hash(first) == content_hash(again), "what we add is no part of what it says"
    assert content_hash(first) != content_hash(read(event(time=NOON.isoformat())))
    told = parse(json.dumps(event()).encode())
    assert dated(told, NOON) is told


def test_data_in_base_64() -> None:
    data = base64.b64encode(json.dumps(event()["data"]).encode()).decode()
    assert read(event(data=None, data_base64=data)) == read(event())


def test_an_event_in_headers_is_the_same_event() -> None:
    whole = event()
    headers = {f"Ce-{name.title()}": value for name, value in whole.items() if name not in {"data", "datacontenttype"}}
    assert is_binary(headers)
    received = parse(from_headers(headers, json.dumps(whole["data"]).encode()))
    assert received.event == read(whole)
    assert parse(from_headers(headers, b"{oops")).problem is not None
    assert parse(from_headers(headers, b"\xff")).problem is not None


PART = st.text(st.sampled_from("a#%23/"), max_size=6)


@given(PART, PART, PART, PART)
def test_source_and_id_together_are_unique_as_the_pair_is(source: str, name: str, other: str, another: str) -> None:
    same = (source, name) == (other, another)
    assert (external_id(source, name) == external_id(other, another)) is same


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just("\x00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["model", "tokens", "type", "usage", "tags", "identities", "cost", "input_tokens", "cached_tokens", "team", "x"]


@given(st.sampled_from([*event(), "data_base64"]), JSON, st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4))
def test_any_event_is_answered(attribute: str, value: Any, data: Any) -> None:
    for made in (
        event(data=data),
        event() | {attribute: value},
        event(data={"model": "gpt", "output_tokens": 1} | data),
    ):
        received = parse(json.dumps(made).encode())
        assert (received.event is None) != (received.problem is None)
        assert received.problem is None or received.problem.field


@given(st.binary(max_size=60))
def test_any_bytes_are_answered(raw: bytes) -> None:
    received = parse(raw)
    assert received.problem is not None
    assert received.problem.field


def test_a_held_record_is_read_again_by_the_parser_it_was_read_by() -> None:
    raw = json.dumps(event()).encode()
    assert reparse("cloudevents", raw).event == read(event())
    assert reparse("capstan", raw).problem is not None
    with pytest.raises(ParserUnknown):
        reparse("fax", raw)
