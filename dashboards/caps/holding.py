"""How strongly a cap holds: for which calls, which keys were blocked ahead of its limit, and what that came to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from dashboards.access import Here
from dashboards.caps.words import Names
from finops.budgets import enforcement
from finops.budgets.enforcement import Residual, Strength
from finops.budgets.models import Block, Budget
from finops.orgs.rules import Permission

BLOCKS_SHOWN: Final = 20
_TONES: Final = {"failed": "bad", "blocked": "warn", "wanted": "warn"}
_STATES: Final = {
    "wanted": "to be blocked",
    "blocked": "blocked",
    "unblock_wanted": "to be given back",
    "unblocked": "given back",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One key blocked for one account, in words. Who may not manage caps is not told which key."""

    row: Block
    name: str
    key: str

    @property
    def state(self) -> str:
        return _STATES[self.row.shown_state]

    @property
    def tone(self) -> str:
        return _TONES.get(self.row.shown_state, "")


@dataclass(frozen=True, slots=True)
class Holding:
    strengths: tuple[Strength, ...]
    residual: Residual
    rows: tuple[Block, ...]
    manages: bool

    @property
    def unused_percent(self) -> float | None:
        return None if self.residual.unused_share is None else self.residual.unused_share * 100

    def lines(self, budget: Budget, names: Names) -> list[Line]:
        return [Line(row, names.word(budget.each, row.subject), self._key(row)) for row in self.rows]

    def _key(self, row: Block) -> str:
        source = row.enforceable.source.name
        return f"{row.enforceable.label or row.enforceable.external_id[:24]}, {source}" if self.manages else source


def holding(here: Here, budget: Budget, seen: Collection[str] | None) -> Holding:
    """Of the subjects that may be seen; None is all of them."""
    rows = tuple(enforcement.blocks_of(here.id, budget.id, seen)[:BLOCKS_SHOWN])
    return Holding(
        strengths=enforcement.strengths(budget, here.now),
        residual=enforcement.residual(here.id, budget.id, seen) if rows else enforcement.NOTHING_YET,
        rows=rows,
        manages=here.caller.can(Permission.BUDGETS_MANAGE),
    )
