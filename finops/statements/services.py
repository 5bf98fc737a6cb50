"""Keeps what providers state. The same row again adds nothing; told otherwise, it is what it says now. Of who is erased
no row says a name any more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from typing import Final

import msgspec
from django.db import connection, transaction
from django.db.models import Func, Q, TextField, Value
from django.db.models.functions import Lower

from finops.connectors.types import UsageEvent, content_hash
from finops.ledger.types import Posted
from finops.statements.models import Statement

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(UsageEvent).decode
_FORGOTTEN_AT_ONCE: Final = 500
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


@transaction.atomic
def forget(*, organization_id: int, identities: Collection[tuple[str, str]]) -> int:
    """Take names (kind and value, compared without case) out of all rows; gives how many said one.

    A row keeps the hash of what it said, so that the same told again is still the same, and brings no name back.
    """
    gone = {(kind, value.lower()) for kind, value in identities}
    if not gone:
        return 0
    done, changed = 0, []
    for row in _naming(organization_id, {_plain(value) for _, value in gone}):
        event = _decode(bytes(row.event))
        left = tuple((kind, value) for kind, value in event.identities if (kind, value.lower()) not in gone)
        if left != event.identities:
            row.event = _encode(msgspec.structs.replace(event, identities=left))
            changed.append(row)
            done += 1
        if len(changed) == _FORGOTTEN_AT_ONCE:
            Statement.objects.bulk_update(changed, ["event"])
            changed = []
    Statement.objects.bulk_update(changed, ["event"])
    return done


def _naming(organization_id: int, parts: Collection[str]) -> Iterator[Statement]:
    """Rows that may say one of the names: what is packed has `parts` of them in it, in any case."""
    text = Lower(Func("event", Value("escape"), function="encode", output_field=TextField()))
    rows = Statement.objects.filter(organization_id=organization_id).alias(text=text).order_by("id")
    says = reduce(or_, (Q(text__contains=part) for part in sorted(parts)))
    return rows.filter(says).only("id", "event").iterator(_FORGOTTEN_AT_ONCE)


def _plain(name: str) -> str:
    """The longest part of a name that reads the same in its bytes; '' where there is none, which any row has."""
    return max(re.findall(r"[ -\[\]-~]+", name), key=len, default="")
