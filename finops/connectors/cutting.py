"""Cuts pages of providers' reports into records, without reading what the rows say: their bytes stay as they came."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, Final

import msgspec

from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.paging import next_of
from finops.connectors.types import Received
from finops.connectors.wording import clean

_BOM: Final = b"\xef\xbb\xbf"
# What a record keeps of its bucket: when it was.
_TIMES: Final = ("starting_at", "ending_at", "start_time", "end_time")
_NO_OBJECT: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Objects = dict[str, msgspec.Raw]
Parse = Callable[[bytes], Received]


class Body(msgspec.Struct):
    """A page. What its rows are is not looked at."""

    data: list[msgspec.Raw]
    has_more: Any = None
    next_page: Any = None

    @property
    def next(self) -> str:
        return next_of(self.has_more, self.next_page)


_body: Final = msgspec.json.Decoder(Body).decode
_object: Final = msgspec.json.Decoder(Objects).decode
_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read(body: bytes) -> Body:
    """Raises BodyUnreadable for what is no page at all."""
    try:
        return _body(body.removeprefix(_BOM))
    except RecursionError:
        raise BodyUnreadable("The body is no page of a report: it is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BodyUnreadable(f"The body is no page of a report: {clean(str(error))[:200]}") from None


def buckets(body: bytes) -> Page:
    """A page of buckets of results. A record is `{"bucket": {its times}, "row": {…}}`. Raises BodyUnreadable."""
    page = read(body)
    return Page(tuple([record for one in page.data for record in _rows(bytes(one))]), page.next)


def _rows(raw: bytes) -> list[bytes]:
    """The rows of a bucket. One that is none is a record too, whose parser says so."""
    try:
        said = _object(raw)
        rows = _list(said["results"])
    except (*_NO_OBJECT, KeyError):
        return [framed({"row": b"null", "bucket": raw})]
    times = framed({name: bytes(said[name]) for name in _TIMES if name in said})
    return [framed({"bucket": times, "row": bytes(row)}) for row in rows]


def framed(parts: dict[str, bytes]) -> bytes:
    """An object of parts that are JSON already. Names are ours: nothing in them is escaped."""
    return b"{" + b",".join(f'"{name}":'.encode() + part for name, part in parts.items()) + b"}"


def fields(raw: bytes) -> Objects | None:
    """An object as its names and what they hold, unread; None for what is no object."""
    try:
        return _object(raw)
    except _NO_OBJECT:
        return None


def elements(raw: bytes) -> list[bytes] | None:
    """A list's elements, unread; None for what is no list."""
    try:
        return [bytes(one) for one in _list(raw)]
    except _NO_OBJECT:
        return None


def numbered(rows: Iterable[dict[str, bytes]], parse: Parse, told: MutableMapping[str, int]) -> tuple[bytes, ...]:
    """Records of rows, of which several may have the same id and are not the same: from the second on, a record says
    which it is (`ordinal`). `told` holds how many there were of each id, and goes from page to page.
    """
    records = []
    for parts in rows:
        record = framed(parts)
        found = parse(record).external_id
        if found:
            told[found] = told.get(found, 0) + 1
            if told[found] > 1:
                record = framed(parts | {"ordinal": str(told[found]).encode()})
        records.append(record)
    return tuple(records)
