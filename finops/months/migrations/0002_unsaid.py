"""What no statement says, as a function; and a line is of its closing's organization, by a composite foreign key."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations

_SQL = Path(__file__).resolve().parent.parent / "sql" / "0002_unsaid.sql"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("months", "0001_initial"), ("ledger", "0004_owned")]
    operations: ClassVar = [
        migrations.RunSQL(
            "ALTER TABLE months_closing ADD CONSTRAINT closing_of_organization UNIQUE (organization_id, id)",
            "ALTER TABLE months_closing DROP CONSTRAINT closing_of_organization",
        ),
        migrations.RunSQL(
            "ALTER TABLE months_line ADD CONSTRAINT line_closing_same_organization FOREIGN KEY"
            " (organization_id, closing_id) REFERENCES months_closing (organization_id, id)"
            " DEFERRABLE INITIALLY IMMEDIATE",
            "ALTER TABLE months_line DROP CONSTRAINT line_closing_same_organization",
        ),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8"), "DROP FUNCTION months_unsaid(int, date, date)"),
    ]
