"""The story of one charge: how it was priced, why it is whose it is, what became of it, and who else saw the call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from finops.core.money import from_pico
from finops.core.tokens import METERS
from finops.ledger.selectors.charges import charge_steps, corrections, origin_of, sightings
from finops.ledger.selectors.names import Named, named
from finops.ledger.types import DIMENSIONS, UNPRICED, ChargeRow
from finops.pricing import selectors as pricing
from finops.pricing.rules import Line, explain, rate

Called = Mapping[str, Mapping[int, Named]]


class PricingState(StrEnum):
    """By the lines; by its source, the lines being for comparison; not at all; or as a share of another cost."""

    PRICED = "priced"
    STATED = "stated"
    UNPRICED = "unpriced"
    ALLOCATED = "allocated"


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One meter: how many, at what rate per `per` units, and what it came to. Negative in a reversal."""

    meter: str
    count: int
    per: int
    list_rate: Decimal
    contracted_rate: Decimal
    list_cost: Decimal
    contracted_cost: Decimal


@dataclass(frozen=True, slots=True)
class Pricing:
    """How the amounts came about, at the very price and contract they were booked at, whatever the book says by now.

    `reason` says what an unpriced charge lacks today, '' when a price is there by now. `agrees` is False should the
    lines not add up to what was posted though no source stated it: a fault worth seeing, not hiding.
    """

    state: PricingState
    reason: str = ""
    lines: tuple[PriceLine, ...] = ()
    agrees: bool = True


@dataclass(frozen=True, slots=True)
class AttributionStep:
    """One step of attribution: what was set, to whom, by what; `reference` is the id of the rule's version, key …"""

    dimension: str
    value: Named | None
    by: str
    reference: str
    detail: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """The same call as another source saw it. It is money once."""

    source: Named
    external_id: str
    occurred_at: datetime
    seen_at: datetime
    evidence: str
    usage: Mapping[str, int]
    billed_cost: Decimal | None
    currency: str | None
    # By which it was told to be the same: `request`, or `content`, which is likely and not certain.
    matched_by: str


@dataclass(frozen=True, slots=True)
class Story:
    """`called` names everything the charge refers to, by column and id."""

    row: ChargeRow
    called: Called
    pricing: Pricing
    steps: tuple[AttributionStep, ...]
    reversed_by: UUID | None
    replaced_by: UUID | None
    sightings: tuple[Sighting, ...]


def story(organization_id: int, row: ChargeRow) -> Story:
    """A handful of small questions, none of which grows with the ledger."""
    steps = charge_steps(organization_id, row)
    seen = sightings(organization_id, row.id)
    wanted = _wanted([row])
    for dimension, value, *_ in steps:
        if value and dimension in DIMENSIONS:
            wanted.setdefault(dimension, set()).add(value)
    wanted.setdefault("source", set()).update(one["source_id"] for one in seen)
    called = named(organization_id, wanted)
    links = corrections(organization_id, row)
    return Story(
        row=row,
        called=called,
        pricing=_pricing(organization_id, row, called),
        steps=tuple(_step(one, called) for one in steps),
        reversed_by=links.get("reversed_by"),
        replaced_by=links.get("replaced_by"),
        sightings=tuple(_sighting(one, called) for one in seen),
    )


def charge_names(organization_id: int, rows: Iterable[ChargeRow]) -> Called:
    """What everything that these charges refer to is called, looked up together."""
    return named(organization_id, _wanted(rows))


def usage(counts: Iterable[int]) -> dict[str, int]:
    """Counts by meter, those there are."""
    return {meter: count for meter, count in zip(METERS, counts, strict=False) if count}


def _wanted(rows: Iterable[ChargeRow]) -> dict[str, set[int]]:
    wanted: dict[str, set[int]] = {}
    for row in rows:
        for column, one in row.dimensions.items():
            if one:
                wanted.setdefault(column, set()).add(one)
    return wanted


def _word(row: ChargeRow, column: str, called: Called) -> str:
    one = row.dimensions[column]
    return called[column][one].value if one else ""


def _pricing(organization_id: int, row: ChargeRow, called: Called) -> Pricing:
    if row.reason == "allocation":
        return Pricing(PricingState.ALLOCATED)
    sign = -1 if row.reverses else 1
    counts = [count * sign for count in row.counts]
    if _word(row, "state", called) == UNPRICED:
        return Pricing(PricingState.UNPRICED, reason=_missing(organization_id, row, counts, called))
    found = pricing.charged(
        organization_id,
        price_id=row.price_id,
        contract_id=row.contract_id,
        provider=_word(row, "provider", called),
        model=_word(row, "model", called),
    )
    lines = [] if found is None else explain(found, counts, row.occurred_at)
    whole = sum((from_pico(line.effective_pico) for line in lines), Decimal(0)) * sign
    adds_up = whole == row.effective_cost
    return Pricing(
        PricingState.PRICED if row.billed_cost is None and adds_up else PricingState.STATED,
        lines=tuple(_line(line, sign) for line in lines),
        # What its source stated is posted as stated: the lines then need not add up to it.
        agrees=adds_up or row.billed_cost is not None or found is None,
    )


def _missing(organization_id: int, row: ChargeRow, counts: list[int], called: Called) -> str:
    """Why there is no price today: the ledger keeps that there was none, not why."""
    said = origin_of(organization_id, row.origin_id).get("provider", "")
    found = pricing.load_pricer(organization_id).find(
        said, row.model_raw, _word(row, "service_tier", called), _word(row, "host", called), row.occurred_at.date()
    )
    return rate(found, counts, row.occurred_at).reason


def _line(line: Line, sign: int) -> PriceLine:
    return PriceLine(
        meter=line.meter,
        count=line.count * sign,
        per=line.per,
        list_rate=line.list_rate,
        contracted_rate=line.contracted_rate,
        list_cost=from_pico(line.list_pico) * sign,
        contracted_cost=from_pico(line.contracted_pico) * sign,
    )


def _step(kept: list[Any], called: Called) -> AttributionStep:
    dimension, value, by, reference, detail = kept
    return AttributionStep(
        dimension=dimension,
        value=called.get(dimension, {}).get(value) if value else None,
        by=by,
        reference=str(reference) if reference else "",
        detail=detail,
    )


def _sighting(kept: Mapping[str, Any], called: Called) -> Sighting:
    return Sighting(
        source=called["source"][kept["source_id"]],
        external_id=kept["external_id"],
        occurred_at=kept["occurred_at"],
        seen_at=kept["seen_at"],
        evidence=kept["evidence"],
        usage=usage(kept["counts"]),
        billed_cost=kept["billed_cost"],
        currency=kept["currency"],
        matched_by=kept["matched_by"],
    )
