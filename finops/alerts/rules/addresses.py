"""What a channel's address may be, what of it may be shown, and which places on the net nothing is sent to. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple
from urllib.parse import SplitResult, parse_qs, urlsplit

from finops.alerts.types import Medium
from finops.core.errors import Invalid

LONGEST: Final = 2_000
MOST_EMAILS: Final = 20
_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_SLACK: Final = re.compile(
    r"https://hooks\.slack\.com/services/([A-Z0-9]{5,20})/([A-Z0-9]{5,20})/([A-Za-z0-9]{10,40})/?"
)
_TEAMS_HOSTS: Final = (".logic.azure.com", ".api.powerplatform.com")
_TEAMS_PATH: Final = re.compile(
    r"(?P<automate>/powerautomate/automations/direct(/cu/(?P<route>[0-9]+))?)?"
    r"/workflows/(?P<workflow>[A-Za-z0-9_-]{10,80})/triggers/manual/paths/invoke/?"
)
_SIGNATURE: Final = re.compile(r"[A-Za-z0-9_-]{10,200}")
_PAGERDUTY: Final = re.compile(r"[A-Za-z0-9]{32}")
# Addresses that count as public and are a cloud's own: Azure's platform.
_OF_CLOUDS: Final = frozenset({ip_address("168.63.129.16")})
# IPv6 addresses that stand for IPv4 ones, which are in their last four bytes.
_EMBEDS: Final = tuple(map(IPv6Network, ("64:ff9b::/96", "::/96")))
_NEVER_V6: Final = tuple(map(IPv6Network, ("64:ff9b:1::/48", "fec0::/10")))
_NEVER_V4: Final = (ip_network("192.0.0.0/24"), ip_network("192.88.99.0/24"))


class AddressInvalid(Invalid):
    """An address that cannot be used; the message says why and repeats nothing of it."""

    code = "alerts.address_invalid"


class Workflow(NamedTuple):
    """A Teams workflow's address, in parts."""

    host: str
    workflow: str
    signature: str
    automate: bool
    route: str | None


def check_address(kind: str, said: str, *, loopback: bool) -> str:
    """The address, tidied. `loopback` lets webhooks go to this very machine, without TLS: for development and tests.
    Raises AddressInvalid.
    """
    address = said.strip()
    if not address or len(address) > LONGEST or not address.isprintable():
        raise AddressInvalid(f"an address has 1 to {LONGEST} printable characters", field="address")
    if kind == Medium.EMAIL:
        return ", ".join(emails(address))
    if kind == Medium.SLACK:
        slack_parts(address)
    elif kind == Medium.TEAMS:
        teams_parts(address)
    elif kind == Medium.PAGERDUTY:
        if not _PAGERDUTY.fullmatch(address):
            raise AddressInvalid("an integration key has 32 letters and digits", field="address")
    else:
        web_parts(address, loopback=loopback)
    return address


def hint_of(kind: str, address: str) -> str:
    """What may be shown of an address: enough to know it again, too little to use it."""
    if kind == Medium.EMAIL:
        shown = [f"{name[:1]}…@{host}" for name, _, host in (one.partition("@") for one in emails(address))]
        return ", ".join(shown[:3])[:180] + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")
    if kind == Medium.PAGERDUTY:
        return f"…{address[-4:]}"
    if kind == Medium.SLACK:
        return f"hooks.slack.com …{address.rstrip('/')[-4:]}"
    return (urlsplit(address).hostname or "")[:200]


def emails(said: str) -> list[str]:
    """The addresses of a list. Raises AddressInvalid."""
    found = list(dict.fromkeys(one.strip() for one in said.split(",") if one.strip()))
    if not 1 <= len(found) <= MOST_EMAILS:
        raise AddressInvalid(f"name 1 to {MOST_EMAILS} e-mail addresses, with commas between", field="address")
    if not all(len(one) <= 254 and _EMAIL.fullmatch(one) for one in found):
        raise AddressInvalid("one of these is not an e-mail address", field="address")
    return found


def slack_parts(address: str) -> tuple[str, str, str]:
    """The three tokens of an incoming webhook of Slack. Raises AddressInvalid."""
    found = _SLACK.fullmatch(address)
    if found is None:
        raise AddressInvalid("paste the incoming webhook as Slack shows it, https://hooks.slack.com/…", field="address")
    return found[1], found[2], found[3]


def teams_parts(address: str) -> Workflow:
    """The parts of a Teams workflow's address, which is at Microsoft and nowhere else. Raises AddressInvalid."""
    parts = _split(address)
    path = _TEAMS_PATH.fullmatch(parts.path)
    signature = parse_qs(parts.query).get("sig", [""])[0]
    host = (parts.hostname or "").lower()
    good = parts.scheme == "https" and host.endswith(_TEAMS_HOSTS) and parts.port in (None, 443)
    if path is None or not good or parts.username or not _SIGNATURE.fullmatch(signature):
        raise AddressInvalid(
            "paste the address of a Teams workflow “when a webhook request is received”", field="address"
        )
    return Workflow(host, path["workflow"], signature, path["automate"] is not None, path["route"])


def web_parts(address: str, *, loopback: bool) -> SplitResult:
    """A webhook's address. Raises AddressInvalid."""
    parts = _split(address)
    host = parts.hostname or ""
    here = loopback and host in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (here and parts.scheme == "http"):
        raise AddressInvalid("a webhook's address begins with https://", field="address")
    if not host or parts.username is not None or parts.password is not None or not host.isascii():
        raise AddressInvalid("a webhook's address names a host, and no user", field="address")
    if not here and (host.endswith((".localhost", ".local", ".internal")) or host == "localhost"):
        raise AddressInvalid("that host is not on the public net", field="address")
    literal = _literal(host)
    if literal is not None and not here and not is_public(literal):
        raise AddressInvalid("that address is not on the public net", field="address")
    return parts


def is_public(ip: IPv4Address | IPv6Address) -> bool:
    """Whether an address is somebody's on the public net: not this machine, its network, or a cloud's own services,
    nor an IPv6 address that stands for one of these.
    """
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and any(ip in net for net in _EMBEDS):
            inner = IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if any(ip in net for net in _NEVER_V6):
            return False
    elif any(ip in net for net in _NEVER_V4):
        return False
    return ip.is_global and not ip.is_multicast and ip not in _OF_CLOUDS


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        parts = None
    if parts is None or any(sign in address for sign in ' \\\t"<>'):
        raise AddressInvalid("this cannot be read as an address", field="address")
    return parts


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
