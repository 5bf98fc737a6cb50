"""Anthropic's messages and their count, as its API reference writes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.fakes.upstream.answers import Answer, Event, Ids, named
from tests.fakes.upstream.errors import ANTHROPIC, anthropic_error
from tests.fakes.upstream.script import Plan


class Messages(Answer):
    family = ANTHROPIC
    limits = ("max_tokens",)
    required = ("max_tokens", "messages")
    prefix = "msg_"

    def __init__(self, body: dict[str, Any], plan: Plan, ids: Ids) -> None:
        super().__init__(body, plan, ids)
        self.choices = 1

    def usage(self) -> dict[str, Any]:
        """What was read anew, without what came from the cache or went into it."""
        return self._usage_at_first() | {
            "output_tokens": self.output,
            **({"output_tokens_details": {"thinking_tokens": self.reasoning}} if self.reasoning else {}),
            **({"server_tool_use": searches} if (searches := self._searches()) else {}),
        }

    def _usage_at_first(self) -> dict[str, Any]:
        return {
            "input_tokens": self.input - self.cached - self.written_5m - self.written_1h,
            "cache_creation_input_tokens": self.written_5m + self.written_1h,
            "cache_read_input_tokens": self.cached,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.written_5m,
                "ephemeral_1h_input_tokens": self.written_1h,
            },
            "output_tokens": min(1, self.output),
            "service_tier": self.plan.service_tier or "standard",
            "inference_geo": "global",
        }

    def _searches(self) -> dict[str, int] | None:
        count = self.plan.web_searches
        return {"web_search_requests": count, "web_fetch_requests": 0} if count else None

    def whole(self) -> dict[str, Any]:
        usage = self.told_usage()
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": self._content(),
            "stop_reason": self._stop(),
            "stop_sequence": None,
            **({} if usage is None else {"usage": usage}),
        }

    def _content(self) -> list[dict[str, Any]]:
        content: list[dict[str, Any]] = []
        if self.reasoning:
            content.append({"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmVk"})
        if self.tool:
            arguments = {"text": self.text()} if self.plan.arguments is None else self.plan.arguments
            content.append({"type": "tool_use", "id": self.ids.of("toolu_"), "name": self.tool, "input": arguments})
        else:
            content.append({"type": "text", "text": self.text()})
        return content

    def _stop(self) -> str:
        return "max_tokens" if self.cut else "tool_use" if self.tool else "end_turn"

    def events(self) -> Iterator[Event]:
        message = {**self.whole(), "content": [], "stop_reason": None}
        message.pop("usage", None)
        if not self.plan.no_usage:
            message["usage"] = {**self._usage_at_first(), **self.plan.usage, "output_tokens": min(1, self.output)}
        yield Event(named("message_start", {"message": message}))
        place = 0
        if self.reasoning:
            yield from self._thinking()
            place = 1
        block: dict[str, Any] = {"type": "text", "text": ""}
        if self.tool:
            block = {"type": "tool_use", "id": self.ids.of("toolu_"), "name": self.tool, "input": {}}
        yield Event(named("content_block_start", {"index": place, "content_block": block}))
        if self.plan.pings:
            yield Event(named("ping", {}))
        if self.tool:
            # The first of these is empty at the real one.
            yield Event(self._delta(place, {"type": "input_json_delta", "partial_json": ""}))
            for piece, tokens in self.pieces(self.arguments()):
                yield Event(self._delta(place, {"type": "input_json_delta", "partial_json": piece}), tokens)
        else:
            for piece, tokens in self.told():
                yield Event(self._delta(place, {"type": "text_delta", "text": piece}), tokens)
        yield Event(named("content_block_stop", {"index": place}))

    def _thinking(self) -> Iterator[Event]:
        block = {"type": "thinking", "thinking": "", "signature": ""}
        yield Event(named("content_block_start", {"index": 0, "content_block": block}))
        yield Event(self._delta(0, {"type": "thinking_delta", "thinking": "Let me see."}))
        yield Event(self._delta(0, {"type": "signature_delta", "signature": "c2lnbmVk"}))
        yield Event(named("content_block_stop", {"index": 0}))

    def ending(self) -> bytes:
        over: dict[str, Any] = {"delta": {"stop_reason": self._stop(), "stop_sequence": None}}
        usage = self.told_usage()
        if usage is not None:
            # Everything so far, not what is new since the start.
            kept = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
            over["usage"] = {
                name: usage[name] for name in (*kept, "output_tokens_details", "server_tool_use") if name in usage
            }
        return named("message_delta", over) + named("message_stop", {})

    def failing(self) -> bytes:
        return named("error", anthropic_error(529))

    def huge_event(self) -> bytes:
        place = 1 if self.reasoning else 0
        return self._delta(place, {"type": "text_delta", "text": "x" * self.plan.huge_bytes})

    def _delta(self, place: int, delta: dict[str, Any]) -> bytes:
        return named("content_block_delta", {"index": place, "delta": delta})


class CountTokens(Answer):
    """Costs nothing."""

    family = ANTHROPIC
    required = ("messages",)
    prefix = "count_"

    def whole(self) -> dict[str, Any]:
        return {"input_tokens": self.input}
