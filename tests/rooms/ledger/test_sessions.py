"""A session is whole, folded or not, and belongs to the period its last call falls in."""

from __future__ import annotations

from datetime import date, timedelta

from finops.core.periods import DayRange
from finops.ledger.selectors import SessionRow, session_tree, sessions
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


def test_sub_agents_stand_below_who_asked_for_them_folded_or_not(book: Book) -> None:
    book.take(
        event("a", session="s-1"),
        event("b", session="s-1", tags=(("agent_id", "plan"),)),
        event("c", session="s-1", tags=(("agent_id", "read"), ("parent_agent_id", "plan"), ("subagent", "review"))),
        event("d", session="s-1", tags=(("agent_id", "read"),)),
        event("e", session="s-1", tags=(("agent_id", "s-1"),)),
        event("f", session="s-2", tags=(("agent_id", "plan"),)),
    )
    for _ in range(2):
        found = session_tree(book.organization.id, "s-1")
        assert found is not None
        drawn = [
            (one.work.agent, one.depth, one.work.calls, int(one.cost_with_below / PRICE)) for one in found.branches
        ]
        assert drawn == [("", 0, 2, 5), ("plan", 1, 1, 3), ("read", 2, 2, 2)]
        assert (found.agents, found.calls, found.reporting_cost, found.whole) == (3, 5, 5 * PRICE, True)
        assert found.branches[2].work.kind == "review"
        fold_all()
    assert session_tree(book.organization.id, "s-3") is None
    assert session_tree(book.organization.id + 1, "s-1") is None


def test_of_what_was_reversed_nothing_is_left_in_the_tree(book: Book) -> None:
    book.take(event("a", session="s-1", tags=(("agent_id", "plan"),)))
    book.reverse(*book.standing())
    book.take(event("b", session="s-1"))
    found = session_tree(book.organization.id, "s-1")
    assert found is not None
    assert [one.work.agent for one in found.branches] == [""]


def test_of_a_session_of_months_the_last_is_read(book: Book) -> None:
    book.take(event("a", session="s-1", occurred_at=THEN - timedelta(days=40)), event("b", session="s-1"))
    found = session_tree(book.organization.id, "s-1")
    assert found is not None
    assert (found.calls, found.whole, found.since) == (1, False, THEN - timedelta(days=31))
