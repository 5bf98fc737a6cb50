"""What the secret of a virtual key looks like and hashes to, for processes without Django too."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime
from typing import Final

_SHAPE: Final = re.compile(r"(cap_[a-z0-9]{8})_[A-Za-z0-9_-]{43}")


def prefix_of(secret: str) -> str | None:
    """The public prefix of a well-formed secret; None for anything else."""
    match = _SHAPE.fullmatch(secret)
    return match.group(1) if match else None


def hash_key(secret_key: str) -> bytes:
    """What secrets are hashed under, derived from the installation's SECRET_KEY."""
    return hmac.new(secret_key.encode(), b"capstan.orgs.virtual-key.v1", hashlib.sha256).digest()


def digest(secret: str, under: bytes) -> str:
    """HMAC-SHA256 of the whole secret, hex; `under` is what `hash_key` gives."""
    return hmac.new(under, secret.encode(), hashlib.sha256).hexdigest()


def fits(given: str, current: str, former: str, former_until: datetime | None, at: datetime) -> bool:
    """Whether a digest is that of a key's secret, or of the one before it while that is good. Takes the same time
    whichever it is.
    """
    now = same(given, current)
    before = same(given, former or "0" * 64)
    return now or (before and bool(former) and former_until is not None and at < former_until)


def same(left: str, right: str) -> bool:
    """Equal, in a time that does not tell how much of it is."""
    return hmac.compare_digest(left.encode(), right.encode())
