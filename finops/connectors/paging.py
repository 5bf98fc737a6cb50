"""Whether the pages of a report come to an end. Pure.

Providers have sent the same token twice, the same page for every number, and `has_more` without any token. Followed
blindly, the first two ask for ever, and the last loses the rest of a report in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final

from finops.connectors.pages import Page
from finops.connectors.wording import clean
from finops.core.errors import FinopsError

# Stands in `Page.next` where there is more and nobody says where; no provider's token holds a NUL.
UNSAID: Final = "\x00"
# A year of days by the minute, a hundred times over.
MOST_PAGES: Final = 10_000
LONGEST_TOKEN: Final = 4_000


class PagesBroken(FinopsError):
    """A report says there is more and cannot be followed there. What came before it is whole."""

    code = "connectors.pages_broken"
    status = 502


def next_of(has_more: Any, next_page: Any) -> str:
    """What the next page is asked by: '' at the end, UNSAID where there is one and its token is missing or none.

    `has_more` that is false ends it whatever else is said; where it is not said, the token decides.
    """
    if has_more is False:
        return ""
    if isinstance(next_page, str) and next_page:
        return next_page if len(next_page) <= LONGEST_TOKEN and "\x00" not in next_page else UNSAID
    return "" if next_page in (None, "") and not has_more else UNSAID


def following(seen: Sequence[str], page: Page) -> str:
    """What is to be asked next, after the tokens in `seen`; '' at the end. Raises PagesBroken.

    Take the page's rows first: they are good whatever becomes of the next page.
    """
    if page.next == UNSAID:
        raise PagesBroken("The report says there is more, and not how to ask for it.")
    if page.next and page.next in seen:
        raise PagesBroken(f"The report leads back to the page {clean(page.next)[:60]!r}, which was read before.")
    if len(seen) >= MOST_PAGES and page.next:
        raise PagesBroken(f"The report has more than {MOST_PAGES:,} pages.")
    return page.next


def followed(ask: Callable[[str], Page]) -> Iterator[Sequence[bytes]]:
    """The rows of each page in turn; `ask` gets the page of a token, '' for the first. Raises PagesBroken, after the
    rows of the last page that could be read, and what `ask` raises.

    Where pages are asked for by their number, a server that looks at none gives the first one again and again: rows
    that are those of the page before are the end of it. An empty page may follow an empty one.
    """
    seen: list[str] = []
    after, other = "", Other()
    while True:
        page = ask(after)
        other.check(page.rows)
        yield page.rows
        after = following(seen, page)
        if not after:
            return
        seen.append(after)


class Other:
    """Knows a page from the one before it. Where equal rows are numbered over pages, a page that comes again would be
    other rows: such pages are looked at before they are numbered.
    """

    def __init__(self) -> None:
        self._last = b""

    def check(self, rows: Iterable[bytes]) -> None:
        """Raises PagesBroken for rows that are those of the page before; none may follow none."""
        found, has_any = blake2b(digest_size=16), False
        for row in rows:
            has_any = True
            found.update(len(row).to_bytes(8, "big"))
            found.update(row)
        told = found.digest() if has_any else b""
        if told and told == self._last:
            raise PagesBroken("A page of the report says what the page before it said.")
        self._last = told
