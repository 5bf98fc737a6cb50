"""What a call asks of a model, as Capstan's authorization wants it: how large its input can be, how much it may answer,
and what in it cannot be bounded. Pure; nothing of a prompt leaves but its size and a keyed hash.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

CHAT: Final = "chat"
TEXT: Final = "text"
RESPONSES: Final = "responses"
MESSAGES: Final = "messages"
EMBEDDINGS: Final = "embeddings"
# LiteLLM's word for a route, with and without the "a" of its asynchronous twin, and the family we know it by.
FAMILIES: Final = {
    "acompletion": CHAT,
    "completion": CHAT,
    "atext_completion": TEXT,
    "text_completion": TEXT,
    "aresponses": RESPONSES,
    "responses": RESPONSES,
    "anthropic_messages": MESSAGES,
    "aanthropic_messages": MESSAGES,
    "aembedding": EMBEDDINGS,
    "embedding": EMBEDDINGS,
    "embeddings": EMBEDDINGS,
}
# Routes on which no model works for money: nothing to authorise.
FREE: Final = frozenset(
    {"amoderation", "moderation", "list_mcp_tools", "aget_responses", "adelete_responses", "acancel_responses"}
    | {"alist_input_items", "afile_content", "afile_delete", "afile_retrieve", "afile_list", "acreate_file"}
    | {"create_file", "aretrieve_batch", "retrieve_batch", "alist_batches", "acancel_batch"}
)

# The fields that say how much may be answered, by family; the first is set where a call names none.
LIMITS: Final = {
    CHAT: ("max_tokens", "max_completion_tokens"),
    TEXT: ("max_tokens",),
    RESPONSES: ("max_output_tokens",),
    MESSAGES: ("max_tokens",),
    EMBEDDINGS: (),
}
ALL_LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
# What a model reads, wherever it stands in a call.
_READ: Final = (
    *("messages", "input", "prompt", "instructions", "system", "suffix", "tools", "functions", "tool_choice"),
    *("response_format", "text", "context", "prefix"),
)
# What other providers call a limit of the answer. LiteLLM hands them on, beside ours or instead.
_OTHER_LIMITS: Final = frozenset(
    {
        "max_new_tokens",
        "maxOutputTokens",
        "maxTokens",
        "max_tokens_to_sample",
        "max_length",
        "min_tokens",
        "num_predict",
    }
    | {"generationConfig", "generation_config", "inferenceConfig", "additionalModelRequestFields", "options"}
)
# `extra_body` goes over the call after everything else.
_DECIDE: Final = (
    _OTHER_LIMITS
    | frozenset(_READ)
    | frozenset(ALL_LIMITS)
    | {"model", "n", "best_of", "service_tier", "stream", "stream_options", "background", "prediction", "modalities"}
    | {"previous_response_id", "conversation", "container", "web_search_options", "thinking", "extra_body"}
)
# The most one image can be. OpenAI's smallest models count an image of high detail as 48,169 tokens; Anthropic's as
# fewer than 5,000. An image's own bytes bound nothing.
_IMAGE: Final = {"anthropic": 5_000}
_IMAGE_ANYWHERE: Final = 50_000
# Speech of the lowest quality there is, has hundreds of bytes of text (base64) for each token it becomes.
_AUDIO_BYTES_A_TOKEN: Final = 32
_FILE_PARTS: Final = frozenset({"file", "input_file", "document", "container_upload"})
_IMAGE_PARTS: Final = frozenset({"image_url", "input_image", "image", "video_url"})
_AUDIO_PARTS: Final = frozenset({"input_audio", "audio"})
_OWN_TOOLS: Final = frozenset({"function", "custom"})
_DEEPEST: Final = 60


class Unbounded(Exception):
    """Nothing says how much the call can cost, and Capstan has no word for it either."""


@dataclass(slots=True)
class Ask:
    """What of an authorization follows from the call's body alone."""

    family: str
    model: str
    size: int = 0
    messages: int = 0
    tools: int = 0
    audio_tokens: int = 0
    images: int = 0
    limit: int | None = None
    least: int = 1
    choices: int = 1
    stream: bool = False
    tier: str | None = None
    server_input: list[str] = field(default_factory=list)
    hosted_tools: list[dict[str, object]] = field(default_factory=list)
    fingerprint: str = ""

    def input_bytes(self, provider: str) -> int:
        """The bound of the text, images at the most that a provider counts them as."""
        return self.size + self.images * _IMAGE.get(provider, _IMAGE_ANYWHERE)


