"""Interns words, origins and traces: text in, four-byte ids out. Append-only, so every process may cache ids for good.

Runs in transactions of its own, before the batch's: an id learned inside a transaction that then rolls back would name
nothing. A word interned for a batch that fails is harmless.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from django.db import connection, transaction

Word = tuple[str, str]
# (organization, kind, value) -> id. Bounded: words past the bound are looked up each time.
_words: dict[tuple[int, str, str], int] = {}
_interned: dict[tuple[int, str, bytes], int] = {}
_CACHE_MOST: Final = 500_000
_encoder = msgspec.json.Encoder(order="deterministic")


def word_ids(organization_id: int, words: Iterable[Word]) -> dict[Word, int]:
    """Ids of (kind, value) pairs, made where they are new. The empty word is 0."""
    found: dict[Word, int] = {}
    missing: list[Word] = []
    for kind, value in set(words):
        if not value:
            found[kind, value] = 0
            continue
        known = _words.get((organization_id, kind, value))
        if known is None:
            missing.append((kind, value))
        else:
            found[kind, value] = known
    if missing:
        missing.sort()
        made = {(kind, value): term_id for kind, value, term_id in _make_words(organization_id, missing)}
        found |= made
        if _may_cache(len(_words)):
            _words.update({(organization_id, *word): term_id for word, term_id in made.items()})
    return found


def _make_words(organization_id: int, words: list[Word]) -> list[tuple[str, str, int]]:
    kinds, values = [word[0] for word in words], [word[1] for word in words]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger_term (organization_id, kind, value) SELECT %s, * FROM unnest(%s::text[], %s::text[])"
            " ON CONFLICT DO NOTHING",
            [organization_id, kinds, values],
        )
        cursor.execute(
            "SELECT t.kind, t.value, t.id FROM unnest(%s::text[], %s::text[]) AS w(kind, value)"
            " JOIN ledger_term t ON t.organization_id = %s AND t.kind = w.kind AND t.value = w.value",
            [kinds, values, organization_id],
        )
        return [(kind, value, term_id) for kind, value, term_id in cursor.fetchall()]


def intern_bodies(organization_id: int, kind: str, bodies: Iterable[Any]) -> dict[bytes, int]:
    """Ids of JSON bodies by digest (see `digest`), made where they are new. An empty body is 0."""
    found: dict[bytes, int] = {}
    missing: dict[bytes, bytes] = {}
    for body in bodies:
        text = _encoder.encode(body)
        key = digest_of(text)
        if not body:
            found[key] = 0
            continue
        known = _interned.get((organization_id, kind, key))
        if known is None:
            missing[key] = text
        else:
            found[key] = known
    if missing:
        made = dict(_make_bodies(organization_id, kind, missing))
        found |= made
        if _may_cache(len(_interned)):
            _interned.update({(organization_id, kind, key): body_id for key, body_id in made.items()})
    return found


def _may_cache(size: int) -> bool:
    """Not inside a transaction that may yet roll back, and not without end."""
    return size < _CACHE_MOST and not connection.in_atomic_block


def digest(body: Any) -> bytes:
    return digest_of(_encoder.encode(body))


def digest_of(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()


def _make_bodies(organization_id: int, kind: str, bodies: dict[bytes, bytes]) -> list[tuple[bytes, int]]:
    keys = sorted(bodies)
    texts = b",".join(b'["%b",%b]' % (key.hex().encode(), bodies[key]) for key in keys)
    with transaction.atomic(), connection.cursor() as cursor:
        # One parameter of JSON: the driver looks at every character of an array's elements.
        cursor.execute(
            "INSERT INTO ledger_interned (organization_id, kind, digest, body)"
            " SELECT %s, %s, decode(e ->> 0, 'hex'), e -> 1 FROM jsonb_array_elements(%s::jsonb) AS e"
            " ON CONFLICT DO NOTHING",
            [organization_id, kind, f"[{texts.decode()}]"],
        )
        cursor.execute(
            "SELECT digest, id FROM ledger_interned WHERE organization_id = %s AND kind = %s AND digest = ANY(%s)",
            [organization_id, kind, keys],
        )
        return [(bytes(key), made) for key, made in cursor.fetchall()]
