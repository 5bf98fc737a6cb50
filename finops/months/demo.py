"""The demo's months: the last one that is over is closed, and one call of it is taken back after that."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from finops.core.actors import Actor, system
from finops.core.periods import DayRange, day_start, month_start, months_on, next_month
from finops.ledger import selectors as ledger
from finops.ledger.services import reverse_in_transaction
from finops.months.models import Closing
from finops.months.services import close_month

_DEMO: Final[Actor] = system("demo")
# Finance closes on the third day; the proxy tells six days later that it had told a call wrongly.
_CLOSED_AFTER: Final = timedelta(days=2, hours=9)
_TAKEN_BACK_AFTER: Final = timedelta(days=6)
# Days that no bill of the demo is of, whenever it ends.
_EARLY: Final = (timedelta(days=2), timedelta(days=15))
_LOOKED_AT: Final = 200


@transaction.atomic
def close_last(organization_id: int, *, at: datetime) -> None:
    """Done already, it is left as it is; so is a demo that begins within the month."""
    month = months_on(month_start(at.date()), -1)
    if Closing.objects.filter(organization_id=organization_id).exists():
        return
    closed_at = min(day_start(next_month(month)) + _CLOSED_AFTER, at)
    reason = "The old build server still belongs to nobody, and what is held is small."
    close_month(organization_id=organization_id, month=month, reason=reason, by=_DEMO, at=closed_at)
    days = DayRange(*(month + after for after in _EARLY))
    rows = ledger.charges(organization_id, days, limit=_LOOKED_AT).rows
    calls = [row for row in rows if row.calls == 1 and not row.reason and row.effective_cost]
    if calls:
        dearest = max(calls, key=lambda row: (row.effective_cost, row.id))
        reverse_in_transaction(
            organization_id=organization_id,
            charges=[(dearest.id, dearest.occurred_at)],
            at=min(closed_at + _TAKEN_BACK_AFTER, at),
        )
