"""First rules of every organization, those there are and those to come. See sql/0001_rules.sql."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations

_SQL = Path(__file__).resolve().parent.parent / "sql" / "0001_rules.sql"
_DROP = """
DROP TRIGGER alerts_organization_made ON orgs_organization;
DROP FUNCTION alerts_organization_made(), alerts_first_rules(int, timestamptz);
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("alerts", "0001_initial")]
    operations: ClassVar = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), _DROP)]
