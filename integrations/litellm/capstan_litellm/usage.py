"""A provider's usage as Capstan counts it. Our wire names are the inclusive convention's: totals, and what is part of
them. LiteLLM hands usage on in three shapes: OpenAI's chat (also its translation of every other provider's), OpenAI's
responses, and Anthropic's messages, whose input_tokens leave the cached ones out.
"""

from __future__ import annotations

import json
from typing import Any, Final

from capstan_litellm.values import count, get, text

Usage = dict[str, int | str]
_ANTHROPIC: Final = "input_tokens"


def usage_of(said: Any) -> Usage | None:
    """None where it says nothing. Parts never exceed their totals: where they do, the total is raised, because Capstan
    refuses a contradiction and a refused settlement would be a lost one.
    """
    if said is None:
        return None
    if count(said, "prompt_tokens") or count(said, "completion_tokens"):
        return _chat(said)
    if get(said, "input_tokens_details") is not None or get(said, "output_tokens_details") is not None:
        return _responses(said)
    if get(said, _ANTHROPIC) is not None or get(said, "output_tokens") is not None:
        return _messages(said)
    return None


def _chat(said: Any) -> Usage:
    inside, outside = get(said, "prompt_tokens_details"), get(said, "completion_tokens_details")
    written = max(count(inside, "cache_write_tokens"), count(inside, "cache_creation_tokens"))
    written = max(written, count(said, "cache_creation_input_tokens"))
    lives = get(inside, "cache_creation_token_details")
    return _made(
        input_tokens=count(said, "prompt_tokens"),
        cache_read_tokens=max(count(inside, "cached_tokens"), count(said, "cache_read_input_tokens")),
        cache_write_tokens=written,
        cache_write_1h_tokens=count(lives, "ephemeral_1h_input_tokens"),
        input_audio_tokens=count(inside, "audio_tokens"),
        cache_read_audio_tokens=count(get(inside, "cached_tokens_details"), "audio_tokens"),
        output_tokens=count(said, "completion_tokens"),
        reasoning_tokens=count(outside, "reasoning_tokens"),
        output_audio_tokens=count(outside, "audio_tokens"),
        web_searches=max(
            count(get(said, "server_tool_use"), "web_search_requests"), count(inside, "web_search_requests")
        ),
    )


def _responses(said: Any) -> Usage:
    inside, outside = get(said, "input_tokens_details"), get(said, "output_tokens_details")
    return _made(
        input_tokens=count(said, "input_tokens"),
        cache_read_tokens=count(inside, "cached_tokens"),
        cache_write_tokens=max(count(inside, "cache_write_tokens"), count(inside, "cache_creation_tokens")),
        input_audio_tokens=count(inside, "audio_tokens"),
        output_tokens=count(said, "output_tokens"),
        reasoning_tokens=count(outside, "reasoning_tokens"),
        output_audio_tokens=count(outside, "audio_tokens"),
    )


def _messages(said: Any) -> Usage:
    read, written = count(said, "cache_read_input_tokens"), count(said, "cache_creation_input_tokens")
    lives = get(said, "cache_creation")
    long = count(lives, "ephemeral_1h_input_tokens")
    written = max(written, long + count(lives, "ephemeral_5m_input_tokens"))
    return _made(
        input_tokens=count(said, "input_tokens") + read + written,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=long,
        output_tokens=count(said, "output_tokens"),
        web_searches=count(get(said, "server_tool_use"), "web_search_requests"),
    )


def _made(**counts: int) -> Usage:
    counts["cache_write_tokens"] = max(counts["cache_write_tokens"], counts.get("cache_write_1h_tokens", 0))
    both = counts.get("cache_read_audio_tokens", 0)
    for name in ("cache_read_tokens", "input_audio_tokens"):
        counts[name] = max(counts.get(name, 0), both)
    parts = counts["cache_read_tokens"] + counts["cache_write_tokens"] + counts["input_audio_tokens"] - both
    counts["input_tokens"] = max(counts["input_tokens"], parts)
    counts["output_tokens"] = max(
        counts["output_tokens"], counts.get("reasoning_tokens", 0) + counts.get("output_audio_tokens", 0)
    )
    kept: Usage = {name: value for name, value in counts.items() if value}
    return {"convention": "inclusive", **kept}


def plus(one: Usage, other: Usage) -> Usage:
    """Both together, of the inclusive convention."""
    made = dict(one)
    for name, value in other.items():
        before = made.get(name, 0)
        if isinstance(value, int) and isinstance(before, int):
            made[name] = before + value
    return made


