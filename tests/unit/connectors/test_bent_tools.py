"""Whatever stands in any place of what a tool tells, its parser answers: an event without negative counts, or why."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.helicone import requests as helicone_requests
from finops.connectors.helicone import webhook as helicone_webhook
from finops.connectors.langfuse import observations
from finops.connectors.litellm import spend_logs
from finops.connectors.litellm import webhook as litellm_webhook
from finops.connectors.openmeter import events
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.portkey import logs
from finops.connectors.registry import reparse
from finops.connectors.types import content_hash
from finops.core.tokens import MAX_COUNT
from tests.factories.litellm import payload, row

USAGE = {"prompt_tokens": 12012, "completion_tokens": 5, "total_tokens": 12017,
         "prompt_tokens_details": {"cached_tokens": 9000}, "cache_creation_input_tokens": 3000}  # fmt: skip
ANSWER = {"id": "msg_1", "model": "claude-opus-5-5", "created": 1795169700, "service_tier": "default", "usage": USAGE,
          "output": [{"type": "web_search_call", "action": {"type": "search"}}]}  # fmt: skip
AT = "2026-11-20T10:15:00Z"
HOOK = {"request_id": "r-1", "user_id": "u", "response_body": ANSWER, "model": "m", "provider": "ANTHROPIC",
        "metadata": {"cost": 0.1}}  # fmt: skip
REQUEST = {"request_id": "r-1", "request_created_at": AT, "response_body": ANSWER, "response_status": 200, "cost": 0.1,
           "properties": {"a": "b"}, "request_user_id": "u", "provider": "OPENAI"}  # fmt: skip
LINE = {"id": "l-1", "created_at": AT, "response": ANSWER, "is_success": 1, "ai_org": "anthropic", "ai_model": "m",
        "cost": 1.5, "metadata": {"_user": "u"}, "cache_status": "MISS", "response_status_code": 200}  # fmt: skip
OBSERVATION = {"id": "o-1", "type": "GENERATION", "startTime": AT, "providedModelName": "m", "totalCost": 0.1,
               "usageDetails": {"input": 5, "input_cached_tokens": 3, "output": 2, "total": 10}, "tags": ["a:b"],
               "metadata": {"attributes": {"gen_ai.usage.input_tokens": 5}}, "usage": {"unit": "TOKENS"}}  # fmt: skip
DATA = {"model": "m", "prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10, "cost": 0.1}
EVENT = {"event": {"specversion": "1.0", "id": "e-1", "source": "s", "type": "t", "time": AT, "data": DATA}}

Cut = Callable[[bytes], Page]
WAYS: dict[str, tuple[Cut, str, Callable[[Any], Any], Any]] = {
    "litellm_webhook": (litellm_webhook.cut, litellm_webhook.PARSER, lambda one: [one], payload()),
    "litellm_spend_logs": (spend_logs.cut, spend_logs.PARSER, lambda one: {"data": [one], "page": 1}, row()),
    "helicone_webhook": (helicone_webhook.cut, helicone_webhook.PARSER, lambda one: one, HOOK),
    "helicone_requests": (helicone_requests.cut, helicone_requests.PARSER, lambda one: {"data": [one]}, REQUEST),
    "portkey": (logs.cut, logs.PARSER, lambda one: [one], LINE),
    "langfuse": (observations.cut, observations.PARSER, lambda one: {"data": [one], "meta": {}}, OBSERVATION),
    "openmeter": (events.cut, events.PARSER, lambda one: [one], EVENT),
}
NUMBERS = st.integers() | st.floats() | st.sampled_from([-1, MAX_COUNT, MAX_COUNT + 1, 10**40, 1e308, 1e-320])
TEXT = st.text(max_size=20) | st.sampled_from(
    ["", "\x00", "\ud83d", "x" * 5_000, AT, "0001-01-01T00:00:00+14:00", "1e999"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from places(inner, (*path, place))


def bent(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    made = copy.deepcopy(value)
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = new
    return made


def look_at(way: str, body: bytes) -> None:
    cut, parser, *_ = WAYS[way]
    page = cut(body)
    assert page == cut(body)
    for raw in page.rows:
        found, again = reparse(parser, raw), reparse(parser, raw)
        assert (found.event is None) != (found.problem is None)
        if found.problem is not None:
            assert found.problem.code.startswith("connectors.")
            json.dumps(found.problem).encode("utf-8", "strict")
        else:
            assert found.event is not None
            assert again.event is not None
            assert all(0 <= count <= 4 * MAX_COUNT for count in found.event.counts)
            assert 0 < len(found.event.external_id) <= 300
            assert content_hash(found.event) == content_hash(again.event)
            assert found.event.external_id == again.event.external_id
            assert len(found.event.tags) <= 50
            assert all(len(key) <= 60 and len(value) <= 200 for key, value in found.event.tags)


@pytest.mark.parametrize("way", WAYS)
@given(data=st.data())
def test_any_value_in_any_place(way: str, data: st.DataObject) -> None:
    _, _, wrapped, good = WAYS[way]
    path = data.draw(st.sampled_from(list(places(good))))
    look_at(way, json.dumps(wrapped(bent(good, path, data.draw(VALUES)))).encode())


@pytest.mark.parametrize("way", WAYS)
@given(value=VALUES)
def test_any_value_at_all(way: str, value: Any) -> None:
    cut, parser, wrapped, _ = WAYS[way]
    text = json.dumps(value).encode()
    assert reparse(parser, text).event is None
    for body in (text, json.dumps(wrapped(value)).encode()):
        try:
            for raw in cut(body).rows:
                assert reparse(parser, raw).event is None
        except BodyUnreadable:
            continue


@pytest.mark.parametrize("way", WAYS)
@given(text=st.binary(max_size=60))
def test_any_bytes(way: str, text: bytes) -> None:
    cut, parser, *_ = WAYS[way]
    reparse(parser, text)
    with contextlib.suppress(BodyUnreadable):
        cut(text)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_nested_without_end(way: str) -> None:
    cut, parser, *_ = WAYS[way]
    for text in (b"[" * 100_000, b'{"a":' * 100_000, b'{"data":[' + b'{"usageDetails":' * 50_000):
        assert reparse(parser, text).event is None
        with pytest.raises(BodyUnreadable):
            cut(text)
