"""One charge, told step by step: what was received, how it was priced, whose it is and why, how it was corrected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.urls import reverse

from dashboards import reading
from dashboards.access import Here
from dashboards.scope import Scope
from finops.core.money import from_pico
from finops.core.tokens import METERS
from finops.ledger import selectors as ledger
from finops.ledger.types import ChargeRow
from finops.orgs.rules import PEOPLE_DIMENSIONS, Permission
from finops.pricing import selectors as pricing
from finops.pricing.rules import Line, explain

SHOWN: Final = (
    "team",
    "person",
    "project",
    "agent",
    "customer",
    "key",
    "source",
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
_BY: Final = {
    "explicit": "The source named it",
    "key": "The virtual key it was called with says so",
    "identity": "An identity of the call belongs to this person",
    "derived": "Follows from another owner already known",
    "rule": "An attribution rule matched",
    "unknown": "The source named somebody nobody here knows",
    "archived": "The owner named was archived before the call",
    "allocation": "A shared cost was split",
}
REASONS: Final = {
    "model_unknown": "No price book knows this model.",
    "meter_unpriced": "The model has a price, but not for one of the quantities this call used.",
    "tier_unknown": "The model has a price, but not for the service tier that served this call.",
    "currency_unknown": "No exchange rate is near enough to the day of this call.",
}


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One meter: how many, at what rate, and what it came to."""

    meter: str
    count: int
    per: int
    list_rate: Decimal
    contracted_rate: Decimal
    list_cost: Decimal
    contracted_cost: Decimal


@dataclass(frozen=True, slots=True)
class Pricing:
    """How the amounts came about, at the very prices the line was booked at. `agrees` is False should they not add up
    to what was posted: a fault worth seeing, not hiding."""

    lines: tuple[PriceLine, ...]
    agrees: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of attribution: what was set, to whom, and why."""

    dimension: str
    value: str
    by: str
    detail: str
    note: bool


@dataclass(frozen=True, slots=True)
class ChargeStory:
    row: ChargeRow
    facts: tuple[tuple[str, str, str], ...]
    meters: tuple[tuple[str, int], ...]
    pricing: Pricing
    reasons: tuple[Reason, ...]
    chain: tuple[tuple[str, str, str], ...]
    sightings: tuple[Mapping[str, Any], ...]
    state: str


def story(here: Here, scope: Scope, row: ChargeRow) -> ChargeStory:
    """A handful of small questions, none of which grows with the ledger."""
    named = {name: reading.names(scope, here.caller, name, {row.dimensions.get(name, 0)}) for name in _present(row)}
    labels = {name: next(iter(found.values())) for name, found in named.items()}
    return ChargeStory(
        row=row,
        facts=_facts(here, scope, row, labels),
        meters=tuple((meter, count) for meter, count in zip(METERS, row.counts, strict=True) if count),
        pricing=_pricing(here, row, labels),
        reasons=_reasons(here, scope, row),
        chain=_chain(here, row),
        sightings=tuple(_sightings(here, scope, row)),
        state=labels.get("state", ""),
    )


def _present(row: ChargeRow) -> list[str]:
    return [name for name in SHOWN if row.dimensions.get(name)]


def _facts(here: Here, scope: Scope, row: ChargeRow, labels: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    """Label, value and the address of everything else with that value."""
    spend = reverse("dashboards:spend", kwargs={"organization": here.caller.organization_slug})
    found = []
    for name, label in labels.items():
        may = here.caller.can(Permission.SPEND_READ) and (here.caller.sees_people or name not in PEOPLE_DIMENSIONS)
        narrowed = scope.narrowed_to({name: row.dimensions[name]})
        found.append((scope.dimensions.label(name), label, f"{spend}?{narrowed.query()}" if may else ""))
    return tuple(found)


def _pricing(here: Here, row: ChargeRow, labels: Mapping[str, str]) -> Pricing:
    # The very prices it was booked at: what the book or a contract says by now may be something else.
    found = pricing.charged(
        here.id,
        price_id=row.price_id,
        contract_id=row.contract_id,
        provider=labels.get("provider", ""),
        model=labels.get("model", ""),
    )
    if found is None:
        return Pricing((), agrees=True, reason=REASONS.get(row.reason, row.reason))
    sign = -1 if row.reverses else 1
    lines = explain(found, [count * sign for count in row.counts], row.occurred_at)
    whole = sum((from_pico(line.effective_pico) for line in lines), Decimal(0)) * sign
    # What its source stated is posted as stated: the lines then stand for comparison and need not add up to it.
    agrees = row.billed_cost is not None or whole == row.effective_cost
    return Pricing(tuple(_line(line, sign) for line in lines), agrees=agrees, reason="")


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


def _reasons(here: Here, scope: Scope, row: ChargeRow) -> tuple[Reason, ...]:
    steps = ledger.charge_steps(here.id, row)
    wanted: dict[str, set[int]] = {}
    for dimension, value, *_rest in steps:
        if value and dimension in scope.dimensions:
            wanted.setdefault(dimension, set()).add(value)
    called = {name: reading.names(scope, here.caller, name, ids) for name, ids in wanted.items()}
    return tuple(
        Reason(
            dimension=scope.dimensions.label(dimension),
            value=called.get(dimension, {}).get(value, "") or (detail if not value else f"#{value}"),
            by=_BY.get(by, by),
            detail=detail if value else "",
            note=by in {"unknown", "archived"},
        )
        for dimension, value, by, _reference, detail in steps
    )


def _chain(here: Here, row: ChargeRow) -> tuple[tuple[str, str, str], ...]:
    """What this charge corrects and what corrects it: sentence, id, address."""
    links = dict(ledger.corrections(here.id, row))
    if row.reverses:
        links["reverses"] = row.reverses
    words = {
        "reverses": "This line reverses",
        "reversed_by": "Reversed by",
        "replaced_by": "Replaced by",
    }
    return tuple(
        (
            words[kind],
            str(other),
            reverse("dashboards:charge", kwargs={"organization": here.caller.organization_slug, "charge_id": other}),
        )
        for kind, other in sorted(links.items())
    )


def _sightings(here: Here, scope: Scope, row: ChargeRow) -> list[Mapping[str, Any]]:
    seen = ledger.sightings(here.id, row.id)
    if not seen:
        return []
    sources = reading.names(scope, here.caller, "source", {one["source_id"] for one in seen})
    return [{**one, "source": sources[one["source_id"]]} for one in seen]