def estimate(*, input_bytes: int, output_bytes: int) -> Usage:
    """What a text of so many bytes is likely to have been, when nobody says: four bytes a token, rounded up."""
    return _made(
        input_tokens=-(-input_bytes // 4),
        output_tokens=-(-output_bytes // 4),
        cache_read_tokens=0,
        cache_write_tokens=0,
        input_audio_tokens=0,
    )


class Seen:
    """What a stream has said of its usage so far, and how much text came. Chunks are LiteLLM's objects (chat), events
    (responses) or the provider's own frames in bytes (messages).
    """

    def __init__(self) -> None:
        self.begun = False
        self.bytes = 0
        self.model = ""
        self.tier = ""
        self.id = ""
        self.final = False
        self._said: Any = None
        self._hidden: Any = None
        self._messages: dict[str, Any] = {}
        self._open = ""

    def take(self, chunk: Any) -> None:
        self.begun = True
        if isinstance(chunk, bytes | str):
            self._frames(chunk.decode("utf-8", "replace") if isinstance(chunk, bytes) else chunk)
            return
        response = get(chunk, "response")
        if response is not None:
            self._known(response)
            if get(response, "usage") is not None:
                self._said, self.final = get(response, "usage"), True
            return
        self._known(chunk)
        if get(chunk, "usage") is not None:
            self._said, self.final = get(chunk, "usage"), True
        # LiteLLM keeps the usage of a stream that was not asked for any here, and completes it at the end.
        self._hidden = get(chunk, "_hidden_params") or self._hidden
        self.bytes += _text_in(chunk)

    def usage(self, *, ended: bool) -> Usage | None:
        """What the provider said, or None. A stream that has not ended has said its input at most."""
        if self._said is not None and (ended or self.final):
            return usage_of(self._said)
        if ended and self._hidden is not None and (found := usage_of(get(self._hidden, "usage"))):
            return found
        if self._messages and (ended or self.final):
            return usage_of(self._messages)
        return None

    def partial(self, *, input_bytes: int) -> Usage:
        """The best that can be said of a stream that was broken off."""
        guessed = estimate(input_bytes=input_bytes, output_bytes=self.bytes)
        said = usage_of({**self._messages, "output_tokens": 0}) if self._messages else None
        if said is None:
            return guessed
        most = max(count(guessed, "output_tokens"), count(self._messages, "output_tokens"))
        return {**said, "output_tokens": most}

    def _known(self, value: Any) -> None:
        self.model = text(value, "model") or self.model
        self.tier = text(value, "service_tier", 60) or self.tier
        self.id = text(value, "id", 200) or self.id

    def _frames(self, said: str) -> None:
        """Anthropic's events; a frame may be cut anywhere."""
        *lines, self._open = (self._open + said).split("\n")
        for line in lines:
            if not line.startswith("data:"):
                continue
            try:
                event = json.loads(line[5:])
            except ValueError:
                continue
            kind = get(event, "type")
            if kind == "message_start":
                message = get(event, "message")
                self._known(message)
                self._counted(get(message, "usage"))
            elif kind == "message_delta":
                self._counted(get(event, "usage"))
                self.final = True
            elif kind == "content_block_delta":
                delta = get(event, "delta")
                self.bytes += _size(delta, "text", "thinking", "partial_json")

    def _counted(self, usage: Any) -> None:
        """Counts of later events replace the earlier ones: they are totals."""
        if isinstance(usage, dict):
            self._messages.update({name: value for name, value in usage.items() if value is not None})
            self.tier = text(usage, "service_tier", 60) or self.tier


def _text_in(chunk: Any) -> int:
    """Bytes of text in a chunk of a chat or in an event of a response."""
    size = _size(chunk, "delta")
    choices = get(chunk, "choices")
    for choice in choices if isinstance(choices, list) else ():
        delta = get(choice, "delta")
        size += _size(choice, "text") + _size(delta, "content", "reasoning_content", "refusal")
        calls = get(delta, "tool_calls")
        for call in calls if isinstance(calls, list) else ():
            size += _size(get(call, "function"), "arguments")
    return size


def _size(value: Any, *names: str) -> int:
    found = [get(value, name) for name in names]
    return sum(len(one.encode("utf-8", "surrogatepass")) for one in found if isinstance(one, str))
