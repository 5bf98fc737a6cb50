"""What can be fetched of a team at Cursor, by its Admin API: usage events. Asked as its documentation has it."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from finops.connectors.cursor.parse import PARSER, PROVIDER, cut, events_of
from finops.connectors.fetching import Access, Account, Evidence, Feed, Says, Server, Window
from finops.connectors.pages import Page
from finops.connectors.paging import Other, followed

_EVENTS: Final = "/teams/filtered-usage-events"
# No most is documented (10 is the default); others ask for as many, and its answer says how many it gave.
_MOST_ROWS: Final = 500
_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _server(access: Access) -> Server:
    """The key is the user's name, and there is no password."""
    token = base64.b64encode(f"{access.credential}:".encode()).decode()
    return Server(access, headers={"Authorization": f"Basic {token}"})


def _events(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    """Whether its end is in the window is not documented: who stands there is told twice, and is the same event."""
    server = _server(access)
    asked = {"startDate": _milliseconds(window.since), "endDate": _milliseconds(window.until), "pageSize": _MOST_ROWS}
    # Equals are of one millisecond, so never of two windows.
    counted: Counter[str] = Counter()
    other = Other()

    def ask(after: str) -> Page:
        body = server.post(_EVENTS, {**asked, "page": int(after or 1)})
        events = events_of(body)
        # Pages of one event over and over differ by their number alone, which a server that looks at none may repeat.
        other.check(events if len(set(events)) > 1 else [body])
        return cut(body, counted=counted)

    return followed(ask)


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND


def _probe(access: Access) -> None:
    _server(access).get("/teams/members")


ACCOUNT: Final = Account(
    name="cursor",
    title="Cursor",
    address="https://api.cursor.com",
    credential_help="An Admin API key of an Enterprise team, made by an admin in the dashboard's settings.",
    probe=_probe,
    feeds=(
        Feed(
            name="cursor-events",
            evidence=frozenset({Evidence.BILLED}),
            whole=True,
            title="Usage events",
            parser=PARSER,
            says=Says.CHARGES,
            pages=_events,
            provider=PROVIDER,
            every=timedelta(hours=1),
            delay=timedelta(hours=1),
            revised=timedelta(days=1),
            width=timedelta(minutes=1),
            # 30 days are allowed, and 20 requests a minute: a window that these cut off begins anew.
            longest=timedelta(hours=6),
            history=timedelta(days=365),
            dedupe="the time, a hash of what it says, and its place among its equals",
            convention="input leaves out what was read from and written to a cache",
            money="cents, as decimals",
        ),
    ),
)
