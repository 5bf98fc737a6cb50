"""Reads a request's body in pieces, bounded before and after decompression, so that no sender can fill our memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from django.http import HttpRequest, UnreadablePostError

from finops.api.errors import Malformed, TooLarge
from finops.core.errors import FinopsError

MOST_BYTES: Final = 64 * 1024 * 1024
_PIECE: Final = 256 * 1024
# Each member costs a decompressor, and may be empty: what is bounded in bytes is not bounded in work.
_MOST_MEMBERS: Final = 1_000
_GZIP: Final = zlib.MAX_WBITS | 16


class MediaTypeUnsupported(FinopsError):
    code = "api.unsupported_media_type"
    status = 415


def media_type(request: HttpRequest, allowed: frozenset[str]) -> str:
    """The request's media type, without parameters; JSON when it says none. Raises MediaTypeUnsupported."""
    said, _, parameters = request.META.get("CONTENT_TYPE", "").partition(";")
    kind = said.strip().lower() or "application/json"
    if kind not in allowed:
        raise MediaTypeUnsupported(f"{kind} is not read here; send {', '.join(sorted(allowed))}.")
    charset = parameters.lower().replace(" ", "").replace('"', "")
    if "charset=" in charset and "charset=utf-8" not in charset:
        raise MediaTypeUnsupported("Only UTF-8 is read here.")
    return kind


def read(request: HttpRequest, *, most: int = MOST_BYTES) -> bytes:
    """The whole body, decompressed if it says gzip.

    Raises TooLarge past `most` bytes before or after decompression (what is announced too large is not read at all),
    Malformed for a body that is cut off or is no gzip, MediaTypeUnsupported for another encoding.
    """
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in {"", "identity", "gzip", "x-gzip"}:
        raise MediaTypeUnsupported(f"The encoding {encoding!r} is not read here; send gzip or none.")
    announced = _announced(request)
    if announced > most:
        raise _too_large(most)
    pieces = _bounded(_pieces(request), most)
    if encoding in {"gzip", "x-gzip"}:
        pieces = _unzipped(pieces, most)
    return b"".join(pieces)


def _announced(request: HttpRequest) -> int:
    said = request.META.get("CONTENT_LENGTH") or ""
    if not said and request.META.get("HTTP_TRANSFER_ENCODING"):
        # WSGI gives a body of unsaid length no end to read to.
        raise LengthRequired("Send the body with its Content-Length; chunked bodies are not read here.")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 19 else 0


class LengthRequired(FinopsError):
    code = "api.length_required"
    status = 411


def _pieces(request: HttpRequest) -> Iterator[bytes]:
    left = _announced(request)
    try:
        while piece := request.read(_PIECE):
            left -= len(piece)
            yield piece
    except UnreadablePostError:
        raise Malformed("The body broke off.") from None
    if left > 0:
        raise Malformed(f"The body ended {left} bytes before its Content-Length.")


def _bounded(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > most:
            raise _too_large(most)
        yield piece


def _unzipped(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    """Decompresses member by member, never making more than the bound, whatever the header promises."""
    unzip = zlib.decompressobj(_GZIP)
    total, started, members = 0, False, 1
    for piece in pieces:
        waiting = piece
        while waiting:
            if unzip.eof:
                waiting = waiting.lstrip(b"\x00")
                if not waiting:
                    break
                members += 1
                if members > _MOST_MEMBERS:
                    raise Malformed(f"A gzip body has at most {_MOST_MEMBERS:,} members.")
                unzip = zlib.decompressobj(_GZIP)
            started = True
            try:
                made = unzip.decompress(waiting, most - total + 1)
            except zlib.error:
                raise Malformed("The body says it is gzip and is not.") from None
            total += len(made)
            if total > most:
                raise _too_large(most)
            yield made
            waiting = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
    if started and not unzip.eof:
        raise Malformed("The gzip body is cut off.")


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"A body has at most {most // (1024 * 1024)} MB, before and after decompression.")
