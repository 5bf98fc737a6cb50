"""Accounts, leases and what is observed, in SQL: they change with every call. See sql/0001_accounts.sql."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations

_SQL = Path(__file__).resolve().parent.parent / "sql" / "0001_accounts.sql"
_DROP = """
DROP TRIGGER budgets_teams_moved ON orgs_team;
DROP FUNCTION budgets_teams_moved(), budgets_fold(), budgets_settle(uuid, bigint[], numeric[], numeric[]),
    budgets_grant(uuid, bigint[], numeric[], numeric[]);
DROP TABLE budgets_lease, budgets_holder, budgets_observed, budgets_account;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("budgets", "0001_initial"), ("orgs", "0001_initial")]
    operations: ClassVar = [migrations.RunSQL(_SQL.read_text(encoding="utf-8"), _DROP)]
