"""What a collector is answered."""

from __future__ import annotations

import json

import pytest

from finops.connectors.otlp.answers import answer, refusal
from finops.connectors.otlp.types import Encoding, Signal

JSON, PROTOBUF = Encoding.JSON, Encoding.PROTOBUF


@pytest.mark.parametrize("signal", Signal)
def test_success_is_an_empty_message(signal: Signal) -> None:
    assert answer(signal, JSON) == b"{}"
    assert answer(signal, PROTOBUF) == b""


@pytest.mark.parametrize(
    ("signal", "name"),
    [
        (Signal.TRACES, "rejectedSpans"),
        (Signal.LOGS, "rejectedLogRecords"),
        (Signal.METRICS, "rejectedDataPoints"),
    ],
)
def test_a_partial_success_counts_what_was_rejected(signal: Signal, name: str) -> None:
    said = json.loads(answer(signal, JSON, rejected=3, message="no objects"))
    assert said == {"partialSuccess": {name: "3", "errorMessage": "no objects"}}


def test_the_bytes_of_protobuf() -> None:
    assert answer(Signal.TRACES, PROTOBUF, rejected=300, message="no") == b"\x0a\x07\x08\xac\x02\x12\x02no"
    assert answer(Signal.LOGS, PROTOBUF, rejected=1) == b"\x0a\x02\x08\x01"
    assert answer(Signal.LOGS, PROTOBUF, message="a warning") == b"\x0a\x0b\x12\x09a warning"
    assert len(answer(Signal.LOGS, PROTOBUF, message="x" * 9000)) < 600


def test_a_refusal() -> None:
    assert refusal("no") == b"\x12\x02no"
