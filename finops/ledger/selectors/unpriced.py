"""Calls nobody knows the price of, by provider and model: from rollups, so as fast as any total."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final

from finops.core.periods import DayRange
from finops.ledger.selectors.labels import term_ids
from finops.ledger.selectors.names import Named, named
from finops.ledger.selectors.spend import spend
from finops.ledger.types import UNPRICED, Grain, SpendQuestion, SpendRow

Filters = Mapping[str, frozenset[int]]
_ALL: Final[Filters] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class UnpricedGroup:
    """Unpriced calls of one model at one provider, and the first and last UTC day they were made on."""

    provider: Named
    model: Named
    calls: int
    input_tokens: int
    output_tokens: int
    first_day: date
    last_day: date


def unpriced(organization_id: int, period: DayRange, filters: Filters = _ALL) -> list[UnpricedGroup]:
    """The groups, most calls first, then by provider and model. Calls that were rated since are not among them."""
    state = term_ids(organization_id, "state", [UNPRICED]).get(UNPRICED)
    wished = filters.get("state")
    if state is None or (wished is not None and state not in wished) or not all(map(len, filters.values())):
        return []
    of_state = {**filters, "state": frozenset({state})}
    by_day = spend(SpendQuestion(organization_id, period, ("model",), of_state, Grain.DAY))
    days: dict[tuple[int, int], list[SpendRow]] = defaultdict(list)
    several: list[int] = []
    providers = _providers(organization_id, period, {row.values[0] for row in by_day})
    for row in by_day:
        model = row.values[0]
        if len(providers[model]) == 1:
            days[next(iter(providers[model])), model].append(row)
        else:
            several.append(model)
    if several:
        # The same name at several providers: only the wide cube knows which of them had no price.
        of_models = {**of_state, "model": frozenset(several)}
        for row in spend(SpendQuestion(organization_id, period, ("provider", "model"), of_models, Grain.DAY)):
            days[row.values[0], row.values[1]].append(row)
    return _groups(organization_id, days)


def _providers(organization_id: int, period: DayRange, models: Iterable[int]) -> dict[int, set[int]]:
    """Where each model was called at, priced or not: the pair has a cube of its own."""
    found: dict[int, set[int]] = {model: set() for model in models}
    if found:
        of_models = {"model": frozenset(found)}
        for row in spend(SpendQuestion(organization_id, period, ("provider", "model"), of_models)):
            found[row.values[1]].add(row.values[0])
    return found


def _groups(organization_id: int, days: Mapping[tuple[int, int], list[SpendRow]]) -> list[UnpricedGroup]:
    names = named(organization_id, {"provider": {pair[0] for pair in days}, "model": {pair[1] for pair in days}})
    found = []
    for (provider, model), rows in days.items():
        called: dict[date, int] = defaultdict(int)
        for row in rows:
            if row.bucket is not None:
                called[row.bucket] += row.calls
        seen = sorted(day for day, calls in called.items() if calls > 0)
        if seen:
            found.append(
                UnpricedGroup(
                    provider=names["provider"][provider],
                    model=names["model"][model],
                    calls=sum(row.calls for row in rows),
                    input_tokens=sum(row.input_tokens for row in rows),
                    output_tokens=sum(row.output_tokens for row in rows),
                    first_day=seen[0],
                    last_day=seen[-1],
                )
            )
    return sorted(found, key=lambda group: (-group.calls, group.provider.name, group.model.name))
