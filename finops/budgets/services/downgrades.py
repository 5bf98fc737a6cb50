"""The cheaper models of a downgrade budget, held against the prices of the day it is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from finops.budgets.rules.downgrades import check_steps
from finops.budgets.types import Draft
from finops.core.money import convert_pico
from finops.pricing.selectors import load_exchange, load_pricer


def check_downgrade(*, organization_id: int, draft: Draft, at: datetime) -> Draft:
    """The draft with its models by the names prices know. Raises BudgetInvalid."""
    if not draft.downgrade_to:
        return draft
    pricer, exchange, day = load_pricer(organization_id), load_exchange(organization_id), at.date()

    def converted(rate: int, currency: str) -> int | None:
        dated = exchange.rate(currency, day)
        return None if dated is None else convert_pico(rate, dated.rate)

    steps = [pricer.find(provider, model, "", "", day) for provider, model in draft.downgrade_to]
    instead_of = [
        pricer.find(provider, model, "", "", day)
        for provider in draft.scope.get("provider", ())
        for model in draft.scope.get("model", ())
    ]
    check_steps(steps, instead_of=instead_of, converted=converted)
    return replace(draft, downgrade_to=tuple((one.provider, one.model) for one in steps))
