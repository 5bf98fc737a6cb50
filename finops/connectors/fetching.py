"""What can be fetched of a provider by itself: a feed is one of its reports, asked for window by window.

A connector that has feeds says in its own `feeds.py` what they are and how their pages come; the one beside this file
lists them. Nobody else needs to know which provider it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final, NamedTuple

from finops.connectors.addresses import Unreachable
from finops.connectors.enforcement import Power
from finops.connectors.outgoing import Outgoing
from finops.connectors.pages import Page
from finops.connectors.paging import Other, followed
from finops.core.errors import FinopsError

# How long it is waited where a server that has enough of us does not say how long.
LIMITED_S: Final = 60.0
_LONGEST_LIMIT_S: Final = 86_400.0


class Says(StrEnum):
    """What a feed's rows are."""

    # What somebody did, or bought: each row is a charge.
    CHARGES = "charges"
    # What was used in a time, whoever else saw it: no charge, what charges are measured by.
    USAGE = "usage"
    # What a time cost: no charge either, what charges come to in the end.
    MONEY = "money"


class Evidence(StrEnum):
    """How sure it is that what a record says is money (`UsageEvent.evidence`)."""

    # A provider's bill.
    BILLED = "billed"
    # Counted where the call was answered.
    METERED = "metered"
    # Counted by whoever made the call, or passed on.
    REPORTED = "reported"
    ESTIMATED = "estimated"


class Window(NamedTuple):
    """UTC; `until` is excluded."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Access:
    """What a feed is fetched with; the credential is not shown where this is printed. `settings` are what the feed
    asks for by `needs`, `internal` the hosts of our own that may be called.
    """

    address: str
    credential: str = field(repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)
    internal: Collection[str] = ()


class Need(NamedTuple):
    """Something a person says of an account besides its credential: `organization` of GitHub's, a bucket, a price."""

    name: str
    help: str
    needed: bool = True


