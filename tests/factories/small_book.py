"""Round prices, dollars per million tokens (`kcount`: per thousand): for the ledger's stories, and for whoever bills
without a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SMALL_BOOK: Final[Mapping[str, Mapping[str, Mapping[str, str]]]] = {
    "openai": {
        "gpt": {"input_mtok": "10", "output_mtok": "20", "cache_read_mtok": "1"},
        "gpt-mini": {"input_mtok": "1", "output_mtok": "2"},
        "embed": {"input_mtok": "0.5"},
    },
    "anthropic": {
        "claude": {
            "input_mtok": "3",
            "output_mtok": "15",
            "cache_read_mtok": "0.3",
            "cache_write_5m_mtok": "3.75",
            "cache_write_1h_mtok": "6",
            "web_searches_kcount": "10",
        },
    },
}

# What a batch costs: half.
BATCH_BOOK: Final[Mapping[str, Mapping[str, str]]] = {
    "gpt": {"input_mtok": "5", "output_mtok": "10", "cache_read_mtok": "0.5"},
    "gpt-mini": {"input_mtok": "0.5", "output_mtok": "1"},
    "embed": {"input_mtok": "0.25"},
}
