from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.factories.ledger import Book, empty_ledger, small_book
from tests.factories.orgs import Cast, the_cast


@pytest.fixture
def cast(db: None) -> Cast:
    return the_cast()


@pytest.fixture
def book(cast: Cast) -> Book:
    """Acme's ledger, with the small price book."""
    small_book()
    return Book(cast.acme)


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """A database in which transactions are real ones; the ledger's own tables are emptied behind it."""
    yield
    empty_ledger()
