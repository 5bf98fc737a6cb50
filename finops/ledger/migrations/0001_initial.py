"""Charges, keys, sightings, rollups, sessions, terms. The partitioned tables come from sql/0001_ledger.sql."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations, models

from finops.ledger.rules import CUBES

_SQL = Path(__file__).resolve().parent.parent / "sql" / "0001_ledger.sql"
# Rows of a cube are updated in place by every fold; free space in each page keeps those updates off the index.
_CUBE_PARTITIONS = "\n".join(
    f"CREATE TABLE ledger_cube_{number} PARTITION OF ledger_cube FOR VALUES IN ({number}) WITH (fillfactor = 80);"
    for number in sorted(CUBES)
)
_DROP = """
DROP TABLE ledger_session, ledger_session_delta, ledger_hourly, ledger_settled, ledger_cube, ledger_daily,
    ledger_rollup_delta, ledger_sighting, ledger_charge_key, ledger_charge;
DROP FUNCTION ledger_refuse_change();
DROP TRIGGER ledger_keep_currency ON orgs_organization;
DROP FUNCTION ledger_keep_currency();
"""


class Migration(migrations.Migration):
    initial = True
    dependencies: ClassVar = [("orgs", "0001_initial")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="Term",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("organization_id", models.IntegerField()),
                ("kind", models.CharField(max_length=20)),
                ("value", models.TextField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organization_id", "kind", "value"), name="term_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Interned",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("organization_id", models.IntegerField()),
                ("kind", models.CharField(max_length=8)),
                ("digest", models.BinaryField()),
                ("body", models.JSONField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organization_id", "kind", "digest"), name="interned_once")
                ],
            },
        ),
        migrations.RunSQL(_SQL.read_text(encoding="utf-8") + _CUBE_PARTITIONS, _DROP),
    ]
