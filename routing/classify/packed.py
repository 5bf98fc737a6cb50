"""Signs as bytes, for a row of the database: two bytes for a bucket and one for how often it came. Pure."""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import Final, NamedTuple

from routing.classify.types import Signs

MOST_OFTEN: Final = 255


class Packed(NamedTuple):
    """`words` is all buckets (16 bits, little-endian) and then all counts (8 bits); `marks` are of 16 bits."""

    words: bytes
    marks: bytes


def pack(found: Signs) -> Packed:
    number = len(found.words)
    often = bytes(min(one, MOST_OFTEN) for one in found.words.values())
    return Packed(struct.pack(f"<{number}H", *found.words) + often, struct.pack(f"<{len(found.marks)}H", *found.marks))


def drawn_with(organization_id: int, session: str) -> bytes:
    """What calls of a session share: nothing is to be linked with it by this, only calls of one told to be so."""
    said = f"{organization_id} {session}"
    return blake2b(said.encode("utf-8", "replace"), digest_size=8).digest()


def unpack(words: bytes, marks: bytes) -> Signs:
    number = len(words) // 3
    buckets = struct.unpack_from(f"<{number}H", words)
    return Signs(dict(zip(buckets, words[2 * number :], strict=True)), struct.unpack(f"<{len(marks) // 2}H", marks))
