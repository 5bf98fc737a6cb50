"""What may be kept of a body that holds what people wrote: counts, and the words that say what they count. Pure.

Nothing else passes: no prompt, no answer, no name of a tool. What stands in a count's place and is none passes as
`false`, so that its problem can be named without what it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
# Fields whose value is a word of the provider's, and what such a word looks like.
_WORDS: Final = frozenset(
    {
        "ttl", "type", "service_tier", "serviceTier", "speed", "inference_geo", "modality", "trafficType",
        "traffic_type",
    }
)  # fmt: skip
_WORD: Final = re.compile(r"[A-Za-z0-9_.\-]{1,40}")
_MOST_FIELDS: Final = 60
_MOST_ITEMS: Final = 100
_DEEPEST: Final = 4
_MOST: Final = 10**18


def usage_of(value: Any, depth: int = 0) -> dict[str, Any] | None:
    """A usage with nothing in it but counts and words; None where it is no object."""
    if not isinstance(value, Mapping):
        return None
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        if len(kept) == _MOST_FIELDS:
            break
        if not isinstance(name, str) or not _NAME.fullmatch(name) or inner is None:
            continue
        if name in _WORDS:
            if isinstance(inner, str) and _WORD.fullmatch(inner):
                kept[name] = inner
        elif isinstance(inner, Mapping):
            if depth < _DEEPEST:
                kept[name] = usage_of(inner, depth + 1)
        elif isinstance(inner, list):
            if depth < _DEEPEST:
                parts = (usage_of(part, depth + 1) for part in inner[:_MOST_ITEMS])
                kept[name] = [part for part in parts if part is not None]
        else:
            kept[name] = count_of(inner)
    return kept


def count_of(value: Any) -> Any:
    """A whole number as it is, None for nothing, False for all else."""
    if value is None:
        return None
    return value if type(value) is int and abs(value) <= _MOST else False
