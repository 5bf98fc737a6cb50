"""When recommendations are worked out: as evidence arrives, and when somebody asks."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from celery import shared_task
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerAway

from finops.core.actors import Actor
from routing.recommend import selectors, services
from routing.recommend.rules import MOST_AT_ONCE, Busy
from routing.recommend.services.acting import HOUSE

logger = logging.getLogger(__name__)
QUEUE = "routing"


@shared_task(name="recommend.recompute", acks_late=True)
def recompute(*, organization_id: int, **_: Any) -> None:
    """Of one organization. Somebody else at it is none the worse: what is missed is due again a minute later."""
    try:
        services.recompute(organization_id=organization_id, by=HOUSE, at=timezone.now())
    except Busy:
        logger.info("recommendations of organization %s are being worked out already", organization_id)


@shared_task(name="recommend.follow")
def follow(**_: Any) -> None:
    """Queue each organization of which anything changed; close what is over."""
    at = timezone.now()
    services.expire(by=HOUSE, at=at)
    for organization_id in selectors.due(at):
        recompute.apply_async(kwargs={"organization_id": organization_id}, queue=QUEUE, expires=600)


def recompute_soon(*, organization_id: int, by: Actor, at: datetime) -> services.Recomputed | None:
    """At once where that is quick; else by a worker, and then None."""
    if services.waiting(organization_id) > MOST_AT_ONCE:
        send(organization_id)
        return None
    return services.recompute(organization_id=organization_id, by=by, at=at)


def send(organization_id: int) -> None:
    """Tells a worker once it is committed. Nobody there to tell is no failure: the schedule finds it."""

    def tell() -> None:
        try:
            recompute.apply_async(kwargs={"organization_id": organization_id}, queue=QUEUE, retry=False, expires=600)
        except BrokerAway as error:
            logger.warning(
                "recommendations wait for the schedule: the broker does not answer (%s)", type(error).__name__
            )

    transaction.on_commit(tell)
