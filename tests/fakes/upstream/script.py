"""What a test wants an upstream to do. Everything can be said in JSON too, for one in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from tests.factories.small_book import BATCH_BOOK, SMALL_BOOK

# How an answer goes wrong. In a stream it happens once `after_events` events are out:
#   reset      the connection is torn down (RST)
#   close      the connection is closed in the middle of the body
#   unfinished the body ends as HTTP ends bodies, but not as the dialect ends answers
#   error      an error of the family comes as an event, and nothing after it
#   malformed  events that nobody can read come in between; the rest follows
#   huge       one event, or the whole answer, has `huge_bytes` more
#   truncated  half of the JSON, and the connection closed; for streams as `close`
#   http10     HTTP/1.0, without a length; the end is where the connection ends
#   gzip       compressed, whatever the request accepts
Fault = Literal["", "reset", "close", "unfinished", "error", "malformed", "huge", "truncated", "http10", "gzip"]
# What is billed of an answer whose client left.
Cancelled = Literal["whole", "so_far", "nothing"]


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer. Without a word: 40 tokens of text, or as many as the request's limit lets through."""

    # Anything else than 200 is an error in the family's shape, and costs nothing.
    status: int = 200
    code: str = ""
    message: str = ""
    headers: Mapping[str, str] = {}
    # All output, reasoning in it. The request's limit cuts it.
    output_tokens: int = 40
    reasoning_tokens: int = 0
    # None: counted by `counting.tokens_of`. What is cached or written to the cache is part of this.
    input_tokens: int | None = None
    cached_tokens: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    web_searches: int = 0
    # What it says, in as many pieces as it has tokens; '' is words.
    text: str = ""
    # The first tool that is offered is called, with these arguments (None: one that is as long as the output).
    calls_tool: bool = False
    arguments: Mapping[str, Any] | None = None
    # What it says it served with, where that is not what was asked for.
    model: str = ""
    service_tier: str = ""
    # What it says it used, where that is not what it bills: members put over the true ones, or no usage at all.
    usage: Mapping[str, Any] = {}
    no_usage: bool = False
    # Pace.
    first_byte_s: float = 0.0
    between_s: float = 0.0
    tokens_per_event: int = 1
    # Anthropic sends these anywhere.
    pings: bool = True
    # Answers never (until it is let go).
    hangs: bool = False
    # Waits here until it is let go.
    holds_after: int | None = None
    fault: Fault = ""
    after_events: int = 3
    huge_bytes: int = 10 * 2**20


def _small_book() -> dict[str, Mapping[str, str]]:
    return {model: prices for book in SMALL_BOOK.values() for model, prices in book.items()}


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an upstream behaves where nobody says otherwise for one request."""

    usual: Plan = Plan()
    by_model: Mapping[str, Plan] = {}
    bills_cancelled: Cancelled = "whole"
    # The credential it wants; '' takes any.
    key: str = ""
    models: tuple[str, ...] = ("gpt", "gpt-mini", "claude", "embed")
    # Dollars per million tokens, by model, in the fields of `tests.factories.small_book`.
    prices: Mapping[str, Mapping[str, str]] = msgspec.field(default_factory=_small_book)
    # The same of a batch.
    batch_prices: Mapping[str, Mapping[str, str]] = msgspec.field(default_factory=lambda: dict(BATCH_BOOK))
    # A batch is run when it is looked at so often; None: when the test says so.
    batch_looks: int | None = None


def read_script(raw: bytes) -> Script:
    return msgspec.json.decode(raw, type=Script)
