"""One upstream for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.upstream import Upstream
from tests.fakes.upstream import upstream as running


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running() as one:
        yield one
