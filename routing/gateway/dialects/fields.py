"""A request's body as its top level: every value as the bytes that came, in order; and written again, some replaced."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from finops.connectors.wording import clean, not_json
from routing.gateway.requests import FieldInvalid, Malformed

_raw: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_whole: Final = msgspec.json.Decoder().decode
encode: Final = msgspec.json.Encoder().encode
_MOST: Final = 10**9


class Fields(NamedTuple):
    """`raw` is what is sent on, `values` is what is looked at: the same names, what came twice as it came last."""

    raw: dict[str, msgspec.Raw]
    values: dict[str, Any]
    size: int


def read(body: bytes) -> Fields:
    """Raises Malformed for what is no JSON object, cut short, nested too deeply, or holds text that is no Unicode."""
    try:
        # Raw values are only skipped over; that their texts are valid shows when they are decoded.
        return Fields(_raw(body), _whole(body), len(body))
    except msgspec.ValidationError as error:
        said = str(error)
        if "out of range" in said:
            raise Malformed("the body holds a number that is out of range") from None
        raise Malformed("the body is not a JSON object") from None
    except RecursionError:
        raise Malformed("the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        told = not_json(str(error), bytes(body))
        field = told.field if told.field != "$" else None
        raise Malformed(told.message.replace("the record", "the body"), field=field) from None


def write(raw: Mapping[str, msgspec.Raw], replaced: Mapping[str, Any]) -> bytes:
    """The object again: what is replaced stands where it stood, what is new comes last; bytes are taken as they are."""
    parts: list[Any] = []
    for name, value in (*raw.items(), *[new for new in replaced.items() if new[0] not in raw]):
        parts += (b"," if parts else b"{", encode(name), b":", _written(replaced.get(name, value)))
    return b"".join((*parts, b"}")) if parts else b"{}"


def _written(value: Any) -> bytes | msgspec.Raw:
    return value if isinstance(value, bytes | msgspec.Raw) else encode(value)


def members(raw: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    """The members of an object as they came; of anything else none."""
    if raw is None:
        return {}
    try:
        return _raw(raw)
    except msgspec.DecodeError:
        return {}


def text(fields: Fields, name: str, *, longest: int = 300) -> str:
    """'' where it is not said."""
    value = fields.values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise FieldInvalid(f"{name} is text", field=name)
    if len(value) > longest or "\x00" in value:
        raise FieldInvalid(f"{name} is at most {longest} characters, without NUL", field=name)
    return value


def required(fields: Fields, name: str) -> str:
    value = text(fields, name)
    if not value:
        raise FieldInvalid(f"{name} is required", field=name)
    return value


def flag(fields: Fields, name: str) -> bool:
    value = fields.values.get(name)
    if value is not None and not isinstance(value, bool):
        raise FieldInvalid(f"{name} is true or false", field=name)
    return value is True


def number(fields: Fields, name: str, *, least: int, most: int = _MOST) -> int | None:
    """None where it is not said."""
    value = fields.values.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise FieldInvalid(f"{name} is a whole number from {least:,} to {most:,}", field=name)
    return value


def items(fields: Fields, name: str) -> list[Any]:
    """[] where it is not said."""
    value = fields.values.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise FieldInvalid(f"{name} is a list", field=name)
    return value


def refuse_lookalikes(fields: Fields, known: Collection[str]) -> None:
    """Some servers do not tell `Max_Tokens` from `max_tokens`, nor a long s from an s, and would heed what was not
    bounded here.
    """
    for name in fields.raw:
        if name not in known and name.casefold() in known:
            raise FieldInvalid(f"{clean(name)[:60]}: this is spelt {name.casefold()}", field=clean(name)[:60])


def named(raw: Mapping[str, msgspec.Raw], asked: str, model: str) -> dict[str, Any]:
    """What to replace so that the body names this model: nothing where it does."""
    return {} if model == asked and "model" in raw else {"model": model}


def least_of(values: Iterable[int | None]) -> int | None:
    return min([value for value in values if value is not None], default=None)