def ask_of(data: Mapping[str, Any], family: str, *, secret: str = "") -> Ask:
    """Raises Unbounded."""
    _refuse_what_has_no_bound(data, family)
    read = {name: data[name] for name in _READ if data.get(name) is not None}
    text = _json(read)
    ask = Ask(family=family, model=str(data.get("model") or ""), size=len(text))
    ask.fingerprint = _hash(ask.model.encode() + b"\0" + text, secret)
    ask.stream = data.get("stream") is True
    ask.tier = data["service_tier"] if isinstance(data.get("service_tier"), str) else None
    ask.messages = _many(data.get("messages")) or _many(data.get("input")) or 1
    _limits(ask, data)
    _tools(ask, data)
    _parts(ask, read, 0)
    for name in ("previous_response_id", "conversation"):
        if data.get(name):
            _server(ask, name)
    if data.get("container") or (family == RESPONSES and isinstance(data.get("prompt"), Mapping)):
        _server(ask, "other")
    return ask


def input_size(data: Mapping[str, Any]) -> int:
    """How large what a model reads is, of a try that is about to be made."""
    return len(_json({name: data[name] for name in _READ if data.get(name) is not None}))


def said_first(data: Mapping[str, Any]) -> str:
    """What a person says first in it: that is what the work is told by. '' where nobody says anything."""
    for name in ("messages", "input", "prompt"):
        said = data.get(name)
        if isinstance(said, str):
            return said
        for one in said if isinstance(said, list) else ():
            if isinstance(one, str):
                return one
            if isinstance(one, Mapping) and one.get("role") == "user" and (text := _texts(one.get("content"))):
                return text
    return ""


