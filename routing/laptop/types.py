"""What a capstan.toml says, as it is written: what is not said is ''. And what is wanted: checked, and with all that
goes without saying.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec

from finops.budgets.types import Draft
from finops.pricing.types import StepRates
from routing.upstreams.types import DeploymentDraft, UpstreamDraft

ANY: Final = "any"


class OrganizationSaid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str = "My laptop"
    currency: str = "USD"


class PersonSaid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str = ""
    email: str = "me@localhost"


class AttributionSaid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Slugs that calls may name."""

    projects: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()


class ModelSaid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    upstream_model: str = ""
    rank: int = 0
    weight: int = 1


class UpstreamSaid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With a preset, what is said goes before it. `resource` fills the blank in the addresses of some presets."""

    preset: str = ""
    name: str = ""
    resource: str = ""
    base_url: str = ""
    dialect: str = ""
    provider: str = ""
    host: str = ""
    auth: str = ""
    credential_env: str = ""
    credential_file: str = ""
    models: str | tuple[str | ModelSaid, ...] = ""
    headers: Mapping[str, str] = {}
    region: str = ""
    labels: tuple[str, ...] = ()
    weight: int = 1
    connect_s: float = 5.0
    first_byte_s: float = 60.0
    total_s: float = 900.0
    bills_cancelled: bool = False


class BudgetSaid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    limit: Decimal
    period: str = ""
    each: str = ""
    enforcement: str = "hard"
    downgrade_to: tuple[str, ...] = ()
    downgrade_at: int = 80


class PriceSaid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a million tokens. Without a model: of every model that is named at the upstream."""

    upstream: str
    input: Decimal
    output: Decimal
    model: str = ""
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    request: Decimal = Decimal(0)


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    organization: OrganizationSaid = OrganizationSaid()
    person: PersonSaid = PersonSaid()
    attribution: AttributionSaid = AttributionSaid()
    upstreams: tuple[UpstreamSaid, ...]
    budgets: tuple[BudgetSaid, ...] = ()
    prices: tuple[PriceSaid, ...] = ()


# --- What is wanted. Each knows its place in the file, for whoever refuses it later. ---


@dataclass(frozen=True, slots=True)
class WantedUpstream:
    place: str
    draft: UpstreamDraft
    credential: str
    deployments: tuple[DeploymentDraft, ...]

    def __repr__(self) -> str:
        return f"WantedUpstream({self.draft.name})"


@dataclass(frozen=True, slots=True)
class WantedBudget:
    place: str
    draft: Draft


@dataclass(frozen=True, slots=True)
class WantedPrice:
    place: str
    provider: str
    host: str
    model: str
    steps: tuple[StepRates, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """`near` are the hosts inside (host or host:port) that upstreams are at: named in the file, so they are meant."""

    organization: OrganizationSaid
    person: PersonSaid
    projects: tuple[str, ...]
    agents: tuple[str, ...]
    upstreams: tuple[WantedUpstream, ...]
    budgets: tuple[WantedBudget, ...]
    prices: tuple[WantedPrice, ...]
    near: frozenset[str]
