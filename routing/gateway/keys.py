"""Who asks: virtual keys, as they are published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from finops.core.errors import FinopsError
from finops.orgs import hot
from routing.configuration.wire import Key
from routing.gateway.configured import Configured
from routing.gateway.house import House


class KeyRefused(FinopsError):
    """One answer for a key that is unknown, wrong, revoked or expired."""

    code = "orgs.key_refused"
    status = 401


class PermissionMissing(FinopsError):
    code = "orgs.permission_missing"
    status = 403


class NotReady(FinopsError):
    """This process takes no calls now, and why."""

    code = "gateway.not_ready"
    status = 503
    retry_after_s = 1

    def __init__(self, message: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.reasons = list(reasons) or [message]


class Keys:
    def __init__(self, configured: Configured, hash_key: bytes, now: Callable[[], datetime]) -> None:
        self._configured = configured
        self._hash_key = hash_key
        self._now = now

    def authenticated(self, secret: str, permission: str) -> tuple[House, Key]:
        """Raises NotReady, KeyRefused and PermissionMissing."""
        if not self._configured.ready.is_set():
            raise NotReady("there is no configuration yet")
        prefix = hot.prefix_of(secret) or ""
        house = self._configured.by_prefix.get(prefix)
        key = house.keys[prefix] if house else None
        # Hashed even when there is no such key, so that the time does not tell which prefixes exist.
        matches = hot.same(hot.digest(secret, self._hash_key), key.digest if key else "0" * 64)
        if house is None or key is None or not matches or (key.expires_at and self._now() >= key.expires_at):
            raise KeyRefused("This key is not good: unknown, revoked or expired.")
        if permission not in key.permissions:
            raise PermissionMissing(f"This needs the permission {permission}.")
        return house, key
