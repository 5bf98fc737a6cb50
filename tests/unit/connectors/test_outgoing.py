"""Where calls may go: to https anywhere public, to hosts of our own that were named, and never where clouds keep
credentials."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from finops.connectors.addresses import AddressRefused, Unreachable, check_address
from finops.connectors.outgoing import Outgoing


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com",
        "ftp://example.com",
        "https://",
        "https://user:word@example.com",
        "https://example.com/?q=1",
        "https://example.com/#part",
        "https://example.com:port",
        "https://exam\nple.com",
        "example.com",
        "http://127.0.0.1:4000",
    ],
)
def test_an_address_that_is_none_or_not_safe_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        check_address(address, internal={"127.0.0.1:1"})


@pytest.mark.parametrize("named", ["litellm", "litellm:4000"])
def test_http_is_for_hosts_that_were_named(named: str) -> None:
    assert check_address("http://litellm:4000/proxy", internal={named}).path == "/proxy"


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found: list[Any] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.0.0.1",
            "172.16.9.9",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",  # noqa: S104 - an address to refuse
            "100.64.0.1",
            "224.0.0.1",
        ),
        *("::1", "fe80::1", "fc00::1", "fd00:ec2::254", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
        *("64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"),
    ],
)
def test_a_name_that_means_an_address_inside_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolving(monkeypatch, "93.184.216.34", address)
    with pytest.raises(AddressRefused, match="inside"):
        Outgoing("https://example.com", headers={}).ask("GET", "/")


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254"])
def test_also_a_host_that_was_named_is_not_where_clouds_keep_credentials(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolving(monkeypatch, address)
    with pytest.raises(AddressRefused):
        Outgoing("http://litellm:4000", headers={}, internal={"litellm"}).ask("GET", "/")


def test_a_name_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unreachable, match="cannot be found"):
        Outgoing("https://example.com", headers={}).ask("GET", "/")
