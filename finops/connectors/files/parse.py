"""Reads rows of files (CSV, NDJSON, Parquet) by a mapping of their columns to our own record."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

import msgspec

from finops.connectors.capstan.record import NAMES, Record, event_of
from finops.connectors.files.mapping import FileMap
from finops.connectors.types import Problem, Received
from finops.connectors.wording import WHOLE, clean, find_text, has_nul, not_valid, problem

PARSER: Final = "file"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# (least number, microseconds each): nanoseconds, microseconds, milliseconds; seconds stay below until year 5138.
_SCALES: Final = ((10**17, Decimal("0.001")), (10**14, Decimal(1)), (10**11, Decimal(1000)))
_PER_SECOND: Final = Decimal(1_000_000)
_encoder: Final = msgspec.json.Encoder(decimal_format="string")


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One row as quarantine keeps it: all its columns, and the mapping it was read by."""

    id: str
    number: int
    row: dict[str, Any]
    map: FileMap


_row: Final = msgspec.json.Decoder(Row)


def read(mapping: FileMap, *, row_id: str, number: int, row: Mapping[str, Any]) -> Received:
    """One row: `number` counts from 1, `row_id` is its id unless a column is mapped to `id`. Never raises for a row.

    Values are what JSON has (text, numbers, true, false, null, and those in lists and objects), and Decimal.
    """
    raw, surely_clean = _kept(mapping, row_id, number, row)
    made, wrong = _made(mapping, row_id, row)
    if wrong is None and not surely_clean:
        field = find_text(made, has_nul) or find_text(made, _not_utf8)
        if field is not None:
            wrong = problem("connectors.nul", field, f"{field} holds a NUL, or bytes that are not valid UTF-8")
    event = None
    if wrong is None:
        try:
            said = event_of(msgspec.convert(made, Record))
            wrong, event = (said, None) if isinstance(said, Problem) else (None, said)
        except msgspec.ValidationError as error:
            wrong = not_valid(str(error), _encode(made), known=NAMES)
    if wrong is None:
        return Received(raw, event, None, str(made["id"]))
    return Received(raw, None, _placed(wrong, mapping, number), clean(str(made.get("id", row_id)))[:300])


def broken(*, number: int, text: bytes, code: str, message: str) -> Received:
    """A row that could not even be cut into columns, as it stands in the file."""
    return Received(text, None, problem(code, WHOLE, f"row {number}: {message}"))


def parse(raw: bytes) -> Received:
    """A row from quarantine, read by the mapping it came with."""
    try:
        kept = _row.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        wrong = problem(
            "connectors.malformed", WHOLE, "this row cannot be read again from here; mend the file and import it again"
        )
        return Received(raw, None, wrong)
    found = read(kept.map, row_id=kept.id, number=kept.number, row=kept.row)
    return found._replace(raw=raw)


def _kept(mapping: FileMap, row_id: str, number: int, row: Mapping[str, Any]) -> tuple[bytes, bool]:
    """The row as JSON for quarantine, and whether its text is surely free of NUL and of bytes that are no UTF-8."""
    try:
        text = _encoder.encode(row)
        sure = b"\\u0000" not in text
    except UnicodeEncodeError:
        # The bytes as they stood in the file: no JSON any more, so that a replay refuses them as this reading does.
        text, sure = _as_it_was(row), False
    head = _encoder.encode({"id": clean(row_id), "number": number})
    return b'%b,"row":%b,"map":%b}' % (head[:-1], text, _map_text(mapping)), sure


def _made(mapping: FileMap, row_id: str, row: Mapping[str, Any]) -> tuple[dict[str, Any], Problem | None]:
    """The row as our record's fields, before they are checked."""
    made: dict[str, Any] = {"id": row_id}
    for target, group, name, steps, column, constant, write in _plan(mapping):
        value = constant if steps is None else row.get(column)
        if value is None and steps:
            value = _inside(row, steps)
        if value is None or value == "":
            continue
        try:
            written = write(value)
        except (ValueError, OverflowError, ArithmeticError) as error:
            shown = clean(str(value))[:60]
            return made, problem("connectors.field_invalid", target, f"{target}: {shown!r} {error}")
        if group:
            made.setdefault(group, {})[name] = written
        else:
            made[name] = written
    return made, None


_Step = tuple[str, str, str, "tuple[str, ...] | None", str, str, Callable[[Any], Any]]


