"""Files and command lines with every kind of mistake in them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError

from finops.ingest.models import QuarantinedRecord
from finops.ingest.services import replay
from finops.jobs.models import Job
from finops.pricing.rules.terms import GivenRate
from finops.pricing.services.exchange import add_exchange_rates
from finops.sources.models import Source
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.rooms.ingest.imports.conftest import MAP, SET, START, Run, booked, csv_file


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
