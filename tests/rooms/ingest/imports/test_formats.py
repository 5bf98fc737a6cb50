"""Files of each kind: CSV by a mapping, lines of JSON, Parquet."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from django.db import connection
from pyarrow import parquet

from finops.connectors.files import readers
from finops.connectors.files.mapping import file_map
from finops.connectors.files.readers import Position, open_file
from finops.ingest.models import QuarantinedRecord
from tests.factories.orgs import Cast
from tests.rooms.ingest.imports.conftest import MAP, SET, START, Run, booked


def test_a_mapping_from_a_file_with_its_time_zone(cast: Cast, run: Run, tmp_path: Path) -> None:
    path, saved = tmp_path / "usage.tsv", tmp_path / "map.json"
    path.write_text("when\tin\tcost\n2026-10-01 01:00:00\t3\t1.5e-3\n")
    saved.write_text(
        json.dumps(
            {
                "columns": {"occurred_at": "when", "usage.input_uncached": "in", "cost.amount": "cost"},
                "set": {"cost.currency": "USD"},
                "timezone": "Europe/Vienna",
            }
        )
    )
    run(path, said=str(saved))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT occurred_at, effective_cost FROM ledger_charge WHERE organization_id = %s", [cast.acme.id]
        )
        assert cursor.fetchall() == [(datetime(2026, 9, 30, 23, tzinfo=UTC), Decimal("0.0015"))]


def test_lines_of_json_by_a_mapping(cast: Cast, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "usage.ndjson"
    rows = [
        {"when": "2026-10-01T00:00:00Z", "usage": {"prompt": 10, "cached": 4, "completion": 2}},
        {"when": 1790812800, "usage": {"prompt": 7.0}, "extra": [1, {"a": None}]},
        {"when": "2026-10-01T00:00:00Z", "usage": {"prompt": 1, "cached": 4}},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n{oops\n[]\n")
    said = (
        "occurred_at=when,usage.input_tokens=usage.prompt,usage.cache_read_tokens=usage.cached,"
        "usage.output_tokens=usage.completion"
    )
    out, _ = run(path, said=said)
    assert out.strip() == "5 rows: 2 charged, 3 quarantined."
    assert booked(cast) == (2, 6 + 7)
    codes = QuarantinedRecord.objects.order_by("external_id").values_list("code", flat=True)
    assert list(codes) == ["connectors.subset_exceeds_total", "connectors.row_malformed", "connectors.row_malformed"]


def test_lines_of_our_own_records_need_no_mapping(cast: Cast, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    record = {"id": "a", "occurred_at": "2026-10-01T00:00:00Z", "model": "gpt-4o", "usage": {"output_text": 4}}
    path.write_text(json.dumps(record) + "\n" + json.dumps(record | {"modle": 1}) + "\n")
    out, _ = run(path, said="", constants=())
    assert out.strip() == "2 rows: 1 charged, 1 quarantined."
    assert QuarantinedRecord.objects.get().parser == "capstan"


def parquet_file(folder: Path, rows: int) -> Path:
    path = folder / "usage.parquet"
    table = pa.table(
        {
            "when": pa.array([START + timedelta(seconds=n) for n in range(rows)], pa.timestamp("ns", "UTC")),
            "in": pa.array([float(n) for n in range(rows)], pa.float64()),
            "out": pa.array([None if n % 2 else n for n in range(rows)], pa.int32()),
            "paid": pa.array([Decimal(n).scaleb(-3) for n in range(rows)], pa.decimal128(12, 6)),
            "who": pa.array([{"mail": f"p{n}@acme.example"} for n in range(rows)]),
            "blob": pa.array([b"\xff"] * rows),
        }
    )
    parquet.write_table(table, path, row_group_size=7)
    return path


def test_parquet(cast: Cast, run: Run, tmp_path: Path) -> None:
    path = parquet_file(tmp_path, 20)
    said = f"{MAP},cost.amount=paid,identities.email=who.mail"
    constants = (*SET, "cost.currency=USD")
    assert run(path, said=said, constants=constants)[0].strip() == "20 rows: 20 charged."
    assert run(path, said=said, constants=constants)[0].strip() == "20 rows: 20 duplicate."
    assert booked(cast) == (20, sum(range(20)))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(effective_cost), max(occurred_at) FROM ledger_charge WHERE organization_id = %s", [cast.acme.id]
        )
        assert cursor.fetchone() == (Decimal(sum(range(20))).scaleb(-3), START + timedelta(seconds=19))


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_reading_from_any_position_gives_the_rest(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "PIECE", 6)
    path = tmp_path / f"usage.{kind}"
    if kind == "csv":
        path.write_text("when,in,out,n\n" + "".join(f'2026-10-01,{n},1,"a\n{n}"\n\n' for n in range(20)))
    elif kind == "ndjson":
        path.write_text("".join(json.dumps({"when": "2026-10-01", "in": n, "out": 1}) + "\n\n" for n in range(20)))
    else:
        path = parquet_file(tmp_path, 20)
    mapping = file_map(
        columns={"occurred_at": "when", "usage.input_uncached": "in", "usage.output_text": "out"},
        constants={"model": "gpt-4o"},
    )
    reader = open_file(path, mapping=mapping, digest="d")
    whole = list(reader.pieces(Position()))
    flat = [one.event for piece in whole for one in piece.received]
    assert [event and event.external_id for event in flat] == [f"d:{n}" for n in range(1, 21)]
    for piece in whole:
        rest = [one.event for later in reader.pieces(piece.end) for one in later.received]
        assert rest == flat[piece.end.row :]
    assert reader.done(whole[-1].end) <= reader.total