@lru_cache(maxsize=64)
def _plan(mapping: FileMap) -> tuple[_Step, ...]:
    """(target, group, name, steps into the row or None for a constant, column, constant, how its value is written)."""
    found: list[_Step] = []
    zone = mapping.info
    for target, column in mapping.columns:
        group, name = _group(target)
        steps = tuple(column.split(".")) if "." in column else ()
        found.append((target, group, name, steps, column, "", _writer(target, zone)))
    for target, constant in mapping.constants:
        group, name = _group(target)
        found.append((target, group, name, None, "", constant, _writer(target, zone)))
    return tuple(found)


@lru_cache(maxsize=64)
def _map_text(mapping: FileMap) -> bytes:
    return _encoder.encode(mapping)


def _group(target: str) -> tuple[str, str]:
    group, dot, name = target.partition(".")
    return (group, name) if dot else ("", target)


def _writer(target: str, zone: tzinfo) -> Callable[[Any], Any]:
    if target == "occurred_at":
        return lambda value: instant(value, zone)
    if target == "usage.convention":
        return _text
    if target.startswith("usage."):
        return count
    if target == "cost.amount":
        return amount
    return _text


def instant(value: Any, zone: tzinfo) -> datetime:
    """A time: ISO 8601 with or without its offset, or a number of seconds, milli-, micro- or nanoseconds since 1970.

    Times without an offset are of `zone`; of an hour that a clock change repeats, the first. Raises ValueError.
    """
    if isinstance(value, str):
        text = value.strip()
        if not text.replace(".", "", 1).isdigit() or not text.isascii():
            return _from_text(text, zone)
        number = Decimal(text)
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        number = Decimal(str(value))
    else:
        raise ValueError("is no time")
    if not number.is_finite():
        raise ValueError("is no time")
    scale = next((scale for least, scale in _SCALES if number >= least), _PER_SECOND)
    return _EPOCH + timedelta(microseconds=int(number * scale))


def _from_text(text: str, zone: tzinfo) -> datetime:
    try:
        found = datetime.fromisoformat(text.removesuffix(" UTC") + ("+00:00" if text.endswith(" UTC") else ""))
    except ValueError:
        raise ValueError("is no time; ISO 8601 or seconds since 1970 are read") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=zone).astimezone(UTC)


def count(value: Any) -> Any:
    """A count as a file writes it: `17`, `"17"`, and `17.0`, which is what tools make of a column with gaps.

    Raises ValueError for what is no number at all; the rest is judged with the record.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("is no count")
        return int(value) if value.is_integer() else value
    if isinstance(value, Decimal):
        value = amount(value)
    if isinstance(value, str):
        text = value.strip()
        whole, dot, rest = text.partition(".")
        return whole if dot and not rest.strip("0") else text
    return value


def amount(value: Any) -> str:
    """An amount of money as plain decimal text; `1.2e-05` too. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError("is no amount")
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError("is no amount") from None
    if not number.is_finite() or abs(number.adjusted()) > 40:
        raise ValueError("is no amount")
    return f"{number:f}"


def _text(value: Any) -> str:
    """Any value as text, lists and objects as JSON. Raises ValueError."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return str(value)
    try:
        return _encoder.encode(value).decode()
    except UnicodeEncodeError:
        # Mended it could be booked here, and not be read again from quarantine, where the row is no JSON.
        raise ValueError("holds bytes that are not valid UTF-8") from None


def _inside(row: Mapping[str, Any], steps: tuple[str, ...]) -> Any:
    held: Any = row
    for step in steps:
        if not isinstance(held, Mapping):
            return None
        held = held.get(step)
    return held


def _encode(value: Any) -> bytes:
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(_mended(value))


def _as_it_was(row: Mapping[str, Any]) -> bytes:
    text = json.dumps(row, ensure_ascii=False, default=str)
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _mended(value: Any) -> Any:
    """The same with text that JSON can hold."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {_mended(name): _mended(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_mended(inner) for inner in value]
    return value


def _not_utf8(text: str) -> bool:
    return any("\ud800" <= sign <= "\udfff" for sign in text)


def _placed(wrong: Problem, mapping: FileMap, number: int) -> Problem:
    """The problem with the row and the column, which is what the owner of the file can look up."""
    column = mapping.column_of(wrong.field)
    where = f"row {number}, column {column!r}" if column else f"row {number}"
    return problem(wrong.code, wrong.field, f"{where}: {wrong.message}")
