"""Reads a file of rows in bounded pieces, from any row on: CSV, NDJSON or Parquet.

A piece says where it ends, so that whoever reads may stop there and go on from there another day.
"""

from __future__ import annotations

import base64
import csv
import hashlib
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

import msgspec

from finops.connectors.capstan import parse as capstan
from finops.connectors.files import parse as rows
from finops.connectors.files.mapping import FileMap, MapInvalid, check_columns
from finops.connectors.types import Received
from finops.core.errors import FinopsError

PIECE: Final = 5_000
_BLOCK: Final = 1024 * 1024
# A longer line is no row of anything; without a bound, a file without line feeds would be one.
_LONGEST_LINE: Final = 16 * 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_DELIMITERS: Final = (",", ";", "\t", "|")
_SUFFIXES: Final = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
FORMATS: Final = ("csv", "ndjson", "parquet")
_line: Final = msgspec.json.Decoder(float_hook=Decimal)


class FileUnreadable(FinopsError):
    """The file as a whole cannot be read; nothing was taken from it."""

    code = "connectors.file_unreadable"
    status = 422


class Position(NamedTuple):
    """Behind the `row`-th row (from 1; 0 is the start); `offset` is the byte there, where the format has one."""

    row: int = 0
    offset: int = 0


class Piece(NamedTuple):
    received: list[Received]
    end: Position


class Reader(Protocol):
    """`total` and `Reader.done(position)` are in the same unit, for progress; `parser` is what quarantine is told."""

    total: int
    parser: str

    def pieces(self, start: Position) -> Iterator[Piece]: ...

    def done(self, position: Position) -> int: ...


def open_file(path: Path, *, kind: str = "", mapping: FileMap | None, digest: str) -> Reader:
    """A reader by the file's suffix, or by `kind`. Row ids are `<digest>:<row>`.

    Raises FileUnreadable, ColumnMissing, and MapInvalid where a mapping is needed.
    """
    kind = kind or _SUFFIXES.get(path.suffix.lower(), "")
    if kind not in FORMATS:
        raise FileUnreadable(f"{path.name}: what format is it? Say --format {', '.join(FORMATS)}.")
    if mapping is None and kind != "ndjson":
        raise MapInvalid(
            "A mapping of columns is needed; only NDJSON may hold our own records as they are.", field="map"
        )
    try:
        if kind == "csv" and mapping is not None:
            return CsvReader(path, mapping, digest)
        if kind == "parquet" and mapping is not None:
            return ParquetReader(path, mapping, digest)
        return LinesReader(path, mapping, digest)
    except OSError as error:
        raise FileUnreadable(f"{path.name} cannot be read: {error.strerror or error}.") from None


def digest_of(path: Path, *, tell: Callable[[int], None] = lambda _: None) -> str:
    """32 hex digits that name the file's content. `tell` hears of the bytes read so far. Raises FileUnreadable."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                tell(file.tell())
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be read: {error.strerror or error}.") from None
    return digest.hexdigest()


class _Tape:
    """A file's lines as text, that knows the byte it stands at and the bytes since the last `cut`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.offset = file.tell()
        self._since: list[bytes] = []

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(_LONGEST_LINE):
            self.offset += len(line)
            self._since.append(line)
            if self.offset == len(line):
                line = line.removeprefix(_BOM)
            # Bytes that are no UTF-8 pass here as surrogates, and are found with their row and column later.
            yield line.decode("utf-8", "surrogateescape")

    def cut(self) -> bytes:
        """The bytes since the last cut: the row that was just read, as it stands in the file."""
        text, self._since = b"".join(self._since), []
        return text


class CsvReader:
    """CSV with a header; the delimiter is the one the header has most of."""

    parser = rows.PARSER

    def __init__(self, path: Path, mapping: FileMap, digest: str) -> None:
        self._path, self._mapping, self._digest = path, mapping, digest
        self.total = path.stat().st_size
        with path.open("rb") as file:
            first = file.readline(_LONGEST_LINE)
            if first[:2] in {b"\xff\xfe", b"\xfe\xff"}:
                raise FileUnreadable(f"{path.name} is UTF-16; save it as UTF-8.")
            file.seek(0)
            tape = _Tape(file)
            head = first.decode("utf-8", "surrogateescape")
            self._delimiter = max(_DELIMITERS, key=head.count)
            try:
                self.columns = next(csv.reader(tape, delimiter=self._delimiter), [])
            except csv.Error as error:
                raise FileUnreadable(f"{path.name}: its first line is no CSV header: {error}.") from None
            self._body = tape.offset
        if not self.columns:
            raise FileUnreadable(f"{path.name} is empty; the first line must name the columns.")
        check_columns(mapping, self.columns)
        twice = [column for _, column in mapping.columns if self.columns.count(column) > 1]
        if twice:
            raise MapInvalid(f"The file has two columns {twice[0]!r}; which is meant?", field=twice[0])

    def done(self, position: Position) -> int:
        return max(position.offset, self._body if position.row else 0)

    def pieces(self, start: Position) -> Iterator[Piece]:
        with self._path.open("rb") as file:
            file.seek(start.offset or self._body)
            tape = _Tape(file)
            number, found = start.row, []
            for number, received in self._rows(tape, start.row):
                found.append(received)
                if len(found) == PIECE:
                    yield Piece(found, Position(number, tape.offset))
                    found = []
            if found:
                yield Piece(found, Position(number, tape.offset))

    def _rows(self, tape: _Tape, number: int) -> Iterator[tuple[int, Received]]:
        reader = csv.reader(tape, delimiter=self._delimiter)
        names, width = self.columns, len(self.columns)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                number += 1
                yield number, self._broken(number, tape.cut(), str(error))
                continue
            text = tape.cut()
            if not cells:
                continue
            number += 1
            if len(cells) != width:
                said = f"it has {len(cells)} cells, and the header names {width} columns"
                yield number, self._broken(number, text, said)
                continue
            row = dict(zip(names, cells, strict=True))
            yield number, rows.read(self._mapping, row_id=f"{self._digest}:{number}", number=number, row=row)

    def _broken(self, number: int, text: bytes, said: str) -> Received:
        return _broken(self._digest, number, text, said)


