"""Who goes which way where a rule sends only some: drawn once for each session, the same in every process."""

from __future__ import annotations

from hashlib import blake2b


def draw_of(salt: str, key: str) -> float:
    """Even from 0 to 1; of another rule (`salt`) it is another draw."""
    digest = blake2b(f"{salt}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
