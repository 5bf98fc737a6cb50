"""A row and what it names are of one organization: composite foreign keys, beside Django's own on the id alone.

Services check this first, with a message; the database makes it true for whoever comes by another way. Where the
reference is null nothing is checked (MATCH SIMPLE).
"""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

TARGETS = ("team", "person", "project", "agent", "customer")
REFERENCES = (
    ("team", "parent_id", "team"),
    ("person", "team_id", "team"),
    ("identity", "person_id", "person"),
    ("project", "team_id", "team"),
    ("agent", "owner_id", "person"),
    ("agent", "project_id", "project"),
    ("virtualkey", "team_id", "team"),
    ("virtualkey", "person_id", "person"),
    ("virtualkey", "project_id", "project"),
    ("virtualkey", "agent_id", "agent"),
    ("virtualkey", "customer_id", "customer"),
)


def _unique(name: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"ALTER TABLE orgs_{name} ADD CONSTRAINT {name}_of_organization UNIQUE (organization_id, id)",
        f"ALTER TABLE orgs_{name} DROP CONSTRAINT {name}_of_organization",
    )


def _reference(table: str, column: str, target: str) -> migrations.RunSQL:
    name = f"{table}_{column}_same_organization"
    return migrations.RunSQL(
        f"ALTER TABLE orgs_{table} ADD CONSTRAINT {name} FOREIGN KEY (organization_id, {column}) "
        f"REFERENCES orgs_{target} (organization_id, id) DEFERRABLE INITIALLY IMMEDIATE",
        f"ALTER TABLE orgs_{table} DROP CONSTRAINT {name}",
    )


class Migration(migrations.Migration):
    dependencies: ClassVar = [("orgs", "0001_initial")]
    operations: ClassVar = [*[_unique(name) for name in TARGETS], *[_reference(*row) for row in REFERENCES]]
