"""A call's messages, as OpenAI's and Anthropic's clients write them, as what is known of it. Pure, and total: what does
not look like a message is nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from routing.classify.hot import MOST_NAMES, features, repository
from routing.classify.types import Content, Features
from routing.classify.words import MOST_CHARACTERS

MOST_MESSAGES: Final = 2_000
MOST_PARTS: Final = 200
_TEXTS: Final = frozenset({"text", "input_text", "output_text", "refusal"})
_TOOL_CALLS: Final = frozenset({"tool_use", "server_tool_use", "function_call"})
_KINDS: Final = {
    "image": "image", "image_url": "image", "input_image": "image", "input_audio": "audio", "audio": "audio",
    "file": "file", "input_file": "file", "document": "file", "video": "video", "video_url": "video",
}  # fmt: skip
# What stands in for all that is no text and nothing that is known.
_REST: Final = "rest"
# Fields of a message that are read for themselves, or say nothing.
_READ: Final = frozenset({"role", "content", "tool_calls", "tool_call_id", "id", "type", "status", "name"})
_OF_A_TEXT: Final = frozenset({"type", "text", "refusal", "cache_control"})
_OF_A_CALL: Final = frozenset({"type", "id", "call_id", "name", "status", "cache_control"})
# How deep content may hold content: a result of a tool holds parts.
_DEEPEST: Final = 4


class Call(NamedTuple):
    """`asked` is as much as is hashed of what was asked for first."""

    known: Features
    content: Content
    asked: str = ""


class _Part(NamedTuple):
    """A text, or something else: `kind` is its modality, `tool` the name of a tool that is used; '' where not."""

    text: str = ""
    kind: str = ""
    tool: str = ""


def read(
    messages: Sequence[Any],
    *,
    system: Any = None,
    tools: int = 0,
    depth: int = 0,
    tags: Mapping[str, str] | None = None,
) -> Call:
    """What is asked for first says what kind of work it is; everything that is sent says whether it is sensitive.
    `system` is a text or parts, where it does not stand among the messages; `tools` are how many are offered.
    """
    asked, turns = "", 0
    texts: list[str] = []
    used: list[str] = []
    kinds: list[str] = []
    some = [{"role": "system", "content": system}, *messages[:MOST_MESSAGES]]
    for one in some:
        parts = list(_parts(one))
        role = one.get("role") if isinstance(one, Mapping) else None
        said = "\n".join(part.text for part in parts if part.text)
        # What tools answered is sent in the user's name by some; a turn is what the user says.
        if role == "user" and said and not _is_result(one):
            turns += 1
            asked = asked or said
        texts += [part.text for part in parts if part.text]
        used += [part.tool for part in parts if part.tool]
        kinds += [part.kind for part in parts if part.kind]
    files, languages = repository(tags or {})
    known = features(
        asked, tools=tools, modalities=sorted(set(kinds)), recent_tools=used[-MOST_NAMES:], files=files,
        languages=languages, depth=depth, turn=turns,
    )  # fmt: skip
    unreadable = [f"the {one}" for one in sorted(set(kinds))]
    if len(messages) > MOST_MESSAGES:
        unreadable.append(f"what comes after {MOST_MESSAGES:,} messages")
    return Call(known, Content(tuple(texts), tuple(unreadable)), asked[:MOST_CHARACTERS])


def _is_result(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(
        isinstance(one, Mapping) and one.get("type") == "tool_result" for one in content
    )


def _parts(message: Any) -> Iterator[_Part]:
    if not isinstance(message, Mapping):
        yield _Part(kind=_REST)
        return
    yield from _of_content(message.get("content"), _DEEPEST)
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        for call in calls[:MOST_PARTS]:
            yield _of_call(call)
        if len(calls) > MOST_PARTS:
            yield _Part(kind=_REST)
    elif calls is not None:
        yield _Part(kind=_REST)
    # Whatever else a message holds is sent too, and so it is read.
    others = {name: value for name, value in message.items() if name not in _READ and value is not None}
    if others:
        yield _Part(text=_as_json(others))


def _of_call(call: Any) -> _Part:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        return _Part(text=_as_json(call))
    arguments = function.get("arguments")
    return _Part(
        text=arguments if isinstance(arguments, str) else _as_json(arguments), tool=_text(function.get("name"))
    )


def _of_content(content: Any, deep: int) -> Iterator[_Part]:
    if isinstance(content, str):
        yield _Part(text=content)
    elif isinstance(content, list):
        for one in content[:MOST_PARTS]:
            if isinstance(one, str):
                yield _Part(text=one)
            elif isinstance(one, Mapping):
                yield from _of_part(one, deep)
            else:
                yield _Part(kind=_REST)
        if len(content) > MOST_PARTS:
            yield _Part(kind=_REST)
    elif content is not None:
        yield _Part(kind=_REST)


def _of_part(part: Mapping[str, Any], deep: int) -> Iterator[_Part]:
    said = part.get("type")
    kind = said if isinstance(said, str) else ""
    if kind in _TEXTS:
        yield _Part(text=_text(part.get("text")) or _text(part.get("refusal")))
        # Such as what is cited.
        others = {name: value for name, value in part.items() if name not in _OF_A_TEXT and value is not None}
        if others:
            yield _Part(text=_as_json(others))
    elif kind in _TOOL_CALLS:
        # Anthropic has what a tool is given in `input`, OpenAI in `arguments`.
        given = {name: value for name, value in part.items() if name not in _OF_A_CALL}
        texts = [value if isinstance(value, str) else _as_json(value) for value in given.values()]
        yield _Part(text="\n".join(texts), tool=_text(part.get("name")))
    elif kind == "tool_result" and deep:
        yield from _of_content(part.get("content"), deep - 1)
    elif kind == "thinking":
        yield _Part(text=_text(part.get("thinking")))
    else:
        # What nobody here knows is not read, and so not clear.
        yield _Part(kind=_KINDS.get(kind, _REST))


def _as_json(value: Any) -> str:
    """What a tool is given, names beside their values."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, TypeError, ValueError):
        # The sign of what is no text, so that it is not taken to be clear.
        return "\ufffd"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
