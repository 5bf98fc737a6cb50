"""What each maker of models has of the spend, for organizations whose rules ask it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db import transaction

from finops.core.periods import DayRange
from finops.ledger import selectors as ledger
from finops.ledger.types import SpendQuestion
from routing.rules import concentration, selectors
from routing.rules.models import Concentration
from routing.rules.services.common import changed, hold

log = logging.getLogger(__name__)


def follow_concentration(*, at: datetime) -> list[int]:
    """Work it out for each organization that has such a rule in force, and forget it of all others. Gives those of whom
    it changed: that is published, and nothing else is. What fails keeps its last state.
    """
    asking = selectors.limiting_shares()
    # Of a rule that comes back later, what was so long ago says nothing.
    Concentration.objects.exclude(organization_id__in=asking).delete()
    done = []
    for organization_id in asking:
        try:
            if _follow(organization_id, at):
                done.append(organization_id)
        except Exception:
            log.exception("what makers have of the spend of organization %d could not be told", organization_id)
    return done


def _follow(organization_id: int, at: datetime) -> bool:
    """Whether it is other than it was."""
    shares = concentration.shares_of(_spend(organization_id, at))
    with transaction.atomic():
        hold(organization_id)
        if selectors.shares(organization_id) == shares:
            return False
        Concentration.objects.update_or_create(
            organization_id=organization_id, defaults={"shares": shares, "changed_at": at}
        )
        changed(organization_id)
    return True


def _spend(organization_id: int, at: datetime) -> dict[str, Decimal]:
    """Effective cost by maker, over full UTC days, in the reporting currency."""
    today = at.astimezone(UTC).date()
    days = DayRange(today - timedelta(days=concentration.DAYS), today)
    rows = ledger.spend(SpendQuestion(organization_id, days, group_by=("model",)))
    called = ledger.named(organization_id, {"model": {row.values[0] for row in rows} - {0}})["model"]
    makers = selectors.makers(organization_id)
    found: dict[str, Decimal] = {}
    for row in rows:
        model = called.get(row.values[0])
        maker = "" if model is None else makers.of(model.value).vendor
        found[maker] = found.get(maker, Decimal(0)) + row.reporting_cost
    return found
