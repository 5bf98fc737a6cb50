"""A test with real transactions leaves nothing behind, not even in tables that Django does not know."""

from __future__ import annotations

import pytest

from tests.factories.ledger import Book, event, rows, small_book
from tests.factories.orgs import the_cast


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", ["first", "second"])
def test_each_finds_the_ledger_empty(turn: str) -> None:
    assert rows("SELECT external_id FROM ledger_charge_key") == []
    assert rows("SELECT count(*) FROM ledger_charge") == [(0,)]
    small_book()
    book = Book(the_cast().acme)
    book.take(event(f"{turn}-call"))
    assert rows("SELECT external_id FROM ledger_charge") == [(f"{turn}-call",)]
