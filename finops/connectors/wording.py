"""Says what is wrong with a record, naming the field, in words for people. Only runs for records that are refused."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from finops.connectors.types import Problem

WHOLE: Final = "$"
_LONGEST_FIELD: Final = 200
_LONGEST_MESSAGE: Final = 500
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(.*?)`(?: - at `([^`]*)`)?$", re.DOTALL)
_MISSING: Final = re.compile(r"^Object missing required field `(.*?)`(?: - at `([^`]*)`)?$", re.DOTALL)
_AT: Final = re.compile(r"^(.*?)(?: - at (`key` in )?`(\$[^`]*)`)?$", re.DOTALL)
_EXPECTED: Final = re.compile(r"^Expected `([a-z |]+)`, got `([a-z]+)`$")
_WORDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a fraction",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
    "datetime": "a time as text, like 2026-11-20T10:15:00Z",
}


def problem(code: str, field: str, message: str) -> Problem:
    """A Problem that can be stored and sent: whatever the record held, no NUL, no lone surrogate, not endless."""
    return Problem(code, clean(field)[:_LONGEST_FIELD] or WHOLE, clean(message)[:_LONGEST_MESSAGE])


def clean(text: str) -> str:
    """Text PostgreSQL and JSON can hold."""
    # Nearly all text is plain, and to write it out and read it again is what takes time.
    if text.isascii():
        return text.replace("\x00", "\ufffd") if "\x00" in text else text
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def not_valid(said: str, raw: bytes, *, known: Iterable[str] = (), prefix: str = "") -> Problem:
    """msgspec's ValidationError as a problem. `known` are the names a misspelt one is compared with; `prefix` is where
    the checked part hangs in the record (`data.`).
    """
    unknown = _UNKNOWN.match(said)
    if unknown:
        name = unknown.group(1)
        field = prefix + _path(unknown.group(2), name)
        return problem("connectors.field_unknown", field, f"there is no field {name!r}{_meant(name, known)}")
    missing = _MISSING.match(said)
    if missing:
        field = prefix + _path(missing.group(2), missing.group(1))
        return problem("connectors.field_missing", field, f"{field} is required")
    found = _AT.match(said)
    what, of_key, path = found.groups() if found else (said, None, None)
    field = _path(path, "")
    if of_key or field.endswith("[...]"):
        field = _which(raw, field.removesuffix("[...]"), of_key=bool(of_key), said=what)
    whole = not field
    field = prefix + field if field else prefix.rstrip(".") or WHOLE
    return problem("connectors.field_invalid", field, f"{'the record' if whole else field}: {_plain(what)}")


def not_json(said: str, raw: bytes) -> Problem:
    """The record is no JSON: says why, and where that is one string's fault, which."""
    values = lenient(raw)
    if values is not None:
        field = find_text(values, _has_surrogate)
        if field is not None:
            return problem(
                "connectors.not_utf8", field or WHOLE, f"{field or 'the record'} holds text that is not valid UTF-8"
            )
    return problem("connectors.malformed", WHOLE, f"the record is not JSON: {said.removeprefix('JSON is malformed: ')}")


def lenient(raw: bytes) -> Any:
    """The record read by a reader that lets bad text pass, to find out where it is; None when it cannot either."""
    try:
        return json.loads(raw.decode("utf-8", "surrogateescape"), strict=False)
    except (ValueError, RecursionError):
        return None


def find_text(value: Any, bad: Callable[[str], bool]) -> str | None:
    """The path of the first string, name or value, that is bad; None when there is none."""
    for path, text in _texts(value, ""):
        if bad(text):
            return path.lstrip(".")
    return None


def repeated_field(raw: bytes) -> str | None:
    """The path of the first name that stands twice in its object, or None."""
    try:
        pairs = json.loads(raw, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    return _twice(pairs, "")


class _Pairs(list[Any]):
    """An object as its (name, value) pairs, all of them."""


def _twice(value: Any, path: str) -> str | None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, inner in value:
            here = f"{path}.{name}".lstrip(".")
            if name in seen:
                return here
            seen.add(name)
            found = _twice(inner, here)
            if found is not None:
                return found
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            found = _twice(inner, f"{path}[{place}]")
            if found is not None:
                return found
    return None


def has_nul(text: str) -> bool:
    return "\x00" in text


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= sign <= "\udfff" for sign in text)


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            here = f"{path}.{name}"
            yield here, str(name)
            yield from _texts(inner, here)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{place}]")


def _path(path: str | None, name: str) -> str:
    """msgspec's `$.usage` and a name as `usage.name`."""
    inside = (path or "$").removeprefix("$").removeprefix(".")
    return f"{inside}.{name}" if inside and name else inside or name


def _which(raw: bytes, field: str, *, of_key: bool, said: str) -> str:
    """msgspec does not say which entry of a map is wrong; this looks."""
    held: Any = lenient(raw)
    for step in field.split("."):
        held = held.get(step) if isinstance(held, Mapping) else None
    if not isinstance(held, Mapping):
        return field
    if of_key:
        longest = max(held, key=len, default="")
        shortest = min(held, key=len, default="")
        return f"{field}.{shortest if '>=' in said else longest}"
    return next((f"{field}.{name}" for name, value in held.items() if _does_not_fit(value, said)), field)


def _does_not_fit(value: Any, said: str) -> bool:
    """Whether this value is one msgspec would say this of."""
    got = _EXPECTED.match(said)
    if got:
        kinds = {
            "str": str,
            "int": int,
            "float": float,
            "bool": bool,
            "null": type(None),
            "array": list,
            "object": dict,
        }
        return type(value) is kinds.get(got.group(2))
    limit = re.search(r"(of length )?(<=|>=) (-?\d+)$", said)
    if not limit:
        return isinstance(value, int) and not -(2**63) <= value < 2**64
    measured = len(value) if limit.group(1) and isinstance(value, str) else value
    if not isinstance(measured, int):
        return False
    bound = int(limit.group(3))
    return measured > bound if limit.group(2) == "<=" else measured < bound


def _plain(said: str) -> str:
    """`Expected `str`, got `int`` as `expected text, got a whole number`."""
    got = _EXPECTED.match(said)
    if got:
        wanted = " or ".join(_WORDS.get(one, one) for one in got.group(1).split(" | "))
        return f"expected {wanted}, got {_WORDS.get(got.group(2), got.group(2))}"
    said = re.sub(r"^Expected `(?:str|object)` of length <= (\d+)$", r"longer than \1", said)
    said = re.sub(r"^Expected `(?:str|object)` of length >= 1$", "must not be empty", said)
    said = re.sub(r"^Expected `int` (<=|>=) (-?\d+)$", r"must be \1 \2", said)
    said = re.sub(r"^Expected `str` matching regex .*$", "is not written as it should be", said, flags=re.DOTALL)
    said = said.replace("RFC3339 encoded datetime", "time: RFC 3339 with an offset, like 2026-11-20T10:15:00Z")
    return said.replace(
        "Expected `datetime` with a timezone component", "the time needs its offset, like 2026-11-20T10:15:00Z"
    )


def _meant(name: str, known: Iterable[str]) -> str:
    near = _near(name[:40], tuple(known))
    return f"; did you mean {near!r}?" if near else ""


@lru_cache(maxsize=1024)
def _near(name: str, known: tuple[str, ...]) -> str:
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.7)), "")
