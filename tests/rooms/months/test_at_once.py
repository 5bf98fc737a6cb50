"""Closing while others post: whole transactions count or none of one, and nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

from django.db import connection, transaction

from finops.core.errors import FinopsError
from finops.ledger import services as ledger
from finops.months import rules, selectors
from finops.months.models import Closing, Line
from tests.factories.ledger import AT, PRICE, THEN, Book, event, small_book
from tests.factories.months import OCTOBER, charged, close, reopen, stated
from tests.factories.orgs import the_cast

# Calls of a batch, on as many days.
EACH = 9


def _together(*work: Callable[[], None]) -> None:
    """Run all of it at the same moment. Raises what the first of them raised."""
    start, failures = threading.Barrier(len(work)), []

    def run(one: Callable[[], None]) -> None:
        try:
            start.wait()
            one()
        except BaseException as error:  # noqa: BLE001  it is raised again in the test's own thread
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_a_statement_holds_whole_batches_while_others_post_and_fold(transactional_db: None) -> None:
    small_book()
    acme = the_cast().acme
    sources = {slug: Book(acme).source(slug) for slug in ("gateway", "tools")}
    Book(acme, sources=sources).take(event("first"))
    closed: list[tuple[int, int]] = []

    def poster(slug: str) -> Callable[[], None]:
        def post() -> None:
            # By a clock that is a day behind the closer's: it must not matter.
            book = Book(acme, at=AT - timedelta(days=1), sources=sources)
            for number in range(15):
                days = [event(f"{number}.{n}", occurred_at=THEN + timedelta(days=n)) for n in range(EACH)]
                assert set(book.take(*days, source=slug)) == {"charged"}

        return post

    def folder() -> None:
        for _ in range(40):
            ledger.fold(most=20)

    def closer() -> None:
        book = Book(acme, at=AT + timedelta(hours=1), sources=sources)
        for _ in range(6):
            row = close(book)
            closed.append((row.charges, row.id))
            reopen(book)
        close(book)

    _together(poster("gateway"), poster("tools"), folder, closer)
    for charges, closing in closed:
        assert (charges - 1) % EACH == 0, "part of a transaction was counted"
        assert Closing.objects.get(id=closing).amount == charges * PRICE
    late = rules.summed(selectors.late(acme.id))
    row = selectors.closing(acme.id, OCTOBER)
    assert row.charges + late.charges == 2 * 15 * EACH + 1
    assert row.amount + late.amount == (2 * 15 * EACH + 1) * PRICE
    book = Book(acme, at=AT + timedelta(hours=2), sources=sources)
    reopen(book)
    close(book)
    assert stated(acme.id) == charged(acme.id)


def test_closing_waits_for_no_posting_and_what_commits_after_it_is_late(transactional_db: None) -> None:
    """A transaction that began, and booked, before the month was closed and ended after: it is in the next statement,
    whatever its clock says.
    """
    small_book()
    acme = the_cast().acme
    book = Book(acme)
    book.take(event("before"))
    posted, shut = threading.Event(), threading.Event()

    def slow() -> None:
        other = Book(acme, at=AT, sources=dict(book.sources))
        with transaction.atomic():
            other.take(event("during"))
            posted.set()
            assert shut.wait(60)

    def finance() -> None:
        assert posted.wait(60)
        try:
            assert close(book).charges == 1
        finally:
            shut.set()

    _together(slow, finance)
    assert rules.summed(selectors.late(acme.id)).charges == 1
    booked = dict(book.charges("external_id, booked_at"))
    assert booked["during"] < Closing.objects.get().closed_at


def test_posting_waits_for_no_closing(transactional_db: None) -> None:
    small_book()
    acme = the_cast().acme
    book = Book(acme)
    book.take(event("before"))
    shutting, posted = threading.Event(), threading.Event()

    def finance() -> None:
        with transaction.atomic():
            close(book)
            shutting.set()
            # It cannot commit before the other has: were the other to wait for it, nobody would go on.
            assert posted.wait(60)

    def poster() -> None:
        other = Book(acme, at=AT + timedelta(minutes=1), sources=dict(book.sources))
        assert shutting.wait(60)
        try:
            assert other.take(event("during")) == ["charged"]
            ledger.fold_all()
        finally:
            posted.set()

    _together(finance, poster)
    assert rules.summed(selectors.late(acme.id)).charges == 1


def test_of_two_who_close_a_month_one_does(transactional_db: None) -> None:
    small_book()
    acme = the_cast().acme
    Book(acme).take(event("a"))
    refused: list[str] = []

    def finance(second: int) -> Callable[[], None]:
        def shut() -> None:
            try:
                close(Book(acme, at=AT + timedelta(seconds=second)))
            except FinopsError as error:
                refused.append(error.code)

        return shut

    _together(*(finance(number) for number in range(3)))
    assert refused == ["months.already_closed"] * 2
    assert Closing.objects.count() == 1
    assert Line.objects.count() == 1
