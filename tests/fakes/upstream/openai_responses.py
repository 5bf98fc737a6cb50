"""OpenAI's responses, as its API reference writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.fakes.upstream.answers import CREATED, Answer, Event, Ids, named
from tests.fakes.upstream.errors import OPENAI
from tests.fakes.upstream.script import Plan


class Responses(Answer):
    family = OPENAI
    limits = ("max_output_tokens",)
    required = ("input",)
    prefix = "resp_"

    def __init__(self, body: dict[str, Any], plan: Plan, ids: Ids) -> None:
        super().__init__(body, plan, ids)
        self.choices = 1
        self._sequence = -1

    def usage(self) -> dict[str, Any]:
        return {
            "input_tokens": self.input,
            "input_tokens_details": {
                "cached_tokens": self.cached,
                "cache_write_tokens": self.written_5m + self.written_1h,
            },
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.input + self.output,
        }

    def whole(self) -> dict[str, Any]:
        status = "incomplete" if self.cut else "completed"
        items = [*self._before(), self._said(status)]
        return self._response(status, output=items, usage=self.told_usage())

    def _response(self, status: str, *, output: list[Any], usage: Any) -> dict[str, Any]:
        body = self.body
        return {
            "id": self.id,
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": body.get("instructions"),
            "max_output_tokens": self.limit,
            "model": self.model,
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": body.get("previous_response_id"),
            "reasoning": {"effort": None, "summary": None},
            "service_tier": self.plan.service_tier or "default",
            "store": body.get("store", True),
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": body.get("tool_choice", "auto"),
            "tools": body.get("tools") or [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": usage,
            "user": body.get("user"),
            "metadata": body.get("metadata") or {},
        }

    def _before(self) -> list[dict[str, Any]]:
        """What is in the output before what it says: its reasoning, and searches the provider made."""
        items: list[dict[str, Any]] = []
        if self.reasoning:
            items.append({"type": "reasoning", "id": self.ids.of("rs_"), "summary": []})
        for number in range(self.plan.web_searches):
            action = {"type": "search", "query": "words"}
            search = {"type": "web_search_call", "id": f"{self.ids.of('ws_')}_{number}", "status": "completed"}
            items.append({**search, "action": action})
        return items

    def _said(self, status: str) -> dict[str, Any]:
        if self.tool:
            return self._call(status, self.arguments())
        return self._message(status, [self._part(self.text())])

    def _message(self, status: str, content: list[Any]) -> dict[str, Any]:
        item = {"id": self.ids.of("msg_"), "type": "message", "status": status}
        return {**item, "role": "assistant", "content": content}

    def _call(self, status: str, arguments: str) -> dict[str, Any]:
        item = {"id": self.ids.of("fc_"), "type": "function_call", "status": status, "arguments": arguments}
        return {**item, "call_id": self.ids.of("call_"), "name": self.tool}

    @staticmethod
    def _part(text: str) -> dict[str, Any]:
        return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}

    def events(self) -> Iterator[Event]:
        begun = self._response("in_progress", output=[], usage=None)
        yield self._event("response.created", {}, response=begun)
        yield self._event("response.in_progress", {}, response=begun)
        place = 0
        for item in self._before():
            yield self._event("response.output_item.added", {}, output_index=place, item=item)
            yield self._event("response.output_item.done", {}, output_index=place, item=item)
            place += 1
        yield from self._told_call(place) if self.tool else self._told_text(place)

    def _told_call(self, place: int) -> Iterator[Event]:
        item, arguments = self.ids.of("fc_"), self.arguments()
        yield self._event("response.output_item.added", {}, output_index=place, item=self._call("in_progress", ""))
        at = {"item_id": item, "output_index": place}
        for piece, tokens in self.pieces(arguments):
            yield self._event("response.function_call_arguments.delta", at, tokens, delta=piece)
        yield self._event("response.function_call_arguments.done", at, name=self.tool, arguments=arguments)
        yield self._event("response.output_item.done", {}, output_index=place, item=self._call("completed", arguments))

    def _told_text(self, place: int) -> Iterator[Event]:
        yield self._event("response.output_item.added", {}, output_index=place, item=self._message("in_progress", []))
        at = {"item_id": self.ids.of("msg_"), "output_index": place, "content_index": 0}
        yield self._event("response.content_part.added", at, part=self._part(""))
        for piece, tokens in self.told():
            yield self._event("response.output_text.delta", at, tokens, delta=piece, logprobs=[])
        text = self.text()
        yield self._event("response.output_text.done", at, text=text, logprobs=[])
        yield self._event("response.content_part.done", at, part=self._part(text))
        status = "incomplete" if self.cut else "completed"
        item = self._message(status, [self._part(text)])
        yield self._event("response.output_item.done", {}, output_index=place, item=item)

    def ending(self) -> bytes:
        response = self.whole()
        kind = f"response.{response['status']}"
        return self._event(kind, {}, response=response).raw

    def failing(self) -> bytes:
        said = {"code": "server_error", "message": "The server had an error while processing your request."}
        failed = self._response("failed", output=[], usage=None) | {"error": said}
        error = self._event("error", said, param=None).raw
        return error + self._event("response.failed", {}, response=failed).raw

    def huge_event(self) -> bytes:
        at = {"item_id": self.ids.of("msg_"), "output_index": 0, "content_index": 0}
        return self._event("response.output_text.delta", at, delta="x" * self.plan.huge_bytes, logprobs=[]).raw

    def _event(self, kind: str, at: Mapping[str, Any], tokens: int = 0, **more: Any) -> Event:
        self._sequence += 1
        return Event(named(kind, {"sequence_number": self._sequence, **at, **more}), tokens)
