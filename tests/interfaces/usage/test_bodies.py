"""Bodies that are no bodies: refused by name, bounded before they are read."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.factories.orgs import Cast
from tests.interfaces.conftest import Api
from tests.interfaces.usage.conftest import MEGABYTE, Send, call, charged, is_problem, said


@pytest.mark.parametrize(
    ("body", "kind", "headers", "status", "code"),
    [
        (b"", "application/json", {}, 400, "connectors.body_malformed"),
        (b"[1,", "application/json", {}, 400, "connectors.body_malformed"),
        (b"[" * 200_000, "application/json", {}, 400, "connectors.body_malformed"),
        (b"\xff\xfe", "application/json", {}, 422, "connectors.malformed"),
        (b"{" * 200_000, "application/json", {}, 422, "connectors.malformed"),
        (b'{"id":' * 200_000, "application/json", {}, 422, "connectors.field_invalid"),
        (b"{}", "text/plain", {}, 415, "api.unsupported_media_type"),
        (b"{}", "multipart/form-data; boundary=x", {}, 415, "api.unsupported_media_type"),
        (b"{}", "application/json; charset=latin-1", {}, 415, "api.unsupported_media_type"),
        (b"{}", "application/json", {"Content_Encoding": "br"}, 415, "api.unsupported_media_type"),
        (b"{}", "application/json", {"Content_Encoding": "gzip"}, 400, "api.malformed"),
        # The time in a gzip header would name these cases differently in every process that collects them.
        (gzip.compress(b"[]", mtime=0)[:-3], "application/json", {"Content_Encoding": "gzip"}, 400, "api.malformed"),
        (
            gzip.compress(b"[]", mtime=0) + b"tail",
            "application/json",
            {"Content_Encoding": "gzip"},
            400,
            "api.malformed",
        ),
    ],
)
def test_bodies_that_cannot_be_read(
    send: Send, body: bytes, kind: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = send("usage", body, kind, **headers)
    assert (answer.status_code, said(answer)["code"]) == (status, code)


def test_malformed_json_says_where(send: Send) -> None:
    body = is_problem(send("usage", b'[{"id": 1},\n {"id": }]'), 400, "connectors.body_malformed")
    assert "line 2, column 9" in body["detail"]


class Endless(io.RawIOBase):
    """A body that would fill any memory; counts what was read of it."""

    def __init__(self, size: int) -> None:
        self.size, self.given = size, 0

    def read(self, size: int = -1) -> bytes:
        piece = b" " * min(size if size >= 0 else self.size, self.size - self.given)
        self.given += len(piece)
        return piece


def test_a_body_of_100_mb_is_refused_without_reading_it(key: Api) -> None:
    body = Endless(100 * MEGABYTE)
    client: Any = key.client
    answer = client.generic(
        "POST", "/api/v1/usage", b"", "application/json", headers=key.headers,
        **{"wsgi.input": body, "CONTENT_LENGTH": str(100 * MEGABYTE)},
    )  # fmt: skip
    is_problem(answer, 413, "api.too_large")
    assert body.given == 0


def test_a_body_that_breaks_off_is_not_taken_for_whole(key: Api, cast: Cast) -> None:
    whole = json.dumps(call()).encode()
    client: Any = key.client
    answer = client.generic(
        "POST", "/api/v1/usage", b"", "application/json", headers=key.headers,
        **{"wsgi.input": io.BytesIO(whole), "CONTENT_LENGTH": str(len(whole) + 1)},
    )  # fmt: skip
    is_problem(answer, 400, "api.malformed")
    assert charged(cast.acme) == 0


def test_a_body_without_a_length_is_told_to_have_one(key: Api) -> None:
    client: Any = key.client
    answer = client.generic(
        "POST", "/api/v1/usage", b"", "application/json", headers=key.headers | {"Transfer-Encoding": "chunked"}
    )
    is_problem(answer, 411, "api.length_required")


def _bomb() -> Iterator[bytes]:
    zipper = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    for _ in range(200):
        yield zipper.compress(b" " * MEGABYTE)
    yield zipper.flush()


def test_a_gzip_bomb_stops_at_the_bound(send: Send) -> None:
    is_problem(send("usage", b"".join(_bomb()), Content_Encoding="gzip"), 413, "api.too_large")
