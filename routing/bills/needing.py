"""Whether a frontier model is needed on a task type, by what was measured of cheaper tiers beside it. Pure.

Needed: every model of a cheaper tier that was measured there is worse by more than the margin. Not needed: one of them
is as good, as recommendations believe it (together with everything else that is tried). Anything else is unknown, and
unknown is never counted as not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from finops.core.money import to_ledger
from routing.bills.types import Need, Told
from routing.evidence.rules import USUAL_MARGIN
from routing.evidence.statistics.betting import LEAST_PAIRS
from routing.evidence.statistics.paired import items_needed
from routing.recommend.deciding import Family, Judged
from routing.recommend.types import Examined, Verdict
from routing.recommend.wording import listed
from routing.recommend.writing import effort_of
from routing.tiers.hot import Register
from routing.tiers.types import Tier

# Before anything is measured: as where every fifth task tells the two apart, as `recommend.measuring` has it.
_USUAL_SPREAD: Final = 0.2


class Needs:
    """By task type what is known; `types` and `family` are recommendations' own."""

    def __init__(self, types: Mapping[str, Examined], family: Family, register: Register) -> None:
        self._types = types
        self._family = family
        self._register = register

    def told(self, task_type: str, model: str) -> Told:
        """Of a frontier model, by the ledger's name of it."""
        if not task_type:
            return Told(need=Need.UNKNOWN, why="These calls have no task type, so that nothing can be known of them.")
        one = self._types.get(task_type)
        if one is None:
            return self._unmeasured(f"Nothing was measured on {task_type!r}.")
        if model not in one.asked:
            return self._unmeasured(f"On {task_type!r} models were measured beside {one.incumbent}, and not {model}.")
        cheaper = [row for row in self._family.judged[task_type] if self._cheaper(row.measured.model)]
        if not cheaper:
            return self._unmeasured(f"No model of a cheaper tier was tried on {task_type!r}.")
        return self._of(one, cheaper)

    def _cheaper(self, model: str) -> bool:
        return self._register.of(effort_of(model)[0]).tier is not Tier.FRONTIER

    def _of(self, one: Examined, cheaper: list[Judged]) -> Told:
        names = tuple(row.measured.model for row in cheaper)
        good = [row.measured.model for row in cheaper if row.verdict is Verdict.PASS]
        if good:
            return Told(need=Need.DOES_NOT, why=f"As good there: {listed(good)}.", candidates=names)
        if all(row.verdict is Verdict.FAIL for row in cheaper):
            return Told(need=Need.NEEDS, why=f"Worse by more than the margin there: {listed(names)}.", candidates=names)
        broken = [row for row in cheaper if row.verdict is Verdict.SUSPECT]
        open_ = [row for row in cheaper if row.verdict is Verdict.INCONCLUSIVE] or broken
        tasks, row = min(((self._more(row), row) for row in open_), key=lambda pair: (pair[0], pair[1].measured.model))
        why = f"What is known does not tell yet of {listed([one.measured.model for one in open_])}."
        if open_ is broken:
            why = f"What is known looks broken: {broken[0].flags[0].reason}."
        return Told(
            need=Need.UNKNOWN, why=why, tasks=tasks, cost=_cost(one.incumbent_cost, row, tasks), candidates=names
        )

    def _more(self, row: Judged) -> int:
        known = 0.0 if row.flags else row.measured.log_evidence
        return max(self._family.more(row.measured.needed, known), LEAST_PAIRS)

    def _unmeasured(self, why: str) -> Told:
        needed = items_needed(USUAL_MARGIN, _USUAL_SPREAD)
        return Told(need=Need.UNKNOWN, why=why, tasks=self._family.more(needed, 0.0))


def _cost(usual: float | None, row: Judged, tasks: int) -> Decimal | None:
    """Of so many tasks at both models, in dollars."""
    if usual is None or row.measured.own_cost is None:
        return None
    return to_ledger(Decimal(repr(round(usual + row.measured.own_cost, 9))) * tasks)
