"""When: what was observed is folded every few seconds; limits follow increases that begin and end; keys are blocked
ahead of limits.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from finops.budgets import services
from finops.budgets.services.acting import act
from finops.budgets.services.planning import plan

# How far back ended increases are looked for: longer than a scheduler is ever away. Doing it twice changes nothing.
_LOOK_BACK: Final = timedelta(days=2)
# What gateways were given of a minute is asked for no longer than that, whichever clock is ahead.
_MINUTES: Final = timedelta(minutes=10)


@shared_task(name="budgets.fold_observed")
def fold_observed(**_: Any) -> None:
    services.fold_observed()


@shared_task(name="budgets.follow_increases")
def follow_increases(**_: Any) -> None:
    at = timezone.now()
    services.follow_increases(since=at - _LOOK_BACK, at=at)


@shared_task(name="budgets.forget_minutes")
def forget_minutes(**_: Any) -> None:
    services.forget_minutes(before=timezone.now() - _MINUTES)


@shared_task(name="budgets.plan_blocks")
def plan_blocks(**_: Any) -> None:
    """Which keys are to be blocked, or given back. From a look to what the next one wants being done two go by: the
    next, and one in which it waited for its turn.
    """
    planned = plan(every=2 * timedelta(seconds=settings.ENFORCE_EVERY_S), at=timezone.now())
    if planned.wanted or planned.unwanted:
        act_on_blocks.apply_async(expires=settings.ENFORCE_EVERY_S)


@shared_task(name="budgets.act_on_blocks")
def act_on_blocks(**_: Any) -> None:
    act(now=timezone.now)
