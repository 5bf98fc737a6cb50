"""Calls to other companies' servers: bounded in time and size, to no address that was not meant, following nobody.

A name is resolved once and that very address is connected to, so that it cannot mean another between check and use.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import time
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

import httpx2

from finops.core.errors import Invalid

LONGEST_S: Final = 15.0
_CONNECT_S: Final = 5.0
LARGEST_ANSWER: Final = 512 * 1024
_METADATA: Final = ipaddress.ip_address("fd00:ec2::254")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(Invalid):
    """No call is made there."""

    code = "connectors.address_refused"


class Unreachable(Exception):
    """No answer that could be read, within the time and size there is. The message holds no secret."""


class Answer(NamedTuple):
    """`body` is None where it is no JSON object."""

    status: int
    body: dict[str, Any] | None


def check_address(address: str, *, internal: Collection[str]) -> SplitResult:
    """An address calls may go to, without asking the network: https to anybody, http only to hosts of our own
    (`internal`: host or host:port). Raises AddressRefused.
    """
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise AddressRefused("this is no address", field="address") from None
    if not host or parts.username or parts.password or parts.query or parts.fragment or not address.isprintable():
        raise AddressRefused("an address is https://host[:port][/path]", field="address")
    known = _is_internal(host, port, internal)
    if parts.scheme != "https" and not (known and parts.scheme == "http"):
        raise AddressRefused(
            "use https; http is for hosts that the operator named as internal (CAPSTAN_INTERNAL_HOSTS)", field="address"
        )
    return parts


class Outgoing:
    """Calls to one server."""

    def __init__(self, address: str, *, headers: Mapping[str, str], internal: Collection[str] = ()) -> None:
        self._parts = check_address(address, internal=internal)
        self._host = self._parts.hostname or ""
        self._port = self._parts.port or (443 if self._parts.scheme == "https" else 80)
        self._internal = _is_internal(self._host, self._parts.port, internal)
        self._headers = dict(headers)

    def ask(self, method: str, path: str, *, body: Any = None, query: Mapping[str, str] | None = None) -> Answer:
        """Raises Unreachable, and AddressRefused when the name now means an address that is nobody's business."""
        resolved = self._resolve()
        url = httpx2.URL(
            scheme=self._parts.scheme,
            host=resolved,
            port=self._port,
            path=self._parts.path.rstrip("/") + path,
            params=dict(query or {}),
        )
        until = time.monotonic() + LONGEST_S
        try:
            with (
                httpx2.Client(
                    timeout=httpx2.Timeout(LONGEST_S, connect=_CONNECT_S), follow_redirects=False, trust_env=False
                ) as client,
                client.stream(
                    method,
                    url,
                    headers=self._headers | {"Host": self._parts.netloc, "Accept": "application/json"},
                    json=body,
                    extensions={"sni_hostname": self._host},
                ) as response,
            ):
                return Answer(response.status_code, _object(_bounded(response, until)))
        except httpx2.HTTPError as error:
            raise Unreachable(f"{self._host} cannot be reached ({type(error).__name__})") from None

    def _resolve(self) -> str:
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError:
            raise Unreachable(f"{self._host} cannot be found") from None
        addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
        if not all(_allowed(one, internal=self._internal) for one in addresses):
            raise AddressRefused(f"{self._host} is an address inside; name it in CAPSTAN_INTERNAL_HOSTS if it is meant")
        return str(addresses[0])


def _bounded(response: httpx2.Response, until: float) -> bytes:
    read = bytearray()
    for piece in response.iter_bytes():
        read += piece
        if len(read) > LARGEST_ANSWER:
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


def _is_internal(host: str, port: int | None, internal: Collection[str]) -> bool:
    return host in internal or f"{host}:{port}" in internal


def _allowed(address: ipaddress.IPv4Address | ipaddress.IPv6Address, *, internal: bool) -> bool:
    """Addresses at which clouds tell a machine its own credentials are nobody's, also where internal ones are meant."""
    plain = getattr(address, "ipv4_mapped", None) or address
    if plain.is_link_local or plain.is_multicast or plain.is_unspecified or plain == _METADATA:
        return False
    # Another address inside of one: what it leads to cannot be told from here.
    if getattr(plain, "sixtofour", None) or getattr(plain, "teredo", None) or plain in _NAT64:
        return False
    return internal or bool(plain.is_global)
