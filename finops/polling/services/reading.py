"""One window of a feed read and booked, page by page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import Final

from finops.connectors.fetching import Access, Feed, Window
from finops.connectors.registry import PARSERS
from finops.connectors.types import Received, dated
from finops.ingest.services import take
from finops.ingest.services.take import BATCH_MOST
from finops.ingest.services.withdraw import digest, withdraw
from finops.ingest.types import Outcome
from finops.polling.models import PolledFeed
from finops.polling.types import Clock, Tally, tally

# A window of more rows is not compared with what it told before.
_MOST_COMPARED: Final = 500_000
# Proves, inside a transaction that books rows, that they may be booked, and keeps what became of them; an empty tally
# says that a page came. The time is that of the newest row. Raises when the turn is over.
Mark = Callable[[Tally, datetime | None], None]


def read_window(row: PolledFeed, feed: Feed, access: Access, window: Window, *, mark: Mark, now: Clock) -> int:
    """How many rows there were. Raises what `Feed.pages` does, and what `mark` does. What was booked by then is
    booked: the window is read again, and adds nothing.
    """
    rows, told = 0, set[bytes]()
    parse = PARSERS[feed.parser]
    for page in feed.pages(access, window):
        rows += len(page)
        mark(Tally(), None)
        at, records = now(), iter(page)
        # A page may be 32 MiB: what it says is larger, and not all in memory at once.
        while piece := [dated(parse(raw), at) for raw in islice(records, BATCH_MOST)]:
            _book(row, feed, piece, mark, at)
            if feed.whole and rows <= _MOST_COMPARED:
                told.update(digest(one.event.external_id if one.event else one.external_id) for one in piece)
    # A report that has nothing at all is more likely broken than taken back.
    if feed.whole and 0 < rows <= _MOST_COMPARED:
        withdraw(
            organization_id=row.organization_id,
            source_id=row.source_id,
            parser=feed.parser,
            since=window.since,
            until=window.until,
            told=told,
            at=now(),
            within=lambda _, outcomes: mark(tally(outcomes)._replace(rows=0), None),
        )
    return rows


def _book(row: PolledFeed, feed: Feed, piece: Sequence[Received], mark: Mark, at: datetime) -> None:
    def within(places: Sequence[int], outcomes: Sequence[Outcome]) -> None:
        times = [event.occurred_at for place in places if (event := piece[place].event) is not None]
        # A record that is held may be of any year.
        mark(tally(outcomes), max((time for time in times if time <= at), default=None))

    take(
        organization_id=row.organization_id,
        source_id=row.source_id,
        parser=feed.parser,
        received=piece,
        at=at,
        within=within,
    )
