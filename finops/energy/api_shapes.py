"""How energy looks over REST, here and wherever else it is told."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from finops.energy.types import Footprint, Range


class RangeOutput(serializers.Serializer[Any]):
    """Both bounds are possible; the truth is taken to be between them."""

    lower = serializers.FloatField()
    upper = serializers.FloatField()


class FootprintOutput(serializers.Serializer[Any]):
    """`wh` are watt-hours, `grid_g_co2e` grams of CO2e of that electricity, `hardware_g_co2e` of making the machines,
    where that is known. Null: nothing is known of any call. Of `output_tokens`, `unknown_output_tokens` are of models
    that nobody knows (`unknown_models`); they are in none of the figures.
    """

    wh = RangeOutput(allow_null=True)
    grid_g_co2e = RangeOutput(allow_null=True)
    hardware_g_co2e = RangeOutput(allow_null=True)
    output_tokens = serializers.IntegerField()
    unknown_output_tokens = serializers.IntegerField()
    unknown_models = serializers.ListField(child=serializers.CharField())


def footprint(one: Footprint) -> dict[str, Any]:
    return {
        "wh": ranged(one.wh),
        "grid_g_co2e": ranged(one.grid_g),
        "hardware_g_co2e": ranged(one.hardware_g),
        "output_tokens": one.output_tokens,
        "unknown_output_tokens": one.unknown_tokens,
        "unknown_models": list(one.unknown),
    }


def ranged(one: Range | None) -> dict[str, float] | None:
    return None if one is None else {"lower": one.lower, "upper": one.upper}
