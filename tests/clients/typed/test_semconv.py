"""Calls as OpenTelemetry's semantic conventions name what they say, by the constants of its own package."""

from __future__ import annotations

import pytest

from finops.connectors.otlp import spans
from finops.connectors.otlp.metrics import METRICS, cut, parse
from tests.clients.typed.holding import names_of
from tests.clients.typed.table import SEMCONV_ATTRIBUTES, SEMCONV_METRICS, SEMCONV_OPERATIONS, SEMCONV_TOKENS
from tests.factories import otlp

# Of 1 000 tokens that went in 600 were read from a cache and 100 written to it; of 300 that came out 128 were thoughts.
USAGE = {
    "gen_ai.usage.input_tokens": 1_000,
    "gen_ai.usage.cache_read.input_tokens": 600,
    "gen_ai.usage.cache_creation.input_tokens": 100,
    "gen_ai.usage.output_tokens": 300,
    "gen_ai.usage.reasoning.output_tokens": 128,
}
# As they were called before.
PREVIOUS = {"gen_ai.usage.prompt_tokens": 1_000, "gen_ai.usage.completion_tokens": 300}
SAID = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-opus",
    "gen_ai.response.model": "claude-opus-5-5",
    "gen_ai.response.id": "msg_1",
    "gen_ai.conversation.id": "c-1",
    "gen_ai.agent.name": "reviewer",
    "gen_ai.workflow.name": "nightly",
}


@pytest.fixture(scope="module")
def attributes() -> set[str]:
    return names_of(SEMCONV_ATTRIBUTES)


def test_every_usage_of_the_conventions_is_read(attributes: set[str]) -> None:
    assert {name for name in attributes if name.startswith("gen_ai.usage.")} == {*USAGE, *PREVIOUS}
    assert set(SAID) <= attributes
    (row,) = spans.cut(otlp.traces(otlp.span(SAID | USAGE))).rows
    found = otlp.read(spans.parse(row))
    assert otlp.counted(found) == {
        "input_uncached": 300, "cache_read": 600, "cache_write_5m": 100, "output_text": 172, "output_reasoning": 128,
        "requests": 1,
    }  # fmt: skip
    assert (found.provider, found.model, found.provider_request_id) == ("anthropic", "claude-opus-5-5", "msg_1")
    assert (found.session, dict(found.tags)["gen_ai.workflow.name"]) == ("c-1", "nightly")


def test_the_previous_names_are_read(attributes: set[str]) -> None:
    assert "gen_ai.system" in attributes
    told = {name: value for name, value in SAID.items() if name != "gen_ai.provider.name"}
    (row,) = spans.cut(otlp.traces(otlp.span(told | PREVIOUS | {"gen_ai.system": "openai"}))).rows
    found = otlp.read(spans.parse(row))
    assert otlp.counted(found) == {"input_uncached": 1_000, "output_text": 300, "requests": 1}
    assert found.provider == "openai"


def test_of_the_conventions_operations_those_of_models_are_calls() -> None:
    found = {
        name: len(spans.cut(otlp.traces(otlp.span(SAID | USAGE | {"gen_ai.operation.name": name}))).rows)
        for name in names_of(SEMCONV_OPERATIONS)
    }
    assert {name for name, calls in found.items() if calls} == {
        "chat", "generate_content", "text_completion", "embeddings",
    }  # fmt: skip
    assert set(found) == set(spans.MODEL_OPERATIONS) - {"completion", "embedding"} | {
        "create_agent", "execute_tool", "invoke_agent", "invoke_workflow", "retrieval",
    }  # fmt: skip


def test_the_conventions_metric_of_tokens_is_read(attributes: set[str]) -> None:
    assert {name for name in METRICS if name.startswith("gen_ai.")} == {"gen_ai.client.token.usage"}
    assert "gen_ai.client.token.usage" in names_of(SEMCONV_METRICS)
    assert {"gen_ai.token.type", *SAID} <= attributes
    kinds = names_of(SEMCONV_TOKENS)
    points = [otlp.point(100, SAID | {"gen_ai.token.type": kind}) for kind in sorted(kinds)]
    (row,) = cut(otlp.metrics(otlp.metric("gen_ai.client.token.usage", *points))).rows
    found = otlp.read(parse(row))
    assert (kinds, otlp.counted(found)) == ({"input", "output"}, {"input_uncached": 100, "output_text": 100})
