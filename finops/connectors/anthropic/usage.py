"""What Anthropic says a message used, as our meters. Pure.

Its input leaves out what was read from and written to the cache; its output includes what was thought. A stream says it
twice, totals each time: what comes later goes over what came before, and is never added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from finops.connectors.counting import Meters, Unreadable, count, inside, meters
from finops.connectors.types import Problem

_NO_GEO: Final = frozenset({"", "global", "not_available"})
# Parts of a message's making that its totals hold: samplings of its model, and of one that took over, which the SDK's
# own middleware writes as the whole usage once more. All others are left out, and billed beside them.
_WITHIN_TOTALS: Final = frozenset({"message", "fallback_message"})


def messages_usage(said: Mapping[str, Any]) -> Meters | Problem:
    try:
        if said.get("input_tokens") is None and said.get("output_tokens") is None:
            raise Unreadable("usage.input_tokens", "input_tokens is missing")
        made = _counted(said)
        for part in _beside(said):
            for name, number in _counted(part).items():
                made[name] += number
        return meters(**made, web_searches=count(inside(said, "server_tool_use"), "web_search_requests"))
    except Unreadable as error:
        return error.problem


def _counted(said: Mapping[str, Any]) -> dict[str, int]:
    lives = inside(said, "cache_creation")
    five, hour = count(lives, "ephemeral_5m_input_tokens"), count(lives, "ephemeral_1h_input_tokens")
    read = count(said, "cache_read_input_tokens")
    # The sum is told without its parts, and by some hosts the parts without their sum.
    written = count(said, "cache_creation_input_tokens") or five + hour
    return {
        "input_tokens": count(said, "input_tokens") + read + written,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "cache_write_5m_tokens": five,
        "cache_write_1h_tokens": hour,
        "output_tokens": count(said, "output_tokens"),
        "reasoning_tokens": count(inside(said, "output_tokens_details"), "thinking_tokens"),
    }


def _beside(said: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What compacting a context used, which the totals leave out."""
    parts = said.get("iterations")
    if not isinstance(parts, list):
        return []
    return [part for part in parts if isinstance(part, Mapping) and part.get("type", "message") not in _WITHIN_TOTALS]


def tier_of(*, service_tier: Any, speed: Any, geo: Any) -> str:
    """The tier in the words of the price book: what is served faster, or in one country only, has a price of its own.
    '' where nothing is said; `standard` where that is said.
    """
    words = []
    if isinstance(geo, str) and geo.lower() not in _NO_GEO:
        words.append(f"inference_geo:{geo.lower()[:40]}")
    if isinstance(service_tier, str) and service_tier not in ("", "standard"):
        words.append(service_tier.lower()[:60])
    if isinstance(speed, str) and speed not in ("", "standard"):
        words.append(speed.lower()[:60])
    return "+".join(words) or ("standard" if service_tier == "standard" else "")
