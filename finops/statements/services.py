"""Keeps what providers state. The same row again adds nothing; told otherwise, it is what it says now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from django.db import connection

from finops.connectors.types import UsageEvent, content_hash
from finops.ledger.types import Posted

_encode: Final = msgspec.msgpack.Encoder().encode
# Sorted, so that two batches with rows in common wait for each other instead of deadlocking. Of a row that was there,
# the revision says whether it is told otherwise: 0 is new.
_KEEP: Final = """
INSERT INTO statements_statement
    (organization_id, source_id, parser, external_id, day, provider, account, content_hash, event, revision,
     received_at, told_at)
SELECT %(organization)s, %(source)s, %(parser)s, n.external_id, n.day, n.provider, n.account, n.content_hash, n.event,
    0, %(at)s, %(at)s
FROM unnest(
    %(ids)s::text[], %(days)s::date[], %(providers)s::text[], %(accounts)s::text[], %(hashes)s::bytea[],
    %(events)s::bytea[]
) AS n(external_id, day, provider, account, content_hash, event)
ORDER BY n.external_id
ON CONFLICT (organization_id, source_id, external_id) DO UPDATE
SET day = excluded.day, provider = excluded.provider, parser = excluded.parser, account = excluded.account,
    content_hash = excluded.content_hash, event = excluded.event, revision = statements_statement.revision + 1,
    told_at = excluded.told_at
WHERE statements_statement.content_hash <> excluded.content_hash
RETURNING external_id, revision
"""


def keep(
    *, organization_id: int, source_id: int, parser: str, events: Sequence[UsageEvent], at: datetime
) -> list[Posted]:
    """Inside the caller's transaction: what became of each row, CHARGED (new), REVISED or DUPLICATE. No id may stand
    twice among them.
    """
    if not events:
        return []
    if not connection.in_atomic_block:
        raise RuntimeError("keeping statements belongs inside a transaction")
    with connection.cursor() as cursor:
        cursor.execute(
            _KEEP,
            {
                "organization": organization_id,
                "source": source_id,
                "parser": parser,
                "at": at,
                "ids": [event.external_id for event in events],
                "days": [event.occurred_at.astimezone(UTC).date() for event in events],
                "providers": [event.provider for event in events],
                "accounts": [event.provider_account for event in events],
                "hashes": [content_hash(event) for event in events],
                "events": [_encode(event) for event in events],
            },
        )
        changed = dict(cursor.fetchall())
    said = {True: Posted.REVISED, False: Posted.CHARGED}
    return [
        Posted.DUPLICATE if (revision := changed.get(event.external_id)) is None else said[revision > 0]
        for event in events
    ]
