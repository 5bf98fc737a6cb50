"""News on its way: claimed, held in quiet hours, gathered, sent, tried again, given up.

Whoever sends claims first, in a transaction of its own, and says afterwards what became of it. Should it die between
the two, the claim runs out and the same letter is sent again under the same id.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from finops.alerts import selectors, senders
from finops.alerts.models import Channel, Delivery
from finops.alerts.rules.timing import MOST_TRIES, held_until, retry_at
from finops.alerts.types import Event, Letter, Outcome, Severity
from finops.audit.services import record
from finops.core.actors import Actor
from finops.core.errors import FinopsError
from finops.orgs import selectors as orgs

# Longer than any try takes: then whoever sends is taken for dead.
LEASE: Final = timedelta(minutes=2)
# More at once go out in one letter, which tells so many of them.
APART: Final = 5
TOLD: Final = 20
# Letters of one channel in one go; the rest is for the next.
LETTERS: Final = 10
MOST_TESTS: Final = 10
TESTS_WITHIN: Final = timedelta(minutes=10)

log = logging.getLogger("finops.alerts")
_State = Delivery.State
_OPEN: Final = Q(state__in=[_State.WAITING, _State.SENDING])
# One claimer of a channel at a time, so that what is due goes out together.
_ALONE: Final = "SELECT pg_try_advisory_xact_lock(hashtext('alerts.channel'), %s)"


class TooManyTests(FinopsError):
    code = "alerts.too_many_tests"
    status = 429


class ChannelArchived(FinopsError):
    """Nothing goes to it any more."""

    code = "alerts.channel_archived"
    status = 409


class Bundle(NamedTuple):
    """Deliveries that go out in one letter, and how often they were tried with this try."""

    id: uuid.UUID
    tries: int


def deliver_to(*, channel_id: int, now: Callable[[], datetime]) -> int:
    """Send what is due to a channel; how many letters. Harmless twice and at once."""
    bundles = claim(channel_id=channel_id, at=now())
    if not bundles:
        return 0
    channel = Channel.objects.get(id=channel_id)
    for bundle in bundles:
        finish(bundle=bundle, outcome=_try(channel, bundle, now()), at=now())
    return len(bundles)


def _try(channel: Channel, bundle: Bundle, at: datetime) -> Outcome:
    """One letter that cannot even be made keeps no other waiting."""
    try:
        return senders.send(channel, _letter(channel, bundle, at))
    except Exception:
        log.exception("letter %s to channel %d could not be sent", bundle.id, channel.id)
        return Outcome("It could not be sent; the log says why.")


@transaction.atomic
def claim(*, channel_id: int, at: datetime) -> list[Bundle]:
    """Take what is due of a channel, as letters."""
    with connection.cursor() as cursor:
        cursor.execute(_ALONE, [channel_id])
        row = cursor.fetchone()
    channel = Channel.objects.filter(id=channel_id).first()
    if not (row and row[0]) or channel is None:
        return []
    due = Delivery.objects.filter(_OPEN, channel_id=channel_id, next_try_at__lte=at)
    if channel.archived_at is not None:
        due.update(state=_State.FAILED, last_error="The channel is archived.")
        return []
    _hold(channel, due, at)
    due.filter(tries__gte=MOST_TRIES).update(state=_State.FAILED, last_error="Whoever sent it did not come back.")
    again = list(due.filter(bundle__isnull=False).order_by("bundle").values_list("bundle", "tries").distinct())
    bundles = [Bundle(one, tries + 1) for one, tries in again[:LETTERS] if one is not None]
    bundles += [Bundle(one, 1) for one in _bundled(due.filter(bundle__isnull=True), LETTERS - len(bundles))]
    for bundle in bundles:
        due.filter(bundle=bundle.id).update(state=_State.SENDING, tries=bundle.tries, next_try_at=at + LEASE)
    return bundles


def _hold(channel: Channel, due: QuerySet[Delivery], at: datetime) -> None:
    """In quiet hours everything waits until they are over, but for what is critical where the channel says so. A letter
    that was tried before waits as a whole, or not.
    """
    until = held_until(at, channel.timezone, channel.quiet_from, channel.quiet_until)
    if until is not None:
        critical = due.filter(incident__severity=Severity.CRITICAL)
        held = due
        if channel.critical_always:
            with_critical = critical.filter(bundle__isnull=False).values("bundle")
            held = due.exclude(id__in=critical.values("id")).exclude(bundle__in=with_critical)
        Delivery.objects.filter(id__in=held.values("id")).update(state=_State.WAITING, next_try_at=until)


def _bundled(new: QuerySet[Delivery], most: int) -> list[uuid.UUID]:
    """Few go out one by one, many or gathered ones together."""
    first = list(new.order_by("id")[: APART + 1])
    if not first or most < 1:
        return []
    if len(first) > APART or any(one.digest for one in first):
        together = uuid.uuid4()
        new.update(bundle=together)
        return [together]
    made = []
    for one in first[:most]:
        one.bundle = uuid.uuid4()
        one.save(update_fields=["bundle"])
        made.append(one.bundle)
    return made


def _letter(channel: Channel, bundle: Bundle, at: datetime) -> Letter:
    rows = Delivery.objects.filter(channel=channel, bundle=bundle.id, state=_State.SENDING).select_related("incident")
    count = rows.count()
    # Of few in the order they happened, of many the worst first.
    order = ("id",) if count <= TOLD else ("-incident__step", "id")
    shown = [(one.incident, one.event) for one in rows.order_by(*order)[:TOLD] if one.incident is not None]
    return Letter(
        id=str(bundle.id),
        organization=orgs.organization(channel.organization_id).name,
        at=at,
        stories=tuple(selectors.stories(channel.organization_id, shown)),
        more=count - len(shown),
    )


def finish(*, bundle: Bundle, outcome: Outcome, at: datetime) -> None:
    """Say what became of a letter. What somebody else has claimed since is theirs to say."""
    rows = Delivery.objects.filter(bundle=bundle.id, state=_State.SENDING, tries=bundle.tries)
    if not outcome.problem:
        rows.update(state=_State.DELIVERED, delivered_at=at, last_error="")
        return
    again = None if outcome.permanent else retry_at(at, bundle.tries)
    if again is None:
        rows.update(state=_State.FAILED, last_error=outcome.problem[:300])
    else:
        rows.update(state=_State.WAITING, next_try_at=again, last_error=outcome.problem[:300])


def test_channel(*, organization_id: int, channel_id: int, by: Actor, now: Callable[[], datetime]) -> Delivery:
    """Send a test at once, whatever the hour, and say what became of it. Raises NotFound, ChannelArchived and
    TooManyTests.
    """
    at = now()
    with transaction.atomic():
        row = _begin_test(organization_id, channel_id, by, at)
    letter = Letter(
        id=str(row.bundle), organization=orgs.organization(organization_id).name, at=at, stories=(), test=True
    )
    outcome = senders.send(row.channel, letter)
    row.state = _State.FAILED if outcome.problem else _State.DELIVERED
    row.last_error, row.delivered_at = outcome.problem[:300], None if outcome.problem else now()
    row.save(update_fields=["state", "last_error", "delivered_at"])
    return row


def _begin_test(organization_id: int, channel_id: int, by: Actor, at: datetime) -> Delivery:
    channel = selectors.channel(organization_id, channel_id)
    if channel.archived_at is not None:
        raise ChannelArchived("Nothing goes to an archived channel.")
    # One by one, so that they are counted.
    Channel.objects.select_for_update().get(id=channel.id)
    tests = Delivery.objects.filter(channel=channel, event=Event.TEST, created_at__gt=at - TESTS_WITHIN)
    if tests.count() >= MOST_TESTS:
        raise TooManyTests(f"A channel is tested at most {MOST_TESTS} times in ten minutes.")
    record(
        organization_id=organization_id, verb="channel.tested", subject_kind="channel", subject_id=channel.id,
        subject_label=channel.name, by=by, at=at,
    )  # fmt: skip
    # Tried once: who asked looks on. Should this process die meanwhile, nothing is sent again.
    return Delivery.objects.create(
        organization_id=organization_id, channel=channel, event=Event.TEST, state=_State.FAILED, tries=1,
        bundle=uuid.uuid4(), last_error="Whoever sent it did not come back.", next_try_at=at, created_at=at,
    )  # fmt: skip
