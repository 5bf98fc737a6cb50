"""`manage.py import_usage`, run for acme."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest
from django.core.management import call_command
from django.db import connection

from tests.factories.orgs import Cast

CHECKOUT: Final = Path(__file__).resolve().parents[4]
MAP: Final = "occurred_at=when,usage.input_uncached=in,usage.output_text=out"
SET: Final = ("provider=openai", "model=gpt-4o")
START: Final = datetime(2026, 10, 1, tzinfo=UTC)


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


@pytest.fixture
def committed(transactional_db: None) -> None:
    """Another process sees what this one writes."""


def csv_file(folder: Path, rows: int) -> Path:
    lines = [f"{(START + timedelta(seconds=n)).isoformat(' ')},{n},{n % 7},note" for n in range(rows)]
    path = folder / "usage.csv"
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
