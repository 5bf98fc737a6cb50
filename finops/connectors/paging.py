"""Whether the pages of a report come to an end. Pure.

Providers have sent the same token twice, and `has_more` without any token. Followed blindly, the first asks for ever,
and the second loses the rest of a report in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
    """
    seen: list[str] = []
    after = ""
    while True:
        page = ask(after)
        yield page.rows
        after = following(seen, page)
        if not after:
            return
        seen.append(after)
