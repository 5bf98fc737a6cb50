"""A call's usage as gateways and their tools hand it on: in the provider's own words, or in OpenAI's with others' names
beside them. Pure.

- The same tokens often stand under two names (`prompt_tokens_details.cached_tokens` and `cache_read_input_tokens`). The
  largest of them counts; they are never added.
- Whether the input holds what was cached, the sum tells: where the total is input, output and the cached ones together,
  the input leaves them out; else it holds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from finops.connectors.anthropic.usage import messages_usage
from finops.connectors.counting import Meters, Unreadable, count, inside, meters
from finops.connectors.openai.usage import responses_usage
from finops.connectors.types import Problem

_CHAT: Final = ("prompt_tokens", "completion_tokens")
_GEMINI: Final = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
_ANTHROPIC: Final = ("cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "server_tool_use")
_TOOLS: Final = ("web_search_call", "file_search_call")
_RESPONSES: Final = ("input_tokens_details", "total_tokens")


def usage_of(said: Mapping[str, Any], *, output: Sequence[Any] = ()) -> Meters | Problem:
    """By the names it uses: OpenAI's chat, Anthropic's messages, OpenAI's responses, Gemini. `output` is what a
    response put out, where its searches are counted.
    """
    if _says(said, _CHAT):
        return chat(said)
    if _says(said, _GEMINI):
        return gemini(said)
    if not _says(said, _ANTHROPIC) and _says(said, _RESPONSES):
        return responses_usage(said, output=output)
    return messages_usage(said)


def tools_in(answer: Any) -> list[dict[str, Any]]:
    """Of what a response put out, the calls of the provider's own tools, without what they were asked and found."""
    items = answer.get("output") if isinstance(answer, Mapping) else None
    made = []
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping) and item.get("type") in _TOOLS:
            action = item.get("action")
            kind = action.get("type") if isinstance(action, Mapping) else None
            made.append({"type": item["type"], **({"action": {"type": kind}} if isinstance(kind, str) else {})})
    return made


def chat(said: Mapping[str, Any]) -> Meters | Problem:
    """OpenAI's chat as gateways extend it: with the lifetimes of what was written to a cache, and with searches."""
    try:
        if not _says(said, _CHAT):
            raise Unreadable("usage.prompt_tokens", "prompt_tokens is missing")
        return _chat(said)
    except Unreadable as error:
        return error.problem


def gemini(said: Mapping[str, Any]) -> Meters | Problem:
    """`usageMetadata`. The prompt holds what was cached; the candidates leave out what was thought."""
    try:
        thought = count(said, "thoughtsTokenCount")
        return meters(
            input_tokens=count(said, "promptTokenCount") + count(said, "toolUsePromptTokenCount"),
            cache_read_tokens=count(said, "cachedContentTokenCount"),
            output_tokens=count(said, "candidatesTokenCount") + thought,
            reasoning_tokens=thought,
        )
    except Unreadable as error:
        return error.problem


def _chat(said: Mapping[str, Any]) -> Meters | Problem:
    given, made = inside(said, "prompt_tokens_details"), inside(said, "completion_tokens_details")
    read = max(
        count(given, "cached_tokens"),
        count(said, "cache_read_input_tokens"),
        count(said, "prompt_cache_hit_tokens"),
        count(said, "cached_tokens"),
    )
    lives = inside(given, "cache_creation_token_details") or inside(said, "cache_creation")
    five, hour = count(lives, "ephemeral_5m_input_tokens"), count(lives, "ephemeral_1h_input_tokens")
    write = max(
        count(given, "cache_write_tokens"),
        count(given, "cache_creation_tokens"),
        count(said, "cache_creation_input_tokens"),
        five + hour,
    )
    put_in, put_out, total = count(said, "prompt_tokens"), count(said, "completion_tokens"), count(said, "total_tokens")
    if read + write and total == put_in + put_out + read + write:
        put_in += read + write
    thought = count(made, "reasoning_tokens")
    if thought and total == put_in + put_out + thought:
        put_out += thought
    searched = max(count(inside(said, "server_tool_use"), "web_search_requests"), count(given, "web_search_requests"))
    return meters(
        input_tokens=put_in,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_5m_tokens=five,
        cache_write_1h_tokens=hour,
        input_audio_tokens=count(given, "audio_tokens"),
        input_image_tokens=count(given, "image_tokens"),
        cache_read_audio_tokens=count(inside(given, "cached_tokens_details"), "audio_tokens"),
        output_tokens=put_out,
        reasoning_tokens=thought,
        output_audio_tokens=count(made, "audio_tokens"),
        output_image_tokens=count(made, "image_tokens"),
        web_searches=searched,
    )


def _says(said: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    return any(said.get(name) is not None for name in names)
