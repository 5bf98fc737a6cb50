"""Usage as a record writes it, turned into our disjoint meters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from finops.connectors.types import Counts, Problem
from finops.connectors.wording import problem
from finops.core.tokens import MAX_COUNT, METER_INDEX, METERS

CONVENTION: Final = "convention"
DISJOINT: Final = "disjoint"
INCLUSIVE: Final = "inclusive"
# Names of the inclusive convention, after OpenTelemetry's `gen_ai.usage.*`: totals, and what is part of them.
INCLUSIVE_TOKENS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "cache_read_audio_tokens",
    "output_tokens",
    "reasoning_tokens",
    "output_audio_tokens",
    "output_image_tokens",
)
COUNTED: Final = ("requests", "web_searches", "tool_calls")
INCLUSIVE_NAMES: Final = INCLUSIVE_TOKENS + COUNTED
REQUESTS: Final = METER_INDEX["requests"]
_MOST_DIGITS: Final = len(str(MAX_COUNT))
_METER_COUNT: Final = len(METERS)

Written = Mapping[str, int | str]


def counts_of(usage: Written, *, default_requests: int = 1) -> Counts | Problem:
    """Counts in the order of METERS, or what is wrong. Values are whole numbers, or text of digits only."""
    if CONVENTION in usage:
        return _by_convention(usage, default_requests)
    counts = [0] * _METER_COUNT
    counts[REQUESTS] = default_requests
    for name, value in usage.items():
        place = METER_INDEX.get(name)
        if place is None:
            return _unknown(name, METERS)
        if isinstance(value, str):
            read = _digits(name, value)
            if isinstance(read, Problem):
                return read
            counts[place] = read
        else:
            counts[place] = value
    return tuple(counts)


def _by_convention(usage: Written, default_requests: int) -> Counts | Problem:
    said = usage[CONVENTION]
    rest = {name: value for name, value in usage.items() if name != CONVENTION}
    if said == DISJOINT:
        return counts_of(rest, default_requests=default_requests)
    if said != INCLUSIVE:
        message = f"convention is {INCLUSIVE!r} or {DISJOINT!r}"
        return problem("connectors.field_invalid", f"usage.{CONVENTION}", message)
    numbers: dict[str, int] = {}
    for name, value in rest.items():
        if name not in INCLUSIVE_NAMES:
            return _unknown(name, INCLUSIVE_NAMES)
        read = _digits(name, value) if isinstance(value, str) else value
        if isinstance(read, Problem):
            return read
        numbers[name] = read
    numbers.setdefault("requests", default_requests)
    return disjoint(numbers)


def disjoint(told: Mapping[str, int]) -> Counts | Problem:
    """Counts in the order of METERS, of totals and what is part of them (`INCLUSIVE_NAMES`), or what is wrong.

    Takes each part out of its total. Cached audio is part of both the cached and the audio tokens, so it is taken out
    of the input once. Cache writes of an unsaid lifetime are five-minute ones, which is what providers default to.
    """
    get: Callable[[str, int], int] = told.get
    five, hour = get("cache_write_5m_tokens", 0), get("cache_write_1h_tokens", 0)
    written = get("cache_write_tokens", five + hour)
    if five + hour > written:
        return _exceeds("cache_write_tokens", "cache_write_5m_tokens and cache_write_1h_tokens", five + hour, written)
    five = written - hour
    cached, audio, both = get("cache_read_tokens", 0), get("input_audio_tokens", 0), get("cache_read_audio_tokens", 0)
    for name, whole in (("cache_read_tokens", cached), ("input_audio_tokens", audio)):
        if both > whole:
            return _exceeds(name, "cache_read_audio_tokens", both, whole)
    total_in, image = get("input_tokens", 0), get("input_image_tokens", 0)
    parts_in = cached + written + audio + image - both
    if parts_in > total_in:
        return _exceeds("input_tokens", "its cached, written, audio and image parts", parts_in, total_in)
    total_out = get("output_tokens", 0)
    reasoning, spoken, drawn = (
        get("reasoning_tokens", 0),
        get("output_audio_tokens", 0),
        get("output_image_tokens", 0),
    )
    parts_out = reasoning + spoken + drawn
    if parts_out > total_out:
        return _exceeds("output_tokens", "its reasoning, audio and image parts", parts_out, total_out)
    made = {
        "input_uncached": total_in - parts_in,
        "cache_read": cached - both,
        "cache_write_5m": five,
        "cache_write_1h": hour,
        "output_text": total_out - parts_out,
        "output_reasoning": reasoning,
        "input_audio": audio - both,
        "cache_read_audio": both,
        "output_audio": spoken,
        "input_image": image,
        "output_image": drawn,
        **{name: get(name, 0) for name in COUNTED},
    }
    return tuple([made[name] for name in METERS])


def _digits(name: str, value: str) -> int | Problem:
    if len(value) <= _MOST_DIGITS and value.isascii() and value.isdigit():
        number = int(value)
        if number <= MAX_COUNT:
            return number
    message = f"usage.{name}: a count is a whole number from 0 to {MAX_COUNT}, or its digits as text"
    return problem("connectors.field_invalid", f"usage.{name}", message)


def _unknown(name: str, names: tuple[str, ...]) -> Problem:
    hint = ""
    if names is METERS and name in INCLUSIVE_NAMES:
        hint = f'; totals that include their parts need "{CONVENTION}": "{INCLUSIVE}"'
    elif names is not METERS and name in METER_INDEX:
        hint = f'; it is a meter of its own, not of the convention "{INCLUSIVE}"'
    return problem("connectors.field_unknown", f"usage.{name}", f"there is no count {name!r}{hint}")


def _exceeds(whole: str, part: str, parts: int, total: int) -> Problem:
    message = f"{part} ({parts}) are part of {whole} ({total}) and cannot exceed it"
    return problem("connectors.subset_exceeds_total", f"usage.{whole}", message)
