"""Keys at providers and proxies that can be blocked: what an enforcer does, and which connectors have one.

A connector that can is a folder with a `client.py`; `finops.connectors.enforcers` makes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, Protocol

from finops.core.errors import FinopsError


class KeyState(StrEnum):
    ACTIVE = "active"
    BLOCKED = "blocked"
    # Deleted, archived or expired: it is never used again, and cannot be given back.
    GONE = "gone"


class Power(StrEnum):
    """What a connector can do at its provider, as its account states it."""

    BLOCK_KEY = "block_key"


class Enforcer(Protocol):
    """One provider's or proxy's administration. Each call is idempotent. Raises EnforcementError."""

    def state(self, key: str) -> KeyState: ...

    def block(self, key: str) -> None: ...

    def unblock(self, key: str) -> None: ...


class EnforcementError(FinopsError):
    """It could not be done. `permanent` says that trying again alone mends nothing: a person must. The message holds no
    secret.
    """

    code = "connectors.enforcement_failed"
    status = 502

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Connector:
    """What is known of a connector before anybody configured it. `reporting_delay` is how late its usage is told, and
    `takes_effect` how long calls go on after a block; both can be set per source.
    """

    address: str
    key_shape: re.Pattern[str]
    key_help: str
    reporting_delay: timedelta
    takes_effect: timedelta
    # What all its calls are made at; '' where it is a proxy for many.
    provider: str = ""


CONNECTORS: Final[Mapping[str, Connector]] = {
    "litellm": Connector(
        address="",
        key_shape=re.compile(r"[0-9a-f]{64}"),
        key_help="the key's hash (64 hex digits), as LiteLLM's key list shows it; never the key itself",
        reporting_delay=timedelta(minutes=2),
        # Proxies keep what they know of a key for a minute.
        takes_effect=timedelta(minutes=1),
    ),
    "anthropic": Connector(
        address="https://api.anthropic.com",
        key_shape=re.compile(r"apikey_[A-Za-z0-9]{4,80}"),
        key_help="the key's id (apikey_…), as the Console and the Admin API show it; never the key itself",
        reporting_delay=timedelta(minutes=10),
        takes_effect=timedelta(minutes=1),
        provider="anthropic",
    ),
}
