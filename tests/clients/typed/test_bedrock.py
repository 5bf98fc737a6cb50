"""Bedrock's log holds what Converse answered, which botocore describes; the log's own lines nobody does. Answers of
other operations are those of each model's vendor.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

from finops.connectors.bedrock.invocations import cut, parse
from tests.clients.typed.table import CONVERSE
from tests.factories.metered import event, meters
from tests.factories.polling import AT
from tests.fakes.reports.bedrock import LOGS, BedrockReports

ANSWER: dict[str, Any] = {
    "output": {"message": {"role": "assistant", "content": [{"text": "a secret"}]}},
    "stopReason": "end_turn",
    "usage": {
        "inputTokens": 1_000,
        "outputTokens": 100,
        "totalTokens": 1_900,
        "cacheReadInputTokens": 500,
        "cacheWriteInputTokens": 300,
        "cacheDetails": [{"ttl": "5m", "inputTokens": 100}, {"ttl": "1h", "inputTokens": 200}],
    },
    "metrics": {"latencyMs": 900},
    "serviceTier": {"type": "flex"},
}
LINE: dict[str, Any] = {
    "schemaType": "ModelInvocationLog",
    "schemaVersion": "1.0",
    "timestamp": "2026-11-20T10:15:00Z",
    "accountId": "123456789012",
    "identity": {"arn": "arn:aws:sts::123456789012:assumed-role/app-role/ann@acme.example"},
    "region": "us-east-1",
    "requestId": "11111111-2222-4333-8444-000000000001",
    "operation": "Converse",
    "modelId": "us.anthropic.claude-sonnet-4-6",
}


def wrong(answer: dict[str, Any]) -> str:
    """What botocore says is wrong with an answer: a field it does not know, one that is missing, a wrong type."""
    shape = botocore.session.get_session().get_service_model(CONVERSE.module).shape_for(CONVERSE.name)
    return str(ParamValidator().validate(answer, shape).generate_report())


def test_every_count_of_converse_is_read() -> None:
    assert wrong(ANSWER) == ""
    model = botocore.session.get_session().get_service_model(CONVERSE.module)
    assert set(ANSWER["usage"]) == set(model.shape_for("TokenUsage").members)
    (row,) = cut(json.dumps(LINE | {"output": {"outputBodyJson": ANSWER}}).encode()).rows
    found = event(parse(row))
    assert meters(found) == {
        "input_uncached": 1_000, "cache_read": 500, "cache_write_5m": 100, "cache_write_1h": 200, "output_text": 100,
        "requests": 1,
    }  # fmt: skip
    assert sum(meters(found).values()) - 1 == ANSWER["usage"]["totalTokens"]
    assert found.service_tier == "flex"
    assert b"secret" not in row


def test_the_fakes_answers_are_converses() -> None:
    fake = BedrockReports(until=AT, days=1)
    try:
        names = [one["Key"] for one in fake.s3.list_objects_v2(Bucket=LOGS)["Contents"]]
        bodies = [fake.s3.get_object(Bucket=LOGS, Key=name)["Body"].read() for name in names if "/data/" not in name]
    finally:
        fake.close()
    lines = [json.loads(line) for body in bodies if body for line in gzip.decompress(body).splitlines()]
    said = [line["output"]["outputBodyJson"] for line in lines if "outputBodyJson" in line["output"]]
    assert len(said) > 5
    assert {wrong(one) for one in said} == {""}
