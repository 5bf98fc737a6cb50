"""Signs as bytes, for a row of the database: two bytes for a bucket and one for how often it came. Pure."""

from __future__ import annotations

import struct
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


def unpack(words: bytes, marks: bytes) -> Signs:
    number = len(words) // 3
    buckets = struct.unpack_from(f"<{number}H", words)
    return Signs(dict(zip(buckets, words[2 * number :], strict=True)), struct.unpack(f"<{len(marks) // 2}H", marks))
