"""Langfuse's observations as its SDK has them."""

from __future__ import annotations

from typing import Any

import pytest

from finops.connectors.langfuse.observations import cut, parse
from tests.clients.typed.holding import answers, written, wrong_of
from tests.clients.typed.table import OBSERVATIONS
from tests.factories.metered import body, event, meters
from tests.factories.polling import AT
from tests.fakes.reports.langfuse import LangfuseReports

OBSERVATION: dict[str, Any] = {
    "id": "obs-1",
    "traceId": "trace-1",
    "startTime": "2026-11-20T10:15:00.250Z",
    "endTime": "2026-11-20T10:15:02Z",
    "projectId": "project-1",
    "parentObservationId": "obs-0",
    "isRootObservation": False,
    "type": "GENERATION",
    "name": "answer",
    "level": "DEFAULT",
    "environment": "production",
    "userId": "ann@acme.example",
    "sessionId": "session-1",
    "model": "claude-opus-5-5",
    "internalModelId": "model-1",
    "modelParameters": {"max_tokens": 100},
    "usageDetails": {
        "input": 700, "input_cached_tokens": 300, "output": 80, "output_reasoning_tokens": 20, "total": 1_100,
    },
    "costDetails": {"input": 0.01, "output": 0.02, "total": 0.03},
    "totalCost": 0.03,
    "metadata": {"attributes": {"gen_ai.provider.name": "anthropic", "gen_ai.response.id": "msg_1"}},
    "tags": ["team:search"],
    "traceName": "checkout",
}  # fmt: skip


@pytest.mark.parametrize("feed", ["langfuse-observations"])
def test_the_fake_answers_what_the_sdk_reads(feed: str) -> None:
    fake = LangfuseReports(until=AT)
    try:
        said = answers(fake, feed)
    finally:
        fake.close()
    assert wrong_of((OBSERVATIONS, one.body) for one in said) == set()


def test_every_count_of_an_observation_is_read() -> None:
    for said in written(OBSERVATIONS, {"data": [OBSERVATION], "meta": {"cursor": "next"}}):
        page = cut(body(said))
        assert page.next == "next"
        found = event(parse(page.rows[0]))
        assert meters(found) == {
            "input_uncached": 700, "cache_read": 300, "output_text": 80, "output_reasoning": 20, "requests": 1,
        }  # fmt: skip
        assert sum(meters(found).values()) - 1 == said["data"][0]["usageDetails"]["total"]
        assert (found.model, found.provider, found.provider_request_id) == ("claude-opus-5-5", "anthropic", "msg_1")
        assert (found.external_id, found.session) == ("obs-1", "session-1")
