"""What kind of model a model is, by name. No Django, no database: a gateway may ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

from routing.tiers import rules
from routing.tiers.types import By, Entry, Known, Tier

# Dollars per million tokens by list price (`rules.INPUT_SHARE`): of a provider's model; None where nobody knows.
Prices = Callable[[str, str], Decimal | None]
# Names are a stranger's words: what is remembered of them is bounded.
_MOST_REMEMBERED: Final = 20_000
_RESELLER: Final = "openrouter"


def no_prices(_provider: str, _model: str) -> Decimal | None:
    return None


class Register:
    """Immutable: the same question always gets the same answer. What the organization says goes before what is
    shipped, an exact name before one that ends in `*`, and the longer before the shorter.
    """

    def __init__(self, entries: Iterable[Entry] = (), prices: Prices = no_prices) -> None:
        self._shipped = rules.shipped()
        own = list(entries)
        self._exact = {one.model: one for one in own if not one.model.endswith("*")}
        begins = [(one.model[:-1], one) for one in own if one.model.endswith("*")]
        self._begins = sorted(begins, key=lambda pair: (-len(pair[0]), pair[0]))
        self._prices = prices
        self._remembered: dict[tuple[str, str], Known] = {}

    def of(self, model: str, provider: str = "") -> Known:
        """`provider` is who sells it here, where that is known: it may be the only one that says a price."""
        found = self._remembered.get((model, provider))
        if found is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[model, provider] = self._of(model, provider)
        return found

    def title(self, vendor: str) -> str:
        """What people call a vendor."""
        known = self._shipped.vendors.get(vendor)
        return vendor if known is None else known.title

    def provider(self, vendor: str) -> str:
        """The price catalogue's word for a vendor's own API; '' where it has none."""
        known = self._shipped.vendors.get(vendor)
        return "" if known is None else known.provider

    def vendors(self) -> list[tuple[str, str]]:
        """(vendor, title) of all that the shipped register has, by title."""
        return sorted(
            ((one.vendor, one.title) for one in self._shipped.vendors.values()), key=lambda pair: pair[1].lower()
        )

    def _of(self, model: str, provider: str) -> Known:
        name = rules.name_of(model, self._shipped.makers)
        made = rules.fitting(self._shipped.models, name.plain)
        vendor = made.vendor if made else self._maker(name)
        own = self._own(model, name.plain)
        tier, by = self._tier(own, name, vendor, model, provider)
        weights = rules.fitting(self._shipped.weights, name.plain, vendor) if vendor else None
        said_vendor = own.vendor if own and own.vendor else vendor
        seat = self._shipped.vendors.get(said_vendor)
        return Known(
            model=model,
            vendor=said_vendor,
            origin=own.origin if own and own.origin else seat.origin if seat else "",
            tier=tier,
            open_weights=own.open_weights
            if own and own.open_weights is not None
            else bool(weights is not None and weights.says),
            by=by.value,
        )

    def _maker(self, name: rules.Name) -> str:
        return next((self._shipped.makers[word] for word in name.before if word in self._shipped.makers), "")

    def _own(self, model: str, plain: str) -> Entry | None:
        for text in dict.fromkeys((model.strip().lower(), plain)):
            if text in self._exact:
                return self._exact[text]
        said = model.strip().lower()
        return next((one for begin, one in self._begins if said.startswith(begin) or plain.startswith(begin)), None)

    def _tier(self, own: Entry | None, name: rules.Name, vendor: str, model: str, provider: str) -> tuple[Tier, By]:
        if own is not None and own.tier is not None:
            return own.tier, By.ORGANIZATION
        known = rules.fitting(self._shipped.tiers, name.plain, vendor) if vendor else None
        if known is not None:
            return known.says, By.REGISTER
        price = self._price(name, vendor, model, provider)
        if price is not None:
            return rules.tier_by_price(price), By.PRICE
        return rules.tier_by_name(name.plain), By.NAME

    def _price(self, name: rules.Name, vendor: str, model: str, provider: str) -> Decimal | None:
        """The maker's own price first, so that a model has one tier wherever it is served."""
        seat = self._shipped.vendors.get(vendor)
        asked = [(seat.provider, name.plain)] if seat is not None and seat.provider else []
        asked += [(provider, model), (_RESELLER, model)]
        if name.before:
            asked.append((_RESELLER, f"{name.before[0]}/{name.plain}"))
        return next((price for one in asked if (price := self._prices(*one)) is not None), None)
