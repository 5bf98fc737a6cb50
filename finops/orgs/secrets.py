"""The secret of a virtual key: `cap_<8 public>_<43 random>`. We keep only its keyed hash.

The random part has 256 bits, so a fast keyed hash is enough; a slow one would cost every request of a gateway.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from functools import lru_cache
from typing import Final

from django.conf import settings

_ALPHABET: Final = string.ascii_lowercase + string.digits
_SHAPE: Final = re.compile(r"(cap_[a-z0-9]{8})_[A-Za-z0-9_-]{43}")


def make() -> tuple[str, str]:
    """A new secret and its public prefix."""
    prefix = "cap_" + "".join(secrets.choice(_ALPHABET) for _ in range(8))
    return f"{prefix}_{secrets.token_urlsafe(32)}", prefix


def prefix_of(secret: str) -> str | None:
    """The public prefix of a well-formed secret; None for anything else."""
    match = _SHAPE.fullmatch(secret)
    return match.group(1) if match else None


def digest(secret: str) -> str:
    """HMAC-SHA256 of the whole secret, hex, under a key derived from SECRET_KEY."""
    return hmac.new(_hash_key(settings.SECRET_KEY), secret.encode(), hashlib.sha256).hexdigest()


def same(left: str, right: str) -> bool:
    """Equal, in a time that does not tell how much of it is."""
    return hmac.compare_digest(left.encode(), right.encode())


@lru_cache(maxsize=4)
def _hash_key(secret_key: str) -> bytes:
    return hmac.new(secret_key.encode(), b"capstan.orgs.virtual-key.v1", hashlib.sha256).digest()
