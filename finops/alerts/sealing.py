"""Addresses and secrets at rest, under a key derived from SECRET_KEY; what was sealed under a former one opens."""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from finops.core.errors import FinopsError


class CannotOpen(FinopsError):
    """It was sealed under a secret key that is not known any more."""

    code = "alerts.cannot_open"
    status = 409


def seal(text: str) -> bytes:
    return _keys(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS)).encrypt(text.encode())


def unseal(sealed: bytes | memoryview) -> str:
    """Raises CannotOpen."""
    try:
        opened = _keys(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS)).decrypt(bytes(sealed))
    except InvalidToken:
        raise CannotOpen("It was sealed under a former secret key; name that one, or write it anew.") from None
    return opened.decode()


@lru_cache(maxsize=4)
def _keys(secret_key: str, former: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derived(one)) for one in (secret_key, *former)])


def _derived(secret_key: str) -> bytes:
    derived = hmac.new(secret_key.encode(), b"capstan.alerts.sealed.v1", hashlib.sha256).digest()
    return base64.urlsafe_b64encode(derived)
