"""Which files of a data export are a month's now, and their rows. After AWS' pages on Data Exports: files lie at
`<prefix>/<name>/data/BILLING_PERIOD=2026-11/`, where a delivery replaces the one before, or adds a folder of its own
beside it; its manifest lies at the same place below `metadata`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import IO, Any, Final

from finops.connectors.bedrock import cur
from finops.connectors.bedrock.storage import Bucket, Stored
from finops.connectors.fetching import RequestRefused
from finops.connectors.pages import BodyUnreadable
from finops.connectors.unpacking import text, unpacked

_CSV: Final = (".csv", ".csv.gz")
_PARQUET: Final = ".parquet"
# Parquet is read from its end, so it is put down first.
_LARGEST_FILE: Final = 4 * 2**30
_ROWS: Final = 500


def current_files(bucket: Bucket, root: str, month: datetime) -> list[Stored]:
    """In the order of their names; of several deliveries the last that is whole. None where there is no such month."""
    period = f"BILLING_PERIOD={month:%Y-%m}/"
    place = f"{root}data/{period}"
    deliveries: dict[str, list[Stored]] = {}
    for page in bucket.objects(place, deep=True):
        for one in page:
            if one.name.endswith((*_CSV, _PARQUET)):
                deliveries.setdefault(one.key.removeprefix(place).rpartition("/")[0], []).append(one)
    if len(deliveries) > 1:
        whole = _told_whole(bucket, f"{root}metadata/{period}")
        deliveries = {name: files for name, files in deliveries.items() if name in whole} or deliveries
    _, last = max(deliveries.items(), key=_age, default=("", []))
    return sorted(last)


def _age(delivery: tuple[str, list[Stored]]) -> tuple[datetime, str]:
    """Names of deliveries begin with when they were made; times of objects are whole seconds."""
    name, files = delivery
    return max(one.changed_at for one in files), name


def _told_whole(bucket: Bucket, place: str) -> set[str]:
    """Deliveries that have a manifest: it is written when all files are."""
    return {
        one.key.removeprefix(place).rpartition("/")[0]
        for page in bucket.objects(place, deep=True)
        for one in page
        if one.name.endswith("Manifest.json")
    }


def read_file(pieces: Iterator[bytes], stored: Stored) -> Iterator[Mapping[Any, Any]]:
    """Rows of a file, one page of them in memory. Raises BodyUnreadable, RequestRefused, and what `pieces` does."""
    return _of_parquet(pieces, stored) if stored.name.endswith(_PARQUET) else cur.lines_of(text(unpacked(pieces)))


def _of_parquet(pieces: Iterable[bytes], stored: Stored) -> Iterator[Mapping[Any, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    if stored.size > _LARGEST_FILE:
        raise RequestRefused("a file of the export is larger than 4 GiB")
    with tempfile.TemporaryFile() as file:
        for piece in pieces:
            file.write(piece)
        file.seek(0)
        try:
            yield from _rows(parquet, file)
        except (pa.ArrowException, OSError):
            raise BodyUnreadable("The file of the export is no Parquet.") from None


def _rows(parquet: Any, file: IO[bytes]) -> Iterator[Mapping[Any, Any]]:
    opened = parquet.ParquetFile(file)
    columns = [name for name in opened.schema_arrow.names if cur.is_read(name)]
    cur.check_columns(columns)
    for batch in opened.iter_batches(batch_size=_ROWS, columns=columns):
        yield from batch.to_pylist()
