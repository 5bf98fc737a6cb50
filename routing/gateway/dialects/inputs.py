"""What bounds a call: collected while its parts are looked through.

A call's text is bounded by the bytes of its whole body: everything a model can see of it stands there, and JSON only
ever adds to a text (an escape has six bytes, what it stands for has three or four). Media that came with the call are
taken out and bounded by what providers document; what stands elsewhere is named, and bounded by the context window.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec

from finops.budgets.rules.worst import PER_MESSAGE, PER_TOOL
from routing.gateway.dialects.types import Told
from routing.gateway.requests import FieldInvalid, HostedTool, Input

# OpenAI, images and vision: at most 1,445 tokens of most models, 10,000 patches at `original` detail; of gpt-4o-mini
# 2,833 and 5,667 for each of eight tiles. A client's name does not say which of them answers.
OPENAI_IMAGE: Final = 48_169
# Anthropic, vision: scaled down to about 1,600 tokens, and to 4,784 by models that see high resolution.
ANTHROPIC_IMAGE: Final = 4_784
# OpenAI, audio: ten tokens a second. Speech at the lowest rate there is (8 kbit/s) has 133 characters of base64 each.
_AUDIO_CHARACTERS_A_TOKEN: Final = 32
MOST_HOSTED: Final = 20
_MOST_USES: Final = 1_000
_MOST_COUNTED: Final = 10_000
_MOST_TOKENS: Final = 10**9
_MOST_METADATA: Final = 50
_LONGEST_KEY: Final = 60
_LONGEST_VALUE: Final = 200
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Inputs:
    """`inline` are the bytes of media that came with the call."""

    __slots__ = ("audio_tokens", "hosted", "image_tokens", "inline", "modalities", "server")

    def __init__(self) -> None:
        self.inline = 0
        self.image_tokens = 0
        self.audio_tokens = 0
        self.server: dict[str, None] = {}
        self.hosted: list[HostedTool] = []
        self.modalities = {"text"}

    def image(self, address: Any, tokens: int) -> None:
        """`address` is data with its media type, or where it is: either way it is scaled to what a model sees."""
        if isinstance(address, str) and address.startswith("data:"):
            self.inline += len(address)
        self.image_data(b"", tokens)

    def image_data(self, data: Any, tokens: int) -> None:
        self.inline += len(data) if isinstance(data, str) else 0
        self.image_tokens += tokens
        self.modalities.add("image")

    def audio(self, data: Any) -> None:
        size = len(data) if isinstance(data, str) else 0
        self.inline += size
        self.audio_tokens += size // _AUDIO_CHARACTERS_A_TOKEN + 1
        self.modalities.add("audio")

    def document(self, data: Any) -> None:
        """A file that came with the call. Its bytes bound nothing: what is in it may be packed."""
        self.inline += len(data) if isinstance(data, str) else 0
        self.elsewhere("other")
        self.modalities.add("file")

    def elsewhere(self, what: str) -> None:
        self.server[what] = None

    def runs(self, kind: str, most: Any) -> None:
        """A tool that the provider runs, or what else it does on its own account: as often as `most` says."""
        bounded = most if isinstance(most, int) and not isinstance(most, bool) and 0 <= most <= _MOST_USES else None
        self.hosted.append(HostedTool(_CONTROL.sub("", kind)[:60] or "tool", bounded))
        if len(self.hosted) > MOST_HOSTED:
            raise FieldInvalid(f"at most {MOST_HOSTED} tools that the provider runs", field="tools")

    def bounds(self, size: int, *, messages: int, tools: int) -> Input:
        """Of a body of so many bytes. What is over the most that is counted is told as bytes."""
        over = PER_MESSAGE * max(0, messages - _MOST_COUNTED) + PER_TOOL * max(0, tools - _MOST_COUNTED)
        return Input(
            bytes=max(0, size - self.inline) + over,
            messages=min(messages, _MOST_COUNTED),
            tools=min(tools, _MOST_COUNTED),
            audio_tokens=min(self.audio_tokens, _MOST_TOKENS),
            image_tokens=min(self.image_tokens, _MOST_TOKENS),
        )


def fingerprint(raw: Mapping[str, msgspec.Raw], names: tuple[str, ...]) -> str:
    """Of the fields a model reads, so that a call that is made again is known; of no text is there more."""
    digest = blake2b(digest_size=8)
    for name in names:
        value = raw.get(name)
        if value is not None:
            # No JSON holds a NUL.
            digest.update(b"\x00%s\x00" % name.encode())
            digest.update(value)
    return digest.hexdigest()


def kind_of(part: Any) -> str:
    """What a part says it is; '' where it says nothing."""
    kind = part.get("type") if isinstance(part, Mapping) else None
    return kind if isinstance(kind, str) else ""


def said(value: Any) -> str:
    """A word for a report: text or a number, short, in one line; '' for anything else."""
    if isinstance(value, str):
        return _CONTROL.sub("", value[: 2 * _LONGEST_VALUE])[:_LONGEST_VALUE]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def pairs(*given: Any) -> dict[str, str]:
    """Of objects that say something about a call, what is short enough to be kept."""
    found: dict[str, str] = {}
    for value in given:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                word = said(inner)
                if word and len(found) < _MOST_METADATA and 0 < len(name) <= _LONGEST_KEY and not _CONTROL.search(name):
                    found[name] = word
    return found


def openai_told(values: Mapping[str, Any]) -> Told:
    """`client_metadata` is Codex's, `session_id` OpenRouter's."""
    client = values.get("client_metadata")
    inner = client if isinstance(client, Mapping) else {}
    extra = {name: values[name] for name in ("safety_identifier", "prompt_cache_key") if values.get(name) is not None}
    return Told(
        session=said(inner.get("session_id") or inner.get("thread_id") or values.get("session_id")),
        user=said(values.get("user") or values.get("safety_identifier")),
        metadata=pairs(values.get("metadata"), inner, extra),
    )
