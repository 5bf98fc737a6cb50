"""How gateways open accounts and adopt what a dead one left, in SQL. See sql/0004_gateways.sql."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations

_SQL = Path(__file__).resolve().parent.parent / "sql" / "0004_gateways.sql"
_OF_ACCOUNTS = "int[], text[], timestamptz[], timestamptz[], numeric[], numeric[], timestamptz[]"
_DROP = f"""
DROP FUNCTION budgets_adopt(uuid, uuid, bigint[], numeric[], numeric[]), budgets_open_known(int, uuid, {_OF_ACCOUNTS}),
    budgets_open_and_grant(int, uuid, {_OF_ACCOUNTS}, uuid, numeric[]),
    budgets_open(int, {_OF_ACCOUNTS}, timestamptz), budgets_opening({_OF_ACCOUNTS}, timestamptz),
    budgets_limit(int, text, timestamptz, numeric, numeric, timestamptz);
DROP INDEX budgets_lease_of_holder, budgets_holder_living;
ALTER TABLE budgets_holder DROP COLUMN adopted_at, DROP COLUMN adopted_by, DROP COLUMN address;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("budgets", "0003_by_lead")]
    operations: ClassVar = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), _DROP)]
