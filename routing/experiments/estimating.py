"""What an experiment is likely to cost, before anybody starts it: calls as they were, at the prices there are."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from finops.core.money import to_ledger
from finops.core.tokens import METER_INDEX, METERS
from routing.experiments import selectors
from routing.experiments.types import ExperimentDraft, Scoring
from routing.recommend.selectors import Prices, ledger_names, spending

# Of a judge: what it is told besides, and what it writes; tokens, twice a task.
_TOLD: Final = 350
_WRITTEN: Final = 120


class Estimate(NamedTuple):
    """`captured` calls are there to be replayed. Dollars of all tasks: by candidate and of the judge, None where nobody
    knows; `total` is None where that is so of any. `warnings` are worth reading before it is started.
    """

    captured: int
    candidates: tuple[tuple[str, Decimal | None], ...]
    judge: Decimal | None
    total: Decimal | None
    warnings: tuple[str, ...]


def estimate(organization_id: int, draft: ExperimentDraft, at: datetime) -> Estimate:
    """By the last 30 days' calls of the incumbent in this task type, as the ledger has them; of all its calls where
    there is none of that type.
    """
    usual = _usual(organization_id, draft, at)
    prices = Prices(organization_id, at)
    each = prices.of(usual)
    costs = tuple((model, _of(each.get(model), draft.tasks)) for model in draft.candidates)
    judged = Decimal(0)
    judge: Decimal | None = judged
    if draft.scoring is Scoring.JUDGE:
        told = prices.of(_judging(usual)).get(draft.judge) if any(usual) else None
        judge = _of(told, 2 * draft.tasks * len(draft.candidates))
    known = [cost for _, cost in costs if cost is not None]
    whole = judge is not None and len(known) == len(costs)
    total = sum(known, judge or Decimal(0)) if whole else None
    captured = selectors.captured(organization_id, draft, at)
    return Estimate(captured, costs, judge, total, tuple(_warnings(organization_id, draft, captured, total)))


def _usual(organization_id: int, draft: ExperimentDraft, at: datetime) -> tuple[int, ...]:
    """Of a call: how many of each meter."""
    names = {draft.incumbent, *ledger_names(organization_id).get(draft.incumbent, ())}
    spent = spending(organization_id, at)
    typed = [one for one in spent.by_type.get(draft.task_type, ()) if one.model in names]
    if typed:
        return max(typed, key=lambda one: one.volume.calls).usual
    alone = [spent.by_model[name] for name in sorted(names) if name in spent.by_model]
    return max(alone, key=lambda one: one[0].calls)[1] if alone else (0,) * len(METERS)


def _judging(usual: tuple[int, ...]) -> tuple[int, ...]:
    """It reads what was asked and both answers."""
    counts = [0] * len(METERS)
    read = sum(usual[METER_INDEX[name]] for name in ("input_uncached", "cache_read"))
    counts[METER_INDEX["input_uncached"]] = read + 2 * usual[METER_INDEX["output_text"]] + _TOLD
    counts[METER_INDEX["output_text"]] = _WRITTEN
    return tuple(counts)


def _of(each: float | None, number: int) -> Decimal | None:
    return None if each is None else to_ledger(Decimal(str(each)) * number)


def _warnings(organization_id: int, draft: ExperimentDraft, captured: int, total: Decimal | None) -> list[str]:
    found = []
    models = [draft.incumbent, *draft.candidates]
    if draft.scoring is Scoring.JUDGE:
        vendors = selectors.vendors(organization_id, [draft.judge, *models])
        same = [model for model in models if vendors[draft.judge] & vendors[model]]
        if same:
            found.append(
                f"{draft.judge} is sold by whoever sells {', '.join(same)}: models tend to prefer answers of their own"
                " family. Take a judge of another vendor where there is one."
            )
        found.append("Judges err: score some of the answers yourself, and post that as human scores.")
    if captured < draft.tasks and draft.mode.value == "replay":
        found.append(f"{captured:,} such calls are captured; it ends when they are used up.")
    if total is not None and total > draft.most_cost:
        found.append("It is likely to cost more than its cap: it ends where the cap is reached.")
    return found
