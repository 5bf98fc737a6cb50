from __future__ import annotations

import pytest

from tests.factories.orgs import Cast, the_cast


@pytest.fixture
def cast(db: None) -> Cast:
    return the_cast()
