"""Calls of a time that say the same are found by an index."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations

_SQL = Path(__file__).resolve().parent.parent / "sql" / "0005_alike.sql"
_BACK = """
DROP INDEX ledger_charge_alike;
ALTER TABLE ledger_lone DROP CONSTRAINT ledger_lone_pkey, ADD PRIMARY KEY (organization_id, source_id, external_id);
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0004_owned")]
    operations: ClassVar = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), _BACK)]
