"""What Django's models cannot say: stamps that follow every change, and versions of their rule's organization."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

# Every table a snapshot is made from.
WATCHED = (
    "orgs_team",
    "orgs_person",
    "orgs_identity",
    "orgs_project",
    "orgs_agent",
    "orgs_customer",
    "orgs_virtualkey",
    "sources_source",
    "attribution_attributionrule",
    "attribution_attributionruleversion",
    "attribution_promotedtag",
)

# One statement, one stamp, however many rows. The columns that only remember a use are no change: a busy key or source
# is noted every minute, and would throw every process's snapshot away. The upsert is ordered, so that statements over
# several organizations meet their rows in one order. The stamp is written in the changing transaction: whoever reads
# the old stamp reads the old rows, or newer ones under the old stamp, which only costs reading them again.
FUNCTION = """
CREATE FUNCTION attribution_restamp() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    unseen text[] := ARRAY['last_used_at', 'last_received_at'];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO attribution_attributionstamp (organization_id, value)
        SELECT touched.organization_id, gen_random_uuid() FROM (
            SELECT n.organization_id FROM new_rows n JOIN old_rows o USING (id)
            WHERE (to_jsonb(n) - unseen) IS DISTINCT FROM (to_jsonb(o) - unseen)
            UNION
            SELECT o.organization_id FROM old_rows o JOIN new_rows n USING (id)
            WHERE n.organization_id <> o.organization_id
            ORDER BY 1
        ) touched
        ON CONFLICT (organization_id) DO UPDATE SET value = EXCLUDED.value;
    ELSE
        INSERT INTO attribution_attributionstamp (organization_id, value)
        SELECT touched.organization_id, gen_random_uuid() FROM (
            SELECT DISTINCT organization_id FROM touched_rows ORDER BY 1
        ) touched
        ON CONFLICT (organization_id) DO UPDATE SET value = EXCLUDED.value;
    END IF;
    RETURN NULL;
END
$$
"""


def _watch(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        [
            f"CREATE TRIGGER attribution_restamp_insert AFTER INSERT ON {table} "
            "REFERENCING NEW TABLE AS touched_rows FOR EACH STATEMENT EXECUTE FUNCTION attribution_restamp()",
            f"CREATE TRIGGER attribution_restamp_delete AFTER DELETE ON {table} "
            "REFERENCING OLD TABLE AS touched_rows FOR EACH STATEMENT EXECUTE FUNCTION attribution_restamp()",
            f"CREATE TRIGGER attribution_restamp_update AFTER UPDATE ON {table} "
            "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows "
            "FOR EACH STATEMENT EXECUTE FUNCTION attribution_restamp()",
        ],
        [f"DROP TRIGGER attribution_restamp_{event} ON {table}" for event in ("insert", "delete", "update")],
    )


def _of_one_organization(rule: str, version: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        [
            f"ALTER TABLE {rule} ADD CONSTRAINT {rule}_of_organization UNIQUE (organization_id, id)",
            f"ALTER TABLE {version} ADD CONSTRAINT {version}_same_organization FOREIGN KEY (organization_id, rule_id) "
            f"REFERENCES {rule} (organization_id, id) DEFERRABLE INITIALLY IMMEDIATE",
        ],
        [
            f"ALTER TABLE {version} DROP CONSTRAINT {version}_same_organization",
            f"ALTER TABLE {rule} DROP CONSTRAINT {rule}_of_organization",
        ],
    )


class Migration(migrations.Migration):
    dependencies: ClassVar = [("attribution", "0001_initial"), ("orgs", "0001_initial"), ("sources", "0001_initial")]
    operations: ClassVar = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION attribution_restamp()"),
        *[_watch(table) for table in WATCHED],
        _of_one_organization("attribution_attributionrule", "attribution_attributionruleversion"),
        _of_one_organization("attribution_sharedcostrule", "attribution_sharedcostversion"),
    ]
