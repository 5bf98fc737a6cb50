"""Identifiers: UUID version 7 (RFC 9562), so that rows made later sort later and index pages stay warm."""

from __future__ import annotations

import os
from uuid import UUID


def uuid7_batch(count: int, *, unix_ms: int) -> list[UUID]:
    """`count` distinct version-7 UUIDs of one millisecond, in ascending order.

    The 12 bits after the version and the first 30 random bits are a counter that starts at random, so that a batch
    is monotonic (RFC 9562 section 6.2, method 2); the last 32 bits are random for each.
    """
    if not 0 <= unix_ms < 2**48:
        raise ValueError("unix_ms does not fit 48 bits")
    noise = os.urandom(4 * count + 5)
    start = int.from_bytes(noise[-5:], "big") >> 1  # 39 bits: room to count up within 42
    head = unix_ms << 80 | 0x7 << 76 | 0b10 << 62
    made = []
    for index in range(count):
        counter = start + index
        tail = int.from_bytes(noise[4 * index : 4 * index + 4], "big")
        made.append(UUID(int=head | (counter >> 30) << 64 | (counter & (2**30 - 1)) << 32 | tail))
    return made
