"""The database as empty as it was made, after a test with real transactions.

Django's own flush names every table, takes PostgreSQL half a second for its files, does not know those that are made
by hand, and makes permissions anew. Most tests wrote to a dozen tables.
"""

from __future__ import annotations

from typing import Final

# What says which tables and models there are.
_KEPT: Final = ("django_migrations", "django_content_type", "auth_permission")

_EMPTY: Final = """
DO $$
DECLARE
    name text;
    filled boolean;
    found text[] := '{}';
BEGIN
    FOR name IN
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
            AND relname <> ALL ('{%s}')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %%I)', name) INTO filled;
        IF filled THEN
            found := found || format('%%I', name);
        END IF;
    END LOOP;
    IF found <> '{}' THEN
        EXECUTE 'TRUNCATE ' || array_to_string(found, ', ') || ' CASCADE';
    END IF;
END $$
"""


def empty_database() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_EMPTY % ",".join(_KEPT))
