"""Splits shared costs among owners: exact, total before = total after, and every line says why."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from finops.attribution.types import AllocationLine, Method, SharedCost, WhenEmpty
from finops.core.errors import Invalid
from finops.core.money import allocate

# Percentages have four places, so that a whole is this many parts.
WHOLE: Final = 1_000_000
_PLACES: Final = 4
# The share of nobody: what fixed percentages leave in the pool. Owners' ids are positive.
_REST: Final = 0


class BadSplit(Invalid):
    code = "attribution.bad_split"


def percentage_weights(percentages: Mapping[int, Decimal], *, field: str = "percentages") -> dict[int, int]:
    """Percentages as parts of WHOLE. Raises BadSplit unless each is above 0, has four places, and they fit in 100."""
    if not percentages:
        raise BadSplit("fixed shares need a percentage for each target", field=field)
    weights = {}
    for target, percentage in percentages.items():
        path = f"{field}.{target}"
        if not percentage.is_finite():
            raise BadSplit("a percentage is a decimal number", field=path)
        parts = percentage.scaleb(_PLACES)
        if not 0 < parts <= WHOLE or parts != parts.to_integral_value():
            raise BadSplit("a percentage is above 0, at most 100, and has at most four places", field=path)
        weights[target] = int(parts)
    if sum(weights.values()) > WHOLE:
        raise BadSplit("percentages sum to more than 100", field=field)
    return weights


def split(
    shared: SharedCost, *, pools: Mapping[tuple[int, str], int], targets: tuple[int, ...], usage: Mapping[int, int]
) -> list[AllocationLine]:
    """The lines that move pools to targets.

    `pools` maps (source id, currency) to picodollars; `targets` are the owners to share among (the rule's own, or
    every active one); `usage` maps a target to what it used, in any one unit, and only `Method.USAGE` looks at it. A
    target whose net usage is negative (credits) weighs nothing. Each pool's lines sum to zero: the first takes from the
    pool exactly what the others give. No share has another sign than its pool. A pool of zero, or one that nobody is
    there to share, has no lines and stays where it is.
    """
    weights = _weights(shared, targets, usage)
    lines: list[AllocationLine] = []
    if not weights:
        return lines
    weight_total = sum(weights.values())
    for (source_id, currency), pool in sorted(pools.items()):
        shares = allocate(pool, weights)
        shares.pop(_REST, None)
        given = sum(shares.values())
        if not given:
            continue
        line = (shared.version_id, source_id, currency, shared.dimension)
        lines.append(AllocationLine(*line, _REST, -given, sum(weights[target] for target in shares), weight_total))
        lines.extend(
            AllocationLine(*line, target, shares[target], weights[target], weight_total)
            for target in sorted(shares)
            if shares[target]
        )
    return lines


def _weights(shared: SharedCost, targets: tuple[int, ...], usage: Mapping[int, int]) -> dict[int, int]:
    if shared.method is Method.FIXED:
        weights = percentage_weights(shared.percentages)
        rest = WHOLE - sum(weights.values())
        return {**weights, _REST: rest} if rest else weights
    if shared.method is Method.EVEN:
        return dict.fromkeys(targets, 1)
    weights = {target: max(usage.get(target, 0), 0) for target in targets}
    if not any(weights.values()):
        return dict.fromkeys(targets, 1) if shared.when_empty is WhenEmpty.EVEN else {}
    return weights
