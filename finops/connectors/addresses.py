"""Which addresses may be called: https to anybody public, and hosts of our own that the operator named.

A name is resolved once, and that very address is to be connected to, so that it cannot mean another between check and
use.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from typing import Final
from urllib.parse import SplitResult, urlsplit

from finops.core.errors import Invalid

_METADATA: Final = ipaddress.ip_address("fd00:ec2::254")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(Invalid):
    """No call is made there."""

    code = "connectors.address_refused"


class Unreachable(Exception):
    """No answer that could be read, within the time and size there is. The message holds no secret."""


def check_address(address: str, *, internal: Collection[str]) -> SplitResult:
    """An address calls may go to, without asking the network: https to anybody, http only to hosts of our own
    (`internal`: host or host:port). Raises AddressRefused.
    """
    try:
        parts = urlsplit(address)
        known = is_internal(parts, internal)
    except ValueError:
        raise AddressRefused("this is no address", field="address") from None
    if (
        not parts.hostname
        or parts.username
        or parts.password
        or parts.query
        or parts.fragment
        or not address.isprintable()
    ):
        raise AddressRefused("an address is https://host[:port][/path]", field="address")
    if parts.scheme != "https" and not (known and parts.scheme == "http"):
        raise AddressRefused(
            "use https; http is for hosts that the operator named as internal (CAPSTAN_INTERNAL_HOSTS)", field="address"
        )
    return parts


def resolve(host: str, port: int, *, internal: bool) -> str:
    """The address to connect to. Raises Unreachable, and AddressRefused when any that the name means is not allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise Unreachable(f"{host} cannot be found") from None
    addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    if not all(_allowed(one, internal=internal) for one in addresses):
        raise AddressRefused(f"{host} is an address inside; name it in CAPSTAN_INTERNAL_HOSTS if it is meant")
    return str(addresses[0])


def check_number(host: str, *, internal: bool) -> None:
    """A host that is written as an address, in whatever form the system takes one, or that is this very machine: what
    `resolve` refuses later is refused at once. No name is looked up. Raises AddressRefused.
    """
    if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
        host = "127.0.0.1"
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return
    addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    if not all(_allowed(one, internal=internal) for one in addresses):
        raise AddressRefused(f"{host} is an address inside; name it in CAPSTAN_INTERNAL_HOSTS if it is meant")


def is_internal(parts: SplitResult, internal: Collection[str]) -> bool:
    """Whether an address is of a host that was named, as host or host:port."""
    return parts.hostname in internal or f"{parts.hostname}:{parts.port}" in internal


def is_allowed(address: str, *, internal: bool) -> bool:
    """Whether an address may be connected to; `internal` when the host it is of was named."""
    return _allowed(ipaddress.ip_address(address.partition("%")[0]), internal=internal)


def _allowed(address: ipaddress.IPv4Address | ipaddress.IPv6Address, *, internal: bool) -> bool:
    """Addresses at which clouds tell a machine its own credentials are nobody's, also where internal ones are meant."""
    plain = getattr(address, "ipv4_mapped", None) or address
    if plain.is_link_local or plain.is_multicast or plain.is_unspecified or plain == _METADATA:
        return False
    # Another address inside of one: what it leads to cannot be told from here.
    if getattr(plain, "sixtofour", None) or getattr(plain, "teredo", None) or plain in _NAT64:
        return False
    return internal or bool(plain.is_global)
