"""`manage.py import_usage`: files of each kind, stopped anywhere and run again, with every kind of mistake in them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pyarrow import parquet

from finops.connectors.files import readers
from finops.connectors.files.mapping import file_map
from finops.connectors.files.readers import Position, open_file
from finops.ingest import imports
from finops.ingest.models import QuarantinedRecord
from finops.ingest.services import replay, take
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.pricing.rules.terms import GivenRate
from finops.pricing.services.exchange import add_exchange_rates
from finops.sources.models import Source
from tests.factories.orgs import HOUSE, NOON, Cast, the_cast

CHECKOUT: Final = Path(__file__).resolve().parents[3]
MAP: Final = "occurred_at=when,usage.input_uncached=in,usage.output_text=out"
SET: Final = ("provider=openai", "model=gpt-4o")
START: Final = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.fixture
def cast(db: None) -> Cast:
    return the_cast()


Ran = tuple[str, str]
Run = Callable[..., Ran]


@pytest.fixture
def run() -> Run:
    """Runs the command for acme; gives what it said on stdout and stderr."""

    def of(path: Path, *, said: str = MAP, constants: tuple[str, ...] = SET, **more: Any) -> Ran:
        out, err = StringIO(), StringIO()
        given = {"organization": "acme", "source": "logs", "map": said, "set": list(constants)} | more
        call_command("import_usage", str(path), stdout=out, stderr=err, **given)
        return out.getvalue(), err.getvalue()

    return of


def csv_file(folder: Path, rows: int, *, name: str = "usage.csv") -> Path:
    lines = [f"{(START + timedelta(seconds=n)).isoformat(' ')},{n},{n % 7},note" for n in range(rows)]
    path = folder / name
    path.write_text("when,in,out,note\n" + "\n".join(lines) + "\n")
    return path


def booked(cast: Cast) -> tuple[int, int]:
    """How many charges acme has, and the input tokens on them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), coalesce(sum(input_uncached), 0) FROM ledger_charge WHERE organization_id = %s",
            [cast.acme.id],
        )
        row: Any = cursor.fetchone()
    return int(row[0]), int(row[1])


def test_a_file_is_imported_once_however_often_it_is_run(cast: Cast, run: Run, tmp_path: Path) -> None:
    path = csv_file(tmp_path, 40)
    assert run(path)[0].strip() == "40 rows: 40 charged."
    again = path.rename(tmp_path / "the same under another name.csv")
    assert run(again)[0].strip() == "40 rows: 40 duplicate."
    assert booked(cast) == (40, sum(range(40)))
    source = Source.objects.get(organization=cast.acme)
    assert (source.slug, source.kind) == ("logs", "file")
    assert [job.state for job in Job.objects.filter(kind="import")] == ["done", "done"]


