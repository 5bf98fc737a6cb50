"""Calls that several sources saw and none of them knows by the provider's id."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations

_SQL = Path(__file__).resolve().parent.parent / "sql" / "0003_matching.sql"
_DROP = "DROP TABLE ledger_lone; ALTER TABLE ledger_sighting DROP COLUMN matched_by"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0002_hours")]
    operations: ClassVar = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), _DROP)]
