"""Identifiers: UUID version 7 (RFC 9562), so that rows made later sort later and index pages stay warm."""

from __future__ import annotations

import os
import secrets


def uuid7_batch(count: int, *, unix_ms: int) -> list[str]:
    """`count` distinct version-7 UUIDs of one millisecond, ascending, as 32 hex digits (what COPY and UUID() read).

    The 12 bits after the version and the 30 after the variant are a counter that starts at random, so that a batch is
    monotonic (RFC 9562 section 6.2, method 2); the last 32 bits are random for each.
    """
    if not 0 <= unix_ms < 2**48:
        raise ValueError("unix_ms does not fit 48 bits")
    noise = os.urandom(4 * count + 5)
    start = int.from_bytes(noise[-5:], "big")  # 40 bits, so that counting up stays within 42
    tails = noise.hex()
    head = f"{unix_ms:012x}7"
    made = []
    for index in range(count):
        counter = start + index
        low = 0x80000000 | counter & 0x3FFFFFFF
        made.append(f"{head}{counter >> 30:03x}{low:08x}{tails[8 * index : 8 * index + 8]}")
    return made


class RandomHex:
    """Random hex digits, so many each. Drawn from the system's source many at a time: asking it for each costs as much
    as deciding a call does.
    """

    def __init__(self, digits: int, *, at_once: int = 256) -> None:
        self._digits = digits
        self._at_once = at_once
        self._drawn: list[str] = []

    def next(self) -> str:
        if not self._drawn:
            drawn = secrets.token_hex(self._digits * self._at_once // 2)
            self._drawn = [drawn[n : n + self._digits] for n in range(0, len(drawn), self._digits)]
        return self._drawn.pop()
