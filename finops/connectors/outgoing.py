"""Calls to other companies' servers: bounded in time and size, to addresses that are meant (`addresses`), following
nobody elsewhere.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, NamedTuple

import httpx2

from finops.connectors import unpacking
from finops.connectors.addresses import Unreachable, check_address, is_internal, resolve

LONGEST_S: Final = 15.0
_CONNECT_S: Final = 5.0
LARGEST_ANSWER: Final = 512 * 1024
# Of a page of a report, which is read whole.
LARGEST_PAGE: Final = 32 * 2**20
LONGEST_PAGE_S: Final = 60.0
# A file may be as long as it likes; no reading of it.
LONGEST_READING_S: Final = 1800.0
# Uncompressed, so that the size of what comes is the size of what is read.
_PLAIN: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}


class Answer(NamedTuple):
    """`body` is None where it is no JSON object."""

    status: int
    body: dict[str, Any] | None


class Raw(NamedTuple):
    """An answer as it came; names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class File(NamedTuple):
    """An answer that is read piece by piece."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


class Outgoing:
    """Calls to one server."""

    def __init__(self, address: str, *, headers: Mapping[str, str], internal: Collection[str] = ()) -> None:
        self._parts = check_address(address, internal=internal)
        self._host = self._parts.hostname or ""
        self._port = self._parts.port or (443 if self._parts.scheme == "https" else 80)
        self._internal = is_internal(self._parts, internal)
        self._headers = dict(headers)

    def ask(self, method: str, path: str, *, body: Any = None, query: Mapping[str, str] | None = None) -> Answer:
        """Raises Unreachable, and AddressRefused when the name now means an address that is nobody's business."""
        until = time.monotonic() + LONGEST_S
        with self._opened(method, path, body=body, query=list((query or {}).items())) as response:
            return Answer(response.status_code, _object(_bounded(response, until)))

    def read(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        form: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
    ) -> Raw:
        """A page of a report; asked for with JSON, or with a form. Raises Unreachable, and AddressRefused as `ask`."""
        until = time.monotonic() + LONGEST_PAGE_S
        with self._opened(method, path, body=body, form=form, query=query) as response:
            return Raw(response.status_code, dict(response.headers), _bounded(response, until, LARGEST_PAGE))

    def lines(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Iterator[bytes]:
        """The lines of a file, as they come; of one that is too long only its beginning. Raises as `ask`, and
        Unreachable for any other answer than a file and for one that breaks off.
        """
        until = time.monotonic() + LONGEST_READING_S
        with self._opened("GET", path, query=query) as response:
            if response.status_code != 200:
                raise Unreachable(f"{self._host} answered {response.status_code}")
            yield from unpacking.lines(_timed(response.iter_raw(), until))

    @contextmanager
    def file(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Iterator[File]:
        """A file in pieces, as they come, or what was answered instead. Raises as `ask`, also while it is read."""
        until = time.monotonic() + LONGEST_READING_S
        with self._opened("GET", path, query=query) as response:
            yield File(response.status_code, dict(response.headers), _timed(response.iter_raw(), until))

    @contextmanager
    def _opened(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        form: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
    ) -> Iterator[httpx2.Response]:
        resolved = resolve(self._host, self._port, internal=self._internal)
        url = httpx2.URL(
            scheme=self._parts.scheme,
            host=resolved,
            port=self._port,
            path=self._parts.path.rstrip("/") + path,
            params=list(query),
        )
        try:
            with (
                httpx2.Client(
                    timeout=httpx2.Timeout(LONGEST_S, connect=_CONNECT_S),
                    follow_redirects=False,
                    trust_env=False,
                    verify=_certificates(),
                ) as client,
                client.stream(
                    method,
                    url,
                    headers=self._headers | {"Host": self._parts.netloc} | _PLAIN,
                    json=body,
                    data=form,
                    extensions={"sni_hostname": self._host},
                ) as response,
            ):
                yield response
        except httpx2.HTTPError as error:
            raise Unreachable(f"{self._host} cannot be reached ({type(error).__name__})") from None


@cache
def _certificates() -> ssl.SSLContext:
    """Reading the authorities takes longer than most calls, so it is done once."""
    return httpx2.create_ssl_context(trust_env=False)


def _timed(pieces: Iterator[bytes], until: float) -> Iterator[bytes]:
    for piece in pieces:
        if time.monotonic() > until:
            raise Unreachable("the file takes too long")
        yield piece


def _bounded(response: httpx2.Response, until: float, most: int = LARGEST_ANSWER) -> bytes:
    read = bytearray()
    for piece in response.iter_raw():
        read += piece
        if len(read) > most:
            raise Unreachable("the answer is too large")
        if time.monotonic() > until:
            raise Unreachable("the answer takes too long")
    return bytes(read)


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