def test_two_rows_that_say_the_same_are_two_calls(cast: Cast, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "twins.csv"
    path.write_text("when,in,out\n" + "2026-10-01 00:00:00,5,1\n" * 2)
    run(path)
    assert booked(cast) == (2, 10)


def test_rows_with_an_id_of_their_own_are_known_by_it(cast: Cast, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_text("call,when,in,out\na,2026-10-01 00:00:00,5,1\nb,2026-10-01 00:00:00,5,1\n")
    run(path, said=f"id=call,{MAP}")
    path.write_text("call,when,in,out\nb,2026-10-01 00:00:00,5,1\na,2026-10-01 00:00:00,6,1\nc,2026-10-02,1,1\n")
    out, err = run(path, said=f"id=call,{MAP}")
    assert out.strip() == "3 rows: 1 charged, 1 duplicate, 1 conflict."
    assert "1 rows were charged before with other content" in err
    assert booked(cast) == (3, 11)


class Killed(BaseException):
    """Stands for whatever ends a process in the middle."""


def test_an_import_that_died_goes_on_where_it_was(
    cast: Cast, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "PIECE", 10)
    path = csv_file(tmp_path, 35)
    went = jobs.progress

    def dies_at_20(**given: Any) -> bool:
        go_on = bool(went(**given))
        if given["done"] and given["cursor"]["row"] == 20:
            raise Killed
        return go_on

    monkeypatch.setattr(jobs, "progress", dies_at_20)
    with pytest.raises(Killed):
        run(path)
    monkeypatch.setattr(jobs, "progress", went)
    assert booked(cast)[0] == 20
    out, _ = run(path)
    assert out.splitlines() == [f"Going on behind row 20 (job {Job.objects.get().id}).", "35 rows: 35 charged."]
    assert booked(cast) == (35, sum(range(35)))
    job = Job.objects.get()
    assert (job.state, job.result) == ("done", {"rows": 35, "charged": 35})


def test_an_import_that_died_between_booking_and_its_note_adds_nothing_twice(
    cast: Cast, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "PIECE", 10)
    path = csv_file(tmp_path, 25)
    went = jobs.progress

    def dies_before_the_note(**given: Any) -> bool:
        if given["cursor"]["row"] == 20:
            raise Killed
        return bool(went(**given))

    monkeypatch.setattr(jobs, "progress", dies_before_the_note)
    with pytest.raises(Killed):
        run(path)
    monkeypatch.setattr(jobs, "progress", went)
    out, _ = run(path)
    assert out.splitlines()[-1] == "25 rows: 15 charged, 10 duplicate."
    assert booked(cast) == (25, sum(range(25)))


def test_ctrl_c_says_how_to_go_on(cast: Cast, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = csv_file(tmp_path, 5)
    monkeypatch.setattr(imports, "take", lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(CommandError, match="Run the same command again"):
        run(path)
    monkeypatch.undo()
    assert Job.objects.get().state == "stopped"
    assert run(path)[0].strip() == "5 rows: 5 charged."


@pytest.mark.django_db(transaction=True)
def test_sigkill_and_again(tmp_path: Path) -> None:
    cast = the_cast()
    path = csv_file(tmp_path, 30_000)
    command = [
        *(sys.executable, "manage.py", "import_usage", str(path), "--organization", "acme", "--source", "logs"),
        *("--map", MAP, "--set", SET[0], "--set", SET[1]),
    ]
    given = connection.settings_dict
    host = f"host={given['HOST']}" + (f"&port={given['PORT']}" if given["PORT"] else "")
    env = os.environ | {"DATABASE_URL": f"postgresql://{given['USER']}@/{given['NAME']}?{host}"}
    first = subprocess.Popen(command, cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while first.poll() is None and not Job.objects.filter(done__gt=0).exists():
        try:
            first.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
    first.send_signal(signal.SIGKILL)
    said, _ = first.communicate()
    assert first.returncode == -signal.SIGKILL, said.decode()
    assert 0 < booked(cast)[0] < 30_000
    second = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=True)
    assert "Going on behind row" in second.stdout
    assert booked(cast) == (30_000, sum(range(30_000)))
    assert Job.objects.get().state == "done"


@pytest.mark.django_db(transaction=True)
def test_two_at_once_are_refused(run: Run, tmp_path: Path) -> None:
    the_cast()
    path = csv_file(tmp_path, 5)
    holder = connection.copy()
    refused: list[str] = []
    taken = take

    def while_running(**given: Any) -> Any:
        # Another process: another session asks for the lock of the job that is running here.
        with holder.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [imports._LOCKS, Job.objects.get().id])
            refused.append(str(cursor.fetchone()))
        return taken(**given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imports, "take", while_running)
        run(path)
    holder.close()
    assert refused == ["(False,)"]


# --- Bad files --------------------------------------------------------------------------------------------------------
def test_the_wrong_columns_are_named_with_those_there_are(cast: Cast, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text("When,In,out\n2026-10-01,1,1\n")
    with pytest.raises(CommandError, match=r"no column 'when', 'in'; did you mean 'When'\? It has: When, In, out"):
        run(path)
    assert not Job.objects.exists()


def test_good_rows_are_kept_and_bad_ones_held_with_their_number(cast: Cast, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_bytes(
        b"\xef\xbb\xbfwhen,in,out,note\r\n"
        b"2026-10-01 00:00:00,1,1,ok\r\n"
        b"\r\n"
        b"2026-10-01 00:00:00,many,1,\r\n"
        b"2026-10-01 00:00:00,1\r\n"
        b'2026-10-01 00:00:00,2,1,"two\r\nlines, \xf0\x9f\x9a\x80"\r\n'
        b"0001-01-01 00:00:00,1,1,\r\n"
        b"2026-10-01 00:00:00,1,1,\xff\r\n"
        b"2026-10-01 00:00:00,\xff,1,\r\n"
        b"2026-10-01 00:00:00,4,1,\x00\r\n"
        b"2026-10-01 00:00:00,-3,1,"
    )
    out, err = run(path)
    assert out.strip() == "9 rows: 4 charged, 5 quarantined."
    assert booked(cast) == (4, 1 + 2 + 1 + 4)
    held = list(QuarantinedRecord.objects.filter(organization=cast.acme).order_by("external_id"))
    assert [record.external_id.rpartition(":")[2] for record in held] == ["2", "3", "5", "7", "9"]
    assert [record.field for record in held] == [
        "usage.input_uncached", "$", "occurred_at", "usage.input_uncached", "usage.input_uncached",
    ]  # fmt: skip
    assert "row 2, column 'in'" in held[0].message
    assert "row 3: it has 2 cells, and the header names 4 columns" in held[1].message
    assert bytes(held[1].raw) == b"2026-10-01 00:00:00,1\r\n"
    assert b"\xff" in bytes(held[3].raw)
    assert "row 2, column 'in'" in err


def test_a_held_row_replays_by_the_mapping_it_came_with(cast: Cast, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "francs.csv"
    path.write_text("when,in,out,paid\n2026-10-01 00:00:00,1,1,2.5\n")
    run(path, said=f"{MAP},cost.amount=paid", constants=(*SET, "cost.currency=CHF"))
    held = QuarantinedRecord.objects.get(organization=cast.acme)
    assert (held.code, held.parser) == ("pricing.no_exchange_rate", "file")
    given = GivenRate(START.date(), "CHF", "USD", Decimal("1.1"))
    add_exchange_rates(organization_id=cast.acme.id, rates=[given], by=HOUSE, at=NOON)
    outcomes = replay(organization_id=cast.acme.id, record_ids=[held.id], by=HOUSE, at=NOON)
    assert [one.status.value for one in outcomes] == ["charged"]
    assert run(path, said=f"{MAP},cost.amount=paid", constants=(*SET, "cost.currency=CHF"))[0].endswith(
        "1 duplicate.\n"
    )


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (b"", "empty.csv", "is empty"),
        ("when,in,out\n".encode("utf-16"), "wide.csv", "UTF-16"),
        (b"PAR1 no", "fake.parquet", "is no Parquet file"),
        (b"x", "what.bin", "--format"),
        (b"when,in,in,out\n", "twice.csv", "two columns 'in'"),
    ],
)
def test_files_that_are_no_such_files(
    cast: Cast, run: Run, tmp_path: Path, content: bytes, name: str, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CommandError, match=says):
        run(path)


def test_mistakes_on_the_command_line(cast: Cast, run: Run, tmp_path: Path) -> None:
    path = csv_file(tmp_path, 1)
    for given, says in [
        ({"organization": "nobody"}, "no organization 'nobody'"),
        ({"said": ""}, "occurred_at must be mapped"),
        ({"said": "", "constants": ()}, "A mapping of columns is needed"),
        ({"said": "nowhere.json"}, "neither target=column pairs nor a file"),
        ({"said": "{"}, "--map is no JSON"),
        ({"said": '{"occurred_at": 4}'}, "--map: say"),
        ({"said": "occured_at=when"}, "did you mean 'occurred_at'"),
        ({"constants": ("model",)}, "say TARGET=VALUE"),
        ({"timezone": "Mars"}, "there is no time zone"),
        ({"source": "No Slug"}, "slug"),
    ]:
        with pytest.raises(CommandError, match=says):
            run(path, **given)  # type: ignore[arg-type]
    with pytest.raises(CommandError, match="There is no file"):
        run(tmp_path / "gone.csv")
    assert booked(cast) == (0, 0)


def test_a_dry_run_writes_nothing(cast: Cast, run: Run, tmp_path: Path) -> None:
    path = csv_file(tmp_path, 10)
    path.write_text(path.read_text() + "soon,1,1,\n")
    out, err = run(path, dry_run=True)
    assert "11 rows, 10 readable with 45 input and 24 output tokens, 1 would be held. Nothing was written." in out
    assert "row 11, column 'when'" in err
    assert (booked(cast), Job.objects.count(), Source.objects.count()) == ((0, 0), 0, 0)


# --- The other formats ------------------------------------------------------------------------------------------------
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
