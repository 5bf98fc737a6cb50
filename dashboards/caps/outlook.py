"""What is to come, as pages say it: the end of a period with its interval, and when a limit is reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from dashboards.access import Here
from dashboards.scope import Scope
from finops.alerts.rules.forecasting import Crossing, Forecast
from finops.alerts.services.forecasts import account_forecasts, spend_forecasts
from finops.budgets.selectors import AccountRow
from finops.budgets.types import Terms
from finops.core.money import from_pico

_SOON: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Four of five ends are to lie from `low` to `high`. `reached` is None where the limit holds at this rate; where it
    is `over`, it was reached before. Of what ends `soon` the hour matters, else the day.
    """

    name: str
    expected: Decimal
    low: Decimal
    high: Decimal
    until: datetime
    method: str
    error: Decimal | None
    over: bool = False
    soon: bool = False
    reached: datetime | None = None
    earliest: datetime | None = None
    latest: datetime | None = None

    @property
    def tone(self) -> str:
        """`bad` where the limit is reached at this rate or was, `warn` where it may be."""
        if self.over or self.reached:
            return "bad"
        return "warn" if self.earliest else ""


def outlooks(
    here: Here, rows: Iterable[AccountRow], terms: Terms, called: Callable[[AccountRow], str]
) -> list[Outlook]:
    """Of accounts of one cap, in the order given; none of sessions."""
    found = account_forecasts(here.id, rows, {terms.budget_id: terms}, at=here.now)
    return [
        replace(
            _outlook(called(one.account), one.forecast, one.crossing),
            over=one.account.spent >= one.account.limit_amount,
            soon=one.forecast.until - here.now < _SOON,
        )
        for one in found
    ]


def this_month(here: Here, scope: Scope) -> Outlook | None:
    """What the filters of a page come to by the end of the UTC month; None where nothing was spent in three months."""
    meant = scope.question(here.caller)
    found = spend_forecasts(here.id, filters=meant.filters, at=here.now)
    return _outlook("", found[0], Crossing(None, None, None)) if found else None


def _outlook(name: str, found: Forecast, when: Crossing) -> Outlook:
    return Outlook(
        name=name,
        expected=from_pico(found.point),
        low=from_pico(found.low),
        high=from_pico(found.high),
        until=found.until,
        method=found.method,
        error=None if found.error is None else Decimal(str(round(found.error, 4))),
        reached=when.at,
        earliest=when.earliest,
        latest=when.latest,
    )
