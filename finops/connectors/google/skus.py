"""What a SKU of Google's is for, by its description: `Gemini 3.7 Flash Global Text Input - Predictions`,
`Gemini 2.5 Flash GA Input Text Caching`, `Gemini 2.5 Flash GA Thinking Text Output - Predictions`. Pure. Words as its
price list has them.
"""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"[a-z]+|[0-9]+[a-z]*")
_CACHED: Final = frozenset({"caching", "cached", "cache"})
_HOUR: Final = frozenset({"1h", "1hr", "1hour"})
# Not for tokens of a call, or by words that no meter is known of.
_OTHERS: Final = frozenset({"storage", "tuning", "training", "provisioned", "video", "character", "characters", "pdf"})
_SEARCH: Final = ({"grounding", "google", "search"}, {"web", "search"})


def meter_of(description: str) -> str:
    """As `reports.METER` has it; '' where the description does not say it plainly."""
    words = set(_WORD.findall(description.lower()))
    if words & _OTHERS:
        return ""
    if any(words >= search for search in _SEARCH):
        return "web_searches"
    is_cached, reads, writes = bool(words & _CACHED), "input" in words, "output" in words
    if is_cached and not writes and words & {"write", "writes"}:
        return "cache_write_1h" if words & _HOUR else "cache_write_5m"
    reads = reads or (is_cached and bool(words & {"read", "reads", "hit", "hits"}))
    kinds = [kind for kind in ("text", "audio", "image") if kind in words]
    if reads == writes or len(kinds) > 1:
        return ""
    kind = "" if kinds in ([], ["text"]) else kinds[0]
    if writes:
        return "" if is_cached else f"output_{kind}" if kind else "output"
    if is_cached:
        return {"": "cache_read", "audio": "cache_read_audio"}.get(kind, "")
    return f"input_{kind}" if kind else "input_uncached"
