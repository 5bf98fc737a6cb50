"""What is kept of a record that somebody else's tool tells: what is read of it, and never a prompt or an answer. Pure.

Tools send whole conversations beside their counts. A cutter keeps of each record the fields its parser reads, by a
shape that names them, so that quarantine holds no prompts and a record is a tenth of what came.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from finops.connectors.pages import BodyUnreadable
from finops.connectors.wording import clean

# Names to what is kept of them: `ALL` of it, or the fields of an object.
Shape = Mapping[str, Any]
ALL: Final = None
# A line that is no JSON is not kept, because a prompt may stand in it: this says that it was there.
UNREADABLE: Final = "unreadable"

_BOM: Final = b"\xef\xbb\xbf"
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
_NOT_STRICT: Final = (msgspec.MsgspecError, UnicodeDecodeError, InvalidOperation)


def value_of(text: bytes) -> Any:
    """JSON as Python's own writer may write it: `NaN` and `Infinity` are null, half a character is replaced. Numbers
    with a point are Decimal. Raises ValueError.
    """
    try:
        return _decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except _NOT_STRICT:
        pass
    try:
        decoded = text.decode("utf-8", "replace")
        return json.loads(decoded, parse_float=_finite, parse_constant=lambda _: None, strict=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def kept(said: Any, shape: Shape) -> dict[str, Any] | None:
    """The fields of an object that a shape names; None for what is no object."""
    if not isinstance(said, Mapping):
        return None
    return {
        name: said[name] if inner is ALL else kept(said[name], inner) for name, inner in shape.items() if name in said
    }


def written(value: Any) -> bytes:
    """A record as JSON."""
    try:
        return _encode(value)
    except (UnicodeEncodeError, OverflowError):
        return _encode(_mended(value))


def values_of(body: bytes, what: str) -> list[Any]:
    """What a body holds: a JSON array's elements, the one object, or one for each line. Raises BodyUnreadable."""
    text = body.removeprefix(_BOM).strip()
    try:
        found = value_of(text)
    except ValueError:
        return _lines(text, what)
    if isinstance(found, list):
        return found
    if isinstance(found, dict):
        return [found]
    raise BodyUnreadable(f"This is not {what}: the body is neither an object nor a list.")


def object_of(body: bytes, what: str) -> dict[str, Any]:
    """Raises BodyUnreadable."""
    try:
        found = value_of(body.removeprefix(_BOM).strip())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BodyUnreadable(f"This is not {what}: the body is no JSON object.")
    return found


def unwrapped(said: Any) -> Any:
    """JSON that came as its text, read; None for text that is none. What is no text stays as it is."""
    if not isinstance(said, str):
        return said
    try:
        return value_of(said.encode("utf-8", "replace"))
    except ValueError:
        return None


def unreadable(line: bytes, number: int) -> dict[str, Any]:
    """What stands for a line that was no JSON."""
    digest = hashlib.blake2b(line, digest_size=16).hexdigest()
    return {UNREADABLE: {"line": number, "bytes": len(line), "digest": digest}}


def _lines(text: bytes, what: str) -> list[Any]:
    found: list[Any] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found.append(value_of(line))
        except ValueError:
            found.append(unreadable(line, number))
    if not any(isinstance(one, dict) and UNREADABLE not in one for one in found):
        raise BodyUnreadable(f"This is not {what}: the body is no JSON.")
    return found


def _finite(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _mended(value: Any) -> Any:
    """Without what JSON here cannot write: halves of characters, and whole numbers beyond 64 bits."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(name)): _mended(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_mended(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return str(value)[:40]
    return value
