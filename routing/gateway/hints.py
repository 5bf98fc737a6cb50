"""What other people's headers say, read without ever complaining: what is odd in them is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from finops.connectors.capstan.record import LONGEST, MOST_TAGS

LONGEST_KEY: Final = 60
LONGEST_VALUE: Final = 200
# A header with more than this is no hint.
_LONGEST_HEADER: Final = 8 * 1024
# C0, DEL and C1, and what no text in UTF-8 can hold.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PRODUCT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_TRACE: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
# Beginnings of User-Agents in lower case; others are called by their product's own name.
_CLIENTS: Final = (
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("codex", "codex"),
    ("aider", "aider"),
    ("opencode", "opencode"),
    ("openai/python", "openai-python"),
    ("asyncopenai/python", "openai-python"),
    ("azureopenai/python", "openai-python"),
    ("asyncazureopenai/python", "openai-python"),
    ("openai/js", "openai-node"),
    ("azureopenai/js", "openai-node"),
    ("anthropic/python", "anthropic-python"),
    ("asyncanthropic/python", "anthropic-python"),
    ("anthropic/js", "anthropic-node"),
    ("agents/python", "openai-agents"),
    ("agents/js", "openai-agents"),
    # It says nothing of who it is.
    ("mozilla/", ""),
)


def clean(value: str) -> str:
    return value if value.isprintable() else _CONTROL.sub("", value)


def text(raw: bytes | str | None) -> str:
    """'' for what is absent, or longer than any name of ours."""
    if not raw or len(raw) > LONGEST:
        return ""
    return clean(_decoded(raw) if isinstance(raw, bytes) else raw).strip()


def _decoded(raw: bytes) -> str:
    """HTTP says nothing of what headers are written in."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


@lru_cache(maxsize=2_000)
def client_of(user_agent: bytes) -> str:
    """What made the request: claude-code, codex, openai-python, …"""
    said = _decoded(user_agent).strip().lower()
    for begin, client in _CLIENTS:
        if said.startswith(begin):
            return client
    product = said.partition("/")[0].partition(" ")[0]
    return product if _PRODUCT.fullmatch(product) else ""


def listed(raw: bytes | None) -> Iterator[tuple[str, str]]:
    """LiteLLM's tags: a list of words, some written `project:foo` or `project=foo`."""
    if not raw or len(raw) > _LONGEST_HEADER:
        return
    for word in clean(_decoded(raw)).split(",", MOST_TAGS)[:MOST_TAGS]:
        key, colon, value = word.partition(":") if ":" in word else word.partition("=")
        yield key.strip(), value.strip() if colon else "true"


def pairs(raw: bytes) -> dict[str, str]:
    """A flat JSON object; what is in it that is no single value is left out."""
    if len(raw) > _LONGEST_HEADER:
        return {}
    try:
        said: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    return {clean(key): clean(_word(value)) for key, value in said.items() if isinstance(value, str | int | float)}


def _word(value: Any) -> str:
    return value if isinstance(value, str) else str(value).lower()


def baggage(raw: bytes | None) -> dict[str, str]:
    """W3C baggage: `session.id=abc;property,user.id=7`, percent-encoded."""
    if not raw or len(raw) > _LONGEST_HEADER:
        return {}
    said: dict[str, str] = {}
    for member in _decoded(raw).split(","):
        name, equals, value = member.partition(";")[0].partition("=")
        if equals:
            said.setdefault(name.strip(), unquote(value.strip()))
    return said


def trace_of(raw: bytes | None) -> str:
    """The trace of a W3C traceparent: calls of one run of a program, where nothing else says more."""
    found = _TRACE.fullmatch(raw) if raw else None
    if found is None or not found.group(1).strip(b"0"):
        return ""
    return found.group(1).decode()
