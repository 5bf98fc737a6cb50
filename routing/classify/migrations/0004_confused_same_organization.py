"""What was confused is of its classifier's organization: a composite foreign key, beside Django's own."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("classify", "0003_sampling")]
    operations: ClassVar = [
        migrations.RunSQL(
            "ALTER TABLE classify_confusedday ADD CONSTRAINT confused_same_organization "
            "FOREIGN KEY (organization_id, classifier_id) REFERENCES classify_trainedclassifier (organization_id, id) "
            "DEFERRABLE INITIALLY IMMEDIATE",
            "ALTER TABLE classify_confusedday DROP CONSTRAINT confused_same_organization",
        ),
    ]
