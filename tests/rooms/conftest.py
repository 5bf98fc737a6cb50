from __future__ import annotations

import pytest

from tests.factories.ledger import Book, small_book
from tests.factories.orgs import Cast, the_cast


@pytest.fixture
def cast(db: None) -> Cast:
    return the_cast()


@pytest.fixture
def book(cast: Cast) -> Book:
    """Acme's ledger, with the small price book."""
    small_book()
    return Book(cast.acme)
