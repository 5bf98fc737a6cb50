"""What periods will have come to: of budgets' accounts, and of what an organization spends by a dimension.

Made anew when asked for, from the ledger's days and hours: one statement for the days, and at most one for the hours,
of all accounts of budgets alike in scope and subject. Nothing of it is stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from finops.alerts.rules.forecasting import EVEN_HOURS, Crossing, Forecast, Past, crossing, forecasts
from finops.alerts.rules.seasons import DAYS_MOST
from finops.budgets import selectors as budgets
from finops.budgets.selectors import AccountRow
from finops.budgets.types import OWNERS, Period, Terms
from finops.core.money import to_pico
from finops.core.periods import DayRange, day_start, next_month
from finops.ledger import selectors as ledger
from finops.ledger.rules.cubes import HOURLY

# A budget that does not begin anew is looked at so far ahead.
ENDLESS: Final = timedelta(days=30)
# What a day's hours are like is learnt from so many days before it. Reading hours costs more than reading days, and the
# answer is the same all day: a process keeps so many of them, and the least recently made goes first.
_HOURS_OF: Final = timedelta(days=14)
_KEPT: Final = 200
_kept: dict[tuple[object, ...], Mapping[int, tuple[float, ...]]] = {}
_NOBODY: Final = frozenset({"0", "-"})

Filters = Mapping[str, frozenset[int]]
Daily = Mapping[int, Mapping[date, Decimal]]


class AccountForecast(NamedTuple):
    """One account at the end of its period, or of the next 30 days where it has none, and when its limit is reached."""

    account: AccountRow
    forecast: Forecast
    crossing: Crossing


def account_forecasts(
    organization_id: int, rows: Iterable[AccountRow], terms: Mapping[int, Terms], *, at: datetime
) -> list[AccountForecast]:
    """Of accounts in their present periods, in the order given; `terms` by budget. Sessions are left out: they live too
    shortly to have a usual day.
    """
    asked = [row for row in rows if terms[row.budget_id].period is not Period.SESSION and _live(row, at)]
    pasts: dict[int, Past] = {}
    alike: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    for place, row in enumerate(asked):
        about = terms[row.budget_id]
        alike[about.each, tuple(sorted((name, about.scope[name]) for name in about.scope))].append(place)
    above = budgets.teams_above(organization_id) if any("team" in terms[row.budget_id].scope for row in asked) else {}
    for places in alike.values():
        about = terms[asked[places[0]].budget_id]
        subjects = [asked[place].subject for place in places]
        found = _pasts_of_subjects(organization_id, about, subjects, above, at)
        pasts |= {place: found[asked[place].subject] for place in places}
    made: dict[int, Forecast] = {}
    by_end: defaultdict[datetime, list[int]] = defaultdict(list)
    for place, row in enumerate(asked):
        by_end[row.ends_at or at + ENDLESS].append(place)
    for until, places in by_end.items():
        spent = [to_pico(asked[place].spent) for place in places]
        made |= zip(
            places, forecasts([pasts[place] for place in places], spent=spent, now=at, until=until), strict=True
        )
    return [
        AccountForecast(row, made[place], crossing(made[place], to_pico(row.limit_amount)))
        for place, row in enumerate(asked)
    ]


def spend_forecasts(
    organization_id: int, *, by: str = "", filters: Filters | None = None, limit: int | None = None, at: datetime
) -> dict[int, Forecast]:
    """What each value of a dimension (0 without one) will have spent by the end of the UTC month; the largest `limit`
    of the last months, dearest at the end first.
    """
    today = at.astimezone(UTC).date()
    start, until = today.replace(day=1), day_start(next_month(today))
    daily = _daily(organization_id, by, filters or {}, limit, today)
    found = _pasts(organization_id, daily, by, filters or {}, today)
    values = sorted(found)
    # Credits of the month count, as they do in every answer about spend; only what is to come has none.
    spent = [to_pico(sum((cost for day, cost in daily[one].items() if day >= start), Decimal(0))) for one in values]
    made = forecasts([found[one] for one in values], spent=spent, now=at, until=until)
    return dict(sorted(zip(values, made, strict=True), key=lambda pair: (-pair[1].point, pair[0])))


def pasts(
    organization_id: int, *, by: str = "", filters: Filters, limit: int | None = None, at: datetime
) -> dict[int, Past]:
    """What each value of a dimension (0 without one) spent day by day, today until now, and when in the day."""
    today = at.astimezone(UTC).date()
    return _pasts(organization_id, _daily(organization_id, by, filters, limit, today), by, filters, today)


def _daily(organization_id: int, by: str, filters: Filters, limit: int | None, today: date) -> Daily:
    days = DayRange(today - timedelta(days=DAYS_MOST), today + timedelta(days=1))
    return ledger.daily_spend(organization_id, days, by=by, filters=filters, limit=limit)


def _pasts(organization_id: int, daily: Daily, by: str, filters: Filters, today: date) -> dict[int, Past]:
    shapes = _hours(organization_id, by, filters, today)
    return {
        one: _past(spent, today, shapes.get(one if by in HOURLY else 0, EVEN_HOURS)) for one, spent in daily.items()
    }


def _hours(organization_id: int, by: str, filters: Filters, today: date) -> Mapping[int, tuple[float, ...]]:
    """Of dimensions whose hours are not kept, those of all that the others narrow it to."""
    by = by if by in HOURLY else ""
    narrow = {name: ids for name, ids in filters.items() if name in HOURLY}
    key = (organization_id, by, frozenset(narrow.items()), today)
    found = _kept.get(key)
    if found is None:
        end = day_start(today)
        found = _kept[key] = ledger.hours_of_day(organization_id, end - _HOURS_OF, end, by=by, filters=narrow)
        while len(_kept) > _KEPT:
            _kept.pop(next(iter(_kept)), None)
    return found


def _past(spent: Mapping[date, Decimal], today: date, hours: Sequence[float]) -> Past:
    """From the first day with any spend on; a day of credits counts as nothing."""
    first = min((day for day in spent if spent[day] > 0), default=today)
    days = (first + timedelta(days=n) for n in range((today - first).days))
    nothing = Decimal(0)
    return Past(
        [max(0, to_pico(spent.get(day, nothing))) for day in days],
        max(0, to_pico(spent.get(today, nothing))),
        hours,
    )


def _pasts_of_subjects(
    organization_id: int,
    about: Terms,
    subjects: Sequence[str],
    above: Mapping[int, frozenset[int]],
    at: datetime,
) -> dict[str, Past]:
    ids = {"": 0} if not about.each else _ids(organization_id, about.each, subjects)
    filters = {name: _scope(organization_id, name, values, above) for name, values in about.scope.items()}
    if about.each:
        # A scope and a subject of one dimension are both meant.
        asked = frozenset(ids.values())
        filters[about.each] = filters.get(about.each, asked) & asked
    found = pasts(organization_id, by=about.each, filters=filters, at=at)
    return {subject: found.get(ids.get(subject, -1), Past([])) for subject in subjects}


def _scope(
    organization_id: int, name: str, values: frozenset[str], above: Mapping[int, frozenset[int]]
) -> frozenset[int]:
    """A scope's values as the ledger has them; a team stands for every team below it."""
    ids = frozenset(_ids(organization_id, name, values).values())
    if name != "team":
        return ids
    return ids | {team for team, chain in above.items() if chain & ids}


def _ids(organization_id: int, name: str, subjects: Iterable[str]) -> dict[str, int]:
    """Subjects as the ledger has them: nobody is 0. A word that no charge has is left out."""
    if name in OWNERS:
        return {one: int(one) for one in subjects}
    told = set(subjects)
    return dict.fromkeys(told & _NOBODY, 0) | ledger.term_ids(organization_id, name, told - _NOBODY)


def _live(row: AccountRow, at: datetime) -> bool:
    return row.starts_at <= at and (row.ends_at is None or at < row.ends_at)
