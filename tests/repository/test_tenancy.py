"""Every table that holds an organization's data says whose it is."""

from __future__ import annotations

import pytest
from django.db import connection

# Tables of nobody's: logins of people who may be of several organizations, the public price book, and the plumbing.
SHARED = {
    "account_emailaddress",
    "account_emailconfirmation",
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    # A gateway process, which serves every organization.
    "budgets_holder",
    "ingest_copied",
    "django_admin_log",
    "django_content_type",
    "django_migrations",
    "django_session",
    "django_site",
    "mfa_authenticator",
    # A link between a membership and a team, which both say whose they are.
    "orgs_membership_teams",
    "orgs_organization",
    "orgs_user",
    "orgs_user_groups",
    "orgs_user_user_permissions",
    "pghistory_context",
    "pricing_cataloguemodel",
    "pricing_catalogueprovider",
    "pricing_price",
    "pricing_pricebook",
    "pricing_priceevent",
}
SHARED_BEGINNINGS = ("django_celery_beat_", "socialaccount_", "usersessions_")


@pytest.mark.django_db
def test_every_table_of_a_tenant_names_its_organization() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, bool_or(a.attname = 'organization_id'),"
            " bool_or(a.attname = 'organization_id' AND a.attnotnull)"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
            " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') GROUP BY c.relname ORDER BY c.relname"
        )
        tables = cursor.fetchall()
    assert any(name == "ledger_charge" for name, _, _ in tables)
    missing = [
        name for name, has, _ in tables if not has and name not in SHARED and not name.startswith(SHARED_BEGINNINGS)
    ]
    assert missing == [], "a tenant's table without organization_id; or is it shared? then say so above"
    assert [name for name, has, never_null in tables if name.startswith("ledger_") and has and not never_null] == []
