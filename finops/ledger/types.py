"""What crosses rooms about charges and spend: the names of dimensions, a question about spend, and its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from finops.core.periods import DayRange

JsonObject = dict[str, Any]
JsonList = list[Any]

# Dimensions a question may group or filter by. Values are our 32-bit ids; 0 is "none". `provider`, `model` and the
# other words are interned in `ledger_term`; the owners and the source are rows of their rooms. Ten tag slots belong
# to the tag keys an organization promoted, and are asked for as `tag:<key>`.
OWNERS: Final = ("team", "person", "project", "agent", "customer", "key", "source")
WORDS: Final = (
    "provider",
    "model",
    "service_tier",
    "region",
    "host",
    "provider_account",
    "task_type",
    "category",
    "evidence",
    "state",
)
TAG_SLOTS: Final = tuple(f"tag{number}" for number in range(1, 11))
DIMENSIONS: Final = OWNERS + WORDS + TAG_SLOTS

# Values of the `state` dimension, as words.
ATTRIBUTED: Final = "attributed"
UNATTRIBUTED: Final = "unattributed"
UNPRICED: Final = "unpriced"


class Grain(StrEnum):
    """How a trend is cut: no cut, UTC days, ISO weeks (Monday) or calendar months."""

    TOTAL = "total"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


# How many dimensions one answer may be grouped by.
MOST_GROUPED: Final = 2


@dataclass(frozen=True, slots=True)
class SpendQuestion:
    """A question about spend. `filters` maps a dimension to the ids allowed; all must match.

    `group_by` holds at most MOST_GROUPED dimensions, but for `selectors.crossed`. `limit` keeps the largest groups by
    reporting cost (None: all).
    """

    organization_id: int
    period: DayRange
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, frozenset[int]] = field(default_factory=dict)
    grain: Grain = Grain.TOTAL
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class SpendRow:
    """One group of the answer, in one billing currency. `values` follows `group_by`; `bucket` is the grain's first day.

    Costs are in `currency`, but `reporting_cost`, which is in the organization's reporting currency and alone may be
    summed over rows of different currencies.
    """

    values: tuple[int, ...]
    bucket: date | None
    currency: str
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    list_cost: Decimal
    contracted_cost: Decimal
    effective_cost: Decimal
    reporting_cost: Decimal


@dataclass(frozen=True, slots=True)
class ChargeRow:
    """One line of the ledger as a drill-down lists it. `dimensions` maps each dimension to its id (0: none)."""

    id: UUID
    occurred_at: datetime
    booked_at: datetime
    external_id: str
    session: str
    dimensions: Mapping[str, int]
    counts: tuple[int, ...]
    currency: str
    list_cost: Decimal
    contracted_cost: Decimal
    effective_cost: Decimal
    billed_cost: Decimal | None
    reporting_cost: Decimal
    reporting_currency: str
    reverses: UUID | None
    reason: str
    price_id: int
    contract_id: int
    trace_id: int
    fx_rate: Decimal
    fx_date: date | None
    provider_request_id: str
    model_raw: str
    tags: Mapping[str, str]
    origin_id: int
    calls: int


@dataclass(frozen=True, slots=True)
class ChargePage:
    """Charges newest first, and the cursor of the next page ('' at the end)."""

    rows: tuple[ChargeRow, ...]
    next_cursor: str


class Written(NamedTuple):
    """How a part that many charges share is written into their rows, by the ids its words have in an organization:
    `whole` in a charge, `rolled` in a rollup's row.
    """

    organization_id: int
    whole: str
    rolled: str


UNWRITTEN: Final = Written(0, "", "")


class Shape:
    """What kind of call a charge is for, in words. One object per distinct kind; compared by identity."""

    __slots__ = (
        "category",
        "evidence",
        "host",
        "model",
        "model_raw",
        "provider",
        "provider_account",
        "region",
        "service_tier",
        "source_id",
        "written",
    )

    def __init__(
        self,
        *,
        source_id: int,
        provider: str,
        model: str,
        model_raw: str,
        service_tier: str,
        region: str,
        host: str,
        provider_account: str,
        category: str,
        evidence: str,
    ) -> None:
        self.source_id = source_id
        self.provider = provider
        self.model = model
        self.model_raw = model_raw
        self.service_tier = service_tier
        self.region = region
        self.host = host
        self.provider_account = provider_account
        self.category = category
        self.evidence = evidence
        self.written = UNWRITTEN


class Ownership:
    """Whose a charge is, why, and what the source said (`origin`). One object per distinct owner."""

    __slots__ = ("attributed", "ids", "origin", "task_type", "trace", "written")

    def __init__(
        self, *, ids: tuple[int, ...], task_type: str, attributed: bool, origin: JsonObject, trace: JsonList
    ) -> None:
        # team, person, project, agent, customer, key
        self.ids = ids
        self.task_type = task_type
        self.attributed = attributed
        self.origin = origin
        self.trace = trace
        self.written = UNWRITTEN


class Tagging:
    """A call's tags, and the values of the promoted ones by slot (1-10). One object per distinct set."""

    __slots__ = ("slots", "tags", "written")

    def __init__(self, *, tags: tuple[tuple[str, str], ...], slots: Mapping[int, str]) -> None:
        self.tags = tags
        self.slots = slots
        self.written = UNWRITTEN


class Priced(msgspec.Struct, frozen=True, gc=False):
    """What a charge costs, in integer picodollars; `fx_rate` turned `currency` into `reporting_currency`."""

    priced: bool
    price_id: int
    contract_id: int
    currency: str
    list_pico: int
    contracted_pico: int
    effective_pico: int
    billed_pico: int | None
    reporting_currency: str
    reporting_pico: int
    fx_rate: str
    fx_date: date | None


class Posting(msgspec.Struct, frozen=True, gc=False):
    """One charge to be posted. `(key_source_id, key)` claims it once: the source's own id, or a key of the house
    under source 0. `request_key` is the provider's own request, or ''.
    """

    key_source_id: int
    key: str
    request_key: str
    content_hash: bytes
    external_id: str
    occurred_at: datetime
    session: str
    provider_request_id: str
    calls: int
    counts: tuple[int, ...]
    shape: Shape
    ownership: Ownership
    tagging: Tagging
    priced: Priced
    reason: str = ""
    revision: int = 0


class Posted(StrEnum):
    """What became of a posting."""

    CHARGED = "charged"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REVISED = "revised"
    SIGHTED = "sighted"