def _texts(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [one.get("text") for one in content if isinstance(one, Mapping)] if isinstance(content, list) else []
    return "\n".join(one for one in parts if isinstance(one, str))


def _refuse_what_has_no_bound(data: Mapping[str, Any], family: str) -> None:
    if data.get("background"):
        raise Unbounded("a response made in the background says what it used only later, to whoever fetches it")
    if data.get("prediction"):
        raise Unbounded("a predicted output is paid for beyond the answer's own limit")
    spoken = data.get("modalities")
    if data.get("audio") or (isinstance(spoken, list) and any(one != "text" for one in spoken)):
        raise Unbounded("an answer that is not text has no limit that a call could name")
    extra = data.get("extra_body")
    hidden = _DECIDE.intersection(extra if isinstance(extra, Mapping) else ()) or _OTHER_LIMITS.intersection(data)
    if hidden:
        raise Unbounded(f"{min(hidden)} would decide what the call costs where nobody looks at it")
    fallbacks = data.get("fallbacks")
    if isinstance(fallbacks, list) and not all(_only_another_model(one) for one in fallbacks):
        raise Unbounded("a fallback that changes more than the model is not the call that was authorised")


def _only_another_model(fallback: Any) -> bool:
    """`"other"`, `{"model": "other"}`, or `{"group": [such, …]}`."""
    if not isinstance(fallback, Mapping):
        return isinstance(fallback, str)
    if "model" in fallback:
        return len(fallback) == 1
    return all(isinstance(to, list) and all(_only_another_model(one) for one in to) for to in fallback.values())


def _limits(ask: Ask, data: Mapping[str, Any]) -> None:
    said = [data[name] for name in LIMITS[ask.family] if _positive(data.get(name))]
    ask.limit = 0 if ask.family == EMBEDDINGS else min(said, default=None)
    if ask.family == EMBEDDINGS:
        ask.least = 0
    choices = max(_positive(data.get("n")), _positive(data.get("best_of")), 1)
    prompt = data.get("prompt")
    if ask.family == TEXT and isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        choices *= len(prompt)
    ask.choices = choices
    thinking = data.get("thinking")
    budget = _positive(thinking.get("budget_tokens")) if isinstance(thinking, Mapping) else 0
    if budget:
        # Less than its budget of thinking is refused by the provider: better refused here, with the reason.
        ask.least = budget + 1


def _tools(ask: Ask, data: Mapping[str, Any]) -> None:
    tools = [one for name in ("tools", "functions") for one in (data.get(name) or ()) if isinstance(one, Mapping)]
    ask.tools = len(tools)
    for tool in tools:
        kind = tool.get("type")
        # Without a type, or with a schema of its own, it is one that the caller runs.
        if not isinstance(kind, str) or kind in _OWN_TOOLS or "input_schema" in tool:
            continue
        hosted: dict[str, object] = {"type": _plain(kind)}
        most = _positive(tool.get("max_uses"))
        if most:
            hosted["max_uses"] = most
        elif kind.startswith(("bash_", "text_editor_", "computer_", "memory_")) or kind in {"local_shell", "shell"}:
            continue  # Anthropic's and OpenAI's schemas for tools that the caller runs
        ask.hosted_tools.append(hosted)
    if data.get("web_search_options") is not None:
        ask.hosted_tools.append({"type": "web_search"})


def _plain(kind: str) -> str:
    """`web_search_20250305` and `web_search_preview` are `web_search`."""
    for name in (
        "web_search",
        "web_fetch",
        "code_execution",
        "code_interpreter",
        "file_search",
        "mcp",
        "image_generation",
    ):
        if kind.startswith(name):
            return name
    return kind[:60]


def _parts(ask: Ask, value: Any, depth: int) -> None:
    """Looks for what is not text. Deeper than any real call is refused: it could hide something."""
    if depth > _DEEPEST:
        raise Unbounded("the call is nested too deeply to be looked through")
    for one in _inside(value):
        if isinstance(one, Mapping):
            kind = one.get("type")
            if kind in _IMAGE_PARTS:
                ask.images += 1
                if not _inline(one):
                    _server(ask, "file_id" if _names_a_file(one) else "url")
            elif kind in _FILE_PARTS:
                _server(ask, "file_id" if _names_a_file(one) else "other")
            elif kind in _AUDIO_PARTS:
                ask.audio_tokens += len(_json(one)) // _AUDIO_BYTES_A_TOKEN + 1
            elif kind == "item_reference":
                _server(ask, "previous_response_id")
        if isinstance(one, Mapping | list):
            _parts(ask, one, depth + 1)


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _inline(part: Mapping[str, Any]) -> bool:
    """Whether an image came with the call. One that is elsewhere is as large as whoever serves it likes."""
    source = part.get("source")
    if isinstance(source, Mapping):
        return source.get("type") == "base64"
    said = part.get("image_url")
    address = said.get("url") if isinstance(said, Mapping) else said
    return isinstance(address, str) and address.startswith("data:")


def _names_a_file(part: Mapping[str, Any]) -> bool:
    inner = (part, part.get("file"), part.get("source"))
    return any(isinstance(one, Mapping) and one.get("file_id") for one in inner)


def _server(ask: Ask, what: str) -> None:
    if what not in ask.server_input:
        ask.server_input.append(what)


def _many(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _positive(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _json(value: Any) -> bytes:
    """At least as many bytes as the text in it has: JSON only ever adds."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "surrogatepass")


def _hash(text: bytes, secret: str) -> str:
    """Keyed, so that nobody who sees it can try prompts against it."""
    return blake2b(text, key=secret.encode()[:64], digest_size=16).hexdigest()
