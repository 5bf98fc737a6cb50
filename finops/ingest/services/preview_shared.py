"""What a draft shared cost rule would move in a month, told before it is saved."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from finops.attribution import selectors as attribution
from finops.attribution.services import check_shared_cost
from finops.attribution.types import SharedCost, SharedCostDraft
from finops.core.money import from_pico
from finops.core.periods import month_start
from finops.ingest.services.allocate import held_of, portions, refuse_overlap


@dataclass(frozen=True, slots=True)
class SharedPreview:
    """In the reporting currency. `shares` maps a target's id to what it would get, the most first; they are `moved`
    together, and what is missing to `pool` stays where it is."""

    month: date
    pool: Decimal
    moved: Decimal
    shares: tuple[tuple[int, Decimal], ...]


def preview_shared_cost(
    *, organization_id: int, name: str, draft: SharedCostDraft, month: date, at: datetime
) -> SharedPreview:
    """The split of a month (any day of it) as if the draft held for it and nothing had been split yet by this rule.

    Writes nothing. Raises what saving it would raise, and SharedTwice as running it would.
    """
    check_shared_cost(organization_id, draft)
    month = month_start(month)
    shared = SharedCost(
        rule_id=0,
        version_id=0,
        number=0,
        name=name,
        pool=draft.pool,
        method=draft.method,
        dimension=draft.dimension,
        targets=draft.targets,
        percentages=draft.percentages,
        when_empty=draft.when_empty,
    )
    refuse_overlap(organization_id, [*attribution.shared_costs(organization_id, month), shared], month)
    held = held_of(organization_id, shared, month)
    shares: dict[int, int] = defaultdict(int)
    for portion in portions(organization_id, shared, held, month, at):
        for line, amount in portion.given:
            shares[line.target_id] += amount.reporting
    return SharedPreview(
        month=month,
        pool=from_pico(sum(amount.reporting for amount in held.values())),
        moved=from_pico(sum(shares.values())),
        shares=tuple(
            (target, from_pico(shares[target])) for target in sorted(shares, key=lambda one: (-shares[one], one))
        ),
    )
