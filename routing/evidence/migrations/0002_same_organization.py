"""An outcome and its evaluation are of one organization: a composite foreign key, in place of Django's two."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("evidence", "0001_initial")]
    operations: ClassVar = [
        migrations.RunSQL(
            "ALTER TABLE evidence_outcome ADD CONSTRAINT outcome_same_organization "
            "FOREIGN KEY (organization_id, evaluation_id) REFERENCES evidence_evaluation (organization_id, id) "
            "DEFERRABLE INITIALLY IMMEDIATE",
            "ALTER TABLE evidence_outcome DROP CONSTRAINT outcome_same_organization",
        )
    ]
