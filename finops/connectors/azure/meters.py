"""What a meter of Azure's is for, by its name: `gpt 4o 0806 cached Inp glbl Tokens`, `GPT 5 outpt Glbl`,
`5.4 cd inp Gl`. Pure. Names as its retail price list has them, which shortens words as it likes.
"""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"[a-z]+|[0-9.]+")
_INPUT: Final = frozenset({"inp", "inpt", "input"})
_OUTPUT: Final = frozenset({"outp", "outpt", "output", "opt"})
_CACHED: Final = frozenset({"cached", "cchd", "cache", "cach", "cd", "ch"})
_TEXT: Final = frozenset({"txt", "text"})
_AUDIO: Final = frozenset({"aud", "audio"})
_IMAGE: Final = frozenset({"img", "image"})
# Not for tokens of a call, or by words that nothing is known of.
_OTHERS: Final = frozenset(
    {"training", "train", "hosting", "host", "grader", "grdr", "write", "storage", "video", "vid"}
)


def meter_of(name: str) -> str:
    """As `reports.METER` has it; '' where the name does not say it plainly."""
    words = set(_WORD.findall(name.lower()))
    reads, writes = bool(words & _INPUT), bool(words & _OUTPUT)
    if reads == writes or words & _OTHERS:
        return ""
    is_cached = bool(words & _CACHED)
    kinds = [kind for kind, of in (("audio", _AUDIO), ("image", _IMAGE)) if words & of]
    # `gpt rt aud 1.5 txt inp` is text of a model of audio.
    kind = "" if words & _TEXT or not kinds else kinds[0]
    if len(kinds) > 1 and not words & _TEXT:
        return ""
    if writes:
        return "" if is_cached else f"output_{kind}" if kind else "output"
    if is_cached:
        return {"": "cache_read", "audio": "cache_read_audio"}.get(kind, "")
    return f"input_{kind}" if kind else "input_uncached"
