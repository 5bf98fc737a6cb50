"""When: signals every second, facts every half minute and every few, deliveries as soon as there are any.

Each is harmless twice: signals are taken once, an incident is open once, a letter is claimed before it is sent.
"""

from __future__ import annotations

from typing import Any, Final

from celery import shared_task
from django.utils import timezone

from finops.alerts import selectors
from finops.alerts.services import deliveries, foreseeing, incidents, late, signals, thresholds, watching

# Batches of signals in one go; a flood leaves room for others between.
_BATCHES: Final = 20


@shared_task(name="alerts.take_signals", queue="alerts")
def take_signals(**_: Any) -> None:
    taken = 0
    for _batch in range(_BATCHES):
        now = signals.take_signals(at=timezone.now())
        taken += now
        if now < signals.BATCH:
            break
    if taken:
        deliver.delay()


@shared_task(name="alerts.evaluate", queue="alerts")
def evaluate(**_: Any) -> None:
    for organization_id in thresholds.watched():
        thresholds.evaluate_thresholds(organization_id=organization_id, at=timezone.now())
    for _batch in range(_BATCHES):
        if not incidents.resolve_ended(at=timezone.now()):
            break
    deliver.delay()


@shared_task(name="alerts.watch", queue="alerts")
def watch(**_: Any) -> None:
    watching.note_rhythms(at=timezone.now())
    for organization_id in watching.watched():
        watching.watch(organization_id=organization_id, at=timezone.now())
    deliver.delay()


@shared_task(name="alerts.foresee", queue="alerts")
def foresee(**_: Any) -> None:
    for finders in (foreseeing.FORESEEN, late.LATE):
        for organization_id in watching.watched(finders):
            watching.watch(organization_id=organization_id, at=timezone.now(), finders=finders)
    deliver.delay()


@shared_task(name="alerts.deliver", queue="alerts")
def deliver(**_: Any) -> None:
    """A task for each channel, so that one that does not answer keeps no other waiting."""
    for channel_id in selectors.due_channels(timezone.now()):
        deliver_to.delay(channel_id=channel_id)


@shared_task(name="alerts.deliver_to", queue="alerts")
def deliver_to(*, channel_id: int, **_: Any) -> None:
    deliveries.deliver_to(channel_id=channel_id, now=timezone.now)
