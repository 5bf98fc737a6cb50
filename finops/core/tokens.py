"""Meters: the disjoint quantities a call is priced by. One order, used by every tuple of counts and of prices.

Providers count in five conventions (does "input" include the cached part?); a connector's parse.py turns each into
these, and nothing else in the house knows a convention. Names follow OpenTelemetry `gen_ai.usage.*` where it has one.
"""

from __future__ import annotations

from typing import Final

# Token meters, priced per million.
TOKEN_METERS: Final = (
    "input_uncached",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output_text",
    "output_reasoning",
    "input_audio",
    "cache_read_audio",
    "output_audio",
    "input_image",
    "output_image",
)
# Counted meters, priced each (a price per million is a price each times 10^6, so the same arithmetic serves).
COUNT_METERS: Final = ("requests", "web_searches", "tool_calls")
METERS: Final = TOKEN_METERS + COUNT_METERS
METER_INDEX: Final = {name: index for index, name in enumerate(METERS)}

# What a model reads, for long-context tiers: everything in the prompt, cached or not.
INPUT_METERS: Final = (
    "input_uncached",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "input_audio",
    "cache_read_audio",
    "input_image",
)
OUTPUT_METERS: Final = ("output_text", "output_reasoning", "output_audio", "output_image")
INPUT_SLICE: Final = tuple(METER_INDEX[name] for name in INPUT_METERS)
OUTPUT_SLICE: Final = tuple(METER_INDEX[name] for name in OUTPUT_METERS)

# No call of any known model comes near this; a count above it is a bug at the source, not usage.
MAX_COUNT: Final = 10**12
