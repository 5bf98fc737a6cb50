"""The question in the address: period, grouping, filters, comparison, grain. Parsed, checked, and written back.

Every link of a page carries the same scope, so an address can be sent to a colleague and means the same to them, within
what they may see. The grammar is the ledger's (`finops.ledger.rules.questions`); here are the pages' own words for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

from django.http import QueryDict

from dashboards import periods
from dashboards.periods import NamedPeriod
from finops.core.errors import FinopsError
from finops.core.fiscal import FiscalCalendar
from finops.core.periods import DayRange
from finops.ledger.rules import questions
from finops.ledger.rules.questions import VALUES_MOST, Dimensions, QuestionUnclear
from finops.ledger.types import Grain, SpendQuestion
from finops.orgs.rules import Caller

ID_LARGEST: Final = 2**31 - 1
# Python refuses to read a number of thousands of digits, so length is looked at first; leading zeros are nobody's id.
_ID_DIGITS: Final = len(str(ID_LARGEST))
_COMPARED: Final = ("previous", "none")
# What the address may hold beside dimensions; anything else is an error a person should hear about.
_WORDS: Final = frozenset(
    {"period", "from", "to", "group", "compare", "grain", "cursor", "session", "pick", "for", "q"}
)
GRAIN_NAMES: Final = {Grain.DAY: "Daily", Grain.WEEK: "Weekly", Grain.MONTH: "Monthly"}


class ScopeUnclear(FinopsError):
    """The address asks something that cannot be understood. `field` names the parameter."""

    code = "dashboards.scope_unclear"
    status = 400


@dataclass(frozen=True, slots=True)
class Scope:
    """One question. `filters` maps a dimension's name to the ids allowed (0: none); `group` holds at most two names."""

    period: NamedPeriod
    dimensions: Dimensions = field(default_factory=Dimensions, compare=False)
    group: tuple[str, ...] = ()
    filters: Mapping[str, frozenset[int]] = field(default_factory=dict)
    compare: bool = True
    grain: Grain = Grain.DAY
    grain_given: bool = False

    def query(self, **changes: Any) -> str:
        """The scope as a query string, in one canonical order; `changes` as `with_` takes them."""
        scope = self.with_(**changes) if changes else self
        pairs: list[tuple[str, str]] = [("period", scope.period.token)]
        if scope.group:
            pairs.append(("group", ",".join(scope.group)))
        for name in sorted(scope.filters):
            pairs += [(name, str(value)) for value in sorted(scope.filters[name])]
        if not scope.compare:
            pairs.append(("compare", "none"))
        if scope.grain_given:
            pairs.append(("grain", scope.grain.value))
        return urlencode(pairs, safe=":,")

    def with_(self, **changes: Any) -> Scope:
        return replace(self, **changes)

    def narrowed_to(self, ids: Mapping[str, int]) -> Scope:
        """The same question about one value of each named dimension."""
        return replace(self, filters={**self.filters, **{name: frozenset({value}) for name, value in ids.items()}})

    def widened_by(self, name: str, value: int) -> Scope:
        """With one more value allowed."""
        return replace(self, filters={**self.filters, name: self.filters.get(name, frozenset()) | {value}})

    def without(self, name: str, value: int | None = None) -> Scope:
        """Without a filter, or without one of its values."""
        filters = {key: ids for key, ids in self.filters.items() if key != name}
        left = self.filters.get(name, frozenset()) - {value} if value is not None else frozenset()
        if left:
            filters[name] = left
        return replace(self, filters=filters)

    def question(
        self,
        caller: Caller,
        *,
        group_by: tuple[str, ...] = (),
        days: DayRange | None = None,
        grain: Grain = Grain.TOTAL,
        limit: int | None = None,
        only: Mapping[str, frozenset[int]] | None = None,
    ) -> SpendQuestion:
        """The question to the ledger, within the caller's reach. `only` narrows further (the largest groups of a
        chart). Raises what `orgs.rules.spend_filters` raises."""
        return questions.question(
            caller,
            self.dimensions,
            days or self.period.days,
            group_by=group_by,
            filters=self.filters,
            grain=grain,
            limit=limit,
            only=only or {},
        )

    def charge_filters(self, caller: Caller) -> Mapping[str, frozenset[int]]:
        """The filters of the same question about single charges, within the caller's reach."""
        return self.dimensions.charge_filters(caller, self.filters)


def parse(query: QueryDict, *, today: date, dimensions: Dimensions, calendar: FiscalCalendar | None = None) -> Scope:
    """Reads a scope.

    Raises ScopeUnclear or PeriodUnclear, both answered with 400.
    """
    period = periods.parse(_period_token(query), today=today, calendar=calendar)
    try:
        told = questions.filters_told(query, dimensions, _WORDS)
        filters = {name: _ids(name, query.getlist(name)) for name in told}
        group = questions.grouping(query.getlist("group"), dimensions, field="group")
        compare = questions.one_of(query.get("compare", ""), _COMPARED, field="compare", default="previous")
        grain = questions.one_of(query.get("grain", ""), GRAIN_NAMES, field="grain", default="")
    except QuestionUnclear as error:
        raise ScopeUnclear(error.message, field=error.field) from None
    return Scope(
        period=period,
        dimensions=dimensions,
        group=group,
        filters={name: ids for name, ids in filters.items() if ids},
        compare=compare == "previous",
        grain=Grain(grain) if grain else _fitting(period.days),
        grain_given=bool(grain),
    )


def _period_token(query: QueryDict) -> str:
    """Two dates of the form win over the list when the person chose "these dates"."""
    word, first, last = query.get("period", ""), query.get("from", ""), query.get("to", "")
    if word == "custom" or (not word and first and last):
        if not (first and last):
            raise ScopeUnclear("Give both dates, the first day and the last.", field="from" if not first else "to")
        return f"{first}..{last}"
    return word


def _ids(name: str, raw: list[str]) -> frozenset[int]:
    texts = questions.parts(raw)
    if len(texts) > VALUES_MOST:
        raise QuestionUnclear(f"At most {VALUES_MOST} values of {name} fit one question.", field=name)
    found = set()
    for text in texts:
        if not (text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS and int(text) <= ID_LARGEST):
            raise QuestionUnclear(f"{name}={questions.shown(text)} is not an id.", field=name)
        found.add(int(text))
    return frozenset(found)


def _fitting(days: DayRange) -> Grain:
    """The grain whose buckets a chart has room for."""
    if days.days <= 62:
        return Grain.DAY
    return Grain.WEEK if days.days <= 400 else Grain.MONTH
