"""Which price holds: the catalogue's, changed by what the organization agreed, on a day.

What is fixed for a tier, a day and a model is worked out once and kept: asking again is one dictionary look-up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Final, NamedTuple

from finops.core.money import price_units, to_price
from finops.core.tokens import METER_INDEX, METERS
from finops.pricing.rules.names import Names, apply_aliases, canonical_tier
from finops.pricing.rules.rating import Found
from finops.pricing.types import AliasRule, ContractTerms, PriceVersion, RateCard, RateStep, StepRates

ANY_TIER: Final = "*"
DISCOUNT: Final = "discount"
COMMITTED: Final = "committed"
CUSTOM: Final = "custom"
# Names are a stranger's words: what is remembered of them is bounded.
_MOST_REMEMBERED: Final = 50_000
# A model without a fee per request has none: the one meter whose missing price is truly zero, unless nothing about the
# model is priced by our meters (by the hour, by the page), when even a request is of unknown price.
_FREE_WHEN_MISSING: Final = METER_INDEX["requests"]
_HUNDRED: Final = Decimal(100)


class Catalogue:
    """The public price book: names, aliases and price versions. Immutable; one a process, shared by all."""

    def __init__(self, names: Names, prices: Iterable[PriceVersion], aliases: Iterable[AliasRule] = ()) -> None:
        self.names = names
        self.aliases = tuple(aliases)
        self._versions: dict[tuple[str, str, str], list[PriceVersion]] = {}
        self._models: set[tuple[str, str]] = set()
        self._tiers: dict[tuple[str, str], set[str]] = {}
        for price in prices:
            self._versions.setdefault((price.provider, price.model, price.tier), []).append(price)
            self._models.add((price.provider, price.model))
            self._tiers.setdefault((price.provider, price.model), set()).add(price.tier)

    def on(self, provider: str, model: str, tier: str, day: date) -> tuple[PriceVersion, ...]:
        """The versions in force on a day, off-peak windows first."""
        versions = self._versions.get((provider, model, tier), ())
        return tuple(sorted((one for one in versions if _holds(one, day)), key=_windows_first))

    def has_model(self, model: str) -> bool:
        """Some provider has a model of exactly this canonical name."""
        wanted = model.strip().lower()
        return any(name.lower() == wanted for _, name in self._models)

    def tiers(self, provider: str, model: str) -> frozenset[str]:
        """The tiers a model was ever sold in; '' is the standard one."""
        return frozenset(self._tiers.get((provider, model), ()))

    def knows(self, provider: str, model: str) -> bool:
        return (provider, model) in self._models

    def models(self, providers: Collection[str]) -> list[tuple[str, str]]:
        """Every model there ever was a price for of these providers."""
        return [one for one in self._models if one[0] in providers]


class Overrides:
    """What one organization wrote: contracts, models of its own, aliases. Immutable."""

    def __init__(self, contracts: Iterable[ContractTerms] = (), aliases: Iterable[AliasRule] = ()) -> None:
        self.aliases = tuple(aliases)
        self._agreed: dict[str, list[ContractTerms]] = {}
        self._own: dict[tuple[str, str], list[ContractTerms]] = {}
        for terms in contracts:
            if terms.kind == CUSTOM:
                self._own.setdefault((terms.provider, terms.model.lower()), []).append(terms)
            else:
                self._agreed.setdefault(terms.provider, []).append(terms)

    def own(self, provider: str, model: str, host: str) -> list[ContractTerms]:
        """The organization's own prices for a model, any day; a host named in one must be the call's."""
        found = self._own.get((provider, model.strip().lower()), [])
        return [terms for terms in found if terms.host in ("", host)]

    def agreed(self, provider: str, model: str, tier: str, day: date) -> ContractTerms | None:
        """The most specific contract in force: model before provider, named tier before any, price before discount."""
        fitting = [
            terms
            for terms in self._agreed.get(provider, ())
            if terms.model in ("", model) and terms.tier in (ANY_TIER, tier) and _holds(terms, day)
        ]
        return max(fitting, key=_specificity, default=None)


class _Target(NamedTuple):
    """Whom a name turned out to mean. `owner` is the provider whose price it is, '' when the catalogue has none."""

    provider: str
    model: str
    owner: str
    own: tuple[ContractTerms, ...]


class Pricer:
    """An organization's prices at one moment. Pure: the same questions always get the same answers."""

    def __init__(self, catalogue: Catalogue, overrides: Overrides | None = None) -> None:
        self._catalogue = catalogue
        self._overrides = overrides or Overrides()
        self._remembered: dict[tuple[str, str, str, str, date], Found] = {}
        self._targets: dict[tuple[str, str, str], _Target] = {}
        self._made: dict[tuple[object, ...], Found] = {}

    def find(self, provider: str, model: str, tier: str, host: str, day: date) -> Found:
        """The day's prices for names as a source wrote them; `cards` is empty and `reason` says why if there are none.

        The same object comes back for days that share a price, so `Found` may be compared by identity.
        """
        key = (provider, model, tier, host, day)
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
                self._targets.clear()
                self._made.clear()
            found = self._remembered[key] = self._find(*key)
        return found

    def _find(self, provider: str, model: str, tier: str, host: str, day: date) -> Found:
        place = (provider, model, host)
        target = self._targets.get(place)
        if target is None:
            target = self._targets[place] = self._target(*place)
        tier = canonical_tier(tier)
        own = _own_on(target.own, tier, day)
        if own is not None:
            return self._keep((target.provider, target.model, "own", own.id), (own_card(own),))
        if not target.owner:
            return self._keep((target.provider, target.model), (), "model_unknown")
        # Another's variants are not this provider's: of OpenAI's models at Azure only the standard price is known.
        versions = (
            self._catalogue.on(target.owner, target.model, tier, day)
            if not tier or target.owner == target.provider
            else ()
        )
        terms = self._overrides.agreed(target.provider, target.model, tier, day)
        if not versions:
            return self._keep((target.provider, target.model, tier), (), "tier_unknown" if tier else "model_unknown")
        identity = (target.provider, target.model, terms.id if terms else 0, *(one.id for one in versions))
        made = self._made.get(identity)
        return made or self._keep(identity, tuple(card(one, terms) for one in versions))

    def _keep(self, identity: tuple[object, ...], cards: tuple[RateCard, ...], reason: str = "") -> Found:
        made = self._made.get(identity)
        if made is None:
            made = self._made[identity] = Found(str(identity[0]), str(identity[1]), cards, reason)
        return made

    def _target(self, provider: str, model: str, host: str) -> _Target:
        names = self._catalogue.names
        seller = names.provider(host) if host.strip() else None
        known = seller or names.provider(provider) or self._from_model(provider, model)
        said = known or provider.strip().lower()
        wanted = model.strip()
        alias = apply_aliases(self._overrides.aliases, said, model) or apply_aliases(
            self._catalogue.aliases, said, model
        )
        if alias:
            said, wanted = alias[0] or said, alias[1]
            known = names.provider(said)
        own = tuple(self._overrides.own(said, wanted, host.strip().lower()))
        if host.strip() and not seller:
            # Served by a machine the catalogue does not sell: its maker's price would be a guess.
            return _Target(said, wanted, "", own)
        hit = names.model(known, wanted) if known else None
        if hit is None or not self._catalogue.knows(*hit):
            return _Target(said, wanted, "", own)
        return _Target(said, hit[1], hit[0], own or tuple(self._overrides.own(said, hit[1], host.strip().lower())))

    def _from_model(self, provider: str, model: str) -> str | None:
        names = self._catalogue.names
        return names.provider_of_model(model) if names.is_gateway(provider) else None


