"""What counts on a day of a provider: the rules of all its bills, and which of them speak."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import blake2b
from itertools import groupby, pairwise
from typing import NamedTuple

from finops.core.periods import DayRange
from finops.ledger.rules.periods import LATEST
from finops.reconciliation.models import CountingRule

_Level = CountingRule.Level


class Spoken(NamedTuple):
    """What the rules say of a day. There is one at least in one of the two; what is only compared is no money as long
    as something is billed.
    """

    billed: tuple[CountingRule, ...]
    metered: tuple[CountingRule, ...]

    @property
    def money(self) -> tuple[CountingRule, ...]:
        """Whose statements the day is held against."""
        return self.billed or self.metered

    @property
    def whole(self) -> bool:
        return all(rule.whole for rule in self.money)

    def has_come(self, day: date, until: Mapping[int, date]) -> bool:
        """Whether all its bills tell of the day or of one after it. `until`: the last day that each source states."""
        return all(rule.source_id in until and day <= until[rule.source_id] for rule in self.money)

    @property
    def by(self) -> str:
        """Equal where the same is said. A rule that begins earlier says no more of the days it spoke of before."""
        said = [(rule.id, rule.source_id, str(rule.level), rule.whole) for rule in (*self.billed, *self.metered)]
        return f"{blake2b(repr(said).encode(), digest_size=8).hexdigest()} "


@dataclass(frozen=True, slots=True)
class Counting:
    """The rules of one provider: one a bill, in the order in which their sources were connected."""

    organization_id: int
    provider: str
    rules: tuple[CountingRule, ...]

    @property
    def after(self) -> timedelta:
        """How long after its end a day is compared: all bills are to have come."""
        return timedelta(hours=max(rule.after_hours for rule in self.rules))

    def over_before(self, at: datetime) -> date:
        """The first day that is not to be compared yet."""
        return (at - self.after).date()

    def on(self, day: date) -> Spoken | None:
        """What is said of a day; None: nothing is."""
        speaking = [rule for rule in self.rules if rule.since <= day and (rule.until is None or day < rule.until)]
        billed = tuple(rule for rule in speaking if rule.level == _Level.BILLED)
        metered = tuple(rule for rule in speaking if rule.level == _Level.METERED)
        return Spoken(billed, metered) if billed or metered else None

    def spans(self) -> Iterator[tuple[DayRange, Spoken]]:
        """All days that something is said of, oldest first, by what is said."""
        edges = {rule.since for rule in self.rules} | {rule.until for rule in self.rules if rule.until is not None}
        for start, end in pairwise([*sorted(edges), LATEST]):
            spoken = self.on(start) if start < end else None
            if spoken is not None:
                yield DayRange(start, end), spoken


def by_provider(rules: Iterable[CountingRule]) -> list[Counting]:
    """Rules of one organization, together by their providers."""
    ordered = sorted(rules, key=lambda rule: (rule.provider, rule.source_id))
    found = ((provider, tuple(each)) for provider, each in groupby(ordered, key=lambda rule: rule.provider))
    return [Counting(each[0].organization_id, provider, each) for provider, each in found]
