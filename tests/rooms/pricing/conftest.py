from __future__ import annotations

import pytest

from tests.factories.pricing import provider, seed


@pytest.fixture
def small_book(db: None) -> None:
    """Two providers; azure offers what openai has."""
    seed(
        [
            provider(
                "openai",
                {
                    "gpt": {"input_mtok": "10", "output_mtok": "20", "cache_read_mtok": "1"},
                    "gpt-mini": {"input_mtok": "1", "output_mtok": "2"},
                },
            ),
            provider("azure", {}, fallbacks=["openai"]),
        ]
    )
