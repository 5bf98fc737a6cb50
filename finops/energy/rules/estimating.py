"""What calls used, by whichever figure is known of their model: the organization's own, else the method's. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from finops.energy.rules.formula import Spent, spent
from finops.energy.rules.names import plain
from finops.energy.types import NOTHING, Architecture, Footprint, Range, Rate, Site, Use

CONFIGURED: Final = "configured"
METHOD: Final = "ecologits"
# What runs on a machine of one's own runs in no data centre that anybody studied.
OWN_MACHINES: Final = frozenset({"ollama", "vllm", "lmstudio", "lm-studio", "llamacpp", "llama.cpp", "local"})
WORLD: Final = "WOR"
# Of a provider of which nobody said where its models run: whatever is known of any.
PUE_OF_ANY: Final = Range(1.09, 1.20)
_PER_THOUSAND: Final = 1_000.0


class Figure(NamedTuple):
    """The organization's own: watt-hours of a thousand tokens that a model writes, with all that the data centre needs
    beside. `provider` '' is whoever serves it.
    """

    provider: str
    model: str
    wh: Range
    source: str


class Grid(NamedTuple):
    """The organization's own: grams of CO2e of a kilowatt hour where a provider's models run; '' is of all others."""

    provider: str
    zone: str
    grams: Range


class Book(NamedTuple):
    """The method's data. `models` by plain name; where several providers have one of that name, and it is not the same,
    all that it may be. `sites` by provider; `zones` are grams of CO2e of a kilowatt hour. `release` names the edition.
    """

    release: str
    models: Mapping[str, tuple[Architecture, ...]]
    sites: Mapping[str, Site]
    zones: Mapping[str, float]


class Estimator:
    """Made for one organization; figures of its own go before the method's."""

    def __init__(self, book: Book, figures: Iterable[Figure] = (), grids: Iterable[Grid] = ()) -> None:
        self._book = book
        self._figures = {(one.provider.lower(), one.model.lower()): one for one in figures}
        self._grids = {one.provider.lower(): one for one in grids}
        self._known: dict[tuple[str, str], Rate | None] = {}

    def rate(self, provider: str, model: str) -> Rate | None:
        """What calls of a model use; None where nobody knows."""
        key = provider.lower(), model.lower()
        if key not in self._known:
            self._known[key] = self._rate(*key)
        return self._known[key]

    def footprint(self, uses: Iterable[Use]) -> Footprint:
        """Of calls together. Calls that were taken back leave no more than nothing."""
        return together(self.of(one) for one in uses)

    def of(self, use: Use) -> Footprint:
        tokens, calls = max(use.output_tokens, 0), max(use.calls, 0)
        if not tokens and not calls:
            return Footprint(NOTHING, NOTHING, NOTHING)
        rate = self.rate(use.provider, use.model)
        if rate is None:
            named = f"{use.provider}/{use.model}" if use.provider else use.model
            return Footprint(output_tokens=tokens, unknown_tokens=tokens, unknown=(named,))
        wh = rate.token_wh.times(tokens).plus(rate.call_wh.times(calls))
        made = None
        if rate.token_hardware_g is not None and rate.call_hardware_g is not None:
            made = rate.token_hardware_g.times(tokens).plus(rate.call_hardware_g.times(calls))
        return Footprint(wh, wh.by(rate.grid).times(1 / _PER_THOUSAND), made, tokens)

    def among(self, providers: Iterable[str], use: Use) -> Footprint:
        """Of calls of a model that any of these providers may have answered: from the least to the most."""
        each = [self.of(use._replace(provider=provider)) for provider in sorted(set(providers))]
        known = [one for one in each if one.wh is not None]
        if not each or len(known) < len(each):
            # Where one of them is unknown, it may be all of it.
            return next((one for one in each if one.wh is None), self.of(use))
        found = known[0]
        for one in known[1:]:
            found = found._replace(
                wh=_around(found.wh, one.wh), grid_g=_around(found.grid_g, one.grid_g),
                hardware_g=_around(found.hardware_g, one.hardware_g),
            )  # fmt: skip
        return found

    def _rate(self, provider: str, model: str) -> Rate | None:
        own = self._figures.get((provider, model)) or self._figures.get(("", model))
        found = self._book.models.get(plain(model), ()) if provider not in OWN_MACHINES else ()
        site = self._site(provider)
        each = [_spent(one) for one in found]
        if not each and own is None:
            return None
        made = token_made = None
        if each:
            token_made, made = _hull(one.token_hardware_g for one in each), _hull(one.call_hardware_g for one in each)
        if own is not None:
            return Rate(
                token_wh=own.wh.times(1 / _PER_THOUSAND), call_wh=NOTHING, grid=site.grid, basis=CONFIGURED,
                source=own.source, zone=site.zone, token_hardware_g=token_made, call_hardware_g=made,
            )  # fmt: skip
        return Rate(
            token_wh=_hull(one.token_wh for one in each).by(site.pue),
            call_wh=_hull(one.call_wh for one in each).by(site.pue),
            grid=site.grid, basis=METHOD, source=f"EcoLogits {self._book.release}", zone=site.zone,
            token_hardware_g=token_made, call_hardware_g=made,
        )  # fmt: skip

    def _site(self, provider: str) -> Site:
        site = self._book.sites.get(provider)
        if site is None:
            world = self._book.zones[WORLD]
            site = Site(PUE_OF_ANY, Range(world, world), WORLD)
        own = self._grids.get(provider) or self._grids.get("")
        return site if own is None else Site(site.pue, own.grams, own.zone)


def together(parts: Iterable[Footprint]) -> Footprint:
    """The sum, of what is known."""
    found = Footprint()
    for one in parts:
        found = Footprint(
            wh=_plus(found.wh, one.wh),
            grid_g=_plus(found.grid_g, one.grid_g),
            hardware_g=_plus(found.hardware_g, one.hardware_g),
            output_tokens=found.output_tokens + one.output_tokens,
            unknown_tokens=found.unknown_tokens + one.unknown_tokens,
            unknown=tuple(sorted({*found.unknown, *one.unknown})),
        )
    return found


@lru_cache(maxsize=2_000)
def _spent(model: Architecture) -> Spent:
    return spent(model)


def _plus(mine: Range | None, other: Range | None) -> Range | None:
    if mine is None or other is None:
        return other if mine is None else mine
    return mine.plus(other)


def _around(mine: Range | None, other: Range | None) -> Range | None:
    return None if mine is None or other is None else mine.around(other)


def _hull(ranges: Iterable[Range]) -> Range:
    first, *rest = ranges
    for one in rest:
        first = first.around(one)
    return first
