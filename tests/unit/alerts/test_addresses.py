"""What a channel's address may be, what is shown of it, and where nothing is ever sent."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.alerts.rules.addresses import AddressInvalid, check_address, hint_of, is_public
from tests.factories.alerts import ADDRESSES

NOT_PUBLIC = (
    "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "100.100.100.200", "0.0.0.1", "255.255.255.255", "224.0.0.1", "192.0.0.192", "168.63.129.16", "198.18.0.1",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::7f00:1", "fe80::1", "fec0::1", "fc00::1",
    "fd00:ec2::254", "ff02::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:db8::1",
)  # fmt: skip
PUBLIC = ("8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_nothing_is_sent_to(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_something_may_be_sent_to(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_ipv6_address_that_stands_for_another_is_judged_as_that_one(inner: IPv4Address) -> None:
    for start in (0xFFFF << 32, 0x64FF9B << 96, 0):
        dressed = IPv6Address(start | int(inner))
        if dressed not in (IPv6Address("::"), IPv6Address("::1")):
            assert is_public(dressed) == is_public(inner)


@pytest.mark.parametrize("kind", sorted(ADDRESSES))
def test_an_address_as_its_owner_shows_it_is_good(kind: str) -> None:
    assert check_address(kind, f" {ADDRESSES[kind]} ", loopback=False) == ADDRESSES[kind]


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("email", "alice"), ("email", "alice@localhost"), ("email", "a@b.example\nBcc: c@d.example"), ("email", ",,,"),
        ("slack", "https://hooks.slack.com.evil.example/services/T0AAAAAAA/B0AAAAAAA/abcdefghijklmnop"),
        ("slack", "slack://T0AAAAAAA/B0AAAAAAA/abcdefghijklmnop?template=/etc/passwd"),
        ("teams", "https://evil.example/workflows/0123456789abcdef/triggers/manual/paths/invoke?sig=abcdefghijklmn"),
        ("teams", "https://logic.azure.com.evil.example/workflows/0123456789abcdef/triggers/manual/paths/invoke?sig=a"),
        ("teams", "http://a.logic.azure.com/workflows/0123456789abcdef/triggers/manual/paths/invoke?sig=abcdefghijk"),
        ("teams", "https://a.logic.azure.com:8443/workflows/0123456789abcdef/triggers/manual/paths/invoke?sig=abcdefghi"),
        ("pagerduty", "0123"), ("pagerduty", "0123456789abcdef0123456789abcde/"),
        ("webhook", "http://hooks.acme.example/"), ("webhook", "https://localhost/"), ("webhook", "https://127.0.0.1/"),
        ("webhook", "https://[::1]/"), ("webhook", "https://[::ffff:10.0.0.1]/"), ("webhook", "ftp://acme.example/"),
        ("webhook", "https://alice:secret@acme.example/"), ("webhook", "https://metadata.google.internal/"),
        ("webhook", "https://acme.example:99999/"), ("webhook", "https://"), ("webhook", "https://acme.example/a b"),
        ("webhook", "https://exämple.example/"), ("webhook", f"https://acme.example/{'a' * 2_000}"),
        ("webhook", "file:///etc/passwd"), ("webhook", "https://[::1"), ("webhook", ""),
    ],
)  # fmt: skip
def test_any_other_is_refused_and_not_repeated(kind: str, address: str) -> None:
    with pytest.raises(AddressInvalid) as refused:
        check_address(kind, address, loopback=False)
    assert refused.value.field == "address"
    assert not address or address not in refused.value.message


def test_this_machine_is_for_development_only() -> None:
    assert check_address("webhook", "http://127.0.0.1:9/", loopback=True)
    with pytest.raises(AddressInvalid):
        check_address("webhook", "http://192.168.1.1/", loopback=True)
    with pytest.raises(AddressInvalid):
        check_address("webhook", "http://acme.example/", loopback=True)


@pytest.mark.parametrize("kind", sorted(ADDRESSES))
def test_what_is_shown_of_an_address_cannot_be_used(kind: str) -> None:
    shown = hint_of(kind, ADDRESSES[kind])
    assert 4 < len(shown) < 60
    assert not set(ADDRESSES[kind].replace("?", "/").split("/")[3:]) & {shown}
    assert hint_of("email", "alice@acme.example, bob@acme.example") == "a…@acme.example, b…@acme.example"
