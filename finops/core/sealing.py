"""Secrets at rest: sealed under a key derived from the house's secret, opened under that or a former one."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from finops.core.errors import FinopsError


class CannotOpen(FinopsError):
    """It was sealed under a secret that is not known any more."""

    code = "core.cannot_open"
    status = 409


class Sealer:
    """Seals text or bytes for one purpose: what was sealed for another does not open. `secrets` are the present one
    and then the former ones, so that the house's secret can be changed.
    """

    def __init__(self, secrets: Sequence[str], *, purpose: str) -> None:
        self._keys = _keys(tuple(secrets), purpose)
        self._present = _keys(tuple(secrets[:1]), purpose)

    def seal(self, text: str) -> bytes:
        return self.seal_bytes(text.encode())

    def open(self, sealed: bytes | memoryview) -> str:
        """Raises CannotOpen."""
        return self.open_bytes(sealed).decode()

    def seal_bytes(self, raw: bytes) -> bytes:
        return self._keys.encrypt(raw)

    def again(self, sealed: bytes | memoryview) -> bytes | None:
        """What was sealed under a former secret, sealed under the present one; None where it is so already. Raises
        CannotOpen.
        """
        try:
            self._present.decrypt(bytes(sealed))
        except InvalidToken:
            return self.seal_bytes(self.open_bytes(sealed))
        return None

    def open_bytes(self, sealed: bytes | memoryview) -> bytes:
        """Raises CannotOpen."""
        try:
            return self._keys.decrypt(bytes(sealed))
        except InvalidToken:
            raise CannotOpen("It was sealed under a former secret key; name that one, or write it anew.") from None


@lru_cache(maxsize=16)
def _keys(secrets: tuple[str, ...], purpose: str) -> MultiFernet:
    return MultiFernet([Fernet(_derived(one, purpose)) for one in secrets])


def _derived(secret: str, purpose: str) -> bytes:
    return base64.urlsafe_b64encode(hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).digest())
