"""Which cheaper models a budget's calls may go to. Pure: prices are given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from finops.budgets.rules.drafts import BudgetInvalid
from finops.budgets.types import Terms
from finops.core.tokens import METER_INDEX
from finops.pricing.rules import Found

_INPUT, _OUTPUT = METER_INDEX["input_uncached"], METER_INDEX["output_text"]
# An amount in a currency, in the reporting currency; None where nobody knows the rate.
Converted = Callable[[int, str], int | None]


class _Price(NamedTuple):
    """What a million tokens in and out cost, at the dearest hour of the day."""

    input: int
    output: int


def check_steps(steps: Sequence[Found], *, instead_of: Iterable[Found], converted: Converted) -> None:
    """Each step is priced, and no dearer than the step before it; the first no dearer than each model whose calls are
    sent there, as far as those are named and priced. Raises BudgetInvalid naming the step.
    """
    dearer_than: list[tuple[str, _Price]] = [
        (one.model, price) for one in instead_of if (price := _price(one, converted)) is not None
    ]
    for place, step in enumerate(steps):
        field = f"downgrade_to[{place}]"
        price = _price(step, converted)
        if price is None:
            raise BudgetInvalid(f"nobody knows the price of {step.model[:80]}", field=field)
        for model, most in dearer_than:
            if price.input > most.input or price.output > most.output:
                raise BudgetInvalid(f"{step.model[:80]} is dearer than {model[:80]}", field=field)
        dearer_than = [(step.model, price)]


def _price(found: Found, converted: Converted) -> _Price | None:
    known = []
    for card in found.cards:
        if card.missing & {_INPUT, _OUTPUT}:
            return None
        rates = card.steps[0].contracted_rates
        sides = [converted(rates[one], card.currency) for one in (_INPUT, _OUTPUT)]
        known.append(sides)
    inputs = [one[0] for one in known if one[0] is not None]
    outputs = [one[1] for one in known if one[1] is not None]
    if not known or len(inputs) < len(known) or len(outputs) < len(known):
        return None
    return _Price(max(inputs), max(outputs))


class Standing(Protocol):
    """How an account stands: its limit, and what could still be given out, in picodollars."""

    @property
    def limit(self) -> int: ...
    @property
    def free(self) -> int: ...


def step_for(terms: Terms, standing: Standing) -> tuple[str, str] | None:
    """The model that calls go to now; None while less than `downgrade_at` percent of the limit are used or promised.

    The steps share what is left between there and the limit evenly.
    """
    steps = terms.downgrade_to
    used = standing.limit - standing.free
    begins = standing.limit * terms.downgrade_at // 100
    if not steps or used < begins:
        return None
    place = (used - begins) * len(steps) // max(standing.limit - begins, 1)
    return steps[min(place, len(steps) - 1)]
