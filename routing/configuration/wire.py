"""What gateways decide by, as it is published: everything of one organization, and the public catalogue. No Django.

Amounts are decimals here: a limit may be more picodollars than fit the 64 bits of MessagePack's integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import msgspec

from finops.attribution.rules import Snapshot
from finops.attribution.types import IdentitySpan, KeyDefaults, Rule
from finops.budgets.guard import GuardRules
from finops.budgets.types import Enforcement, Period, Terms
from finops.core.money import from_pico, to_pico
from finops.pricing.types import AliasRule, ContractTerms, PriceVersion, ProviderEntry, RateFact
from routing.classify.types.wire import Classifier, Prospects
from routing.rules.hot import Published
from routing.tiers.types import Entry


class Catalogue(msgspec.Struct, frozen=True, array_like=True):
    """`windows` are context windows in tokens, by provider and model."""

    providers: tuple[ProviderEntry, ...]
    prices: tuple[PriceVersion, ...]
    aliases: tuple[AliasRule, ...]
    windows: dict[tuple[str, str], int]


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """How the calls of a key want deployments: `upstreams.types.WishesDraft`."""

    order: tuple[str, ...] = ()
    only: bool = False
    sort: str = ""
    most_per_million: Decimal | None = None


class Key(msgspec.Struct, frozen=True):
    """A virtual key that is good until `expires_at`. `former` is the digest of the secret it had before, '' for none,
    which is good until `former_until`. `wishes` is None for most: their calls say themselves where they go.
    """

    key_id: int
    prefix: str
    digest: str
    permissions: frozenset[str]
    expires_at: datetime | None
    former: str = ""
    former_until: datetime | None = None
    wishes: Wishes | None = None


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """A server that answers calls of models. `dialect` is openai or anthropic: whose API it speaks below `base_url`
    (https://api.openai.com/v1, https://api.anthropic.com). `provider` and `host` say whose prices hold. `sealed` is its
    credential, b'' for none, sent as `auth` says: bearer, x-api-key, api-key or none.
    """

    upstream_id: int
    name: str
    dialect: str
    base_url: str
    provider: str
    host: str = ""
    auth: str = "bearer"
    sealed: bytes = b""
    headers: dict[str, str] = {}
    region: str = ""
    labels: frozenset[str] = frozenset()
    # It takes any model's name as it is, not only those that are deployed here.
    any_model: bool = False
    weight: int = 1
    connect_s: float = 5.0
    first_byte_s: float = 60.0
    total_s: float = 900.0
    # It bills an answer that nobody reads to its end: it is read to its end, so that its figure is known.
    bills_cancelled: bool = False


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A model at an upstream. Clients say `model`, the upstream is sent `upstream_model`. Lower `rank` is tried first;
    among equals `weight` decides.
    """

    deployment_id: int
    upstream_id: int
    model: str
    upstream_model: str
    rank: int = 0
    weight: int = 1


class Capturing(msgspec.Struct, frozen=True, kw_only=True):
    """Of which calls the contents are kept: of `share` in `captures.hot.WHOLE`, with bodies of at most `most_bytes`, of
    these task types and projects; none named is all.
    """

    share: int
    most_bytes: int
    task_types: frozenset[str] = frozenset()
    project_ids: frozenset[int] = frozenset()


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """`budgets.types.Terms`, with its name and with decimals for amounts."""

    budget_id: int
    name: str
    limit: Decimal
    period: Period
    enforcement: Enforcement
    starts_at: datetime
    ends_at: datetime | None
    zone: str
    scope: dict[str, frozenset[str]]
    each: str
    limits: dict[str, Decimal]
    exempt: frozenset[str]
    rollover: Decimal
    fail_open: bool
    downgrade_to: tuple[tuple[str, str], ...]
    downgrade_at: int

    def terms(self, organization_id: int) -> Terms:
        return Terms(
            budget_id=self.budget_id,
            organization_id=organization_id,
            limit_pico=to_pico(self.limit),
            period=self.period,
            enforcement=self.enforcement,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            zone=self.zone,
            scope=self.scope,
            each=self.each,
            limits={subject: to_pico(amount) for subject, amount in self.limits.items()},
            exempt=self.exempt,
            rollover_pico=to_pico(self.rollover),
            fail_open=self.fail_open,
            downgrade_to=self.downgrade_to,
            downgrade_at=self.downgrade_at,
        )


def budget_of(terms: Terms, name: str) -> Budget:
    return Budget(
        budget_id=terms.budget_id,
        name=name,
        limit=from_pico(terms.limit_pico),
        period=terms.period,
        enforcement=terms.enforcement,
        starts_at=terms.starts_at,
        ends_at=terms.ends_at,
        zone=terms.zone,
        scope=dict(terms.scope),
        each=terms.each,
        limits={subject: from_pico(pico) for subject, pico in terms.limits.items()},
        exempt=terms.exempt,
        rollover=from_pico(terms.rollover_pico),
        fail_open=terms.fail_open,
        downgrade_to=terms.downgrade_to,
        downgrade_at=terms.downgrade_at,
    )


class Owners(msgspec.Struct, frozen=True):
    """`attribution.rules.Snapshot`, without what it works out for itself."""

    organization_id: int
    stamp: str
    names: tuple[dict[str, int], ...]
    keys: dict[str, KeyDefaults]
    identities: dict[tuple[str, str], tuple[IdentitySpan, ...]]
    person_team: dict[int, int]
    project_team: dict[int, int]
    agents: dict[int, tuple[int, int]]
    ended: dict[tuple[int, int], datetime]
    sources: dict[int, str]
    tag_slots: dict[str, int]
    rules: tuple[Rule, ...]

    def snapshot(self) -> Snapshot:
        return Snapshot(**{name: getattr(self, name) for name in self.__struct_fields__})


def owners_of(snapshot: Snapshot) -> Owners:
    return Owners(**{name: getattr(snapshot, name) for name in Owners.__struct_fields__})


class Organization(msgspec.Struct, frozen=True, kw_only=True):
    """One organization. `source_id` is where its gateways' charges come from; `token` says which budgets these are."""

    organization_id: int
    slug: str
    currency: str
    source_id: int
    keys: tuple[Key, ...]
    owners: Owners
    contracts: tuple[ContractTerms, ...]
    aliases: tuple[AliasRule, ...]
    rates: tuple[RateFact, ...]
    token: UUID | None
    budgets: tuple[Budget, ...]
    # Each team with every team above it.
    above: Mapping[int, frozenset[int]]
    guard: GuardRules
    upstreams: tuple[Upstream, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    # None: the contents of no call are kept.
    captures: Capturing | None = None
    # Of routing, in their order.
    rules: tuple[Published, ...] = ()
    # Says what kind of work calls are of which nobody says it.
    classifier: Classifier | None = None
    # Whether features of calls that pass are kept.
    sampled: bool = False
    # Says how likely models do a call well.
    prospects: Prospects | None = None
    # What the organization says of models itself, above the shipped register.
    models: tuple[Entry, ...] = ()
    # What makers of models have of its spend, in percent, where a rule says how much one may have.
    shares: dict[str, int] = {}


encode: Final = msgspec.msgpack.Encoder().encode
decode_catalogue: Final = msgspec.msgpack.Decoder(Catalogue).decode
decode_organization: Final = msgspec.msgpack.Decoder(Organization).decode
