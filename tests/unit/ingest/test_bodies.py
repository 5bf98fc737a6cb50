"""Bodies are read in pieces and bounded, whatever they say of themselves."""

from __future__ import annotations

import gzip
import io
from typing import Any

import pytest
from django.http import HttpRequest
from hypothesis import given
from hypothesis import strategies as st

from finops.api.errors import Malformed, TooLarge
from finops.ingest import bodies


class Dripping(io.BytesIO):
    """Gives a few bytes at a time, as a slow line does."""

    def __init__(self, content: bytes, at_once: int) -> None:
        super().__init__(content)
        self.at_once = at_once

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self.at_once if size is None or size < 0 else min(size, self.at_once))


def request(content: bytes, *, encoding: str = "", at_once: int = 10**6, length: str | None = None) -> HttpRequest:
    made: Any = HttpRequest()
    made._stream = Dripping(content, at_once)
    made._read_started = False
    made.META = {"CONTENT_LENGTH": str(len(content)) if length is None else length}
    if encoding:
        made.META["HTTP_CONTENT_ENCODING"] = encoding
    asked: HttpRequest = made
    return asked


@given(st.lists(st.binary(max_size=300), max_size=4), st.integers(1, 40))
def test_gzip_in_any_members_and_any_pieces_is_the_same_body(parts: list[bytes], at_once: int) -> None:
    zipped = b"".join(gzip.compress(part) for part in parts)
    assert bodies.read(request(zipped, encoding="gzip", at_once=at_once)) == b"".join(parts)


@given(st.binary(max_size=100), st.integers(1, 40), st.integers(0, 99))
def test_the_bound_holds_before_and_after_decompression(content: bytes, at_once: int, most: int) -> None:
    for sent, encoding in ((content, ""), (gzip.compress(content), "gzip")):
        asked = request(sent, encoding=encoding, at_once=at_once)
        if max(len(content), len(sent)) > most:
            with pytest.raises(TooLarge):
                bodies.read(asked, most=most)
        else:
            assert bodies.read(asked, most=most) == content


def test_a_gzip_body_of_very_many_members_is_refused() -> None:
    nothing = gzip.compress(b"")
    assert bodies.read(request(nothing * 1_000, encoding="gzip")) == b""
    with pytest.raises(Malformed, match="1,000 members"):
        bodies.read(request(nothing * 1_001, encoding="gzip"))


@given(st.binary(max_size=60))
def test_bytes_that_are_no_gzip_are_told_so(content: bytes) -> None:
    asked = request(b"\x1f\x8b" + content, encoding="gzip")
    with pytest.raises(Malformed):
        bodies.read(asked)


@pytest.mark.parametrize("length", ["", "-1", "abc", "٣", "9" * 30])
def test_a_length_that_is_no_number_is_not_believed(length: str) -> None:
    assert bodies.read(request(b"[]", length=length)) == b"[]"
