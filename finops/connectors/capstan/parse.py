"""Reads our own wire format. Never raises for a record, however it is bent: what is wrong becomes its Problem."""

from __future__ import annotations

from typing import Final

import msgspec

from finops.connectors import bodies
from finops.connectors.capstan.record import NAMES, Record, event_of
from finops.connectors.types import Problem, Received
from finops.connectors.wording import WHOLE, find_text, has_nul, lenient, not_json, not_valid, problem, repeated_field

PARSER: Final = "capstan"
_record: Final = msgspec.json.Decoder(Record)
_encode: Final = msgspec.json.Encoder().encode


def parse(raw: bytes) -> Received:
    """One record."""
    try:
        record = _record.decode(raw)
        if written_oddly(raw, _encode(record)):
            odd = oddity(raw)
            if odd is not None:
                return refused(raw, odd)
    except msgspec.ValidationError as error:
        return refused(raw, not_valid(str(error), raw, known=NAMES))
    except RecursionError:
        return refused(raw, problem("connectors.malformed", WHOLE, "the record is nested too deeply"))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return refused(raw, not_json(str(error), raw))
    event = event_of(record)
    if type(event) is Problem:
        return Received(raw, None, event, record.id)
    return Received(raw, event, None, record.id)  # type: ignore[arg-type]


def parse_many(body: bytes, media_type: str = "application/json") -> list[Received]:
    """A body of records: a JSON array, one object, or NDJSON. Raises BodyMalformed and TooManyRecords."""
    return bodies.parse_all(bodies.cut(body, media_type), parse)


def written_oddly(raw: bytes, understood: bytes) -> bool:
    """Whether the text needs a second, slow look: a name may stand twice, or a string may hold a NUL. `understood` is
    what was made of it, written out again.

    Exact for what it lets pass: where no quote is followed by white space and no ASCII is escaped, every name is
    written `"name":`, so as many of those as were understood means that none stood twice.
    """
    # One byte is looked for first, because that is the quickest there is and mostly says no.
    return (
        raw.count(b'":') != understood.count(b'":')
        or (b"\\" in raw and b"\\u00" in raw)
        or (b" " in raw and b'" ' in raw)
        or (b"\n" in raw and b'"\n' in raw)
        or (b"\t" in raw and b'"\t' in raw)
        or (b"\r" in raw and b'"\r' in raw)
    )


def oddity(raw: bytes) -> Problem | None:
    """What the second look finds."""
    twice = repeated_field(raw)
    if twice is not None:
        return problem("connectors.field_repeated", twice, f"{twice} stands twice")
    if b"\\u0000" in raw:
        field = find_text(lenient(raw), has_nul)
        if field is not None:
            return problem("connectors.nul", field or WHOLE, f"{field} holds a NUL, which no text here may")
    return None


def refused(raw: bytes, wrong: Problem) -> Received:
    """A record that is not understood, with its id where that can be made out."""
    values = lenient(raw)
    found = values.get("id") if isinstance(values, dict) else None
    known = isinstance(found, str) and found.isprintable() and len(found) <= 300
    return Received(raw, None, wrong, str(found) if known else "")
