"""Cuts a body into its records without reading them, so that one bad record spoils only itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from finops.connectors.types import Received
from finops.core.errors import FinopsError

MOST_RECORDS: Final = 10_000
JSON_TYPES: Final = frozenset({"application/json", "text/json"})
LINES_TYPES: Final = frozenset(
    {
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/jsonlines",
    }
)

# More commas than 10,000 full records need: the elements are counted before anything is made of them.
_MANY_COMMAS: Final = 500_000
_MARKS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_LINE: Final = re.compile(rb"\S[^\n]*")
_BOM: Final = b"\xef\xbb\xbf"
_BYTE: Final = re.compile(r"\(byte (\d+)\)")
_array: Final = msgspec.json.Decoder(list[msgspec.Raw])


class BodyMalformed(FinopsError):
    """The body as a whole cannot be cut into records; the message says where."""

    code = "connectors.body_malformed"
    status = 400


class TooManyRecords(FinopsError):
    code = "connectors.too_many_records"
    status = 413


class Records(NamedTuple):
    """A body's records as they came. `single`: the body was one object, not a list of one."""

    raw: list[bytes]
    single: bool


def cut_json(body: bytes, *, most: int = MOST_RECORDS) -> Records:
    """A JSON array's elements, or the one object. Raises BodyMalformed and TooManyRecords."""
    body = body.removeprefix(_BOM)
    text = body.lstrip(b" \t\r\n")
    if not text:
        raise BodyMalformed("The body is empty; send a JSON object, an array of them, or one object a line.")
    if not text.startswith(b"["):
        return Records([text.rstrip(b" \t\r\n")], single=True)
    if body.count(b",") > _MANY_COMMAS and _elements(body, most) > most:
        raise _too_many(most)
    try:
        found = _array.decode(body)
    except RecursionError:
        raise BodyMalformed("The JSON is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BodyMalformed(f"The body is not a JSON array: {_place(body, str(error))}") from None
    if len(found) > most:
        raise _too_many(most)
    return Records([bytes(one) for one in found], single=False)


def cut_lines(body: bytes, *, most: int = MOST_RECORDS) -> Records:
    """NDJSON: each line that is not blank. Raises TooManyRecords."""
    found: list[bytes] = []
    for line in _LINE.finditer(body.removeprefix(_BOM)):
        if len(found) == most:
            raise _too_many(most)
        found.append(line.group().rstrip())
    return Records(found, single=False)


def cut(body: bytes, media_type: str, *, most: int = MOST_RECORDS) -> Records:
    """By media type, without parameters. Raises as the two above."""
    return cut_lines(body, most=most) if media_type in LINES_TYPES else cut_json(body, most=most)


def check_count(records: int, *, most: int = MOST_RECORDS) -> None:
    """Raises TooManyRecords."""
    if records > most:
        raise _too_many(most)


def elements(body: bytes, *, most: int = MOST_RECORDS) -> int:
    """How many elements an array has, not counted beyond `most` and a few; nothing is made of them."""
    return _elements(body, most)


def parse_all(records: Records, parse: Callable[[bytes], Received]) -> list[Received]:
    return [parse(raw) for raw in records.raw]


def _elements(body: bytes, most: int) -> int:
    """How many elements the outer array has, stopping past `most`. Makes nothing of them: a body of 64 MB of zeros
    would be gigabytes as objects.
    """
    depth = commas = last = 0
    for mark in _MARKS.finditer(body):
        if depth == 1:
            commas += body.count(b",", last, mark.start())
            if commas >= most:
                break
        sign = body[mark.start()]
        if sign in b"[{":
            depth += 1
        elif sign in b"]}":
            depth -= 1
        last = mark.end()
    else:
        # What follows the last mark: an array that was never closed.
        commas += body.count(b",", last) if depth == 1 else 0
    return commas + 1


def _too_many(most: int) -> TooManyRecords:
    return TooManyRecords(f"A request has at most {most:,} records; send more requests.")


def _place(body: bytes, said: str) -> str:
    """msgspec's words with the line and column its byte offset is at."""
    found = _BYTE.search(said)
    if not found:
        return f"{said} (it ends at byte {len(body)})" if "truncated" in said else said
    offset = int(found.group(1))
    line = body.count(b"\n", 0, offset) + 1
    column = offset - body.rfind(b"\n", 0, offset)
    return f"{said.removeprefix('JSON is malformed: ')}, line {line}, column {column}"
