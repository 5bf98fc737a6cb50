"""Bodies against the types of vendors' own SDKs, strictly. Of `[[module, name, body], …]` on its input it prints for
each what is wrong with it, what the type makes of it, with the fields that are null and without, and the names of the
type's own fields. Of `[module, name]` it prints these alone: of an enumeration its values, of a module, `[module, ""]`,
the texts of its constants.

Runs in `.venv-clients` and `.venv-litellm`. A field that the type does not know is wrong, and so is one that is
missing, or a number that is text; types that let everything pass by themselves are no more patient here.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from enum import Enum
from functools import cache
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter, ValidationError


def held(module: str, name: str, *bodies: Any) -> dict[str, Any]:
    found = importlib.import_module(module)
    kind = getattr(found, name) if name else found
    said = {"wrong": [], "made": None, "bare": None, "names": sorted(_names(kind))}
    return said | (_read(kind, bodies[0]) if bodies else {})


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Of a large type it takes a while to make."""
    return TypeAdapter(kind)


def _read(kind: Any, body: Any) -> dict[str, Any]:
    adapter = _adapter(kind)
    try:
        read = adapter.validate_python(_renamed(kind, body, "read"), extra="forbid")
    except ValidationError as error:
        return {"wrong": [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]}
    made, bare = (
        _renamed(kind, adapter.dump_python(read, mode="json", by_alias=True, exclude_none=none), "write")
        for none in (False, True)
    )
    return {"wrong": list(_otherwise(body, made, "")), "made": made, "bare": bare}


def _names(kind: Any) -> Iterator[str]:
    if isinstance(kind, ModuleType):
        yield from (value for value in vars(kind).values() if type(value) is str)
    elif isinstance(kind, type) and issubclass(kind, Enum):
        yield from (one.value for one in kind)
    elif hasattr(kind, "model_fields"):
        yield from (field.alias or name for name, field in kind.model_fields.items())
    else:
        yield from getattr(kind, "__annotations__", ())


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
