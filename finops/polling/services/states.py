"""Whose turn a feed is, and what came of it. Every write proves that the turn is still one's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest

from finops.connectors.fetching import Feed
from finops.core.errors import FinopsError
from finops.polling import rules
from finops.polling.models import PolledFeed
from finops.polling.selectors import waiting
from finops.polling.services.common import HOUSE, note_feed, release, tell_stopped, told_over
from finops.polling.types import Tally

# Renewed with each page and each batch of it; a page is fetched within a minute.
LEASE: Final = timedelta(minutes=5)
_LONGEST_MESSAGE: Final = 500


class LeaseLost(FinopsError):
    """The turn has passed to another, or somebody paused the feed: nothing more may be written."""

    code = "polling.lease_lost"
    status = 409


@dataclass(slots=True)
class Turn:
    """A feed that this worker alone reads, as it was when the turn began."""

    row: PolledFeed
    lease: str

    def mark(self, made: Tally, newest: datetime | None, at: datetime) -> None:
        """Renew the lease and count. Raises LeaseLost."""
        self.write(leased_until=at + LEASE, **counted(made, newest))

    def write(self, **said: Any) -> None:
        """One conditional update. Raises LeaseLost."""
        if not PolledFeed.objects.filter(id=self.row.id, lease=self.lease).update(**said):
            raise LeaseLost(f"Feed {self.row.id} is no longer this worker's.")

    def held(self) -> PolledFeed:
        """The row, locked. Raises LeaseLost."""
        rows = PolledFeed.objects.select_for_update(of=("self",)).select_related("source")
        found = rows.filter(id=self.row.id, lease=self.lease).first()
        if found is None:
            raise LeaseLost(f"Feed {self.row.id} is no longer this worker's.")
        return found


def counted(made: Tally, newest: datetime | None) -> dict[str, Any]:
    """What is added to a feed's totals, as an update says it."""
    said: dict[str, Any] = {name: F(name) + many for name, many in made._asdict().items() if many}
    if newest is not None:
        said["newest_at"] = Greatest(F("newest_at"), newest)
    return said


def claim(feed_id: int, at: datetime) -> Turn | None:
    """Take a feed whose time has come; None where it has not, or somebody else has it. One conditional update, so that
    of two workers one gets it.
    """
    lease = uuid4().hex
    # An update has no joins: they go behind `id IN`, and of two that waited for the same row the second would not look
    # there again. So the row's own columns are asked beside it.
    free = Q(leased_until__isnull=True) | Q(leased_until__lt=at)
    rows = PolledFeed.objects.filter(free, id=feed_id, id__in=PolledFeed.objects.filter(waiting(at)).values("id"))
    if not rows.update(lease=lease, leased_until=at + LEASE, last_tried_at=at):
        return None
    return Turn(PolledFeed.objects.select_related("account", "source").get(id=feed_id), lease)


@transaction.atomic
def succeeded(turn: Turn, feed: Feed, at: datetime) -> None:
    """The round is at its end. Raises LeaseLost."""
    row = turn.held()
    began = row.round_at or at
    row.state, row.failures, row.troubled_since = PolledFeed.State.ACTIVE, 0, None
    row.last_success_at, row.last_code, row.last_message = at, "", ""
    row.round_at = row.reached = None
    # By when it began: one that took longer than its rhythm begins again at once.
    row.next_at = began + feed.every
    told_over(row, at)
    release(row)
    row.save()


@transaction.atomic
def rested(turn: Turn, at: datetime) -> None:
    """There is more to read, and others are to have their turn. Raises LeaseLost."""
    row = turn.held()
    row.next_at = at
    release(row)
    row.save()


@transaction.atomic
def refused(turn: Turn, error: FinopsError, at: datetime) -> None:
    """The credential is not good: no more tries until a person sets another. Raises LeaseLost."""
    row = turn.held()
    row.state, row.failures = PolledFeed.State.REFUSED, row.failures + 1
    row.troubled_since = row.troubled_since or at
    row.last_code = error.code
    row.last_message = _sentence(f"The provider refuses the credential: {error.message}")
    tell_stopped(row, at)
    release(row)
    row.save()
    note_feed("feed.refused", row, HOUSE, at, {"code": error.code})


@transaction.atomic
def limited(turn: Turn, feed: Feed, error: FinopsError, *, after_s: float, is_cut: bool, at: datetime) -> None:
    """The provider has enough of us for now. `is_cut`: in the middle of a window, so that the next is to be shorter.
    Raises LeaseLost.
    """
    row = turn.held()
    row.failures += 1
    wait = rules.wait_limited(feed, after_s=after_s, failures=row.failures, feed_id=row.id)
    _in_trouble(row, PolledFeed.State.LIMITED, error.code, error.message, is_cut, at)
    row.next_at = at + wait
    row.save()


@transaction.atomic
def failed(turn: Turn, *, code: str, message: str, is_cut: bool, at: datetime) -> None:
    """It could not be read: tried again, and after each failure later. Raises LeaseLost."""
    row = turn.held()
    row.failures += 1
    _in_trouble(row, PolledFeed.State.FAILING, code, message, is_cut, at)
    row.next_at = at + rules.wait_after(row.failures, row.id)
    row.save()


def _in_trouble(row: PolledFeed, state: str, code: str, message: str, is_cut: bool, at: datetime) -> None:
    row.state, row.last_code, row.last_message = state, code[:80], _sentence(message)
    row.troubled_since = row.troubled_since or at
    if is_cut:
        row.halved = min(row.halved + 1, rules.MOST_HALVED)
    if at - row.troubled_since >= rules.PATIENCE:
        tell_stopped(row, at)
    release(row)


def _sentence(message: str) -> str:
    said = message[:1].upper() + message[1:]
    return f"{said.rstrip('.')}."[:_LONGEST_MESSAGE]
