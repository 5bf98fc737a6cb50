"""What telemetry is once it is decoded: spans, log records and data points, each with what its resource says.

The same for JSON and protobuf, so that nothing above knows which of them came. Also the records of ours that are cut
out of them: `cut` writes them as JSON, `parse` reads one again alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from finops.connectors.bodies import MOST_RECORDS, TooManyRecords
from finops.connectors.types import Received, encode_record

# A request has at most so many spans, log records or data points.
MOST_ITEMS: Final = MOST_RECORDS
# What a resource says is told again with each record, so a small body can be cut into a large one.
MOST_BYTES: Final = 64 * 1024 * 1024
MOST_ATTRIBUTES: Final = 200
MOST_RESOURCE_ATTRIBUTES: Final = 60
LONGEST_KEY: Final = 200
# One more than any text may have, so that one that is too long is seen to be.
LONGEST_TEXT: Final = 301
# What models were told and said. Never kept, and a long conversation told message by message is no reason to miss what
# stands behind it.
CONTENT: Final = ("gen_ai.prompt.", "gen_ai.completion.", "llm.prompts.", "llm.completions.", "gen_ai.input.messages")
_MOST_REASONS: Final = 50
_LONGEST_REASON: Final = 100
_LONGEST_SERVICE: Final = 80
_INT64: Final = 2**63
_MOST_PLACES: Final = 30

Attributes = Mapping[str, Any]
Number = int | Decimal


class Encoding(StrEnum):
    """How a body is written. The values are its media types."""

    JSON = "application/json"
    PROTOBUF = "application/x-protobuf"


class Signal(StrEnum):
    """What a body tells. The values are the last part of its address: `/v1/traces`."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


class Span(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Ids are lower-case hex, '' where not said; times are nanoseconds since 1970, 0 where not said."""

    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    name: str = ""
    start: int = 0
    end: int = 0
    failed: bool = False
    attributes: dict[str, Any] = {}
    resource: dict[str, Any] = {}


class Log(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """`event` is its name where the record itself says it, else its body where that is short text."""

    event: str = ""
    scope: str = ""
    time: int = 0
    observed: int = 0
    attributes: dict[str, Any] = {}
    resource: dict[str, Any] = {}


class Point(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A data point of a sum or a histogram. `calls` is how many values a histogram's sum is of; 0 for a sum.

    `value` is None where it says none that is a number. `cumulative` is None where the temporality is not said.
    """

    metric: str
    scope: str
    start: int
    time: int
    value: Number | None
    calls: int
    cumulative: bool | None
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Cut(NamedTuple):
    """A body cut: records that `parse` reads alone; what is told and is no usage, counted by its reason; and how many
    items were no items at all, which the sender is told as rejected.

    `tellers` are the tools (`claude_code`, `codex`, `gemini_cli`) and, for the GenAI conventions, the services whose
    calls the rows tell one by one: what their metrics say is the same tokens again.
    """

    rows: tuple[bytes, ...]
    ignored: Mapping[str, int]
    rejected: int = 0
    tellers: frozenset[str] = frozenset()


class Calls(NamedTuple):
    """A body read: calls as `parse` says them, and the rest as in `Cut`."""

    received: list[Received]
    rejected: int
    tellers: frozenset[str]


class Rows:
    """Collects a body's records and reasons, within bounds. Raises TooManyRecords from `add`."""

    __slots__ = ("_bytes", "ignored", "rows")

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.ignored: dict[str, int] = {}
        self._bytes = 0

    def add(self, record: msgspec.Struct) -> None:
        row = encode_record(record)
        self._bytes += len(row)
        if self._bytes > MOST_BYTES:
            raise TooManyRecords("The records with what their resources say are too many bytes; send smaller requests.")
        self.rows.append(row)

    def ignore(self, reason: str) -> None:
        name = reason[:_LONGEST_REASON]
        if name not in self.ignored and len(self.ignored) >= _MOST_REASONS:
            name = "other"
        self.ignored[name] = self.ignored.get(name, 0) + 1

    def cut(self, rejected: int, tellers: frozenset[str] = frozenset()) -> Cut:
        return Cut(tuple(self.rows), self.ignored, rejected, tellers)


def genai_teller(resource: Attributes) -> str:
    """Who tells calls by the GenAI conventions: the service, for one may send spans and another only metrics."""
    service = resource.get("service.name")
    return f"gen_ai:{service[:_LONGEST_SERVICE]}" if isinstance(service, str) and service else "gen_ai"


def bounded(count: int) -> None:
    """Raises TooManyRecords."""
    if count > MOST_ITEMS:
        raise TooManyRecords(
            f"A request has at most {MOST_ITEMS:,} spans, log records or data points; send more requests."
        )


def is_kept(key: str, found: Mapping[str, Any]) -> bool:
    """Whether a record has room for an attribute of this name."""
    if not key or len(key) > LONGEST_KEY or key.startswith(CONTENT):
        return False
    return key in found or len(found) < MOST_ATTRIBUTES


def scalar(value: Any) -> Any:
    """A value of an attribute as it is kept: text, whether, a number within 64 bits or a decimal; None for the rest.

    A number that no JSON has, or that no meter could be, becomes text, which no count is.
    """
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else "beyond 64 bits"
    if isinstance(value, Decimal):
        return value if value.is_finite() else str(value)
    return None


def number(value: Number) -> Number | None:
    """A number that sums can be made with; None for one of a size that no count or cost has."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        return value if value and -_MOST_PLACES <= value.adjusted() < _MOST_PLACES else (None if value else 0)
    return value if abs(value) < _INT64 else None


def kept(attributes: Attributes, wanted: Collection[str]) -> dict[str, Any]:
    """The attributes of these names, as a record keeps them. What is not read is not kept, prompts least of all."""
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        if name in wanted:
            made = scalar(value)
            if made is not None:
                found[name] = made
    return found
