"""One answer, whatever dialect it is written in: what it uses, and in which pieces it is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final, NamedTuple

import msgspec

from tests.fakes.upstream.counting import tokens_of, words
from tests.fakes.upstream.script import Plan

encode: Final = msgspec.json.Encoder().encode
# When everything was made, in seconds since 1970: providers say it, nobody asks.
CREATED: Final = 1_790_000_000


class BadRequest(Exception):
    """What a provider would not take; said in its family's shape."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class Ids(NamedTuple):
    """Of one request. No two upstreams of a test have the same, or two calls would be taken for one."""

    number: int
    unique: str

    @property
    def request(self) -> str:
        return f"req_{self.unique}"

    def of(self, prefix: str) -> str:
        return f"{prefix}{self.unique}"


class Event(NamedTuple):
    """A piece of a stream, and how many tokens of the answer it tells."""

    raw: bytes
    tokens: int = 0


class Answer:
    """Checks the request and works out what it uses. Subclasses write it."""

    family: ClassVar[str]
    # Fields of a limit, the first that is there counts.
    limits: ClassVar[tuple[str, ...]] = ()
    required: ClassVar[tuple[str, ...]] = ()
    prefix: ClassVar[str]

    def __init__(self, body: dict[str, Any], plan: Plan, ids: Ids) -> None:
        for name in ("model", *self.required):
            if body.get(name) is None:
                raise BadRequest(f"Missing required parameter: '{name}'.", name)
        self.body, self.plan, self.ids = body, plan, ids
        self.id = ids.of(self.prefix)
        self.model = plan.model or str(body["model"])
        self.input = tokens_of(body) if plan.input_tokens is None else plan.input_tokens
        self.cached = min(plan.cached_tokens, self.input)
        self.written_5m = min(plan.cache_write_5m, self.input - self.cached)
        self.written_1h = min(plan.cache_write_1h, self.input - self.cached - self.written_5m)
        self.choices = body.get("n") or 1
        self.limit = self._limit()
        self.output = plan.output_tokens if self.limit is None else min(plan.output_tokens, self.limit)
        self.cut = self.output < plan.output_tokens
        self.reasoning = min(plan.reasoning_tokens, self.output)
        self.visible = self.output - self.reasoning
        self.tool = self._tool() if plan.calls_tool else None

    def _limit(self) -> int | None:
        for name in self.limits:
            if (limit := self.body.get(name)) is not None:
                if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
                    raise BadRequest(f"Invalid '{name}': expected an integer of at least 1.", name)
                return limit
        return None

    def _tool(self) -> str | None:
        """The name of the first tool that is offered for the client to run."""
        for tool in self.body.get("tools") or ():
            name = tool.get("name") or (tool.get("function") or {}).get("name")
            if name and tool.get("type", "custom") in ("function", "custom"):
                return str(name)
        return None

    def whole(self) -> dict[str, Any]:
        raise NotImplementedError

    def events(self) -> Iterator[Event]:
        """All but the last ones."""
        raise NotImplementedError

    def ending(self) -> bytes:
        raise NotImplementedError

    def failing(self) -> bytes:
        """An error in the middle of a stream."""
        raise NotImplementedError

    def usage(self) -> dict[str, Any]:
        raise NotImplementedError

    def told_usage(self) -> dict[str, Any] | None:
        """What it says it used: the truth, unless the test wants a lie."""
        return None if self.plan.no_usage else {**self.usage(), **self.plan.usage}

    def meters(self, visible: int | None = None) -> dict[str, int]:
        """What is billed: of all of it, or of so many visible tokens."""
        if visible is None:
            visible = self.visible * self.choices
        meters = {
            "input_uncached": self.input - self.cached - self.written_5m - self.written_1h,
            "cache_read": self.cached,
            "cache_write_5m": self.written_5m,
            "cache_write_1h": self.written_1h,
            "output_text": visible,
            "output_reasoning": self.reasoning * self.choices,
            "web_searches": self.plan.web_searches,
        }
        return {meter: count for meter, count in meters.items() if count}

    def text(self) -> str:
        return (self.plan.text or words(self.visible)) + self.huge()

    def arguments(self) -> str:
        """Of the tool that is called."""
        told = self.plan.arguments
        return encode({"text": self.text()} if told is None else told).decode()

    def pieces(self, whole: str) -> Iterator[tuple[str, int]]:
        """A text in as many pieces as the plan wants, with the tokens in each."""
        at_once = max(1, self.plan.tokens_per_event)
        parts = max(1, -(-self.visible // at_once))
        size = max(1, -(-len(whole) // parts))
        for part in range(parts):
            tokens = min(at_once, self.visible - part * at_once)
            last = part == parts - 1
            yield whole[part * size :] if last else whole[part * size : (part + 1) * size], tokens

    def told(self) -> Iterator[tuple[str, int]]:
        """The text in pieces. Made as it goes: an answer may be long."""
        if self.plan.text:
            yield from self.pieces(self.plan.text)
            return
        at_once = max(1, self.plan.tokens_per_event)
        for since in range(0, self.visible, at_once):
            tokens = min(at_once, self.visible - since)
            yield words(tokens, since), tokens

    def huge(self) -> str:
        """What makes a whole answer a huge one."""
        return "x" * self.plan.huge_bytes if self.plan.fault == "huge" and not self.body.get("stream") else ""

    def huge_event(self) -> bytes:
        """The same as an event of a stream."""
        raise NotImplementedError


def data(value: Any) -> bytes:
    return b"data: " + encode(value) + b"\n\n"


def named(kind: str, value: dict[str, Any]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + encode({"type": kind, **value}) + b"\n\n"
