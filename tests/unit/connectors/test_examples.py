"""Every body of the reference is claimed: by the parser that reads it whole, by the reader of a usage, or as one that
tells of no usage. What each says in detail its own connector's tests hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

import pytest

from finops.connectors.anthropic import analytics, cost_report
from finops.connectors.anthropic import claude_code as anthropic_claude_code
from finops.connectors.anthropic import usage_report as anthropic_usage_report
from finops.connectors.anthropic.usage import messages_usage
from finops.connectors.bedrock import invocations
from finops.connectors.copilot import parse as copilot
from finops.connectors.counting import Meters
from finops.connectors.cursor import parse as cursor
from finops.connectors.devin import parse as devin
from finops.connectors.google.usage import gemini_usage
from finops.connectors.openai import cost_report as openai_cost_report
from finops.connectors.openai import usage_report as openai_usage_report
from finops.connectors.openai.usage import chat_usage, responses_usage
from finops.connectors.openrouter import activity
from finops.connectors.otlp import logs, metrics, spans
from finops.connectors.registry import PARSERS
from finops.connectors.types import Problem
from finops.connectors.windsurf import parse as windsurf
from tests.factories.examples import FOLDER, example
from tests.factories.metered import event, meters

NOON: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
Cut = Callable[[bytes], tuple[bytes, ...]]
_MICRO: Final = 10**6


class Reads(NamedTuple):
    """The parser, how its records are cut out of a body, and of each record its meters and its millionths of a dollar
    (None where nobody says what it costs).
    """

    parser: str
    cut: Cut
    told: list[tuple[Meters, int | None]]


def whole(body: bytes) -> tuple[bytes, ...]:
    """An event that is sent by itself."""
    return (body,)


def item(body: bytes) -> tuple[bytes, ...]:
    """A row of analytics, without its page."""
    return tuple(analytics.cut(b'{"data":[' + body + b"]}").rows)


def line(body: bytes) -> tuple[bytes, ...]:
    """A record of a log, as one line."""
    return tuple(invocations.cut(json.dumps(json.loads(body)).encode()).rows)


def rows(cut: Callable[..., Any], **options: Any) -> Cut:
    asked = partial(cut, **options)
    return lambda body: tuple(asked(body).rows)


TOKENS: Final[Meters] = {
    "input_uncached": 120_000, "cache_read": 900_000, "cache_write_5m": 8_000, "cache_write_1h": 2_000,
    "output_text": 41_000, "web_searches": 4,
}  # fmt: skip
READ: Final[Mapping[str, Reads]] = {
    "anthropic_analytics_cost_item": Reads("anthropic_analytics", item, [({}, 12_345_600)]),
    "anthropic_analytics_usage_item": Reads("anthropic_analytics", item, [(TOKENS | {"requests": 210}, None)]),
    "anthropic_claude_code": Reads(
        "anthropic_claude_code",
        rows(anthropic_claude_code.cut),
        [({"input_uncached": 100_000, "cache_read": 10_000, "cache_write_5m": 5_000, "output_text": 35_000,
           "requests": 1}, 10_250_000)],
    ),
    "anthropic_cost_report": Reads("anthropic_cost_report", rows(cost_report.cut), [({}, 1_234_500)]),
    # It says no requests: there cannot have been fewer.
    "anthropic_usage_messages": Reads(
        "anthropic_usage_report", rows(anthropic_usage_report.cut), [(TOKENS | {"requests": 6}, None)]
    ),
    "bedrock_invocation": Reads(
        "bedrock_invocations", line, [({"input_uncached": 1_200, "output_text": 300, "requests": 1}, None)]
    ),
    "cloudevent": Reads(
        "cloudevents", whole, [({"input_uncached": 12_012, "output_text": 503, "requests": 1}, None)]
    ),
    "copilot_ai_credit_usage": Reads("copilot", rows(copilot.cut), [({}, 2_000_000)]),
    "cursor_usage_events": Reads(
        "cursor",
        rows(cursor.cut),
        [({"input_uncached": 126, "cache_read": 11_964, "cache_write_5m": 6_112, "output_text": 450, "requests": 1},
          213_623)],
    ),
    "devin_daily": Reads("devin", rows(devin.cut, account="org-1", rate="2.25"), [({}, 90_000_000), ({}, 5_625_000)]),
    "openai_costs": Reads("openai_cost_report", rows(openai_cost_report.cut), [({}, 60_000)]),
    "openai_usage_completions": Reads(
        "openai_usage_report",
        rows(openai_usage_report.cut),
        [({"input_uncached": 55_000, "cache_read": 40_000, "cache_write_5m": 5_000, "output_text": 20_000,
           "requests": 310}, None)],
    ),
    "openai_usage_embeddings": Reads(
        "openai_usage_report", rows(openai_usage_report.cut), [({"input_uncached": 16, "requests": 2}, None)]
    ),
    "openrouter_activity": Reads(
        "openrouter_activity",
        rows(activity.cut),
        [({"input_uncached": 40, "cache_read": 10, "output_text": 100, "output_reasoning": 25, "requests": 5}, 15_000)],
    ),
    "otlp_logs_claude_code": Reads(
        "otlp_logs",
        rows(logs.cut),
        [({"input_uncached": 12, "cache_read": 9_000, "cache_write_5m": 3_000, "output_text": 503, "requests": 1},
          None)],
    ),
    "otlp_metrics_claude_code": Reads("otlp_metrics", rows(metrics.cut), [({"cache_read": 1_234}, None)]),
    "otlp_trace_genai": Reads(
        "otlp_spans",
        rows(spans.cut),
        [({"input_uncached": 176, "cache_read": 1_024, "output_text": 300, "requests": 1}, None)],
    ),
    "windsurf_balance": Reads("windsurf", rows(windsurf.cut, taken_at=NOON, rate="0.04"), [({}, 100_000_000)]),
}  # fmt: skip
# The usage in an answer to one call, wherever the answer stands: before the gateway, in a session's file, in a log.
USAGES: Final[Mapping[str, tuple[Callable[[Mapping[str, Any]], Meters | Problem], Meters]]] = {
    "anthropic_message_usage": (
        messages_usage,
        {"input_uncached": 12, "cache_read": 9_000, "cache_write_5m": 1_000, "cache_write_1h": 2_000,
         "output_text": 383, "output_reasoning": 120, "web_searches": 1, "requests": 1},
    ),
    "gemini_usage": (
        gemini_usage,
        {"input_uncached": 240, "cache_read": 1_000, "output_text": 300, "output_reasoning": 128, "requests": 1},
    ),
    "openai_chat_usage": (
        chat_usage,
        {"input_uncached": 176, "cache_read": 1_024, "output_text": 172, "output_reasoning": 128, "requests": 1},
    ),
    "openai_response_usage": (
        responses_usage,
        {"input_uncached": 176, "cache_read": 1_024, "output_text": 172, "output_reasoning": 128, "requests": 1},
    ),
}  # fmt: skip
# No usage: what a provider knows of keys, people and limits. See tests/clients/typed/test_administered.py.
NO_USAGE: Final = frozenset({"anthropic_api_key", "anthropic_spend_limit", "anthropic_user", "openai_spend_limit"})


def test_every_example_is_claimed_once() -> None:
    if not FOLDER.is_dir():
        pytest.skip("needs the examples: set CAPSTAN_EXAMPLES to the folder that has them")
    claimed = [*READ, *USAGES, *NO_USAGE]
    assert sorted(claimed) == sorted(file.stem for file in FOLDER.glob("*.json"))


@pytest.mark.parametrize("name", sorted(READ))
def test_an_example_is_read_whole_by_its_parser(name: str) -> None:
    reads = READ[name]
    events = [event(PARSERS[reads.parser](raw)) for raw in reads.cut(example(name))]
    found = [(meters(one), one.cost.pico // _MICRO if one.cost else None) for one in events]
    assert found == reads.told
    assert {one.cost.currency for one in events if one.cost} <= {"USD"}


@pytest.mark.parametrize("name", sorted(USAGES))
def test_an_example_of_a_usage_is_read_whole(name: str) -> None:
    read, told = USAGES[name]
    assert read(json.loads(example(name))) == told


@pytest.mark.parametrize("name", sorted(NO_USAGE))
def test_what_tells_of_no_usage_counts_nothing(name: str) -> None:
    """By any reader: what is put before the wrong one is a problem, and no charge of nothing."""
    said = json.loads(example(name))
    assert [read(said) for read, _ in USAGES.values() if not isinstance(read(said), Problem)] == []
