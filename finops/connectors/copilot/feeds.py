"""What can be fetched of an organization or an enterprise at GitHub: what Copilot's credits cost, and its seats.

Paths and parameters as GitHub's REST API has them in version 2026-03-10. A report is asked for a day at a time: a month
would be other rows than its days.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from finops.connectors.copilot.parse import PARSER, PROVIDER, cut, cut_seats
from finops.connectors.copilot.remainder import without
from finops.connectors.fetching import Access, Account, Evidence, Feed, Need, RequestRefused, Says, Server, Window
from finops.connectors.foreign import body_of, rows_of
from finops.connectors.given import slug
from finops.connectors.pages import Page
from finops.connectors.paging import followed
from finops.connectors.telling import mapping, words

_VERSION: Final = "2026-03-10"
_DAY: Final = timedelta(days=1)
_MOST_SEATS: Final = 100
_SEATS: Final = "a page of Copilot's seats"


def _server(access: Access) -> Server:
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {access.credential}",
        "X-GitHub-Api-Version": _VERSION,
    }
    return Server(access, headers=headers)


def _billing(access: Access) -> str:
    """Where the reports are. Raises RequestRefused where neither an organization nor an enterprise is named."""
    enterprise, organization = slug(access, "enterprise"), slug(access, "organization")
    if enterprise:
        return f"/enterprises/{enterprise}/settings/billing"
    if organization:
        return f"/organizations/{organization}/settings/billing"
    raise RequestRefused("the setting 'organization' is needed, or 'enterprise'")


def _holders(access: Access, server: Server) -> list[str]:
    """Logins of those who have a seat now, each once: in an enterprise one may be listed for several organizations."""
    enterprise, organization = slug(access, "enterprise"), slug(access, "organization")
    path = f"/enterprises/{enterprise}" if enterprise else f"/orgs/{organization}"
    read = 0

    def ask(after: str) -> Page:
        nonlocal read
        page = int(after or 1)
        query = [("page", str(page)), ("per_page", str(_MOST_SEATS))]
        said = body_of(server.get(f"{path}/copilot/billing/seats", query), _SEATS)
        seats = rows_of(said, "seats", _SEATS)
        read += len(seats)
        total = said.get("total_seats")
        logins = [words(mapping(mapping(seat).get("assignee")).get("login")) for seat in seats]
        more = bool(seats) and type(total) is int and read < total
        return Page(tuple([login.encode() for login in logins if login]), str(page + 1) if more else "")

    return list(dict.fromkeys(login.decode() for logins in followed(ask) for login in logins))


def _by_person(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    """Each holder's credits, and what is left of the organization's, which is asked for last: it then has all that the
    people's had a moment before.
    """
    server, path = _server(access), f"{_billing(access)}/ai_credit/usage"
    holders = _holders(access, server)
    for day in _days(window):
        people: list[bytes] = []
        for login in holders:
            rows = cut(server.get(path, [*_of(day), ("user", login)]), user=login).rows
            people += rows
            yield rows
        yield without(cut(server.get(path, _of(day))).rows, people, emptied=True)


def _in_all(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    server, path = _server(access), f"{_billing(access)}/ai_credit/usage"
    for day in _days(window):
        yield cut(server.get(path, _of(day))).rows


def _seats(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    server, path = _server(access), f"{_billing(access)}/usage"
    for day in _days(window):
        yield cut_seats(server.get(path, _of(day))).rows


def _probe(access: Access) -> None:
    """The first day of this month: it is short, and needs the permission that all of it needs."""
    _server(access).get(f"{_billing(access)}/ai_credit/usage", [("day", "1")])


def _days(window: Window) -> Iterator[datetime]:
    day = window.since.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < window.until:
        yield day
        day += _DAY


def _of(day: datetime) -> list[tuple[str, str]]:
    return [("year", str(day.year)), ("month", str(day.month)), ("day", str(day.day))]


_feed: Final = partial(
    Feed,
    parser=PARSER,
    provider=PROVIDER,
    says=Says.CHARGES,
    delay=timedelta(days=1),
    width=_DAY,
    history=timedelta(days=730),
    convention="no tokens are told",
    money="dollars, as decimals: net is booked",
)

ACCOUNT: Final = Account(
    name="copilot",
    title="GitHub Copilot",
    address="https://api.github.com",
    credential_help=(
        "A fine-grained token with the organization permission Administration: read. For an enterprise a classic token "
        "of an owner or billing manager."
    ),
    probe=_probe,
    needs=(
        Need("organization", "The organization's name, as in github.com/<name>; not needed with an enterprise.", False),
        Need("enterprise", "The enterprise's name, where it pays for the seats.", False),
    ),
    feeds=(
        _feed(
            name="copilot-credits",
            evidence=frozenset({Evidence.BILLED}),
            title="AI credits by day and person",
            pages=_by_person,
            every=timedelta(days=1),
            # The month may change until its end; a call for each seat and day is too much to ask that often.
            revised=timedelta(days=3),
            longest=_DAY,
            dedupe="the day, the account, the person, and every group",
        ),
        _feed(
            name="copilot-credits-total",
            evidence=frozenset({Evidence.BILLED}),
            title="AI credits by day",
            pages=_in_all,
            every=timedelta(hours=6),
            revised=timedelta(days=31),
            longest=timedelta(days=31),
            dedupe="the day, the account, and every group",
            # The same credits without whose they were, in a call a day: for more seats than GitHub lets be asked for.
            optional=True,
        ),
        _feed(
            name="copilot-seats",
            evidence=frozenset({Evidence.BILLED}),
            title="Seats by day",
            pages=_seats,
            every=timedelta(days=1),
            revised=timedelta(days=31),
            longest=timedelta(days=31),
            dedupe="the day, the organization, and every group",
        ),
    ),
)
