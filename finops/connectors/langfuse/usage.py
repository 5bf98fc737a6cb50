"""A generation's `usageDetails` as our meters. Pure.

Langfuse means its kinds of usage to be disjoint: `input` without `input_cached_tokens`, and the total their sum. It
does not make them so: some senders leave the cached tokens in the input and tell them again beside it. Which, the total
tells where the sender gave it: what has to be inside the input or the output for the sum to come out, is inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, Final

from finops.connectors.counting import Meters, Unreadable, count, meters
from finops.connectors.types import Problem

# What each name of Langfuse's, its SDKs' and its senders' counts. Several of one kind are the same tokens told twice.
_FRESH: Final = ("input", "input_tokens", "prompt_tokens")
_READ: Final = ("input_cached_tokens", "cache_read_input_tokens", "input_cache_read", "input_cache_read_tokens",
                "input_cached_content_tokens", "cached_tokens", "cache_read_tokens")  # fmt: skip
_WRITE: Final = ("input_cache_creation", "cache_creation_input_tokens", "input_cache_write", "input_cache_write_tokens",
                 "input_cache_creation_tokens", "cache_write_tokens", "cache_creation_tokens")  # fmt: skip
_WRITE_5M: Final = ("input_cache_creation_5m", "cache_creation_5m_input_tokens", "ephemeral_5m_input_tokens")
_WRITE_1H: Final = ("input_cache_creation_1h", "cache_creation_1h_input_tokens", "ephemeral_1h_input_tokens")
_MADE: Final = ("output", "output_tokens", "completion_tokens")
_THOUGHT: Final = (
    "output_reasoning_tokens",
    "output_reasoning",
    "reasoning_tokens",
    "reasoning",
    "thoughts_token_count",
)
# These are always told apart from the input and the output: Langfuse's SDKs take them out.
_HEARD: Final = ("input_audio_tokens", "input_audio")
_SEEN: Final = ("input_image_tokens", "input_image")
_SPOKEN: Final = ("output_audio_tokens", "output_audio")
_DRAWN: Final = ("output_image_tokens", "output_image")
_PLAIN_IN: Final = ("input_text_tokens", "input_text", "input_tool_use_tokens")
_PLAIN_OUT: Final = ("output_text_tokens", "output_text", "output_accepted_prediction_tokens",
                     "output_rejected_prediction_tokens")  # fmt: skip
_SEARCHES: Final = ("web_search_requests", "server_tool_use_web_search_requests", "search_count")
_TOTAL: Final = ("total", "total_tokens")
_KNOWN: Final = frozenset(
    {
        *_FRESH, *_READ, *_WRITE, *_WRITE_5M, *_WRITE_1H, *_MADE, *_THOUGHT, *_HEARD, *_SEEN, *_SPOKEN, *_DRAWN,
        *_PLAIN_IN, *_PLAIN_OUT, *_SEARCHES, *_TOTAL,
    }
)  # fmt: skip
_PARTS: Final = ("write", "read", "thought")


def usage_of(said: Mapping[str, Any], *, inclusive: bool = False) -> Meters | Problem:
    """`inclusive`: whoever connects the project knows that its senders leave all parts in the input and the output,
    where no total of theirs says so.
    """
    try:
        return _usage(said, inclusive=inclusive)
    except Unreadable as error:
        return error.problem


def _usage(said: Mapping[str, Any], *, inclusive: bool) -> Meters | Problem:
    for name in sorted(said.keys() - _KNOWN):
        if said[name]:
            raise Unreadable(f"usageDetails.{name}", f"there is no kind of usage {name[:60]!r} here; it may be money")
    if not any(said.get(name) is not None for name in (*_FRESH, *_MADE, *_READ, *_WRITE)):
        raise Unreadable("usageDetails.input", "input is missing")
    five, hour = _one(said, _WRITE_5M), _one(said, _WRITE_1H)
    # Langfuse's own names leave the two lifetimes out of what is left of the sum; its senders' hold them.
    write = _one(said, _WRITE)
    write = write if write >= five + hour and "input_cache_creation" not in said else write + five + hour
    parts = {"write": write, "read": _one(said, _READ), "thought": _one(said, _THOUGHT)}
    put_in, put_out = _one(said, _FRESH), _one(said, _MADE)
    aside_in, aside_out = _sum(said, _HEARD, _SEEN, _PLAIN_IN), _sum(said, _SPOKEN, _DRAWN, _PLAIN_OUT)
    flat = put_in + put_out + aside_in + aside_out
    held = set(_PARTS) if inclusive else _inside(parts, flat, _one(said, _TOTAL))
    fresh_in = put_in - sum(parts[name] for name in ("write", "read") if name in held)
    fresh_out = put_out - (parts["thought"] if "thought" in held else 0)
    if fresh_in < 0 or fresh_out < 0:
        raise Unreadable("usageDetails", "its cached or thought tokens are more than the total they are part of")
    return meters(
        input_tokens=fresh_in + parts["write"] + parts["read"] + aside_in,
        cache_read_tokens=parts["read"],
        cache_write_tokens=parts["write"],
        cache_write_5m_tokens=five,
        cache_write_1h_tokens=hour,
        input_audio_tokens=_one(said, _HEARD),
        input_image_tokens=_one(said, _SEEN),
        output_tokens=fresh_out + parts["thought"] + aside_out,
        reasoning_tokens=parts["thought"],
        output_audio_tokens=_one(said, _SPOKEN),
        output_image_tokens=_one(said, _DRAWN),
        web_searches=_one(said, _SEARCHES),
    )


def _inside(parts: Mapping[str, int], flat: int, total: int) -> set[str]:
    """Which parts the input and the output hold already. None where there is no total: that is what Langfuse means."""
    if not total:
        return set()
    for held in _choices():
        if (
            all(parts[name] for name in held)
            and flat + sum(parts[name] for name in _PARTS if name not in held) == total
        ):
            return set(held)
    raise Unreadable("usageDetails.total", f"its kinds of usage do not add up to their total ({total})")


def _choices() -> Iterator[tuple[str, ...]]:
    """From none to all; of what is alike, what was written first, because LiteLLM leaves that alone in the input."""
    for size in range(len(_PARTS) + 1):
        yield from combinations(_PARTS, size)


def _one(said: Mapping[str, Any], names: tuple[str, ...]) -> int:
    """The same tokens under several names are counted once."""
    return max(count(said, name) for name in names)


def _sum(said: Mapping[str, Any], *kinds: tuple[str, ...]) -> int:
    """Of `_PLAIN_…` each name is another kind; of the others all are the same."""
    found = 0
    for names in kinds:
        found += sum(count(said, name) for name in names) if names in (_PLAIN_IN, _PLAIN_OUT) else _one(said, names)
    return found
