"""Pages of a report are followed to their end, and not for ever."""

from __future__ import annotations

from typing import Any

import pytest

from finops.connectors.pages import Page
from finops.connectors.paging import LONGEST_TOKEN, MOST_PAGES, UNSAID, PagesBroken, following, next_of


@pytest.mark.parametrize(
    ("has_more", "next_page", "asked"),
    [
        (True, "page_AAAA", "page_AAAA"),
        (None, "page_AAAA", "page_AAAA"),
        (False, None, ""),
        (False, "page_AAAA", ""),
        (None, None, ""),
        (None, "", ""),
        (True, None, UNSAID),
        (True, "", UNSAID),
        ("yes", None, UNSAID),
        (True, 7, UNSAID),
        (None, 7, UNSAID),
        (True, ["page"], UNSAID),
        (True, "a\x00", UNSAID),
        (True, "a" * (LONGEST_TOKEN + 1), UNSAID),
    ],
)
def test_what_the_next_page_is_asked_by(has_more: Any, next_page: Any, asked: str) -> None:
    assert next_of(has_more, next_page) == asked


def test_pages_are_followed_to_the_last() -> None:
    assert following([], Page((), "a")) == "a"
    assert following(["a"], Page((), "b")) == "b"
    assert following(["a", "b"], Page((b"{}",))) == ""
    assert following([""], Page(())) == "", "the first page was asked for by nothing, and that is no circle"


def test_the_same_token_twice_is_a_circle() -> None:
    with pytest.raises(PagesBroken, match="leads back"):
        following(["a", "b"], Page((), "a"))


def test_more_and_not_where_is_not_the_end() -> None:
    with pytest.raises(PagesBroken, match="not how"):
        following([], Page((b"{}",), UNSAID))


def test_no_report_has_pages_without_end() -> None:
    seen = [str(number) for number in range(MOST_PAGES)]
    assert following(seen, Page(())) == ""
    with pytest.raises(PagesBroken, match="more than"):
        following(seen, Page((), "one more"))
