"""LiteLLM as a library, run by its own Python: makes one call of each kind by each family's prefix, with each key that
is named, and says in one list of JSON what came of it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import litellm

MESSAGES: Final[Any] = [{"role": "user", "content": "hello there"}]
FUNCTION: Final = {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}
# It prints advice beside errors.
litellm.suppress_debug_info = True
TOOLS: Final[Any] = [{"type": "function", "function": FUNCTION}]


def whole(made: Any) -> Any:
    calls = made.choices[0].message.tool_calls or ()
    return {"id": made.id, "usage": made.usage.model_dump(), "arguments": [call.function.arguments for call in calls]}


def streamed(stream: Any) -> Any:
    said, arguments, usage = "", "", None
    for chunk in stream:
        usage = getattr(chunk, "usage", None) or usage
        for choice in chunk.choices:
            said += choice.delta.content or ""
            arguments += "".join(call.function.arguments or "" for call in choice.delta.tool_calls or ())
    return {"words": said.count("word"), "usage": usage and usage.model_dump(), "arguments": [arguments]}


def said(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - its errors have no class in common but their providers' own
        return {"error": type(error).__name__, "status": getattr(error, "status_code", 0), "message": str(error)}


def calls(address: str, key: str) -> dict[str, Callable[[], Any]]:
    def chat(model: str, **more: Any) -> Any:
        base = f"{address}/v1" if model.startswith("openai/") else address
        given: Any = {"api_base": base, "api_key": key, "max_tokens": 100, **more}
        made = litellm.completion(model=model, messages=MESSAGES, **given)
        return streamed(made) if more.get("stream") else whole(made)

    def embedding() -> Any:
        given: Any = {"api_base": f"{address}/v1", "api_key": key, "encoding_format": "float"}
        made = litellm.embedding(model="openai/embed", input=["one", "three"], **given)
        return {"vectors": [len(row["embedding"]) for row in made.data]}

    usage = {"include_usage": True}
    found: dict[str, Callable[[], Any]] = {"embedding": embedding}
    for family, model in (("openai", "openai/gpt"), ("anthropic", "anthropic/claude")):
        found[family] = partial(chat, model)
        found[f"{family}_tools"] = partial(chat, model, tools=TOOLS)
        found[f"{family}_stream"] = partial(chat, model, stream=True, stream_options=usage)
        found[f"{family}_stream_tools"] = partial(chat, model, stream=True, tools=TOOLS)
    return found


def main(address: str, *keys: str) -> None:
    told = [{name: said(call) for name, call in calls(address, key).items()} for key in keys]
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
