"""Where gateways put finished calls, in SQL. See sql/0003_inbox.sql."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations

_SQL = Path(__file__).resolve().parent.parent / "sql" / "0003_inbox.sql"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ingest", "0002_sent_with"), ("budgets", "0004_gateways")]
    operations: ClassVar = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), "DROP TABLE ingest_inbox, ingest_copied")]
