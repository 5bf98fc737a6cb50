"""What can be fetched of an account at OpenRouter: its activity. Asked as its documentation and its SDK have it
(`GetUserActivityRequest`). A single generation is asked for by its id, which no list tells, so it is no feed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from finops.connectors.fetching import Access, Account, Evidence, Feed, Says, Server, Window
from finops.connectors.openrouter import activity
from finops.connectors.paging import PagesBroken

_ROOT: Final = "/api/v1"
_DAY: Final = timedelta(days=1)
_MONTH: Final = timedelta(days=30)


def _server(access: Access) -> Server:
    return Server(access, headers={"Authorization": f"Bearer {access.credential}"})


def _activity(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    """All days that are told, in one page: it has days that are over and no other, as a question for a day has not.
    Those of other windows are left out; what cannot be read is not, so that it is held.
    """
    page = activity.cut(_server(access).get(f"{_ROOT}/activity", [("group_by", "workspace")]))
    yield [raw for raw in page.rows if _is_inside(raw, window)]
    if page.next:
        raise PagesBroken("The activity goes on, and how to ask for more of it is documented nowhere.")


def _is_inside(raw: bytes, window: Window) -> bool:
    event = activity.parse(raw).event
    return event is None or window.since <= event.occurred_at < window.until


def _probe(access: Access) -> None:
    """As the activity, they are for management keys only."""
    _server(access).get(f"{_ROOT}/credits")


ACCOUNT: Final = Account(
    name="openrouter",
    title="OpenRouter",
    address="https://openrouter.ai",
    credential_help="A management key, made in the settings under Management keys. A key that calls models is refused.",
    probe=_probe,
    feeds=(
        Feed(
            name="openrouter-activity",
            evidence=frozenset({Evidence.BILLED}),
            title="Activity by the day",
            parser=activity.PARSER,
            # It says tokens too. Its dollars are what is charged in the end, for calls that a gateway may have seen.
            says=Says.MONEY,
            pages=_activity,
            provider=activity.PROVIDER,
            every=timedelta(hours=6),
            delay=_DAY,
            # Also the day that was not over when it was asked for last.
            revised=timedelta(days=3),
            width=_DAY,
            # All of it, so that one question is enough.
            longest=_MONTH + _DAY,
            history=_MONTH,
            dedupe="the day, the workspace, the model, the endpoint and its provider",
            convention="input includes what was read from a cache, output what was thought",
            money="dollars, as a JSON number",
        ),
    ),
)