# Pages of raw records in their order, each record readable alone by the feed's parser. May raise what is below, and
# `pages.BodyUnreadable` and `paging.PagesBroken`; what came before is good. Holds one page at a time.
Pages = Callable[[Access, Window], Iterator[Sequence[bytes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One report of a provider, and all that is known of it before anybody connected it."""

    # `anthropic_usage`: the end of its source's slug, so it never changes.
    name: str
    title: str
    parser: str
    says: Says
    pages: Pages
    # What all of it was used at; '' where rows say it.
    provider: str = ""
    # How often it is asked, how late it is told, and how far back it may still change.
    every: timedelta
    delay: timedelta
    revised: timedelta
    # A window begins and ends at multiples of `width` since 1970, and is at most `longest`.
    width: timedelta
    longest: timedelta
    # How far back it can be asked.
    history: timedelta
    # For people: what tells two rows apart, what "input" includes, and what money is counted in.
    dedupe: str
    convention: str
    money: str
    # The levels its rows may have.
    evidence: frozenset[Evidence]
    # A window tells all there is of it: what it told before and tells no more was taken back.
    whole: bool = False
    # Off until somebody switches it on: it says less than another, costs calls, or is only for some accounts.
    optional: bool = False
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A connector whose feeds share one credential. `probe` makes the cheapest call that shows whether it is good."""

    name: str
    title: str
    address: str
    credential_help: str
    feeds: tuple[Feed, ...]
    probe: Callable[[Access], None]
    needs: tuple[Need, ...] = ()
    # What can be done to keys there, beside reading; nobody else needs to know which provider it is.
    enforces: frozenset[Power] = frozenset()


class FetchError(FinopsError):
    """A feed could not be fetched. The message holds no secret."""

    code = "connectors.fetch_failed"
    status = 502


class Refused(FetchError):
    """The credential is not good there, or not for this: a person must set another."""

    code = "connectors.credential_refused"


class RequestRefused(FetchError):
    """The provider does not understand the question, or has no such thing: asking again mends nothing."""

    code = "connectors.request_refused"


class Limited(FetchError):
    """The provider has enough of us for now; `after_s` is how long it wants to be left alone."""

    code = "connectors.rate_limited"

    def __init__(self, message: str, *, after_s: float = LIMITED_S) -> None:
        super().__init__(message)
        self.after_s = after_s


class Away(FetchError):
    """It did not answer, or answered that it cannot."""

    code = "connectors.unreachable"


class Server:
    """Asks one server for pages, as bytes. What it answers instead is one of the errors above.

    `has_enough` tells a refusal that is a limit by what it says, where status and headers do not.
    """

    def __init__(
        self,
        access: Access,
        *,
        headers: Mapping[str, str],
        has_enough: Callable[[bytes], bool] = lambda _: False,
    ) -> None:
        self._out = Outgoing(access.address, headers=headers, internal=access.internal)
        self._has_enough = has_enough

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> bytes:
        """Raises FetchError, and AddressRefused."""
        return self._asked("GET", path, query=query)

    def post(self, path: str, body: object, query: Sequence[tuple[str, str]] = ()) -> bytes:
        """For reports that are asked for by a body. Raises FetchError, and AddressRefused."""
        return self._asked("POST", path, body=body, query=query)

    def post_form(self, path: str, form: Mapping[str, str]) -> bytes:
        """Raises FetchError, and AddressRefused."""
        return self._asked("POST", path, form=form)

    def pieces(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Iterator[bytes]:
        """A file of any length, as it comes. Raises FetchError, also while it is read, and AddressRefused."""
        try:
            with self._out.file(path, query) as answer:
                if answer.status != 200:
                    raise refusal(answer.status, answer.headers)
                yield from answer.pieces
        except Unreachable as error:
            raise Away(str(error)) from None

    def _asked(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        form: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        try:
            answer = self._out.read(method, path, body=body, form=form, query=query)
        except Unreachable as error:
            raise Away(str(error)) from None
        if answer.status == 200:
            return answer.body
        is_limit = answer.status == 403 and self._has_enough(answer.body)
        raise refusal(429 if is_limit else answer.status, answer.headers, said=answer.status)


def refusal(status: int, headers: Mapping[str, str], *, said: int = 0) -> FetchError:
    """What an answer that is no page means; `said` is its status, where it means another one."""
    text = f"it answered {said or status}"
    if status == 429 or (status == 403 and _has_enough(headers)):
        return Limited(text, after_s=_after(headers))
    if status in (401, 403):
        return Refused(text)
    if status >= 500 or status in (408, 412, 425):
        return Away(text)
    return RequestRefused(text)


def _has_enough(headers: Mapping[str, str]) -> bool:
    """GitHub says 403 for too many requests too; the credential is good then, and must not be given up."""
    return "retry-after" in headers or headers.get("x-ratelimit-remaining", "").strip() == "0"


def _after(headers: Mapping[str, str]) -> float:
    """`retry-after` in seconds, or until GitHub's `x-ratelimit-reset` (seconds since 1970) by its own clock; one that
    is a date, or none, is the usual.
    """
    said = headers.get("retry-after", "").strip()
    if said.isdecimal() and len(said) < 10:
        return min(float(said), _LONGEST_LIMIT_S)
    reset = headers.get("x-ratelimit-reset", "").strip()
    if headers.get("x-ratelimit-remaining", "").strip() == "0" and reset.isdecimal() and len(reset) < 12:
        try:
            wait = float(reset) - parsedate_to_datetime(headers.get("date", "")).timestamp()
        except (ValueError, OverflowError):
            return LIMITED_S
        return min(max(wait, 1.0), _LONGEST_LIMIT_S)
    return LIMITED_S


def by_token(
    server: Server, path: str, query: Sequence[tuple[str, str]], cut: Callable[[bytes], Page]
) -> Iterator[Sequence[bytes]]:
    """The pages of a report that is asked for by `page`, the token that the page before gave. Raises as `Pages` do."""

    other = Other()

    def ask(after: str) -> Page:
        body = server.get(path, [*query, *([("page", after)] if after else [])])
        other.check([body])
        return cut(body)

    return followed(ask)


def grouped_by(names: Sequence[str]) -> list[tuple[str, str]]:
    """What a report is grouped by, as a list in a query."""
    return [("group_by[]", name) for name in names]
