"""Pages of a report are followed to their end, and not for ever."""

from __future__ import annotations

from typing import Any

import pytest

from finops.connectors.pages import Page
from finops.connectors.paging import LONGEST_TOKEN, MOST_PAGES, UNSAID, Other, PagesBroken, followed, following, next_of


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


def test_a_page_that_comes_again_is_not_taken_twice() -> None:
    """Whoever counts pages itself would ask for ever: no token leads back."""
    numbers = iter(range(1, 100))
    read = followed(lambda _: Page((b"{}", b"{}"), str(next(numbers))))
    assert next(read) == (b"{}", b"{}")
    with pytest.raises(PagesBroken, match="says what the page before it said"):
        next(read)


def test_pages_without_rows_may_follow_each_other_and_pages_are_told_by_their_rows() -> None:
    pages = iter([Page((), "a"), Page((), "b"), Page((b"ab", b"c"), "c"), Page((b"a", b"bc"))])
    assert list(followed(lambda _: next(pages))) == [(), (), (b"ab", b"c"), (b"a", b"bc")]
    other = Other()
    other.check([b"1"])
    other.check([])
    other.check([b"1"])
    with pytest.raises(PagesBroken):
        other.check([b"1"])
