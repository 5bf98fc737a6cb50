"""The figures at the top of a page: spend against the period before, calls, tokens, and what is not yet right."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from dashboards import reading
from dashboards.access import Here
from dashboards.reading import Line
from dashboards.scope import Scope
from finops.ledger.types import UNATTRIBUTED, UNPRICED


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals of the period and the one before, and of the states: by word, with the id to filter by."""

    now: Line
    before: Line | None
    states: dict[str, tuple[int, Line]]

    @property
    def unattributed(self) -> Line:
        return self.states.get(UNATTRIBUTED, (0, Line()))[1]

    @property
    def unpriced(self) -> Line:
        return self.states.get(UNPRICED, (0, Line()))[1]

    @property
    def saved(self) -> tuple[str, Decimal] | None:
        """Currency and amount between list and effective cost, where everything was billed in one currency."""
        if len(self.now.billed) != 1:
            return None
        currency, billed = next(iter(self.now.billed.items()))
        return currency, self.now.listed[currency] - billed


def summary(here: Here, scope: Scope) -> Summary:
    """One question, two with comparison. Every charge has one state, so the states add up to the whole."""
    rows = here.reader.ask(scope.question(here.caller, group_by=("state",)))
    by_state = reading.lines(rows)
    words = here.reader.names(scope, "state", {line.values[0] for line in by_state})
    now = reading.total(rows)
    before = None
    if scope.compare:
        before = reading.total(here.reader.ask(scope.question(here.caller, days=scope.period.previous)))
    return Summary(now, before, {words[line.values[0]]: (line.values[0], line) for line in by_state})