def card(version: PriceVersion, terms: ContractTerms | None) -> RateCard:
    """A price version as rates, list beside contracted; the contracted price is rounded to six places once, here."""
    start, end = parse_window(version.window)
    agreed = terms.steps if terms is not None and terms.kind == COMMITTED else ()
    discount = terms.percent if terms is not None and terms.kind == DISCOUNT else Decimal(0)
    missing: set[int] = set()
    steps = []
    for threshold in sorted({step.above_input_tokens for step in (*version.steps, *agreed)} | {0}):
        listed, contracted = _rates_above(version.steps, threshold), _rates_above(agreed, threshold)
        list_rates, contracted_rates = [], []
        for index, meter in enumerate(METERS):
            price, own = listed.get(meter), contracted.get(meter)
            if price is None and own is None and (index != _FREE_WHEN_MISSING or not (listed or contracted)):
                missing.add(index)
            price = price if price is not None else own or Decimal(0)
            if own is None:
                own = to_price(price * (_HUNDRED - discount) / _HUNDRED) if discount else price
            list_rates.append(price_units(price))
            contracted_rates.append(price_units(own))
        steps.append(_step(threshold, list_rates, contracted_rates))
    contract_id = terms.id if terms is not None else 0
    return RateCard(version.id, contract_id, version.currency, tuple(steps), frozenset(missing), start, end)


def own_card(terms: ContractTerms) -> RateCard:
    """A model of the organization's own: its price is list and contracted at once."""
    version = PriceVersion(0, terms.provider, terms.model, terms.tier, "", None, None, terms.currency, terms.steps)
    made = card(version, None)
    return RateCard(0, terms.id, made.currency, made.steps, made.missing)


def parse_window(window: str) -> tuple[time | None, time | None]:
    """`HH:MM-HH:MM` as two times, '' as the whole day."""
    if not window:
        return None, None
    start, _, end = window.partition("-")
    return time.fromisoformat(start), time.fromisoformat(end)


def _step(threshold: int, listed: list[int], contracted: list[int]) -> RateStep:
    rates = tuple(listed)
    # One object where the two agree, so that rating multiplies once.
    return RateStep(threshold, rates, rates if listed == contracted else tuple(contracted))


def _rates_above(steps: Sequence[StepRates], threshold: int) -> Mapping[str, Decimal]:
    chosen: Mapping[str, Decimal] = {}
    for step in steps:
        if step.above_input_tokens > threshold:
            break
        chosen = step.rates
    return chosen


def _holds(dated: PriceVersion | ContractTerms, day: date) -> bool:
    starts = dated.effective_from is None or dated.effective_from <= day
    return starts and (dated.effective_to is None or day < dated.effective_to)


def _windows_first(version: PriceVersion) -> tuple[bool, str, int]:
    return (not version.window, version.window, version.id)


def _specificity(terms: ContractTerms) -> tuple[bool, bool, bool, date, int]:
    return (bool(terms.model), terms.tier != ANY_TIER, terms.kind == COMMITTED, terms.effective_from, terms.id)


def _own_on(own: tuple[ContractTerms, ...], tier: str, day: date) -> ContractTerms | None:
    fitting = [terms for terms in own if terms.tier in (ANY_TIER, tier) and _holds(terms, day)]
    return max(fitting, key=lambda terms: (bool(terms.host), terms.tier != ANY_TIER, terms.id), default=None)
