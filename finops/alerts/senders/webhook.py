"""A signed POST to somebody's own server, which must be on the public net.

The name is resolved once, every address it has must be public, and the connection goes to the address that was checked:
a name that answers differently the second time leads nowhere. No redirect is followed, no proxy used, and the whole of
it takes a bounded time and reads a bounded answer.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from ipaddress import ip_address
from typing import Any, Final

from django.conf import settings

from finops.alerts.rules.addresses import AddressInvalid, is_public, web_parts
from finops.alerts.types import Letter, Outcome, Story

CONNECT_S: Final = 5.0
WHOLE_S: Final = 10.0
MOST_ANSWER: Final = 65_536
# Not now, as opposed to never.
_LATER: Final = frozenset({408, 409, 423, 425, 429})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


def send(address: str, secret: str, letter: Letter) -> Outcome:
    """One try. An answer of 2xx is taken for an arrival."""
    try:
        parts = web_parts(address, loopback=settings.ALERTS_LOOPBACK)
    except AddressInvalid as error:
        return Outcome(error.message, permanent=True)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    try:
        target = _resolve(host, port)
    except OSError:
        return Outcome("The name cannot be resolved.")
    if target is None:
        return Outcome("The name leads to an address that is not on the public net.", permanent=True)
    body = json.dumps(payload(letter), ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Capstan-Webhook/1",
        "Capstan-Delivery": letter.id,
        "Capstan-Signature": signature(secret, body, int(letter.at.timestamp())),
        "Host": parts.netloc,
        "Connection": "close",
    }
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        status = _post(target, port, host if secure else "", path, body, headers)
    except (OSError, http.client.HTTPException) as error:
        return Outcome(f"It cannot be reached ({type(error).__name__}).")
    if 200 <= status < 300:
        return Outcome()
    return Outcome(f"It answered {status}.", permanent=300 <= status < 500 and status not in _LATER)


def signature(secret: str, body: bytes, at: int) -> str:
    """`t=<seconds since 1970>,v1=<HMAC-SHA256 of "t.body", hex>`."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


def payload(letter: Letter) -> dict[str, Any]:
    """What a webhook is sent."""
    return {
        "id": letter.id,
        "event": "test" if letter.test else "incidents",
        "organization": letter.organization,
        "sent_at": letter.at.isoformat(),
        "incidents": [_incident(one) for one in letter.stories],
        "more": letter.more,
    }


def _incident(story: Story) -> dict[str, Any]:
    return {
        "id": story.id,
        "event": story.event,
        "kind": story.kind,
        "key": story.key,
        "severity": story.severity,
        "title": story.title,
        "text": " ".join(story.sentences),
        "details": story.details,
        "opened_at": story.opened_at.isoformat(),
        "count": story.seen,
        "href": story.href,
    }


def _resolve(host: str, port: int) -> str | None:
    """The address to connect to; None where one of the name's is not public. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(one[4][0]).partition("%")[0] for one in found]
    if settings.ALERTS_LOOPBACK and set(addresses) <= _LOOPBACK:
        return addresses[0]
    return addresses[0] if all(is_public(ip_address(one)) for one in addresses) else None


def _post(target: str, port: int, tls_name: str, path: str, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer. Raises OSError (its timeouts too) and HTTPException."""
    connection = http.client.HTTPConnection(target, port)
    with _connected(target, port, tls_name) as sock:
        connection.sock = sock
        connection.request("POST", path, body=body, headers=headers)
        response = connection.getresponse()
        response.read(MOST_ANSWER)
        return response.status


@contextmanager
def _connected(target: str, port: int, tls_name: str) -> Iterator[socket.socket]:
    """A connection that is cut when the time is over, however slowly the other side drips its answer."""
    sock = socket.create_connection((target, port), timeout=CONNECT_S)
    held = [sock]
    cut = threading.Timer(WHOLE_S, lambda: _cut(held[0]))
    cut.daemon = True
    cut.start()
    try:
        sock.settimeout(WHOLE_S)
        if tls_name:
            held[0] = sock = _tls().wrap_socket(sock, server_hostname=tls_name, do_handshake_on_connect=False)
            sock.do_handshake()
        yield sock
    finally:
        cut.cancel()
        sock.close()


def _cut(sock: socket.socket) -> None:
    """Wakes whoever reads. Of the plain socket beneath TLS: the reader still needs what is above it."""
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
