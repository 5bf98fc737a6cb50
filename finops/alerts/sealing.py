"""Addresses and secrets of channels at rest."""

from __future__ import annotations

from django.conf import settings

from finops.alerts.models import CHANNEL
from finops.core.sealing import CannotOpen, Sealer

__all__ = ["CannotOpen", "seal", "unseal"]


def seal(text: str) -> bytes:
    return _sealer().seal(text)


def unseal(sealed: bytes | memoryview) -> str:
    """Raises CannotOpen."""
    return _sealer().open(sealed)


def _sealer() -> Sealer:
    return Sealer((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS), purpose=CHANNEL)
