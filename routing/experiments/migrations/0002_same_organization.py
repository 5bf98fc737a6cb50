"""An item and its experiment are of one organization: a composite foreign key, in place of Django's two."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("experiments", "0001_initial")]
    operations: ClassVar = [
        migrations.RunSQL(
            "ALTER TABLE experiments_item ADD CONSTRAINT experiment_item_same_organization "
            "FOREIGN KEY (organization_id, experiment_id) REFERENCES experiments_experiment (organization_id, id) "
            "DEFERRABLE INITIALLY IMMEDIATE",
            "ALTER TABLE experiments_item DROP CONSTRAINT experiment_item_same_organization",
        )
    ]
