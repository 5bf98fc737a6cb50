"""What Bedrock says a call used, as our meters. Pure.

The log counts at its top; an answer counts in its body, as Converse does (`inputTokens`), as Claude (`input_tokens`) or
as OpenAI (`prompt_tokens`). The first two leave out of the input what was read from and written to the cache, which the
AWS page on prompt caching says and opencode#38427 had wrong; OpenAI's includes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from finops.connectors.counting import meters
from finops.connectors.foreign import Part, Wrong, counts_of
from finops.connectors.openai.usage import chat_usage
from finops.connectors.types import Counts

# Of one count: its name at the top of the log, in Converse's usage, in Claude's.
_NAMES: Final = {
    "input": ("inputTokenCount", "inputTokens", "input_tokens"),
    "read": ("cacheReadInputTokenCount", "cacheReadInputTokens", "cache_read_input_tokens"),
    "written": ("cacheWriteInputTokenCount", "cacheWriteInputTokens", "cache_creation_input_tokens"),
    "output": ("outputTokenCount", "outputTokens", "output_tokens"),
}
_HOUR: Final = "1h"


def says_anything(record: Mapping[str, Any]) -> bool:
    """Whether a record counts any token, anywhere."""
    parts = (record.get("input"), record.get("output"), record.get("usage"))
    return any(isinstance(part, Mapping) and any(_is_something(value) for value in part.values()) for part in parts)


def counts_of_call(record: Part) -> Counts:
    """Counts of a record of `invocations.cut`. Raises Wrong, and Unreadable."""
    usage = record.part("usage")
    top = {**record.part("input").values, **record.part("output").values}
    if usage.has("prompt_tokens") or usage.has("completion_tokens"):
        return counts_of(chat_usage(usage.values))
    told = {name: _told(Part(top, "counts"), usage, names) for name, names in _NAMES.items()}
    if told["input"] is None and told["output"] is None:
        raise Wrong("usage_missing", "input.inputTokenCount", "the log says no count of this call")
    number = {name: value or 0 for name, value in told.items()}
    five, hour = _by_lifetime(usage)
    read = number["read"]
    # The sum is mostly told; where it is not, its parts are.
    written = five + hour if told["written"] is None else number["written"]
    return counts_of(
        meters(
            input_tokens=number["input"] + read + written,
            cache_read_tokens=read,
            cache_write_tokens=written,
            cache_write_1h_tokens=hour,
            output_tokens=number["output"],
            reasoning_tokens=usage.part("output_tokens_details").count("thinking_tokens"),
        )
    )


def _told(top: Part, usage: Part, names: tuple[str, str, str]) -> int | None:
    """The top of the log goes first: it is there where the body is too long to be logged, and says the cache too."""
    first, *rest = names
    if top.has(first):
        return top.count(first)
    name = next((name for name in rest if usage.has(name)), None)
    return None if name is None else usage.count(name)


def _by_lifetime(usage: Part) -> tuple[int, int]:
    """Tokens written to the cache for five minutes, and for an hour."""
    if usage.has("cache_creation"):
        lives = usage.part("cache_creation")
        return lives.count("ephemeral_5m_input_tokens"), lives.count("ephemeral_1h_input_tokens")
    details = usage.get("cacheDetails")
    parts = [Part(one, usage.at("cacheDetails")) for one in details] if isinstance(details, list) else []
    hour = sum(part.count("inputTokens") for part in parts if part.get("ttl") == _HOUR)
    return sum(part.count("inputTokens") for part in parts) - hour, hour


def _is_something(value: Any) -> bool:
    return value is False or (type(value) is int and value != 0)
