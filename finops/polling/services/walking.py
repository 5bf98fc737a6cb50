"""One turn of one feed: its round begun or gone on with, window by window."""

from __future__ import annotations

import logging
import traceback
from datetime import datetime, timedelta
from typing import Final

from django.db import OperationalError

from finops.connectors.fetching import Access, Away, Feed, Limited, Refused
from finops.core.errors import FinopsError
from finops.polling import rules
from finops.polling.services import states
from finops.polling.services.common import access_of, known_feed
from finops.polling.services.reading import read_window
from finops.polling.services.states import LeaseLost, Turn
from finops.polling.types import Clock, Tally

logger = logging.getLogger(__name__)
# After so long the next feed has its turn; this one goes on behind those that wait.
LONGEST_TURN: Final = timedelta(minutes=5)


def poll(feed_id: int, now: Clock) -> bool:
    """Read a feed, if its time has come and nobody else does; whether it was one's turn.

    Nothing is lost: the watermark moves when a whole window was read. Nothing is double: what is read again is known by
    its id. Raises OperationalError when the database is away; the lease then runs out.
    """
    turn = states.claim(feed_id, now())
    if turn is None:
        return False
    try:
        _work(turn, now)
    except LeaseLost:
        logger.info("feed %d passed to another, or was paused", feed_id)
    return True


def _work(turn: Turn, now: Clock) -> None:
    pages = _Pages(turn, now)
    try:
        feed = known_feed(turn.row.name)
    except FinopsError as error:
        states.failed(turn, code=error.code, message=error.message, is_cut=False, at=now())
        return
    try:
        is_done = _walk(turn, feed, access_of(turn.row.account), pages, now)
    except (LeaseLost, OperationalError):
        raise
    except Refused as error:
        states.refused(turn, error, now())
    except Limited as error:
        states.limited(turn, feed, error, after_s=error.after_s, is_cut=pages.of_window > 0, at=now())
    except FinopsError as error:
        # One that did not answer in time may answer less.
        is_cut = isinstance(error, Away)
        states.failed(turn, code=error.code, message=error.message, is_cut=is_cut, at=now())
    except Exception as error:  # noqa: BLE001  whatever it was, the feed says so
        # Not its message, which may hold what was sent; where it happened says enough.
        where = "".join(traceback.format_tb(error.__traceback__))
        logger.error("feed %d was stopped by %s at\n%s", turn.row.id, type(error).__name__, where)
        said = f"{type(error).__name__} stopped it; the worker's log says where."
        states.failed(turn, code="polling.unexpected", message=said, is_cut=False, at=now())
    else:
        if is_done:
            states.succeeded(turn, feed, now())
        else:
            states.rested(turn, now())


class _Pages:
    """How many pages of the present window came, and a lease that is renewed with each."""

    def __init__(self, turn: Turn, now: Clock) -> None:
        self.of_window = 0
        self._turn, self._now = turn, now

    def mark(self, made: Tally, newest: datetime | None) -> None:
        if not made.rows:
            self.of_window += 1
        self._turn.mark(made, newest, self._now())


def _walk(turn: Turn, feed: Feed, access: Access, pages: _Pages, now: Clock) -> bool:
    """False: there is more, and the turn is over."""
    row = turn.row
    began = now()
    if row.round_at is None or row.reached is None or rules.is_past(feed, row.round_at, began):
        row.round_at = began
        row.reached = rules.again_from(feed, watermark=row.watermark, begun_from=row.begun_from, at=began)
        turn.write(round_at=row.round_at, reached=row.reached)
    # One that was left lying may begin before anything that is still told.
    row.reached = max(row.reached, rules.oldest(feed, began))
    until = rules.ceiling(row.round_at, feed.width)
    while row.reached < until:
        window = rules.next_window(feed, row.reached, until, row.halved)
        pages.of_window = 0
        read_window(row, feed, access, window, mark=pages.mark, now=now)
        row.reached = window.until
        row.watermark = max(row.watermark, min(window.until, row.round_at))
        row.halved = max(row.halved - 1, 0)
        # What is limited and gets on all the same waits no longer than it is told to.
        turn.write(reached=row.reached, watermark=row.watermark, halved=row.halved, failures=0)
        if row.reached < until and now() - began >= LONGEST_TURN:
            return False
    return True
