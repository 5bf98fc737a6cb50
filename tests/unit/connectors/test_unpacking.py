"""Files that come in pieces: whole however they are cut, bounded, and never ended in silence."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest

from finops.connectors.pages import BodyUnreadable
from finops.connectors.unpacking import text, unpacked

LINES = b"".join(b"line %d\n" % number for number in range(5_000))


def cut(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


@pytest.mark.parametrize("size", [1, 7, 4_096, 10**6])
@pytest.mark.parametrize("body", [LINES, gzip.compress(LINES), gzip.compress(LINES[:100]) + gzip.compress(LINES[100:])])
def test_a_file_is_whole_however_it_is_cut(body: bytes, size: int) -> None:
    assert b"".join(unpacked(cut(body, size))) == LINES


@pytest.mark.parametrize("body", [b"", b"x", b"\x1f"])
def test_what_is_short_is_as_it_is(body: bytes) -> None:
    assert b"".join(unpacked([body])) == body


def test_what_breaks_off_or_is_damaged_is_told() -> None:
    packed = gzip.compress(LINES)
    for body in (packed[:-1], packed[:20], packed + packed[:30], packed[:50] + b"damage" + packed[50:], packed + b"no"):
        with pytest.raises(BodyUnreadable):
            list(unpacked(cut(body, 64)))


def test_much_in_little_comes_in_pieces() -> None:
    assert max(len(piece) for piece in unpacked([gzip.compress(bytes(50 * 2**20))])) <= 256 * 1024


def test_text_keeps_its_line_ends_and_loses_its_mark() -> None:
    assert list(text([b"\xef\xbb\xbfa,", b"b\nc\xc3", b"\xa9"])) == ["a,b\n", "cé\n"]
    with pytest.raises(BodyUnreadable):
        list(text([b"\xff\n"]))
