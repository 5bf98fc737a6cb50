"""What other rooms' tables say of a key may be held to its organization, by a composite foreign key."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("orgs", "0003_former_secret")]
    operations: ClassVar = [
        migrations.RunSQL(
            "ALTER TABLE orgs_virtualkey ADD CONSTRAINT virtualkey_of_organization UNIQUE (organization_id, id)",
            "ALTER TABLE orgs_virtualkey DROP CONSTRAINT virtualkey_of_organization",
        ),
    ]
