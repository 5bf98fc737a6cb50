"""What crosses bills: a month's calls by model, what they cost, and what they would have."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum

import msgspec

from finops.core.tokens import METER_INDEX
from routing.tiers.types import Known

# Of the counts of a line: what cubes tell apart, and how many calls it is, so that a price by the length of a prompt is
# that of the average one. What was written into a cache is read without it here.
READ = METER_INDEX["input_uncached"]
CACHED = METER_INDEX["cache_read"]
WRITTEN = METER_INDEX["output_text"]
REQUESTS = METER_INDEX["requests"]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one day that were alike: at one model, of one task type ('' for none), and of one project (0 where it
    was not asked). `counts` are in the order of METERS, as far as cubes tell meters apart. `spend` is in the reporting
    currency; where nobody knew the price (`unpriced`) it is nought and means nothing.
    """

    day: date
    provider: str
    model: str
    host: str = ""
    task_type: str = ""
    project_id: int = 0
    unpriced: bool = False
    calls: int
    counts: tuple[int, ...]
    spend: Decimal

    @property
    def of_a_model(self) -> bool:
        """Whether it is calls of a model that writes: shared costs and embeddings go nowhere else."""
        return bool(self.model) and self.writes

    @property
    def writes(self) -> bool:
        return self.counts[WRITTEN] != 0


class Mix(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar month as the ledger has it; `currency` is the organization's."""

    month: date
    currency: str
    lines: tuple[Line, ...]


class Need(StrEnum):
    """Whether frontier is needed, by what was measured. The strings are public."""

    NEEDS = "needs"
    DOES_NOT = "does_not"
    UNKNOWN = "unknown"


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the whole. Shares have four places, and those of one list add up to 1, or are all 0 where there is
    nothing; what was given back counts for nothing in them.
    """

    key: str
    title: str
    calls: int
    spend: Decimal
    call_share: Decimal
    spend_share: Decimal


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the need of a frontier model on a task type. `tasks` is how many more at both models would tell,
    where nobody knows; `cost` what they cost in dollars, None where nobody knows that either. `candidates` are the
    cheaper models that were measured.
    """

    need: Need
    why: str
    tasks: int | None = None
    cost: Decimal | None = None
    candidates: tuple[str, ...] = ()


class Needed(msgspec.Struct, frozen=True, kw_only=True):
    """A frontier model on a task type."""

    task_type: str
    model: str
    calls: int
    spend: Decimal
    told: Told


class OfType(msgspec.Struct, frozen=True, kw_only=True):
    """A task type by tier."""

    task_type: str
    calls: int
    spend: Decimal
    tiers: tuple[Slice, ...]


class OfDay(msgspec.Struct, frozen=True, kw_only=True):
    """A day's spend by tier, in the order of `Shares.tiers`."""

    day: date
    spend: tuple[Decimal, ...]


class OfModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model, and what kind it is."""

    known: Known
    provider: str
    calls: int
    spend: Decimal


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """Where a month's calls went. `unpriced_calls` of them have no price, and are in the shares of calls alone.
    `guessed_spend` is of models whose tier is a guess by their name. `needs` are shares of what went to frontier, and
    `frontier` the same by task type and model, the dearest first. `types` and `models` are the dearest first too.
    `days` are those with calls, the first one first.
    """

    calls: int
    spend: Decimal
    unpriced_calls: int
    guessed_spend: Decimal
    tiers: tuple[Slice, ...]
    vendors: tuple[Slice, ...]
    origins: tuple[Slice, ...]
    needs: tuple[Slice, ...]
    frontier: tuple[Needed, ...]
    types: tuple[OfType, ...]
    models: tuple[OfModel, ...]
    days: tuple[OfDay, ...]


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A model where it is sold; `provider` as the price catalogue has it, or '' for whoever made it."""

    model: str
    provider: str = ""


class Basis(StrEnum):
    """How it was worked out: nothing changes, by prices alone, or by what tasks were measured to cost. The strings are
    public.
    """

    SAME = "same"
    PRICES = "prices"
    MEASURED = "measured"


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One model's calls, and where they would be. `after` is None where nobody can tell; `unpriced` is as much of
    `before` as that holds for, and in no total. `unpriced_calls` had no price to begin with.
    """

    provider: str
    model: str
    to_provider: str
    to_model: str
    basis: Basis
    calls: int
    before: Decimal
    after: Decimal | None
    unpriced: Decimal = Decimal(0)
    unpriced_calls: int = 0
    why: str = ""


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """A month beside what it would have come to. `before` is all that was spent; `after` of as much as can be told, and
    with the fees of plans; `unpriced` the rest of `before`. So the difference is `after - (before - unpriced)`.
    """

    month: date
    currency: str
    before: Decimal
    after: Decimal
    unpriced: Decimal
    unpriced_calls: int
    fees: Decimal
    rows: tuple[Compared, ...]
    notes: tuple[str, ...]

    @property
    def difference(self) -> Decimal:
        """What it would have cost more; negative where less."""
        return self.after - (self.before - self.unpriced)


class Move(msgspec.Struct, frozen=True, kw_only=True, tag="move"):
    """A model's calls would have gone to another one: all, or those of a task type or a project."""

    model: str
    to: Offer
    provider: str = ""
    task_type: str | None = None
    project_id: int | None = None


class Reprice(msgspec.Struct, frozen=True, kw_only=True, tag="price"):
    """A model's prices would have been otherwise, in percent of what they were: -20 is a fifth less."""

    model: str
    provider: str = ""
    read: Decimal = Decimal(0)
    cached: Decimal = Decimal(0)
    written: Decimal = Decimal(0)


class Drop(msgspec.Struct, frozen=True, kw_only=True, tag="drop"):
    """Nothing would have been had of a maker: its calls would have gone to `instead`, by model, or to `otherwise`."""

    vendor: str
    instead: dict[str, Offer] = {}
    otherwise: Offer | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True, tag="plan"):
    """A fee for the month (in the reporting currency), and so many percent off what a maker or a model costs."""

    fee: Decimal
    percent: Decimal
    vendor: str = ""
    model: str = ""


Change = Move | Reprice | Drop | Plan
