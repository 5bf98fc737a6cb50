"""The secret of a virtual key: `cap_<8 public>_<43 random>`. We keep only its keyed hash.

The random part has 256 bits, so a fast keyed hash is enough; a slow one would cost every request of a gateway.
"""

from __future__ import annotations

import secrets
import string
from functools import lru_cache
from typing import Final

from django.conf import settings

from finops.orgs import hot
from finops.orgs.hot import prefix_of, same

__all__ = ["digest", "make", "prefix_of", "same"]
_ALPHABET: Final = string.ascii_lowercase + string.digits
_hash_key = lru_cache(maxsize=4)(hot.hash_key)


def make() -> tuple[str, str]:
    """A new secret and its public prefix."""
    prefix = "cap_" + "".join(secrets.choice(_ALPHABET) for _ in range(8))
    return renew(prefix), prefix


def renew(prefix: str) -> str:
    """Another secret with the same public prefix."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> str:
    """HMAC-SHA256 of the whole secret, hex, under a key derived from SECRET_KEY."""
    return hot.digest(secret, _hash_key(settings.SECRET_KEY))
