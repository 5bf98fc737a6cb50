"""What OpenAI's dialects have in common: parts of messages, tools, tiers, and fields that decide what a call costs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from finops.pricing.rules.names import canonical_tier
from routing.gateway.dialects import fields
from routing.gateway.dialects.fields import Fields
from routing.gateway.dialects.inputs import OPENAI_IMAGE, Inputs, kind_of

# What other servers call the most an answer may be; `extra_body` is what some of them take over everything else.
_OTHER_LIMITS: Final = frozenset(
    {"max_new_tokens", "maxoutputtokens", "maxtokens", "max_tokens_to_sample", "max_length", "min_tokens"}
    | {"num_predict", "n_predict", "generationconfig", "generation_config", "extra_body"}
)
# They leave it to the upstream which model answers and at whose price, or have it search on its own account
# (OpenRouter, xAI, Qwen). `provider` is OpenRouter's: of a model's sellers it may leave only the dearest.
_COST_MORE: Final = frozenset(
    {"models", "fallbacks", "plugins", "search_parameters", "enable_search", "provider", "preset"}
)
# What is found there is read besides (Azure); and what makes a prompt or a picture longer than it came (vLLM): by no
# more than the window.
_LONGER: Final = frozenset({"data_sources", "chat_template", "chat_template_kwargs", "mm_processor_kwargs"})
# Models that search by themselves, once for each answer, whether or not they are asked to (OpenAI, OpenRouter).
_SEARCHING: Final = re.compile(r"-search-(?:preview|api)(?:$|[-:])|:online(?:$|:)")
_TEXT: Final = frozenset(
    {"text", "input_text", "output_text", "refusal", "summary_text", "reasoning_text", "thinking", "reasoning"}
    | {"encrypted_content"}
)
# Tools of OpenAI's that the caller runs.
_CALLERS: Final = frozenset({"function", "custom", "local_shell", "apply_patch"})
# Tools under one name.
_NAMESPACE: Final = "namespace"
_COMPUTER: Final = "computer"


def look_elsewhere(inputs: Inputs, given: Fields) -> None:
    """Fields that would decide what the call costs where nobody looks."""
    for name, value in given.values.items():
        folded = name.casefold()
        if (folded in _OTHER_LIMITS and value is not None) or (folded in _COST_MORE and value):
            inputs.runs(name, None)
        elif folded in _LONGER and value and not _switches(value):
            inputs.elsewhere("other")


def _switches(value: Any) -> bool:
    """Such as `enable_thinking`: they turn on or off what a model's own template says in a few words."""
    return isinstance(value, Mapping) and all(one is None or isinstance(one, bool) for one in value.values())


def searches_itself(model: str) -> bool:
    return _SEARCHING.search(model) is not None


def parts(inputs: Inputs, content: Any) -> None:
    """Parts of a message's content, of chat and of responses. What is not known may be anything, and is bounded like
    what stands elsewhere.
    """
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list):
        return
    for part in content:
        kind = kind_of(part)
        if kind in _TEXT:
            continue
        if kind in ("image_url", "input_image", "computer_screenshot"):
            _image(inputs, part)
        elif kind == "input_audio":
            inner = part.get("input_audio")
            inputs.audio(inner.get("data") if isinstance(inner, Mapping) else part.get("data"))
        elif kind in ("file", "input_file"):
            inner = part.get("file")
            _file(inputs, inner if isinstance(inner, Mapping) else part)
        elif not isinstance(part, str):
            inputs.elsewhere("other")


def _image(inputs: Inputs, part: Mapping[str, Any]) -> None:
    """Of chat (`image_url` is an object) or of responses (it is a text). One of the provider's own files is a picture
    all the same.
    """
    said = part.get("image_url")
    inner = said if isinstance(said, Mapping) else part
    address = inner.get("url") if inner is said else said
    # `detail` would make it less where OpenAI answers; other hosts do not heed it.
    inputs.image(address, OPENAI_IMAGE)


def _file(inputs: Inputs, part: Mapping[str, Any]) -> None:
    data = part.get("file_data")
    if part.get("file_url") or (isinstance(data, str) and data.startswith(("http:", "https:"))):
        inputs.elsewhere("url")
    if part.get("file_id"):
        inputs.elsewhere("file_id")
    if data is not None:
        inputs.document(data)


def tools(inputs: Inputs, given: Fields, *, most_calls: int | None = None) -> tuple[int, int]:
    """How many there are, and how many of them the caller runs."""
    found = own = len(fields.items(given, "functions"))
    for tool in _flat(fields.items(given, "tools")):
        kind = kind_of(tool)
        found += 1
        if not kind or kind in _CALLERS or kind.startswith(_COMPUTER) or _local(tool):
            own += 1
        else:
            inputs.runs(kind, most_calls)
    return found, own


def _flat(listed: list[Any]) -> Iterator[Any]:
    for tool in listed:
        held = tool.get("tools") if kind_of(tool) == _NAMESPACE else None
        if isinstance(held, list):
            yield from held
        else:
            yield tool


def _local(tool: Mapping[str, Any]) -> bool:
    """A shell of the caller's own machine."""
    place = tool.get("environment")
    return kind_of(tool) == "shell" and (place is None or kind_of(place) == "local")


def tier(given: Fields) -> str | None:
    """What it may be served as; None when that is the provider's choice. The answer says which it was."""
    asked = fields.text(given, "service_tier", longest=60)
    return None if asked in ("", "auto") else canonical_tier(asked)
