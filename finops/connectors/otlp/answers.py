"""What a collector is answered, in the encoding it asked in. Protobuf is written by hand: it is two fields.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from finops.connectors.otlp.types import Encoding, Signal
from finops.connectors.wording import clean

_REJECTED: Final[Mapping[Signal, str]] = {
    Signal.TRACES: "rejectedSpans",
    Signal.LOGS: "rejectedLogRecords",
    Signal.METRICS: "rejectedDataPoints",
}
_LONGEST: Final = 500
# Tags of protobuf's wire: a field's number times eight and how it is written (0 a number, 2 so many bytes).
_PARTIAL_SUCCESS: Final = 1 << 3 | 2
_REJECTED_COUNT: Final = 1 << 3 | 0
_MESSAGE: Final = 2 << 3 | 2


def answer(signal: Signal, encoding: Encoding, *, rejected: int = 0, message: str = "") -> bytes:
    """The body of a 200. With `rejected` items, which are not to be sent again, or a warning, it is a partial success;
    else it is empty, which protobuf writes with no bytes at all.
    """
    said = clean(message)[:_LONGEST]
    if not rejected and not said:
        return b"" if encoding is Encoding.PROTOBUF else b"{}"
    if encoding is Encoding.PROTOBUF:
        count = bytes([_REJECTED_COUNT]) + _varint(rejected) if rejected else b""
        return _written(_PARTIAL_SUCCESS, count + (_written(_MESSAGE, said.encode()) if said else b""))
    # 64-bit integers are text in protobuf's JSON.
    return msgspec.json.encode({"partialSuccess": {_REJECTED[signal]: str(rejected), "errorMessage": said}})


def refusal(message: str) -> bytes:
    """The body of a 4xx or 5xx in protobuf: a google.rpc.Status without its code, which HTTP's says."""
    return _written(_MESSAGE, clean(message)[:_LONGEST].encode())


def _written(tag: int, inside: bytes) -> bytes:
    return bytes([tag]) + _varint(len(inside)) + inside


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
