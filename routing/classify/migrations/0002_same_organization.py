"""What is watched is of its classifier's organization: a composite foreign key, beside Django's own."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("classify", "0001_initial")]
    operations: ClassVar = [
        migrations.RunSQL(
            "ALTER TABLE classify_trainedclassifier ADD CONSTRAINT classifier_of_organization UNIQUE (organization_id, id)",
            "ALTER TABLE classify_trainedclassifier DROP CONSTRAINT classifier_of_organization",
        ),
        migrations.RunSQL(
            "ALTER TABLE classify_watched ADD CONSTRAINT watched_same_organization "
            "FOREIGN KEY (organization_id, classifier_id) REFERENCES classify_trainedclassifier (organization_id, id) "
            "DEFERRABLE INITIALLY IMMEDIATE",
            "ALTER TABLE classify_watched DROP CONSTRAINT watched_same_organization",
        ),
    ]
