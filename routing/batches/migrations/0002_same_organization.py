"""A file or a batch and its upstream are of one organization: a composite foreign key, beside Django's own."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


def _reference(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"ALTER TABLE batches_{table} ADD CONSTRAINT {table}_same_organization "
        "FOREIGN KEY (organization_id, upstream_id) REFERENCES upstreams_upstream (organization_id, id) "
        "DEFERRABLE INITIALLY IMMEDIATE",
        f"ALTER TABLE batches_{table} DROP CONSTRAINT {table}_same_organization",
    )


class Migration(migrations.Migration):
    dependencies: ClassVar = [("batches", "0001_initial")]
    operations: ClassVar = [_reference("batch"), _reference("batchfile")]
