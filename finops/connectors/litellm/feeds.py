"""What can be fetched of a LiteLLM proxy: its log of spend, as `GET /spend/logs/v2` of LiteLLM 1.106 takes its
parameters, with the mail addresses of its directory (`GET /user/list`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from finops.connectors.enforcement import Power
from finops.connectors.fetching import Access, Account, Evidence, Feed, Says, Server, Window
from finops.connectors.foreign import rows_of
from finops.connectors.keeping import object_of
from finops.connectors.litellm.spend_logs import PARSER, cut
from finops.connectors.pages import Page
from finops.connectors.paging import followed
from finops.connectors.telling import mapping, words

_MOST_ROWS: Final = 1_000
_MOST_USERS: Final = 100
# So many in one question that its address stays short.
_USERS_ASKED: Final = 40
_LONGEST_USER: Final = 120
_USERS: Final = "a page of LiteLLM's users"
_LOGS: Final = "a page of LiteLLM's /spend/logs/v2"


def _server(access: Access) -> Server:
    return Server(access, headers={"Authorization": f"Bearer {access.credential}"})


def _logs(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    """Whole seconds, and the last is in the window: who stands there is told twice, and is the same call. By time from
    the first on, so that a call that is written meanwhile shifts others to a page that is still to come.
    """
    server = _server(access)
    query = [
        ("start_date", _text(window.since)),
        ("end_date", _text(window.until)),
        ("sort_by", "startTime"),
        ("sort_order", "asc"),
        ("page_size", str(_MOST_ROWS)),
    ]
    emails: dict[str, str] = {}

    def ask(after: str) -> Page:
        body = server.get("/spend/logs/v2", [*query, ("page", after or "1")])
        unknown = sorted(_users(body) - emails.keys())
        emails.update(_emails(server, unknown))
        return cut(body, emails=emails)

    return followed(ask)


def _users(body: bytes) -> set[str]:
    """The ids of a page's users. One that cannot be asked for is left out: their ids are told by commas."""
    rows = rows_of(object_of(body, _LOGS), "data", _LOGS)
    found = {words(mapping(row).get("user")) for row in rows}
    return {user for user in found if user and "," not in user and len(user) <= _LONGEST_USER}


def _emails(server: Server, users: Sequence[str]) -> Mapping[str, str]:
    """The address of each user, '' for whom the directory does not know."""
    found = dict.fromkeys(users, "")
    for place in range(0, len(users), _USERS_ASKED):
        asked = ",".join(users[place : place + _USERS_ASKED])
        for user in _directory(server, asked):
            name = words(user.get("user_id"))
            if name in found:
                found[name] = words(user.get("user_email"))
    return found


def _directory(server: Server, asked: str) -> Iterable[Mapping[str, Any]]:
    """All pages: LiteLLM takes a single id for a part of one, which many may have."""

    def ask(after: str) -> Page:
        page = int(after or 1)
        query = [("user_ids", asked), ("page", str(page)), ("page_size", str(_MOST_USERS))]
        said = object_of(server.get("/user/list", query), _USERS)
        users = [mapping(one) for one in rows_of(said, "users", _USERS)]
        listed.extend(users)
        pages = said.get("total_pages")
        # By whom a page that comes again is known; without the others their calls would be nobody's.
        told = tuple([words(one.get("user_id")).encode() for one in users])
        return Page(told, str(page + 1) if type(pages) is int and page < pages else "")

    listed: list[Mapping[str, Any]] = []
    for _ in followed(ask):
        yield from listed
        listed.clear()


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _probe(access: Access) -> None:
    """Whoever may list users may read all of the log."""
    _server(access).get("/user/list", [("page", "1"), ("page_size", "1")])


ACCOUNT: Final = Account(
    enforces=frozenset({Power.BLOCK_KEY}),
    name="litellm",
    title="LiteLLM",
    # The proxy's own.
    address="",
    credential_help="The proxy's master key, or a key of a user with the role proxy_admin_viewer.",
    probe=_probe,
    feeds=(
        Feed(
            name="litellm-logs",
            evidence=frozenset({Evidence.METERED, Evidence.REPORTED}),
            title="Log of spend",
            parser=PARSER,
            says=Says.CHARGES,
            pages=_logs,
            every=timedelta(minutes=5),
            delay=timedelta(minutes=1),
            # No row changes, but a call is written when it ends, under the time it began at.
            revised=timedelta(hours=1),
            width=timedelta(minutes=1),
            # Anything is allowed, but its pages are counted from the window's beginning: late ones are slow.
            longest=timedelta(hours=1),
            history=timedelta(days=365),
            dedupe="LiteLLM's id of the call and the provider's id of the answer",
            convention="input holds what was read from and written to a cache",
            money="dollars, LiteLLM's estimate: a tag, for comparing",
        ),
    ),
)
