"""What Anthropic's reports say of the usage of many messages, as our meters. Pure.

Their input leaves out what was read from and written to the cache, as a message's own does; their output includes what
was thought, and does not say how much that was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from finops.connectors.counting import Meters
from finops.connectors.reports import Row, Wrong, counted
from finops.connectors.types import Counts

# What a row of costs says it is for, as `reports.METER` names it.
_METERS: Final[Mapping[str, str]] = {
    "uncached_input_tokens": "input_uncached",
    "cache_read_input_tokens": "cache_read",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write_5m",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
    "output_tokens": "output",
    "web_search": "web_searches",
}
PROVIDER: Final = "anthropic"
# The longest prompts of the window, as the reports write it. A message of more is of another window.
WINDOWS: Final = {"0-200k": 200_000}
_TOKENS: Final = ("uncached_input_tokens", "cache_read_input_tokens", "cache_creation", "output_tokens")


def reported_counts(row: Row, *, window: str = "", requests: int | None = None) -> Counts:
    """Of a row. `requests` is None where the report tells none: then it is the fewest there can have been, so that many
    short prompts are not priced as a long one. Raises Wrong.
    """
    if not any(row.has(name) for name in _TOKENS):
        raise Wrong("connectors.usage_unreadable", f"{row.where}uncached_input_tokens", "the row says no usage")
    made = totals(row)
    searches = row.inside("server_tool_use").count("web_search_requests")
    if requests is None:
        requests = fewest(made["input_tokens"], made["output_tokens"] + searches, window)
    return counted(row, **made, web_searches=searches, requests=requests)


def meter_of(said: Mapping[str, str]) -> str:
    """By the token type of a row of costs, else by what else it is for; '' where neither is a meter."""
    return _METERS.get(said["token_type"] or said["cost_type"], "")


def totals(row: Row) -> Meters:
    lives = row.inside("cache_creation")
    five, hour = lives.count("ephemeral_5m_input_tokens"), lives.count("ephemeral_1h_input_tokens")
    read = row.count("cache_read_input_tokens")
    return {
        "input_tokens": row.count("uncached_input_tokens") + read + five + hour,
        "cache_read_tokens": read,
        "cache_write_5m_tokens": five,
        "cache_write_1h_tokens": hour,
        "output_tokens": row.count("output_tokens"),
    }


def fewest(input_tokens: int, others: int, window: str) -> int:
    """The fewest requests that can have used this much in a context window; none where nothing was used."""
    longest = WINDOWS.get(window)
    least = -(-input_tokens // longest) if longest else 0
    return max(least, int(input_tokens > 0 or others > 0))
