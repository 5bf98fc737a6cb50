"""Portkey's log exports: its SDK has types of the jobs. Of a line it has none; what a line holds of the provider's
answer is a body of that provider's.
"""

from __future__ import annotations

import re
from typing import Any

from finops.connectors.portkey.logs import cut, parse
from tests.clients.typed.holding import answers, held, wrong_of
from tests.clients.typed.table import CHAT, EXPORT_CREATED, EXPORT_DOWNLOAD, EXPORT_JOB, EXPORT_STARTED
from tests.factories.metered import body, event, meters
from tests.factories.polling import AT
from tests.fakes.reports.portkey import PortkeyReports

PATHS = {
    r"/v1/logs/exports": EXPORT_CREATED,
    r"/v1/logs/exports/[^/]+": EXPORT_JOB,
    r"/v1/logs/exports/[^/]+/start": EXPORT_STARTED,
    r"/v1/logs/exports/[^/]+/download": EXPORT_DOWNLOAD,
}
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_795_169_700,
    "model": "gpt-5.2-2026-01-01",
    "choices": [
        {
            "index": 0, "finish_reason": "stop", "logprobs": None,
            "message": {"role": "assistant", "content": "a secret", "refusal": None},
        }
    ],
    "service_tier": "flex",
    "usage": {
        "prompt_tokens": 1_000,
        "completion_tokens": 100,
        "total_tokens": 1_100,
        "prompt_tokens_details": {"cached_tokens": 400, "audio_tokens": 50},
        "completion_tokens_details": {
            "reasoning_tokens": 30, "audio_tokens": 10, "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    },
}  # fmt: skip
LINE: dict[str, Any] = {
    "id": "log-1",
    "trace_id": "trace-1",
    "created_at": "2026-11-20T10:15:00.250Z",
    "is_success": 1,
    "ai_org": "openai",
    "ai_model": "gpt-5.2",
    "cost": 12.5,
    "cost_currency": "USD",
    "response_status_code": 200,
    "metadata": {"_user": "ann@acme.example"},
}


def test_the_fakes_jobs_are_those_of_the_sdk_and_its_answers_the_providers() -> None:
    fake = PortkeyReports(until=AT, days=1)
    try:
        said = answers(fake, "portkey-logs")
        lines = [one["response"] for one in fake.calls]
    finally:
        fake.close()
    kinds = [(next(kind for path, kind in PATHS.items() if re.fullmatch(path, one.path)), one.body) for one in said]
    assert {kind for kind, _ in kinds} == set(PATHS.values())
    assert wrong_of([*kinds, *((CHAT, one) for one in lines)]) == set()


def test_the_providers_answer_in_a_line_is_read() -> None:
    (told,) = held((CHAT, ANSWER))
    assert told.wrong == []
    for answer in (told.made, told.bare):
        (row,) = cut(body([LINE | {"response": answer}])).rows
        found = event(parse(row))
        assert meters(found) == {
            "input_uncached": 550, "cache_read": 400, "input_audio": 50, "output_text": 60, "output_audio": 10,
            "output_reasoning": 30, "requests": 1,
        }  # fmt: skip
        assert (found.provider_request_id, found.service_tier) == ("chatcmpl-1", "flex")
        assert b"secret" not in row
