"""Files that come piece by piece: unpacked where they are packed, and cut into lines. None is held whole. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from finops.connectors.pages import BodyUnreadable

# A file that is read line by line may be as long as it likes; no line of it.
LONGEST_LINE: Final = 16 * 2**20
_PIECE: Final = 256 * 1024
_GZIP: Final = b"\x1f\x8b"
_OF_GZIP: Final = 16 + zlib.MAX_WBITS
_BOM: Final = b"\xef\xbb\xbf"


def unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What was packed by gzip, in pieces of at most 256 KiB; as it is where it begins otherwise. Its name does not
    tell: a server may have unpacked it on the way. Raises BodyUnreadable for what breaks off.
    """
    source = iter(pieces)
    begun = b""
    for piece in source:
        begun += piece
        if len(begun) >= len(_GZIP):
            break
    if begun.startswith(_GZIP):
        yield from _of_gzip(begun, source)
        return
    if begun:
        yield begun
    yield from source


def _of_gzip(begun: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    """One member after the other: logs are packed in several."""
    member, packed = zlib.decompressobj(_OF_GZIP), begun
    try:
        while True:
            made = member.decompress(packed, _PIECE)
            if made:
                yield made
            packed = member.unconsumed_tail
            if member.eof:
                packed = member.unused_data or next(source, b"")
                if not packed:
                    return
                member = zlib.decompressobj(_OF_GZIP)
            elif not packed and not made:
                packed = next(source, b"")
                if not packed:
                    raise BodyUnreadable("The file breaks off: it was packed, and its end is missing.")
    except zlib.error:
        raise BodyUnreadable("The file is damaged: it was packed, and cannot be unpacked.") from None


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends, as they come; of one that is too long only its beginning."""
    kept = bytearray()
    for piece in pieces:
        *ended, begun = piece.split(b"\n")
        for part in ended:
            kept += part
            yield bytes(kept[:LONGEST_LINE])
            kept.clear()
        kept += begun[: max(0, LONGEST_LINE - len(kept))]
    if kept:
        yield bytes(kept)


def text(pieces: Iterable[bytes]) -> Iterator[str]:
    """Lines with their ends, as `csv` wants them. Raises BodyUnreadable for what is not UTF-8."""
    is_first = True
    for line in lines(pieces):
        try:
            yield (line.removeprefix(_BOM) if is_first else line).decode() + "\n"
        except UnicodeDecodeError:
            raise BodyUnreadable("The file is no text: it is not UTF-8.") from None
        is_first = False
