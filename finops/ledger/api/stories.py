"""What one charge's own answer adds to its line: how it was priced, why it is whose it is, what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from finops.core.money import from_pico
from finops.core.tokens import METERS
from finops.ledger import selectors
from finops.ledger.api import shapes
from finops.ledger.api.shapes import MoneyField, NamedOutput, money
from finops.ledger.rules.questions import Dimensions
from finops.ledger.selectors import Named
from finops.ledger.types import UNPRICED, ChargeRow
from finops.pricing import selectors as pricing
from finops.pricing.rules import Line, explain, rate

Called = Mapping[str, Mapping[int, Named]]
Word = Callable[[ChargeRow, str], str]


class PricingLineOutput(serializers.Serializer[Any]):
    """One meter: rates are per `per` units. The lines of a charge add up to it."""

    meter = serializers.CharField()
    count = serializers.IntegerField()
    per = serializers.IntegerField()
    list_rate = serializers.CharField()
    contracted_rate = serializers.CharField()
    list_cost = MoneyField()
    contracted_cost = MoneyField()


class PricingOutput(serializers.Serializer[Any]):
    """`priced`: by the lines. `stated`: by its source, the lines are for comparison. `unpriced`: `reason` says what is
    missing today, and is empty when a price is there by now. `allocated`: a share of another cost."""

    state = serializers.ChoiceField(choices=["priced", "stated", "unpriced", "allocated"])
    reason = serializers.CharField()
    price_id = serializers.IntegerField(allow_null=True)
    contract_id = serializers.IntegerField(allow_null=True)
    lines = PricingLineOutput(many=True)


class AttributionStepOutput(serializers.Serializer[Any]):
    """One step of attribution: what was set, to whom, by what (`explicit`, `key`, `identity`, `derived`, `rule` …)."""

    dimension = serializers.CharField()
    value = NamedOutput(allow_null=True)
    by = serializers.CharField()
    reference = serializers.CharField(help_text="The id of the rule's version, the key or the identity; may be empty.")
    detail = serializers.CharField()


class CorrectionsOutput(serializers.Serializer[Any]):
    reverses = serializers.UUIDField(allow_null=True)
    reversed_by = serializers.UUIDField(allow_null=True)
    replaced_by = serializers.UUIDField(allow_null=True)


class SightingOutput(serializers.Serializer[Any]):
    """The same call as another source saw it. It is money once."""

    source = NamedOutput()  # type: ignore[assignment]
    external_id = serializers.CharField()
    occurred_at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField()
    evidence = serializers.CharField()
    usage = serializers.DictField(child=serializers.IntegerField())
    billed_cost = MoneyField(allow_null=True)
    currency = serializers.CharField(allow_null=True)


def pricing_of(organization_id: int, row: ChargeRow, word: Word) -> dict[str, Any]:
    """At the very price and contract it was booked at, whatever the book says by now."""
    reason, lines, state = "", [], "priced"
    if row.reason == "allocation":
        state = "allocated"
    elif word(row, "state") == UNPRICED:
        state, reason = "unpriced", _missing(organization_id, row, word)
    else:
        found = pricing.charged(
            organization_id,
            price_id=row.price_id,
            contract_id=row.contract_id,
            provider=word(row, "provider"),
            model=word(row, "model"),
        )
        sign = -1 if row.reverses else 1
        if found is not None:
            lines = explain(found, [count * sign for count in row.counts], row.occurred_at)
        whole = sum((from_pico(line.effective_pico) for line in lines), Decimal(0)) * sign
        if row.billed_cost is not None or whole != row.effective_cost:
            state = "stated"
        return _pricing(row, state, reason, [_line(line, sign) for line in lines])
    return _pricing(row, state, reason, [])


def _pricing(row: ChargeRow, state: str, reason: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "state": state,
        "reason": reason,
        "price_id": row.price_id or None,
        "contract_id": row.contract_id or None,
        "lines": lines,
    }


def _missing(organization_id: int, row: ChargeRow, word: Word) -> str:
    """Why there is no price today: the ledger keeps that there was none, not why."""
    sign = -1 if row.reverses else 1
    said = selectors.origin_of(organization_id, row.origin_id).get("provider", "")
    found = pricing.load_pricer(organization_id).find(
        said, row.model_raw, word(row, "service_tier"), word(row, "host"), row.occurred_at.date()
    )
    return rate(found, [count * sign for count in row.counts], row.occurred_at).reason


def _line(line: Line, sign: int) -> dict[str, Any]:
    return {
        "meter": line.meter,
        "count": line.count * sign,
        "per": line.per,
        "list_rate": f"{line.list_rate:f}",
        "contracted_rate": f"{line.contracted_rate:f}",
        "list_cost": money(from_pico(line.list_pico) * sign),
        "contracted_cost": money(from_pico(line.contracted_pico) * sign),
    }


def step(kept: list[Any], known: Dimensions, called: Called) -> dict[str, Any]:
    """`[dimension, value, by, reference, detail]` with names for ids."""
    dimension, value, by, reference, detail = kept
    whose: Named | None = None
    if isinstance(value, str) and value:
        whose = Named(0, value, value)
    elif value and dimension in known:
        whose = called[known.column(dimension)].get(value)
    return {
        "dimension": dimension,
        "value": None if whose is None else shapes.named(whose),
        "by": by,
        "reference": "" if reference in (None, 0) else str(reference),
        "detail": detail,
    }


def corrections_of(organization_id: int, row: ChargeRow) -> dict[str, Any]:
    found = selectors.corrections(organization_id, row)
    return {
        "reverses": row.reverses,
        "reversed_by": found.get("reversed_by"),
        "replaced_by": found.get("replaced_by"),
    }


def sighting(kept: Mapping[str, Any], called: Called) -> dict[str, Any]:
    billed: Decimal | None = kept["billed_cost"]
    return {
        "source": shapes.named(called["source"][kept["source_id"]]),
        "external_id": kept["external_id"],
        "occurred_at": kept["occurred_at"],
        "seen_at": kept["seen_at"],
        "evidence": kept["evidence"],
        "usage": {meter: count for meter, count in zip(METERS, kept["counts"], strict=False) if count},
        "billed_cost": None if billed is None else money(billed),
        "currency": kept["currency"],
    }
