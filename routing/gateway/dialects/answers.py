"""Readers of answers: they hand on what passes, byte by byte, and look only into what may say what it was.

A model's text is most of what passes, in many small events. An event is decoded only where its bytes hold a word that
stands in those that tell something. In the text such a word has its quotes escaped; a false alarm costs microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from finops.connectors.counting import Meters
from finops.connectors.types import Problem
from finops.core.tokens import OUTPUT_METERS
from routing.gateway.dialects.sse import ENDS, MOST_BYTES, Splitter, data_of

# Types and codes of errors that every upstream has for such a request; some hosts say an HTTP status for a code.
_OF_THE_REQUEST: Final = frozenset(
    {"invalid_request_error", "request_too_large", "context_length_exceeded", "invalid_prompt", "BadRequestError"}
    | {400, 413, 422}
)
# An answer in one piece is kept to be read at its end. Vectors and pictures are the largest there are.
MOST_WHOLE: Final = 64 * 2**20
_LONGEST: Final = 300
T = TypeVar("T")


class Reader:
    """What an answer said so far. `output_bytes` of a stream are those of its texts as JSON writes them, which is at
    least what they are; of an answer in one piece all of its bytes, or what of them is text where no output is told.
    """

    __slots__ = (
        "complete", "elsewhere", "failed", "model", "output_bytes", "partial", "problem", "request_id", "service_tier",
        "usage",
    )  # fmt: skip

    def __init__(self) -> None:
        self.usage: dict[str, int] | None = None
        self.model = ""
        self.service_tier = ""
        self.request_id = ""
        self.complete = self.partial = False
        self.failed = self.elsewhere = False
        self.output_bytes = 0
        self.problem = ""

    def note(self, problem: str) -> None:
        """The first is what the others follow from."""
        self.problem = self.problem or problem

    def used(self, told: Meters | Problem) -> None:
        """What is told later goes over what was told before; and what cannot be read takes it back."""
        if isinstance(told, Problem):
            self.usage = None
            self.note(f"{told.code}: {told.message}")
        else:
            self.usage = told

    def failed_with(self, error: Any) -> None:
        """An event is an error, in the words of its family or of a host that speaks like it."""
        said = mapping(error) or {}
        self.failed = True
        self.elsewhere = not any(
            isinstance(word, str | int) and word in _OF_THE_REQUEST for word in (said.get("type"), said.get("code"))
        )
        self.note("the provider ended the stream with an error")

    def identified(self, *, model: Any, request_id: Any, service_tier: Any) -> None:
        """`service_tier` as it is said: `default` says that it was the standard one. Nothing, or `auto`, which is what
        was asked for before it is known, says nothing.
        """
        self.model = _text(model) or self.model
        self.request_id = _text(request_id) or self.request_id
        if service_tier != "auto":
            self.service_tier = _text(service_tier) or self.service_tier


class Whole(Reader):
    """Of an answer in one piece. `understand` is given its bytes, and raises nothing but what JSON raises; `written`
    says how many of them a model wrote, for an answer whose usage does not say it.
    """

    __slots__ = ("_body", "_understand", "_written")

    def __init__(self, understand: Callable[[Whole, bytes], None], written: Callable[[bytes], int]) -> None:
        super().__init__()
        self._understand = understand
        self._written = written
        self._body = b""

    def feed(self, chunk: bytes) -> bytes:
        self.output_bytes += len(chunk)
        self._body = self._body + chunk if self.output_bytes <= MOST_WHOLE else b""
        return chunk

    def end(self) -> bytes:
        if self.output_bytes > MOST_WHOLE:
            self.note("the answer is too large to be read")
            return b""
        body, self._body = self._body, b""
        try:
            self._understand(self, body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self.note("the answer is not the JSON it should be")
        else:
            self.complete = True
            if self.usage is None:
                self.note("the answer says no usage")
            if not says_output(self.usage):
                self.output_bytes = self._written(body)
        return b""


def says_output(usage: Mapping[str, int] | None) -> bool:
    return usage is not None and any(name in usage for name in OUTPUT_METERS)


def none_written(body: bytes) -> int:
    """Of an answer that is no text."""
    return 0


class Stream(Reader):
    """Of server-sent events. An event is handed on once it is there as a whole: nobody can read half of one."""

    __slots__ = ("_splitter",)

    def __init__(self, most: int = MOST_BYTES) -> None:
        super().__init__()
        self._splitter = Splitter(most)

    def feed(self, chunk: bytes) -> bytes:
        if not self._splitter.pending and chunk.endswith(ENDS) and self.says_nothing(chunk):
            return chunk
        kept = []
        for raw, whole in self._splitter.feed(chunk):
            if whole:
                if self._keeps(raw):
                    kept.append(raw)
            else:
                self._too_large(raw)
                kept.append(raw)
        return b"".join(kept)

    def end(self) -> bytes:
        kept = []
        for raw, whole in self._splitter.end():
            if not whole or self._keeps(raw):
                kept.append(raw)
        if not self.complete:
            self.note("the stream broke off")
        elif self.usage is None:
            self.note("the stream says no usage")
        return b"".join(kept)

    def says_nothing(self, events: bytes) -> bool:
        """Whether these events need no reading; then the text in them is counted."""
        raise NotImplementedError

    def understood(self, data: bytes) -> bool:
        """Reads an event's data; gives whether the client is to see the event."""
        raise NotImplementedError

    def _keeps(self, event: bytes) -> bool:
        if self.says_nothing(event):
            return True
        data = data_of(event)
        return not data or self.understood(data)

    def _too_large(self, part: bytes) -> None:
        self.note("an event is too large to be read")
        self.output_bytes += len(part)


def tolerant(kind: type[T]) -> Callable[[bytes], T | None]:
    """Decodes what a provider's JSON says of these fields, leaving the rest alone; None for what is no such JSON."""
    decode = msgspec.json.Decoder(kind).decode

    def decoded(data: bytes) -> T | None:
        try:
            return decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    return decoded


def mapping(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _text(value: Any) -> str:
    """As much of a text as is stored, without what cannot be."""
    return value[:_LONGEST].replace("\x00", "") if isinstance(value, str) else ""
