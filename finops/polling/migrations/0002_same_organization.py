"""A feed, its account and its source are of one organization: composite foreign keys, beside Django's own on the id alone."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


def _unique(table: str, name: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE (organization_id, id)",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )


def _reference(column: str, target: str, name: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"ALTER TABLE polling_polledfeed ADD CONSTRAINT {name} FOREIGN KEY (organization_id, {column}) "
        f"REFERENCES {target} (organization_id, id) DEFERRABLE INITIALLY IMMEDIATE",
        f"ALTER TABLE polling_polledfeed DROP CONSTRAINT {name}",
    )


class Migration(migrations.Migration):
    dependencies: ClassVar = [("polling", "0001_initial")]
    operations: ClassVar = [
        _unique("polling_connectedaccount", "account_of_organization"),
        _unique("sources_source", "source_polled_of_organization"),
        _reference("account_id", "polling_connectedaccount", "feed_account_same_organization"),
        _reference("source_id", "sources_source", "feed_source_same_organization"),
    ]
