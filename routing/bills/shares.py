"""Where a month's calls and money went: by tier, maker and origin, and what of frontier is needed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple

from finops.core.money import allocate, to_pico
from routing.bills.types import Line, Mix, Need, Needed, OfDay, OfModel, OfType, Shares, Slice, Told
from routing.tiers.hot import Register
from routing.tiers.types import By, Tier

# Shares have four places.
_WHOLE: Final = 10_000
_PLACES: Final = 4
TITLES: Final[Mapping[str, str]] = {
    Tier.FRONTIER: "Frontier",
    Tier.MID: "Mid",
    Tier.LIGHT: "Light",
    Need.NEEDS: "Needs frontier",
    Need.DOES_NOT: "Does not need it",
    Need.UNKNOWN: "Nobody knows",
}
NO_MODEL: Final = "No model"
UNKNOWN: Final = "Unknown"


class _Sum(NamedTuple):
    calls: int = 0
    spend: Decimal = Decimal(0)

    def plus(self, line: Line) -> _Sum:
        return _Sum(self.calls + line.calls, self.spend + line.spend)


def shares_of(mix: Mix, register: Register, told: Callable[[str, str], Told]) -> Shares:
    """`told` says of a task type and a frontier model whether it is needed."""
    tiers: dict[str, _Sum] = {tier.value: _Sum() for tier in Tier}
    vendors: dict[str, _Sum] = {}
    origins: dict[str, _Sum] = {}
    types: dict[str, dict[str, _Sum]] = {}
    frontier: dict[tuple[str, str], _Sum] = {}
    models: dict[tuple[str, str], _Sum] = {}
    days: dict[date, dict[str, _Sum]] = {}
    guessed = Decimal(0)
    for line in mix.lines:
        known = register.of(line.model, line.provider) if line.model else None
        tier = known.tier.value if known else ""
        _add(tiers, tier, line)
        _add(vendors, known.vendor or UNKNOWN if known else "", line)
        _add(origins, known.origin or UNKNOWN if known else "", line)
        _add(types.setdefault(line.task_type, {one.value: _Sum() for one in Tier}), tier, line)
        _add(days.setdefault(line.day, {}), tier, line)
        if known is None:
            continue
        _add(models, (line.provider, line.model), line)
        if known.tier is Tier.FRONTIER:
            _add(frontier, (line.task_type, line.model), line)
        if known.by == By.NAME:
            guessed += line.spend
    needed = [
        Needed(task_type=task_type, model=model, calls=row.calls, spend=row.spend, told=told(task_type, model))
        for (task_type, model), row in frontier.items()
    ]
    needed.sort(key=lambda one: (-one.spend, one.task_type, one.model))
    every = [
        OfModel(known=register.of(model, provider), provider=provider, calls=row.calls, spend=row.spend)
        for (provider, model), row in models.items()
    ]
    return Shares(
        calls=sum(line.calls for line in mix.lines),
        spend=sum((line.spend for line in mix.lines), Decimal(0)),
        unpriced_calls=sum(line.calls for line in mix.lines if line.unpriced),
        guessed_spend=guessed,
        tiers=_slices(tiers, TITLES),
        vendors=_largest(_slices(vendors, {one: register.title(one) for one in vendors})),
        origins=_largest(_slices(origins, {one: one for one in origins})),
        needs=_needs(needed),
        frontier=tuple(needed),
        types=_types(types),
        days=tuple(
            OfDay(day=day, spend=tuple(sums.get(key, _Sum()).spend for key in tiers))
            for day, sums in sorted(days.items())
        ),
        models=tuple(sorted(every, key=lambda one: (-one.spend, one.known.model, one.provider))),
    )


def _add(sums: dict[Any, _Sum], key: Any, line: Line) -> None:
    sums[key] = sums.get(key, _Sum()).plus(line)


def _needs(rows: Iterable[Needed]) -> tuple[Slice, ...]:
    sums: dict[str, _Sum] = {need.value: _Sum() for need in Need}
    for one in rows:
        before = sums[one.told.need.value]
        sums[one.told.need.value] = _Sum(before.calls + one.calls, before.spend + one.spend)
    return _slices(sums, TITLES)


def _types(sums: Mapping[str, Mapping[str, _Sum]]) -> tuple[OfType, ...]:
    rows = [
        OfType(
            task_type=task_type,
            calls=sum(one.calls for one in tiers.values()),
            spend=sum((one.spend for one in tiers.values()), Decimal(0)),
            tiers=_slices(tiers, TITLES),
        )
        for task_type, tiers in sums.items()
    ]
    return tuple(sorted(rows, key=lambda one: (-one.spend, one.task_type)))


def _slices(sums: Mapping[str, _Sum], titles: Mapping[str, str]) -> tuple[Slice, ...]:
    calls = portions({key: max(one.calls, 0) for key, one in sums.items()})
    spend = portions({key: max(to_pico(one.spend), 0) for key, one in sums.items()})
    return tuple(
        Slice(
            key=key,
            title=titles.get(key, key) if key else NO_MODEL,
            calls=one.calls,
            spend=one.spend,
            call_share=calls[key],
            spend_share=spend[key],
        )
        for key, one in sums.items()
    )


def _largest(slices: Iterable[Slice]) -> tuple[Slice, ...]:
    return tuple(sorted(slices, key=lambda one: (-one.spend, one.key)))


def portions(weights: Mapping[str, int]) -> dict[str, Decimal]:
    """Shares of four places that add up to 1; all 0 where everything is nothing."""
    if not any(weights.values()):
        return dict.fromkeys(weights, Decimal(0))
    return {key: Decimal(share).scaleb(-_PLACES) for key, share in allocate(_WHOLE, weights).items()}
