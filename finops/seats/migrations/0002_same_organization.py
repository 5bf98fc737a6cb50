"""A plan, its holders, what it covers and the source of its charges are of one organization: composite foreign keys,
beside Django's own on the id alone.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


def _reference(table: str, column: str, target: str, name: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (organization_id, {column}) "
        f"REFERENCES {target} (organization_id, id) DEFERRABLE INITIALLY IMMEDIATE",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )


class Migration(migrations.Migration):
    # Polling's makes an organization's sources something that can be referred to together with it.
    dependencies: ClassVar = [("seats", "0001_initial"), ("polling", "0002_same_organization")]
    operations: ClassVar = [
        migrations.RunSQL(
            "ALTER TABLE seats_seatplan ADD CONSTRAINT seat_plan_of_organization UNIQUE (organization_id, id)",
            "ALTER TABLE seats_seatplan DROP CONSTRAINT seat_plan_of_organization",
        ),
        _reference("seats_seatplan", "follows_id", "seats_seatplan", "seat_plan_follows_same_organization"),
        _reference("seats_seatholder", "plan_id", "seats_seatplan", "seat_holder_plan_same_organization"),
        _reference("seats_seatholder", "person_id", "orgs_person", "seat_holder_person_same_organization"),
        _reference("seats_seatcover", "plan_id", "seats_seatplan", "seat_cover_plan_same_organization"),
        _reference("seats_seatcover", "source_id", "sources_source", "seat_cover_source_same_organization"),
        _reference("seats_seatbooks", "source_id", "sources_source", "seat_books_source_same_organization"),
    ]
