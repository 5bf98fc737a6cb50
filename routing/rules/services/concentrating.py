"""What each maker of models has of the spend, for organizations whose rules ask it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import transaction

from finops.audit import services as audit
from finops.core.periods import DayRange
from finops.ledger import selectors as ledger
from finops.ledger.types import SpendQuestion
from routing.rules import concentration, selectors
from routing.rules.models import Concentration
from routing.rules.services.common import changed, hold

EXCEEDED: Final = "concentration.exceeded"
ENDED: Final = "concentration.ended"

log = logging.getLogger(__name__)


def follow_concentration(*, at: datetime) -> list[int]:
    """Work it out for each organization that has such a rule in force, and forget it of all others. Gives those of whom
    it changed: that is published, and nothing else is. What fails keeps its last state.
    """
    asking = selectors.limiting_shares()
    _forget(asking, at)
    done = []
    for organization_id, limits in asking.items():
        try:
            if _follow(organization_id, limits, at):
                done.append(organization_id)
        except Exception:
            log.exception("what makers have of the spend of organization %d could not be told", organization_id)
    return done


@transaction.atomic
def _forget(asking: Collection[int], at: datetime) -> None:
    """Of a rule that comes back later, what was so long ago says nothing."""
    for row in Concentration.objects.exclude(organization_id__in=asking).order_by("organization_id"):
        _say(row.organization_id, row.over, [], {}, at)
        row.delete()


def _follow(organization_id: int, limits: Collection[float], at: datetime) -> bool:
    """Whether it is other than it was."""
    shares = concentration.shares_of(_spend(organization_id, at))
    over = concentration.beyond(shares, limits)
    with transaction.atomic():
        hold(organization_id)
        row = Concentration.objects.filter(organization_id=organization_id).first()
        before, told = (row.shares, row.over) if row is not None else ({}, [])
        if (before, told) == (shares, over):
            return False
        _say(organization_id, told, over, shares, at, limits)
        same = before == shares
        defaults = {"shares": shares, "over": over} | ({} if same else {"changed_at": at})
        Concentration.objects.update_or_create(organization_id=organization_id, defaults=defaults)
        if not same:
            changed(organization_id)
    return not same


def _say(
    organization_id: int, before: Collection[str], now: Collection[str], shares: Mapping[str, int], at: datetime,
    limits: Collection[float] = (),
) -> None:  # fmt: skip
    """Signals of makers that came to have too much, and of those that have no more than they may."""
    for maker in sorted({*before} ^ {*now}):
        more = maker in now
        details = {"maker": maker}
        if more:
            details["reason"] = (
                f"{shares[maker]} % of what was spent in {concentration.DAYS} days is for its models, and a rule"
                f" allows {min(limits) * 100:g} %: they are tried last where others can answer"
            )
        kind = EXCEEDED if more else ENDED
        audit.announce(organization_id=organization_id, kind=kind, key=f"maker:{maker}", at=at, details=details)


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
