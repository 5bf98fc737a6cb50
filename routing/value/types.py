"""What crosses the room: what was spent and used, and what was completed with it."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from finops.core.periods import DayRange
from finops.energy.types import Footprint, Range
from routing.evidence.types import Interval
from routing.value import rules


class Scored(NamedTuple):
    """Tasks of a group that somebody scored. A task is a session, or a call that has none. `calls`, `cost` (in the
    reporting currency) and `footprint` are of these tasks whole; `completed` of them have a mean score of at least
    `rules.COMPLETED`, and `score` is the sum of their scores.
    """

    scored: int = 0
    completed: int = 0
    calls: int = 0
    score: float = 0.0
    cost: Decimal = Decimal(0)
    footprint: Footprint = Footprint()

    @property
    def mean(self) -> float | None:
        return self.score / self.scored if self.scored else None

    @property
    def share(self) -> Interval | None:
        """Of scored tasks that were completed, with what chance may have added or taken: 95 %."""
        return rules.share(self.completed, self.scored) if self.scored else None

    @property
    def cost_each(self) -> Decimal | None:
        """Per completed task: all that was spent on the scored ones, also on those that were not completed."""
        return rules.money_each(self.cost, self.completed) if self.completed else None

    @property
    def wh_each(self) -> Range | None:
        """Per completed task; None as well where the energy of some is unknown."""
        if not self.completed or not self.footprint.whole or self.footprint.wh is None:
            return None
        return self.footprint.wh.times(1 / self.completed)

    @property
    def few(self) -> bool:
        """Whether they are too few to say much."""
        return self.scored < rules.FEW


class Group(NamedTuple):
    """A value of the dimension; `value` is what a filter takes."""

    id: int
    value: str
    name: str


class Line(NamedTuple):
    """A group, None for the total. `cost` is in the reporting currency."""

    group: Group | None
    calls: int
    cost: Decimal
    footprint: Footprint
    scored: Scored


class Report(NamedTuple):
    """The groups on which most was spent, and all together; a session whose calls fell on several groups is a task of
    each. `groups` is how many there are.
    """

    by: str
    days: DayRange
    lines: tuple[Line, ...]
    groups: int
    total: Line
