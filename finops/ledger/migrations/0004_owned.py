"""What each owner's spend comes to by day, as functions that other rooms' statements may be made of."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations

_SQL = Path(__file__).resolve().parent.parent / "sql" / "0004_owned.sql"
_DROP = "DROP FUNCTION ledger_owned(int, date, date); DROP FUNCTION ledger_counted(int, date[])"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0003_matching")]
    operations: ClassVar = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), _DROP)]
