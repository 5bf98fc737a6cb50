"""Whether what a call sends may leave the house: by what somebody says of it, else by what is found in it.

Pure, and no slower than the text is long: a bounded number of characters, and patterns that never go back far. What is
not read is not clear: it is undecided.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from routing.classify.sensitivity.people import of_people
from routing.classify.sensitivity.secrets import of_secrets
from routing.classify.types import Content, Kind, Sensitivity, Verdict

# In the event loop of a gateway; what runs elsewhere may have more read.
MOST_SCANNED: Final = 32_768
LABEL: Final = "sensitivity"
_SENSITIVE: Final = frozenset(
    {"sensitive", "confidential", "restricted", "secret", "private", "local", "local-only", "high", "pii", "phi", "pci"}
)
_CLEAR: Final = frozenset({"clear", "public", "open", "none", "low", "not-sensitive"})
_ORDER: Final = {kind: number for number, kind in enumerate(Kind)}
# Digits and letters of full width, spaces and dashes of other lengths as plain ones; what has no width goes.
_PLAIN: Final = (
    {0xFF01 + step: 0x21 + step for step in range(94)}
    | dict.fromkeys((0xA0, 0x202F, 0x205F, 0x3000, *range(0x2000, 0x200B)), 0x20)
    | dict.fromkeys((*range(0x2010, 0x2016), 0x2212), 0x2D)
    # The one letter that is two when it is small, so that places would not fit.
    | {0x130: 0x49}
    | dict.fromkeys((0xAD, 0x2060, 0xFEFF, *range(0x200B, 0x2010)))
)
# Base64 and the like, from a length that no word has.
_BLOB: Final = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/=_-]{400}")


def judge(content: Content, *, labels: Iterable[str] = (), most: int = MOST_SCANNED) -> Sensitivity:
    """Labels, of the call's tags and headers and of its project, come first: one that says sensitive is enough, and one
    that says clear holds where none says otherwise. A label of another word decides nothing, and leaves what is not
    found to be sensitive undecided.
    """
    said = {one.strip().lower().replace("_", "-").replace(" ", "-") for one in labels} - {""}
    if said & _SENSITIVE:
        return Sensitivity(Verdict.SENSITIVE, (Kind.LABELLED,))
    odd = sorted(said - _CLEAR)
    if said and not odd:
        return Sensitivity(Verdict.CLEAR)
    found = scan(content, most=most)
    if odd and found.verdict is Verdict.CLEAR:
        return Sensitivity(Verdict.UNDECIDED, (), f"the label {odd[0][:40]!r} is none that is known")
    return found


def scan(content: Content, *, most: int = MOST_SCANNED) -> Sensitivity:
    """By what is found in it alone."""
    text, is_whole = _joined(content.texts, most)
    if not text.isascii():
        text = text.translate(_PLAIN)
    kinds = of_secrets(text) | of_people(text)
    if kinds:
        return Sensitivity(Verdict.SENSITIVE, tuple(sorted(kinds, key=_ORDER.__getitem__)))
    if content.unreadable:
        return Sensitivity(Verdict.UNDECIDED, (), f"{content.unreadable[0][:60]} is not read")
    if not is_whole:
        return Sensitivity(Verdict.UNDECIDED, (), f"only the first {most:,} characters are read")
    if why := _veiled(text):
        return Sensitivity(Verdict.UNDECIDED, (), why)
    return Sensitivity(Verdict.CLEAR)


def _joined(texts: Iterable[str], most: int) -> tuple[str, bool]:
    """The beginning of all texts, one below the other; and whether that is all."""
    parts: list[str] = []
    left = most
    for one in texts:
        if left <= 0:
            return "\n".join(parts), False
        parts.append(one[:left])
        left -= len(one) + 1
    return "\n".join(parts), left >= -1


def _veiled(text: str) -> str:
    """Why a text can be read and still says nothing that can be judged; '' else."""
    if _BLOB.search(text):
        return "a part of it is encoded"
    if text.count("\ufffd") + text.count("\0") > 0:
        return "a part of it is no text"
    return ""
