"""Server-sent events, cut out of bytes as they come, however they are cut: each event keeps the bytes it came with."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

MOST_BYTES: Final = 16 * 2**20
# What an event ends with, where it ends with its chunk.
ENDS: Final = (b"\n\n", b"\n\r\n")
_END: Final = re.compile(rb"\n\r?\n")
_LONGEST_END: Final = 3
_BOM: Final = b"\xef\xbb\xbf"


class Piece(NamedTuple):
    """Bytes of a stream. `whole` when they are one event; else they are part of one that is too large to be read."""

    raw: bytes
    whole: bool


class Splitter:
    """All pieces together are what was fed, byte by byte, but for what is `pending`: the beginning of an event. No more
    than `most` bytes of one are kept.
    """

    __slots__ = ("_most", "_passing", "pending")

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._passing = False
        self.pending = bytearray()

    def feed(self, chunk: bytes) -> list[Piece]:
        pieces = []
        # The end may have begun in what came before; what is before that was looked at then.
        looked = max(0, len(self.pending) - _LONGEST_END + 1)
        held = self.pending
        held += chunk
        start = 0
        for end in _END.finditer(held, looked):
            pieces.append(self._piece(bytes(held[start : end.end()])))
            start = end.end()
        if start:
            del held[:start]
        if len(held) > self._most or (self._passing and len(held) > _LONGEST_END):
            # An end that is cut in two must still be seen.
            keep = len(held) - _LONGEST_END + 1
            self._passing = True
            pieces.append(Piece(bytes(held[:keep]), whole=False))
            del held[:keep]
        return pieces

    def end(self) -> list[Piece]:
        """What is left. Some servers leave the last line's end out."""
        if not self.pending:
            return []
        piece = self._piece(bytes(self.pending))
        self.pending.clear()
        return [piece]

    def _piece(self, raw: bytes) -> Piece:
        whole = not self._passing and len(raw) <= self._most
        self._passing = False
        return Piece(raw, whole)


def data_of(event: bytes) -> bytes:
    """An event's data, its lines joined; b'' for a comment or a name alone."""
    lines = event.removeprefix(_BOM).split(b"\n")
    data = [line[5:].removesuffix(b"\r").removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    return data[0] if len(data) == 1 else b"\n".join(data)
