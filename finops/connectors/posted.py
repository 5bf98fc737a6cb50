"""What somebody else's tool posts or exports, record by record: a JSON array, one object a line, one object, or a page
with its records in `data`. Pure.

Each record is cut alone, so that what becomes of it is told by its place, and a body is bounded before anything is made
of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from finops.connectors import bodies
from finops.connectors.bodies import BodyMalformed
from finops.connectors.keeping import unreadable, value_of, values_of, written
from finops.connectors.pages import BodyUnreadable, Page

# A call with a conversation of a million tokens is half of that.
MOST_RECORD_BYTES: Final = 8 * 1024 * 1024
# Lines among which there has to be an object.
_LOOKED_AT: Final = 100
_BOM: Final = b"\xef\xbb\xbf"


class Posted(NamedTuple):
    """`rows` are records that are usage, as their parser reads them; `places` where each stood in the body, from 0;
    `ignored` how many were none.
    """

    rows: list[bytes]
    places: list[int]
    ignored: int


class _Listing(msgspec.Struct):
    data: list[msgspec.Raw]


_whole: Final = msgspec.json.Decoder(msgspec.Raw)
_listing: Final = msgspec.json.Decoder(_Listing)


def posted(body: bytes, cut: Callable[[bytes], Page], *, what: str) -> Posted:
    """`cut` is given each record as a body of its own. A record that is no JSON, or too large, becomes a row that says
    so, and nothing of what it held. Raises BodyUnreadable and TooManyRecords.
    """
    found = Posted([], [], 0)
    ignored = 0
    for place, raw in enumerate(_records(body, what)):
        rows = _rows(raw, place, cut)
        ignored += not rows
        found.rows.extend(rows)
        found.places.extend([place] * len(rows))
    return found._replace(ignored=ignored)


def _rows(raw: bytes, place: int, cut: Callable[[bytes], Page]) -> tuple[bytes, ...]:
    if len(raw) <= MOST_RECORD_BYTES:
        try:
            return cut(raw).rows
        except BodyUnreadable:
            pass
    return (written(unreadable(raw, place + 1)),)


def _records(body: bytes, what: str) -> list[bytes]:
    text = body.removeprefix(_BOM).strip()
    if text.startswith(b"["):
        try:
            return bodies.cut_json(text).raw
        except BodyMalformed:
            return _lenient(text, what)
    try:
        _whole.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _lines(text, what)
    try:
        told = _listing.decode(text).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [text]
    bodies.check_count(len(told))
    return [bytes(one) for one in told]


def _lenient(text: bytes, what: str) -> list[bytes]:
    """An array as Python's own writer writes it, with `NaN` or half a character in it."""
    bodies.check_count(bodies.elements(text))
    return [written(one) for one in values_of(text, what)]


def _lines(text: bytes, what: str) -> list[bytes]:
    found = bodies.cut_lines(text).raw
    if not any(_is_object(line) for line in found[:_LOOKED_AT]):
        raise BodyUnreadable(f"This is not {what}: the body is no JSON.")
    return found


def _is_object(line: bytes) -> bool:
    try:
        return len(line) <= MOST_RECORD_BYTES and isinstance(value_of(line), dict)
    except ValueError:
        return False
