"""How answers write amounts and names, and what the schema says of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from finops.core.periods import DayRange
from finops.ledger.selectors import Named
from finops.ledger.types import SpendRow

ZERO = Decimal(0)


@extend_schema_field({"type": "string", "pattern": r"^-?\d+\.\d{12}$", "examples": ["0.003250000000"]})
class MoneyField(serializers.CharField):
    """A decimal as text with the ledger's twelve places; a number of JSON would not keep them."""


class NamedOutput(serializers.Serializer[Any]):
    """One value of a dimension; `value` is what a filter takes."""

    id = serializers.IntegerField()
    value = serializers.CharField()
    name = serializers.CharField()


class PeriodOutput(serializers.Serializer[Any]):
    """`to` is the day after the last one."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # `from` is a word of Python's.
        return {"from": serializers.DateField(), "to": serializers.DateField()}


class MeasuresOutput(serializers.Serializer[Any]):
    calls = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    reporting_cost = MoneyField()


class CostsOutput(serializers.Serializer[Any]):
    """Costs in one billing currency; never add them to another's."""

    currency = serializers.CharField()
    list_cost = MoneyField()
    contracted_cost = MoneyField()
    effective_cost = MoneyField()


def money(amount: Decimal) -> str:
    return f"{amount:.12f}"


def period(days: DayRange) -> dict[str, str]:
    return {"from": days.start.isoformat(), "to": days.end.isoformat()}


def named(one: Named) -> dict[str, Any]:
    return one._asdict()


def names(values: Iterable[tuple[str, str, int]], called: Mapping[str, Mapping[int, Named]]) -> dict[str, Any]:
    """`(name, column, id)` as an object by name."""
    return {name: named(called[column][one]) for name, column, one in values}


def measures(rows: Iterable[SpendRow]) -> dict[str, Any]:
    """Sums over rows of any currency: counts, and the cost in the reporting currency."""
    several = list(rows)
    return {
        "calls": sum(row.calls for row in several),
        "input_tokens": sum(row.input_tokens for row in several),
        "cached_tokens": sum(row.cached_tokens for row in several),
        "output_tokens": sum(row.output_tokens for row in several),
        "reporting_cost": money(sum((row.reporting_cost for row in several), ZERO)),
    }


def costs(row: SpendRow) -> dict[str, str]:
    return {
        "currency": row.currency,
        "list_cost": money(row.list_cost),
        "contracted_cost": money(row.contracted_cost),
        "effective_cost": money(row.effective_cost),
    }
