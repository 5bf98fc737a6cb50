"""Prices of the file's own, from today on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from finops.pricing import selectors
from finops.pricing.models import Contract
from finops.pricing.rules import terms
from finops.pricing.services import Agreed, ContractOverlaps, add_custom_model, close_contract
from routing.laptop.errors import SaidWrong
from routing.laptop.selectors import made_by
from routing.laptop.services.making import CONFIG, Making
from routing.laptop.types import WantedPrice


def bring_prices(making: Making, wanted: Sequence[WantedPrice], currency: str) -> None:
    """A price that changes ends today and another begins; what is booked keeps the price it was booked at."""
    mine: dict[str, Any] = {"organization_id": making.organization_id, **making.who}
    today = making.at.date()
    ours = made_by(making.organization_id, CONFIG, "pricing.contract_set")
    known = {
        (row.provider, row.host, row.model): row
        for row in selectors.contracts(making.organization_id)
        if row.id in ours
        and row.kind == Contract.Kind.CUSTOM
        and (row.effective_to is None or row.effective_to > today)
    }
    names = selectors.load_catalogue().names
    for one in wanted:
        provider = names.provider(one.provider) or one.provider
        row = known.pop((provider, one.host, one.model), None)
        if row is not None and (row.steps, row.currency) == (terms.steps_as_kept(one.steps), currency):
            continue
        with making.mistakes.at(one.place):
            if row is not None:
                close_contract(contract_id=row.id, effective_to=today, **mine)
            about = Agreed(provider=one.provider, model=one.model, effective_from=today, note=CONFIG.label)
            try:
                add_custom_model(about=about, steps=one.steps, currency=currency, host=one.host, **mine)
            except ContractOverlaps as refused:
                raise SaidWrong(refused.message, field="model") from None
            making.tell(f"price of {one.model} {'changed' if row else 'added'}")
    for gone in known.values():
        close_contract(contract_id=gone.id, effective_to=today, **mine)
        making.tell(f"price of {gone.model} ended")
