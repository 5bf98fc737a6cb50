"""The question in the address: period, grouping, filters, comparison, grain. Parsed, checked, and written back.

Every link of a page carries the same scope, so an address can be sent to a colleague and means the same to them, within
what they may see: `Scope.question` is the one place where a caller's reach meets what was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from finops.ledger.types import DIMENSIONS, TAG_SLOTS, Grain, SpendQuestion
from finops.orgs.rules import PEOPLE_DIMENSIONS, Caller, charge_filters, spend_filters

GROUPS_MOST: Final = 2
IDS_MOST: Final = 100
ID_LARGEST: Final = 2**31 - 1
# What the address may hold beside dimensions; anything else is an error a person should hear about.
_WORDS: Final = frozenset(
    {"period", "from", "to", "group", "compare", "grain", "cursor", "session", "pick", "for", "q"}
)
GRAIN_NAMES: Final = {Grain.DAY: "Daily", Grain.WEEK: "Weekly", Grain.MONTH: "Monthly"}


class ScopeUnclear(FinopsError):
    """The address asks something that cannot be understood. `field` names the parameter."""

    code = "dashboards.scope_unclear"
    status = 400


class Dimensions:
    """The names an address may use: the ledger's dimensions, and `tag:<key>` for each promoted tag.

    `tags` maps a promoted key to its slot (1-10); in the ledger it is the dimension `tag<slot>`.
    """

    def __init__(self, tags: Mapping[str, int] | None = None) -> None:
        self._columns = {name: name for name in DIMENSIONS if name not in TAG_SLOTS}
        self._columns |= {f"tag:{key}": f"tag{slot}" for key, slot in (tags or {}).items()}

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def column(self, name: str) -> str:
        return self._columns[name]

    @staticmethod
    def label(name: str) -> str:
        return f"Tag {name[4:]}" if name.startswith("tag:") else name.replace("_", " ").capitalize()

    def offered(self, caller: Caller) -> dict[str, str]:
        """Name and label of those this caller may group by."""
        return {name: self.label(name) for name in self if caller.sees_people or name not in PEOPLE_DIMENSIONS}


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
        filters = dict(spend_filters(caller, group_by=group_by, filters=self.filters))
        for name, ids in (only or {}).items():
            filters[name] = filters[name] & ids if name in filters else ids
        return SpendQuestion(
            organization_id=caller.organization_id,
            period=days or self.period.days,
            group_by=tuple(self.dimensions.column(name) for name in group_by),
            filters={self.dimensions.column(name): ids for name, ids in filters.items()},
            grain=grain,
            limit=limit,
        )

    def charge_filters(self, caller: Caller) -> Mapping[str, frozenset[int]]:
        """The filters of the same question about single charges, within the caller's reach."""
        allowed = charge_filters(caller, filters=self.filters)
        return {self.dimensions.column(name): ids for name, ids in allowed.items()}


def parse(query: QueryDict, *, today: date, dimensions: Dimensions, calendar: FiscalCalendar | None = None) -> Scope:
    """Reads a scope.

    Raises ScopeUnclear or PeriodUnclear, both answered with 400.
    """
    period = periods.parse(_period_token(query), today=today, calendar=calendar)
    filters: dict[str, frozenset[int]] = {}
    for name in query:
        if name in dimensions:
            if ids := _ids(name, query.getlist(name)):
                filters[name] = ids
        elif name not in _WORDS:
            raise ScopeUnclear(f"There is nothing here called {name[:40]!r} to filter by.", field=name[:40])
    given = query.get("grain", "")
    return Scope(
        period=period,
        dimensions=dimensions,
        group=_group(query, dimensions),
        filters=filters,
        compare=_compare(query.get("compare", "")),
        grain=_grain(given, period.days),
        grain_given=bool(given),
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
    texts = [text for value in raw for text in value.split(",") if text]
    if len(texts) > IDS_MOST:
        raise ScopeUnclear(f"At most {IDS_MOST} values of {name} fit one question.", field=name)
    found = set()
    for text in texts:
        if not (text.isascii() and text.isdigit() and int(text) <= ID_LARGEST):
            raise ScopeUnclear(f"{name}={text[:40]!r} is not an id.", field=name)
        found.add(int(text))
    return frozenset(found)


def _group(query: QueryDict, dimensions: Dimensions) -> tuple[str, ...]:
    names = [name for value in query.getlist("group") for name in value.split(",") if name]
    chosen = tuple(dict.fromkeys(names))
    if len(chosen) > GROUPS_MOST:
        raise ScopeUnclear("Group by one thing, or by two.", field="group")
    for name in chosen:
        if name not in dimensions:
            raise ScopeUnclear(f"There is nothing here called {name[:40]!r} to group by.", field="group")
    return chosen


def _compare(raw: str) -> bool:
    if raw not in {"", "previous", "none"}:
        raise ScopeUnclear("Compare with `previous` or with `none`.", field="compare")
    return raw != "none"


def _grain(raw: str, days: DayRange) -> Grain:
    if raw:
        if raw not in {grain.value for grain in GRAIN_NAMES}:
            raise ScopeUnclear("The grain is day, week or month.", field="grain")
        return Grain(raw)
    if days.days <= 62:
        return Grain.DAY
    return Grain.WEEK if days.days <= 400 else Grain.MONTH
