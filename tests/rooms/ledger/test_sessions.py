"""A session is whole, folded or not, and belongs to the period its last call falls in."""

from __future__ import annotations

from datetime import date, timedelta

from finops.core.periods import DayRange
from finops.ledger.selectors import SessionRow, sessions
from finops.ledger.services import fold_all
from tests.factories.ledger import PRICE, THEN, Book, event

DAY_ONE = DayRange(date(2026, 10, 14), date(2026, 10, 15))
DAY_TWO = DayRange(date(2026, 10, 15), date(2026, 10, 16))


def seen(book: Book, period: DayRange) -> list[SessionRow]:
    return sessions(book.organization.id, period)


def test_a_session_over_midnight_is_one_whole_before_and_after_folding(book: Book) -> None:
    book.take(event("a", session="s-1"))
    assert [row.effective_cost for row in seen(book, DAY_ONE)] == [PRICE]
    fold_all()
    book.take(event("b", session="s-1", occurred_at=THEN + timedelta(days=1)))
    for _ in range(2):
        assert seen(book, DAY_ONE) == []
        (row,) = seen(book, DAY_TWO)
        assert (row.calls, row.effective_cost) == (2, 2 * PRICE)
        assert (row.first_at, row.last_at) == (THEN, THEN + timedelta(days=1))
        fold_all()


def test_what_arrives_late_counts_before_it_is_folded(book: Book) -> None:
    book.take(event("b", session="s-1", occurred_at=THEN + timedelta(days=1)))
    fold_all()
    book.take(event("a", session="s-1"))
    for _ in range(2):
        assert seen(book, DAY_ONE) == []
        assert [row.calls for row in seen(book, DAY_TWO)] == [2]
        fold_all()


def test_a_session_that_was_reversed_whole_is_not_listed(book: Book) -> None:
    book.take(event("a", session="s-1"))
    book.reverse(*book.standing())
    assert seen(book, DAY_ONE) == []
    fold_all()
    assert seen(book, DAY_ONE) == []
