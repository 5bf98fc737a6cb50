"""Reads what Gemini answers to one call (`generateContent`), as its API writes it and as its Python SDK does.

After Google's SDK (`google.genai.types.GenerateContentResponse`). Of an answer its id, its model, its time and its
counts are kept, and nothing of what was asked or answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from finops.connectors.bare import usage_of
from finops.connectors.foreign import UNDECODABLE, Part, counts_of, decode, encode, received
from finops.connectors.google.billing import PROVIDER
from finops.connectors.google.usage import gemini_usage, tier_of
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.types import NO_TIME, Received, UsageEvent

PARSER: Final = "google_answers"
_USAGE: Final = "usageMetadata"
_KEPT: Final = ("responseId", "modelVersion", "createTime")
_LONGEST: Final = 300


def parse(raw: bytes) -> Received:
    """One record of `cut`."""
    return received(raw, _event, _name)


def cut(body: bytes) -> Page:
    """One answer; none of a stream's pieces but the last, for each tells the totals so far. Raises BodyUnreadable."""
    try:
        said = decode(body)
    except UNDECODABLE:
        said = None
    if not isinstance(said, Mapping):
        raise BodyUnreadable("This is no answer of Gemini's: it is no JSON object.")
    said = _named(said)
    if not _is_over(said.get("candidates")):
        return Page(())
    record: dict[str, Any] = {name: _short(said[name]) for name in _KEPT if said.get(name) is not None}
    usage = usage_of(said.get(_USAGE))
    if usage is not None:
        record[_USAGE] = _as_written(usage)
    return Page((encode(record),))


def _is_over(candidates: Any) -> bool:
    """A piece of a stream that is not the last has candidates, and none of them says why it ended. A prompt that was
    refused has none at all, and was read.
    """
    if not isinstance(candidates, list) or not candidates:
        return True
    each = (_named(one) for one in candidates if isinstance(one, Mapping))
    return any(one.get("finishReason") is not None for one in each)


def _event(record: Part) -> UsageEvent:
    call = record.needed("responseId")
    if not record.has(_USAGE):
        raise record.missing(_USAGE)
    usage = record.part(_USAGE).values
    dated = record.has("createTime")
    return UsageEvent(
        external_id=call,
        # The Gemini API says no time of an answer, Vertex AI does.
        occurred_at=record.moment("createTime") if dated else NO_TIME,
        undated=not dated,
        provider=PROVIDER,
        model=record.needed("modelVersion"),
        counts=counts_of(gemini_usage(usage)),
        service_tier=tier_of(usage.get("trafficType")),
        provider_request_id=call,
        evidence="metered",
    )


def _name(record: Part) -> str:
    return record.needed("responseId")


def _named(said: Mapping[Any, Any]) -> dict[str, Any]:
    """Names as the API writes them: its SDK writes `usage_metadata` where it is not told otherwise."""
    return {_camel(str(name)): value for name, value in said.items()}


def _as_written(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_camel(name): _as_written(inner) for name, inner in value.items()}
    return [_as_written(inner) for inner in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _short(value: Any) -> Any:
    """An id or a name; what is none is `false`, and named as such without being kept."""
    return value if isinstance(value, str) and len(value) <= _LONGEST else False
