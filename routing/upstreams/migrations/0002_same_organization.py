"""A deployment and its upstream are of one organization: a composite foreign key, beside Django's own on the id alone."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("upstreams", "0001_initial")]
    operations: ClassVar = [
        migrations.RunSQL(
            "ALTER TABLE upstreams_upstream ADD CONSTRAINT upstream_of_organization UNIQUE (organization_id, id)",
            "ALTER TABLE upstreams_upstream DROP CONSTRAINT upstream_of_organization",
        ),
        migrations.RunSQL(
            "ALTER TABLE upstreams_deployment ADD CONSTRAINT deployment_same_organization "
            "FOREIGN KEY (organization_id, upstream_id) REFERENCES upstreams_upstream (organization_id, id) "
            "DEFERRABLE INITIALLY IMMEDIATE",
            "ALTER TABLE upstreams_deployment DROP CONSTRAINT deployment_same_organization",
        ),
    ]
