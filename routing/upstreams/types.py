"""What an upstream and a deployment are said to be, and what a key wishes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum


class Dialect(StrEnum):
    """Whose API a server speaks below its address."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Auth(StrEnum):
    """How a credential is sent: `Authorization: Bearer …`, or in a header of that name."""

    BEARER = "bearer"
    X_API_KEY = "x-api-key"
    API_KEY = "api-key"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class UpstreamDraft:
    """An upstream without its credential. `provider` and `host` say whose prices hold; seconds are `_s`."""

    name: str
    dialect: str
    base_url: str
    provider: str
    host: str = ""
    auth: str = Auth.BEARER
    headers: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    labels: tuple[str, ...] = ()
    any_model: bool = False
    weight: int = 1
    connect_s: float = 5.0
    first_byte_s: float = 60.0
    total_s: float = 900.0
    bills_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class DeploymentDraft:
    """Clients say `model`, the upstream is sent `upstream_model`: the same where that is ''."""

    model: str
    upstream_model: str = ""
    rank: int = 0
    weight: int = 1


@dataclass(frozen=True, slots=True)
class WishesDraft:
    """How the calls of a key want deployments: upstreams, providers or hosts in `order` first (`only` those), the
    cheapest (`floor`) or the fastest (`nitro`) first, and none whose tokens cost more than `most_per_million` of the
    reporting currency for a million.
    """

    order: tuple[str, ...] = ()
    only: bool = False
    sort: str = ""
    most_per_million: Decimal | None = None
