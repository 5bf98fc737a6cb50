"""What a text is like, as numbers that cannot be read back: counts of hashed words and pairs of words. Plain Python,
for it is worked out while a call waits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import log, sqrt
from typing import Final
from zlib import crc32

# More of a text says little more, and would keep the call waiting.
MOST_CHARACTERS: Final = 4_000
BUCKETS: Final = 2**15
_MASK: Final = BUCKETS - 1
_WORDS: Final = re.compile(r"\w+")
# Knuth's multiplicative hashing, so that a pair is another bucket than either of its words.
_GOLDEN: Final = 0x9E3779B1
# Of counts that come often; a logarithm each would take a fifth of the time.
_FEW: Final = 64
_SUBLINEAR: Final = (0.0, *(1.0 + log(often) for often in range(1, _FEW)))

Counts = dict[int, int]


def counts(text: str) -> Counts:
    """Of a text's beginning: how often each bucket's words and pairs of neighbours come."""
    found: Counts = {}
    before = 0
    for word in _WORDS.findall(text[:MOST_CHARACTERS].lower()):
        hashed = crc32(word.encode())
        one = hashed & _MASK
        found[one] = found.get(one, 0) + 1
        if before:
            pair = ((before * _GOLDEN) ^ hashed) >> 7 & _MASK
            found[pair] = found.get(pair, 0) + 1
        before = hashed
    return found


def weighed(found: Counts, rarity: Mapping[int, float]) -> dict[int, float]:
    """TF-IDF: sublinear counts by how rare a bucket is, of length 1 together. One without a rarity says nothing."""
    values = {
        one: (_SUBLINEAR[often] if often < _FEW else 1.0 + log(often)) * rarity[one]
        for one, often in found.items()
        if one in rarity
    }
    length = sqrt(sum(value * value for value in values.values()))
    return {one: value / length for one, value in values.items()} if length else {}
