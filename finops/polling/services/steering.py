"""Feeds paused, resumed, and polled at once."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from finops.core.actors import Actor
from finops.polling.models import PolledFeed
from finops.polling.services.common import Disconnected, FeedStopped, locked_feed, note_feed, release, told_over


@transaction.atomic
def pause(*, organization_id: int, feed_id: int, by: Actor, at: datetime) -> PolledFeed:
    """Read nothing of it until somebody resumes. A page that is being booked is booked. Raises NotFound."""
    row = locked_feed(organization_id, feed_id)
    if row.state != PolledFeed.State.PAUSED:
        row.state = PolledFeed.State.PAUSED
        release(row)
        told_over(row, at)
        row.save(update_fields=["state", "lease", "leased_until", "told_at"])
        note_feed("feed.paused", row, by, at)
    return row


@transaction.atomic
def resume(*, organization_id: int, feed_id: int, by: Actor, at: datetime) -> PolledFeed:
    """Go on from where it stood, at once. What else it was before it was paused it finds out. Raises NotFound."""
    row = locked_feed(organization_id, feed_id)
    if row.state == PolledFeed.State.PAUSED:
        row.state, row.next_at = PolledFeed.State.ACTIVE, at
        row.failures, row.troubled_since = 0, None
        row.save(update_fields=["state", "next_at", "failures", "troubled_since"])
        note_feed("feed.resumed", row, by, at)
    return row


@transaction.atomic
def poll_now(*, organization_id: int, feed_id: int, by: Actor, at: datetime) -> PolledFeed:
    """Do not wait for its time. Of one that is limited the wait stays: asking sooner only makes it longer. Raises
    NotFound, Disconnected, FeedStopped.
    """
    row = locked_feed(organization_id, feed_id)
    if row.account.disconnected_at is not None:
        raise Disconnected("The account is disconnected: set a credential first.")
    if row.state == PolledFeed.State.PAUSED:
        raise FeedStopped("It is paused: resume it first.")
    if row.state == PolledFeed.State.REFUSED:
        raise FeedStopped("The provider refuses its credential: set another first.")
    if row.state != PolledFeed.State.LIMITED and row.next_at > at:
        row.next_at = at
        row.save(update_fields=["next_at"])
        note_feed("feed.polled_now", row, by, at)
    return row