class LinesReader:
    """NDJSON: rows by a mapping, or without one our own records."""

    def __init__(self, path: Path, mapping: FileMap | None, digest: str) -> None:
        self._path, self._mapping, self._digest = path, mapping, digest
        self.parser = capstan.PARSER if mapping is None else rows.PARSER
        self.total = path.stat().st_size
        self._checked = mapping is None

    def done(self, position: Position) -> int:
        return position.offset

    def pieces(self, start: Position) -> Iterator[Piece]:
        with self._path.open("rb") as file:
            file.seek(start.offset)
            number, offset, found = start.row, start.offset, []
            while line := file.readline(_LONGEST_LINE):
                text = line.removeprefix(_BOM).strip() if offset == 0 else line.strip()
                offset += len(line)
                if not text:
                    continue
                number += 1
                found.append(self._one(number, text))
                if len(found) == PIECE:
                    yield Piece(found, Position(number, offset))
                    found = []
            if found:
                yield Piece(found, Position(number, offset))

    def _one(self, number: int, text: bytes) -> Received:
        if self._mapping is None:
            return capstan.parse(text)
        try:
            row = _line.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError) as error:
            return _broken(self._digest, number, text, f"it is no JSON: {error}")
        if not isinstance(row, dict):
            return _broken(self._digest, number, text, "it is no JSON object")
        if not self._checked and number == 1:
            # Later rows may lack what they do not say; a first row without a column means the mapping is wrong.
            check_columns(self._mapping, row)
            self._checked = True
        return rows.read(self._mapping, row_id=f"{self._digest}:{number}", number=number, row=row)


class ParquetReader:
    parser = rows.PARSER

    def __init__(self, path: Path, mapping: FileMap, digest: str) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._path, self._mapping, self._digest = path, mapping, digest
        try:
            with parquet.ParquetFile(path) as file:
                self.total = file.metadata.num_rows
                columns = file.schema_arrow.names
        except (pa.ArrowException, OSError) as error:
            raise FileUnreadable(f"{path.name} is no Parquet file: {error}") from None
        check_columns(mapping, columns)

    def done(self, position: Position) -> int:
        return position.row

    def pieces(self, start: Position) -> Iterator[Piece]:
        from pyarrow import parquet

        with parquet.ParquetFile(self._path) as file:
            groups, before = _groups_from(file.metadata, start.row)
            if not groups:
                return
            number = before
            for batch in file.iter_batches(batch_size=PIECE, row_groups=groups):
                skipped = min(max(start.row - number, 0), batch.num_rows)
                number += skipped
                found = []
                for row in _plain_rows(batch.slice(skipped)):
                    number += 1
                    found.append(rows.read(self._mapping, row_id=f"{self._digest}:{number}", number=number, row=row))
                if found:
                    yield Piece(found, Position(number))


def _groups_from(metadata: Any, row: int) -> tuple[list[int], int]:
    """The row groups that hold what is behind `row`, and how many rows stand before them."""
    before = 0
    for group in range(metadata.num_row_groups):
        size = metadata.row_group(group).num_rows
        if before + size > row:
            return list(range(group, metadata.num_row_groups)), before
        before += size
    return [], before


def _plain_rows(batch: Any) -> Iterator[dict[str, Any]]:
    columns = [[_plain(value) for value in column.to_pylist()] for column in batch.columns]
    names = batch.schema.names
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def _plain(value: Any) -> Any:
    """A value as JSON has it, but for Decimal; so a row read from quarantine is the row that was read from the file."""
    if value is None or type(value) in {str, int, float, bool, Decimal}:
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value)


def _broken(digest: str, number: int, text: bytes, said: str) -> Received:
    found = rows.broken(number=number, text=text, code="connectors.row_malformed", message=said)
    return found._replace(external_id=f"{digest}:{number}")
