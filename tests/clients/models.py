"""Bodies against the types of vendors' own SDKs, strictly: of `[[module, name, body], …]` on its input it prints for
each what is wrong with it, and what the type makes of it, with the fields that are null and without.

Runs in `.venv-clients` and `.venv-litellm`. A field that the type does not know is wrong, and so is one that is missing,
or a number that is text; types that let everything pass by themselves are no more patient here.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError


def held(module: str, name: str, body: Any) -> dict[str, Any]:
    kind = getattr(importlib.import_module(module), name)
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    try:
        read = adapter.validate_python(_renamed(kind, body, "read"), extra="forbid")
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)]
        return {"wrong": wrong, "made": None, "bare": None}
    made, bare = (
        _renamed(kind, adapter.dump_python(read, mode="json", by_alias=True, exclude_none=none), "write")
        for none in (False, True)
    )
    return {"wrong": list(_otherwise(body, made, "")), "made": made, "bare": bare}


def _renamed(kind: Any, body: Any, direction: str) -> Any:
    """Langfuse's types have other names than its bodies, which their client exchanges by itself."""
    if not kind.__module__.startswith("langfuse."):
        return body
    serialization = importlib.import_module("langfuse.api.core.serialization")
    return serialization.convert_and_respect_annotation_metadata(object_=body, annotation=kind, direction=direction)


def _otherwise(body: Any, made: Any, place: str) -> Iterator[str]:
    """Where the type took one kind of value for another: a number that was text, a truth that was a number."""
    if isinstance(body, dict) and isinstance(made, dict):
        for key, value in body.items():
            yield from _otherwise(value, made.get(key), f"{place}.{key}")
    elif isinstance(body, list) and isinstance(made, list) and len(body) == len(made):
        for number, (one, other) in enumerate(zip(body, made, strict=True)):
            yield from _otherwise(one, other, f"{place}.{number}")
    elif type(body) is not type(made) and (type(body), type(made)) != (int, float):
        yield f"{place.removeprefix('.')}: {type(body).__name__}, read as {type(made).__name__}"


if __name__ == "__main__":
    json.dump([held(*one) for one in json.load(sys.stdin)], sys.stdout)
