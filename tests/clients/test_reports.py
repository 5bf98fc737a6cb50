"""Reports as the types of OpenAI's and Anthropic's SDKs have them: what those read and write out is read the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from finops.connectors.anthropic import analytics, usage_report
from finops.connectors.openai import cost_report
from finops.connectors.openai import usage_report as openai_usage_report
from finops.connectors.pages import Page
from finops.connectors.types import Received
from tests.clients.typed.holding import held
from tests.clients.typed.table import Type
from tests.factories.examples import example

OPENAI: Final = "openai.types.admin.organization"
ANTHROPIC: Final = "anthropic.types.beta.organization"
# Beside these every result has what it is grouped by.
RESULTS: Final[dict[str, dict[str, Any]]] = {
    "completions": {
        "input_tokens": 1_000,
        "input_cached_tokens": 400,
        "input_uncached_tokens": 500,
        "input_cache_write_tokens": 100,
        "input_cache_write_30m_tokens": 60,
        "input_cache_write_12h_tokens": 40,
        "input_text_tokens": 300,
        "input_audio_tokens": 200,
        "input_cached_audio_tokens": 100,
        "output_tokens": 90,
        "output_audio_tokens": 30,
        "num_model_requests": 5,
        "batch": True,
        "model": "gpt",
        "api_source": "agents_api",
    },
    "embeddings": {"input_tokens": 16, "num_model_requests": 2},
    "moderations": {"input_tokens": 16, "num_model_requests": 2},
    "images": {"images": 2, "num_model_requests": 2, "size": "1024x1024", "source": "image.generation"},
    "audio_speeches": {"characters": 45, "num_model_requests": 1},
    "audio_transcriptions": {"seconds": 20, "num_model_requests": 1},
    "vector_stores": {"usage_bytes": 1024},
    "code_interpreter_sessions": {"num_sessions": 1},
    "file_searches": {"num_requests": 2, "vector_store_id": "vs_1"},
    "web_searches": {"num_requests": 2, "num_model_requests": 1, "context_level": "low"},
}
COUNTED: Final = {"completions", "decisions", "embeddings", "moderations", "file_searches", "web_searches"}


def told(*asked: tuple[str, str, Any]) -> list[Any]:
    """What the SDKs make of bodies that are good by them, each with the module and the name of its type."""
    found = held(*((Type(module, name), body) for module, name, body in asked))
    assert [one.wrong for one in found] == [[]] * len(asked)
    return [one.made for one in found]


def cut_and_read(cut: Callable[[bytes], Page], parse: Callable[[bytes], Received], body: Any) -> list[Any]:
    """What is said by each row: the event, or what is wrong."""
    read = [parse(row) for row in cut(json.dumps(body).encode()).rows]
    return [one.event or one.problem for one in read]


def result(name: str) -> dict[str, Any]:
    return {"object": f"organization.usage.{name}.result", "project_id": "proj_example", **RESULTS[name]}


def test_openais_reports_of_usage() -> None:
    bucket = {"object": "bucket", "start_time": 1_763_596_800, "end_time": 1_763_683_200}
    page = {"object": "page", "has_more": False, "data": [bucket | {"results": [result(name) for name in RESULTS]}]}
    decided = result("completions") | {"object": "organization.usage.decisions.result"}
    pages = [
        ("usage_completions_response", "UsageCompletionsResponse", page),
        ("usage_decisions_response", "UsageDecisionsResponse", page | {"data": [bucket | {"results": [decided]}]}),
        ("usage_completions_response", "UsageCompletionsResponse", json.loads(example("openai_usage_completions"))),
        ("usage_embeddings_response", "UsageEmbeddingsResponse", json.loads(example("openai_usage_embeddings"))),
    ]
    made = told(*((f"{OPENAI}.{module}", name, body) for module, name, body in pages))
    for (_, _, body), through in zip(pages, made, strict=True):
        found = cut_and_read(openai_usage_report.cut, openai_usage_report.parse, through)
        assert found == cut_and_read(openai_usage_report.cut, openai_usage_report.parse, body)
        names = [row["object"].split(".")[2] for row in through["data"][0]["results"]]
        assert {name for name, one in zip(names, found, strict=True) if hasattr(one, "counts")} == COUNTED & set(names)


def test_openais_report_of_costs() -> None:
    body = json.loads(example("openai_costs"))
    (through,) = told((f"{OPENAI}.usage_costs_response", "UsageCostsResponse", body))
    (found,) = cut_and_read(cost_report.cut, cost_report.parse, through)
    assert [found] == cut_and_read(cost_report.cut, cost_report.parse, body)
    assert found.cost.pico == 60_000_000_000


@pytest.mark.parametrize("kind", ["usage", "cost"])
def test_anthropics_analytics(kind: str) -> None:
    body = json.loads(example(f"anthropic_analytics_{kind}_item"))
    module, name = f"beta_analytics_{kind}_item", f"BetaAnalytics{kind.title()}Item"
    (through,) = told((f"{ANTHROPIC}.analytics.{module}", name, body))
    assert set(through["group"]) - {"actor"} - {analytics.OVERLAPPING} <= set(analytics.GROUPS)
    (found,) = cut_and_read(analytics.cut, analytics.parse, {"data": [through]})
    assert [found] == cut_and_read(analytics.cut, analytics.parse, {"data": [body]})
    assert found.evidence == ("metered" if kind == "usage" else "billed")


def test_anthropics_report_of_usage_has_the_fields_of_its_nearest_type() -> None:
    """The SDK has no type for this report; the one of analytics has the same counts, and not all it is grouped by."""
    body = json.loads(example("anthropic_usage_messages"))
    row = body["data"][0]["results"][0]
    module = f"{ANTHROPIC}.beta_analytics_usage_bucketed_result"
    groups = {"account_id", "service_account_id", "api_key_id", "workspace_id", "service_tier"}
    counts = {name: value for name, value in row.items() if name not in groups}
    (through,) = told((module, "BetaAnalyticsUsageBucketedResult", counts))
    body_through = {"data": [body["data"][0] | {"results": [row | through]}]}
    found = cut_and_read(usage_report.cut, usage_report.parse, body_through)
    assert found == cut_and_read(usage_report.cut, usage_report.parse, body)
