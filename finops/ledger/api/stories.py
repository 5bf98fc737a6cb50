"""What one charge's own answer adds to its line: how it was priced, why it is whose it is, what became of it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from finops.ledger.api import shapes
from finops.ledger.api.shapes import MoneyField, NamedOutput, money
from finops.ledger.selectors.stories import AttributionStep, PriceLine, PricingState, Sighting, Story


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

    state = serializers.ChoiceField(choices=[state.value for state in PricingState])
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
    matched_by = serializers.ChoiceField(
        choices=["request", "content"],
        help_text="What told it to be the same call: the provider's id, or what it says, which is likely, not certain.",
    )


def told(story: Story) -> dict[str, Any]:
    row, pricing = story.row, story.pricing
    return {
        "pricing": {
            "state": pricing.state.value,
            "reason": pricing.reason,
            "price_id": row.price_id or None,
            "contract_id": row.contract_id or None,
            "lines": [_line(line) for line in pricing.lines],
        },
        "attribution": [_step(step) for step in story.steps],
        "corrections": {
            "reverses": row.reverses,
            "reversed_by": story.reversed_by,
            "replaced_by": story.replaced_by,
        },
        "sightings": [_sighting(one) for one in story.sightings],
    }


def _line(line: PriceLine) -> dict[str, Any]:
    return {
        "meter": line.meter,
        "count": line.count,
        "per": line.per,
        "list_rate": f"{line.list_rate:f}",
        "contracted_rate": f"{line.contracted_rate:f}",
        "list_cost": money(line.list_cost),
        "contracted_cost": money(line.contracted_cost),
    }


def _step(step: AttributionStep) -> dict[str, Any]:
    return {
        "dimension": step.dimension,
        "value": None if step.value is None else shapes.named(step.value),
        "by": step.by,
        "reference": step.reference,
        "detail": step.detail,
    }


def _sighting(seen: Sighting) -> dict[str, Any]:
    return {
        "source": shapes.named(seen.source),
        "external_id": seen.external_id,
        "occurred_at": seen.occurred_at,
        "seen_at": seen.seen_at,
        "evidence": seen.evidence,
        "usage": dict(seen.usage),
        "billed_cost": None if seen.billed_cost is None else money(seen.billed_cost),
        "currency": seen.currency,
        "matched_by": seen.matched_by,
    }
