"""What OpenAI and those who speak its dialect say a call used, as our meters. Pure.

Totals include their parts: the input what was read from and written to a cache, the output what was thought. Some hosts
differ, and their sums tell: where the total is input, output and reasoning, the output leaves the reasoning out (xAI).
Tokens of a prediction, taken or not, are in the output and cost what output costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from finops.connectors.counting import Meters, Unreadable, count, inside, meters
from finops.connectors.types import Problem
from finops.connectors.wording import problem

_SEARCHED: Final = "search"
# What the provider's own tools did that costs more than tokens, and no usage says how much: the time of a container,
# and pictures, whose tokens are another model's.
_UNTOLD: Final = frozenset({"code_interpreter_call", "image_generation_call"})
_SHELL: Final = "shell_call"


def chat_usage(said: Mapping[str, Any], *, web_searches: int = 0) -> Meters | Problem:
    """Of chat, of completions and of embeddings."""
    return _read(said, "prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details",
                 web_searches=web_searches)  # fmt: skip


def responses_usage(said: Mapping[str, Any], *, output: Sequence[Any] = ()) -> Meters | Problem:
    """Of a response, with the items it put out: what the provider's own tools did is counted there only."""
    return _read(said, "input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details",
                 web_searches=_searches(output), tool_calls=_calls(output, "file_search_call"))  # fmt: skip


def untold(output: Sequence[Any]) -> bool:
    """Whether a response with these items costs more than its usage says."""
    return any(
        isinstance(item, Mapping)
        and (item.get("type") in _UNTOLD or (item.get("type") == _SHELL and not _is_local(item.get("environment"))))
        for item in output
    )


def transcription_usage(said: Mapping[str, Any]) -> Meters | Problem:
    if said.get("type") == "duration":
        return problem("connectors.usage_unreadable", "usage.type", "it is paid for by its duration, which is no meter")
    return _read(said, "input_tokens", "output_tokens", "input_token_details", "output_token_details")


def images_usage(said: Mapping[str, Any]) -> Meters | Problem:
    """Of pictures made. What is not said to be text is picture."""
    try:
        written = count(inside(said, "output_tokens_details"), "text_tokens")
        out = count(said, "output_tokens")
        if "output_tokens" not in said:
            raise Unreadable("usage.output_tokens", "output_tokens is missing")
        return meters(
            input_tokens=count(said, "input_tokens"),
            input_image_tokens=count(inside(said, "input_tokens_details"), "image_tokens"),
            output_tokens=out,
            output_image_tokens=max(0, out - written),
        )
    except Unreadable as error:
        return error.problem


def _read(
    said: Mapping[str, Any], total_in: str, total_out: str, inner: str, outer: str, **counted: int
) -> Meters | Problem:
    try:
        if said.get(total_in) is None and said.get(total_out) is None:
            raise Unreadable(f"usage.{total_in}", f"{total_in} is missing")
        read, written, given = count(said, total_in), count(said, total_out), inside(said, inner)
        made = inside(said, outer)
        thought = count(made, "reasoning_tokens")
        if thought and count(said, "total_tokens") == read + written + thought:
            written += thought
        return meters(
            input_tokens=read,
            cache_read_tokens=_cached(said, given),
            cache_write_tokens=count(given, "cache_write_tokens"),
            input_audio_tokens=count(given, "audio_tokens"),
            input_image_tokens=count(given, "image_tokens"),
            cache_read_audio_tokens=count(inside(given, "cached_tokens_details"), "audio_tokens"),
            output_tokens=written,
            reasoning_tokens=thought,
            output_audio_tokens=count(made, "audio_tokens"),
            output_image_tokens=count(made, "image_tokens"),
            **counted,
        )
    except Unreadable as error:
        return error.problem


def _cached(said: Mapping[str, Any], given: Mapping[str, Any]) -> int:
    """DeepSeek and Moonshot said it beside the totals before they said it as OpenAI does."""
    if given.get("cached_tokens") is not None:
        return count(given, "cached_tokens")
    return count(said, "prompt_cache_hit_tokens") or count(said, "cached_tokens")


def _searches(output: Sequence[Any]) -> int:
    """A search is paid for; to open what it found is not."""
    found = 0
    for item in output:
        if isinstance(item, Mapping) and item.get("type") == "web_search_call":
            action = item.get("action")
            found += not isinstance(action, Mapping) or action.get("type", _SEARCHED) == _SEARCHED
    return found


def _is_local(place: Any) -> bool:
    """A shell of the caller's own machine; it need not say so."""
    return not isinstance(place, Mapping) or place.get("type") == "local"


def _calls(output: Sequence[Any], kind: str) -> int:
    return sum(isinstance(item, Mapping) and item.get("type") == kind for item in output)
