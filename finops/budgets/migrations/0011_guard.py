"""Stops, trips and limits by the minute, in SQL: gateways write them too. See sql/0010_guard.sql."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations

_SQL = Path(__file__).resolve().parent.parent / "sql" / "0010_guard.sql"
_DROP = """
DROP FUNCTION budgets_rate_return(int[], text[], text[], text[], bigint[], bigint[]),
    budgets_rate_grant(int[], text[], text[], text[], bigint[], bigint[], bigint[], int),
    budgets_rate_lock(int[], text[], text[], text[]), budgets_trip(int, text, text, text, int, jsonb),
    budgets_stop_alone(int, text, text);
DROP TABLE budgets_rate, budgets_stop CASCADE;
DROP FUNCTION budgets_stop_tell();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("budgets", "0010_limits"), ("audit", "0002_signals")]
    operations: ClassVar = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), _DROP)]
