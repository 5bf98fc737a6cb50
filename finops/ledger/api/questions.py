"""A question in the address: period, filters, grouping. Read strictly, and narrowed to what the caller may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.http import QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from finops.core.errors import FinopsError
from finops.core.fiscal import FiscalCalendar
from finops.core.periods import DayRange
from finops.ledger import selectors
from finops.ledger.rules import periods
from finops.ledger.rules.periods import AskedPeriod
from finops.ledger.rules.questions import (
    ANYTHING,
    VALUES_MOST,
    Dimensions,
    Ids,
    QuestionUnclear,
    filters_told,
    parts,
    question,
    shown,
)
from finops.ledger.types import DIMENSIONS, OWNERS, TAG_SLOTS, Grain, SpendRow
from finops.orgs.models import Organization
from finops.orgs.rules import PEOPLE_DIMENSIONS, Caller, spend_filters

_LONGEST: Final = 2_000
_NOT_OURS: Final = frozenset({-1})

PERIOD: Final = (
    OpenApiParameter(
        "period", OpenApiTypes.STR, description=f"{periods.UNDERSTOOD}, both included. Without it or dates: mtd."
    ),
    OpenApiParameter("from", OpenApiTypes.DATE, description="The first day (UTC), instead of `period`."),
    OpenApiParameter("to", OpenApiTypes.DATE, description="The day after the last one."),
)
SESSION: Final = OpenApiParameter("session", OpenApiTypes.STR, description="The session's id, as its source told it.")
FILTERS: Final = (
    *(
        OpenApiParameter(
            f"filter.{name}",
            OpenApiTypes.STR,
            description="Slugs or ids, separated by commas; `(none)` for none."
            if name in OWNERS
            else "Words, separated by commas; `(none)` for none.",
        )
        for name in DIMENSIONS
        if name not in TAG_SLOTS
    ),
    OpenApiParameter("filter.tag:<key>", OpenApiTypes.STR, description="Values of a promoted tag."),
)


class ValueUnknown(FinopsError):
    """A filter names a team, person … that the organization does not have."""

    code = "ledger.value_unknown"
    status = 400


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks about, before the caller's reach: `filters` by the names of the request."""

    caller: Caller
    dimensions: Dimensions
    period: AskedPeriod
    filters: Ids

    def spend(
        self,
        *,
        group_by: tuple[str, ...] = (),
        days: DayRange | None = None,
        grain: Grain = Grain.TOTAL,
        limit: int | None = None,
        only: Ids = ANYTHING,
    ) -> list[SpendRow]:
        """The ledger's answer within the caller's reach; `only` narrows further.

        Raises PermissionMissing and OutOfReach.
        """
        return selectors.spend(
            question(
                self.caller,
                self.dimensions,
                days or self.period.days,
                group_by=group_by,
                filters=self.filters,
                grain=grain,
                limit=limit,
                only=only,
            )
        )

    def spend_filters(self) -> dict[str, frozenset[int]]:
        """By columns, within the reach; one that is empty allows nothing. Raises PermissionMissing and OutOfReach."""
        return self.dimensions.columns(spend_filters(self.caller, filters=self.filters))

    def charge_filters(self) -> dict[str, frozenset[int]]:
        """The same for single charges."""
        return self.dimensions.charge_filters(self.caller, self.filters)


def read(
    query: QueryDict,
    caller: Caller,
    organization: Organization,
    *,
    today: date,
    words: Iterable[str] = (),
    default: str = periods.DEFAULT,
) -> Asked:
    """Reads the period and the filters of a request; `words` are its other parameters.

    Raises QuestionUnclear, PeriodUnclear and ValueUnknown, each naming the parameter.
    """
    known = selectors.dimensions(caller.organization_id)
    told = filters_told(query, known, {"period", "from", "to", *words}, prefix="filter.")
    filters = {name: ids_told(caller, known, name, query.getlist(field), field=field) for field, name in told.items()}
    return Asked(caller, known, _period(query, organization, today, default), filters)


def only(query: QueryDict, words: Iterable[str]) -> None:
    """Raises QuestionUnclear for a parameter that is none of `words`."""
    unknown = sorted(set(query) - set(words))
    if unknown:
        raise QuestionUnclear(f"There is no parameter {shown(unknown[0])}.", field=shown(unknown[0]))


def text(query: QueryDict, name: str, *, most: int = 300) -> str:
    """A parameter as text, '' when unsaid. Raises QuestionUnclear for one that nothing here could be called."""
    value = query.get(name, "")
    if len(value) > most or "\0" in value:
        raise QuestionUnclear(f"{name} has at most {most} characters, none of them NUL.", field=name)
    return value


def whole(query: QueryDict, name: str, *, default: int, most: int) -> int:
    """A whole number from 1 to `most`. Raises QuestionUnclear."""
    value = text(query, name) or str(default)
    if not (value.isascii() and value.isdigit() and len(value) <= 6 and 1 <= int(value) <= most):
        raise QuestionUnclear(f"{name} is a whole number from 1 to {most}.", field=name)
    return int(value)


def ids_told(caller: Caller, known: Dimensions, name: str, texts: Iterable[str], *, field: str) -> frozenset[int]:
    """The ids of a filter's values. Raises QuestionUnclear, and ValueUnknown for an owner the organization lacks.

    Words no charge has are left out: a model that was not called yet has no spend, which is an answer.
    """
    whole_texts = [one for one in texts if one]
    several = parts(whole_texts)
    if not several or len(several) > VALUES_MOST:
        raise QuestionUnclear(f"A filter takes 1 to {VALUES_MOST} values.", field=field)
    if any(len(one) > _LONGEST or "\0" in one for one in whole_texts):
        raise QuestionUnclear("Nothing here has such a name.", field=field)
    found = selectors.ids_of(caller.organization_id, known.column(name), [*whole_texts, *several])
    chosen: set[int] = set()
    for one in whole_texts:
        # A word may hold a comma itself; then it is understood when told whole.
        for part in [one] if one in found else one.split(","):
            if part in found:
                chosen.add(found[part])
            elif part and name in OWNERS:
                if name in PEOPLE_DIMENSIONS and not caller.sees_people:
                    # Who may not ask about people learns nothing about which there are: the reach refuses it next.
                    return _NOT_OURS
                raise ValueUnknown(f"There is no {name} {shown(part)}.", field=field)
    return frozenset(chosen)


def _period(query: QueryDict, organization: Organization, today: date, default: str) -> AskedPeriod:
    word, first, last = (text(query, name, most=40) for name in ("period", "from", "to"))
    if first or last:
        if word:
            raise QuestionUnclear("Ask by period, or by from and to.", field="period")
        return periods.between(_day(first, "from"), _day(last, "to"), today=today)
    calendar = FiscalCalendar(organization.fiscal_calendar, organization.fiscal_start_month)
    return periods.named(word or default, today=today, calendar=calendar)


def _day(value: str, name: str) -> date:
    try:
        if len(value) == 10:
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise QuestionUnclear(f"{name} is a day as 2026-10-01.", field=name)
