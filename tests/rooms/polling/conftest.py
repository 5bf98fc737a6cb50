from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.factories.ledger import small_book
from tests.factories.orgs import Cast
from tests.factories.polling import AT, Connected, Provider, calling, connected
from tests.fakes.reports.anthropic import AnthropicReports


@pytest.fixture
def fake() -> Iterator[AnthropicReports]:
    one = AnthropicReports(until=AT)
    with calling(one):
        yield one


@pytest.fixture
def anthropic(cast: Cast, fake: AnthropicReports) -> Connected:
    """Acme's, connected and not polled yet."""
    small_book()
    return connected(cast.acme, fake)


@pytest.fixture
def provider(db: None) -> Iterator[Provider]:
    small_book()
    one = Provider()
    with one.known():
        yield one
