"""The upstream's side of a call: one HTTP request over connections that stay open."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection, Iterable
from contextvars import ContextVar
from functools import lru_cache
from time import monotonic
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from multidict import CIMultiDict
from yarl import URL

from finops.connectors.addresses import AddressRefused, check_number, is_allowed
from finops.core.sealing import CannotOpen
from routing.configuration.wire import Upstream

_KEPT_S: Final = 75.0
_CLOSED_WITHIN_S: Final = 0.1
# We say what we take, and nothing of our own is added.
_OURS: Final = frozenset({"User-Agent", "Accept", "Accept-Encoding", "Content-Type"})
# What `Sender.send`, and reading what it gives, may fail with.
FAILS: Final = (aiohttp.ClientError, OSError, TimeoutError, AddressRefused, CannotOpen)

_made: Final = ContextVar("made", default=False)


class Sender:
    """Sends requests to upstreams; one for each process, made on its event loop."""

    def __init__(self, open_sealed: Callable[[bytes], str], internal: Collection[str]) -> None:
        """`internal` hosts are of our own, as the operator named them: host or host:port."""
        self._open_sealed = open_sealed
        self._secrets: dict[bytes, str] = {}
        self._urls: dict[tuple[str, str, str], URL] = {}
        self._internal = internal
        self._made: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._made is None:
            connector = _Connector(
                limit=0, keepalive_timeout=_KEPT_S, ttl_dns_cache=60, resolver=_Resolver(self._internal)
            )
            self._made = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_OURS,
                trust_env=False,
            )
        return self._made

    async def send(
        self, upstream: Upstream, method: str, path: str, query: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> aiohttp.ClientResponse:
        """The head of the answer. Raises aiohttp.ClientError, and CannotOpen where the credential cannot be read."""
        told = CIMultiDict(headers)
        told.update(upstream.headers)
        told["Accept-Encoding"] = "identity"
        secret = self._secret(upstream)
        if secret:
            if upstream.auth == "bearer":
                told["Authorization"] = f"Bearer {secret}"
            else:
                # Any other `auth` is the header's own name.
                told[upstream.auth] = secret
        url, timeout = self._url(upstream.base_url, path, query), _timeout(upstream.connect_s)
        for again in (True, False):
            _made.set(False)
            began = monotonic()
            try:
                return await self._session.request(
                    method, url, headers=told, data=body or None, allow_redirects=False, timeout=timeout
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError):
                # One we had kept was closed under us, which shows at once. Who closes one that was just made, or later,
                # may have done its work.
                if _made.get() or not again or monotonic() - began > _CLOSED_WITHIN_S:
                    raise
        raise AssertionError("the last try returns or raises")

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()

    def _url(self, base: str, path: str, query: str) -> URL:
        key = (base, path, query)
        found = self._urls.get(key)
        if found is None:
            if len(self._urls) >= 1_000:
                self._urls.clear()
            found = URL(base.rstrip("/") + path + (f"?{query}" if query else ""), encoded=True)
            # An address that stands there outright is not resolved, so it is looked at here.
            host = found.host or ""
            check_number(host, internal=host in self._internal or f"{host}:{found.port}" in self._internal)
            self._urls[key] = found
        return found

    def _secret(self, upstream: Upstream) -> str:
        if not upstream.sealed or upstream.auth == "none":
            return ""
        found = self._secrets.get(upstream.sealed)
        if found is None:
            if len(self._secrets) >= 1_000:
                self._secrets.clear()
            found = self._secrets[upstream.sealed] = self._open_sealed(upstream.sealed)
        return found


@lru_cache(maxsize=100)
def _timeout(connect_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=connect_s)


class _Connector(aiohttp.TCPConnector):
    """Remembers whether a request is sent over a connection that was made for it."""

    async def _create_connection(self, *arguments: Any) -> Any:
        _made.set(True)
        return await super()._create_connection(*arguments)


class _Resolver(AbstractResolver):
    """What names mean, without addresses that are nobody's business."""

    def __init__(self, internal: Collection[str]) -> None:
        self._internal = internal
        self._names = ThreadedResolver(asyncio.get_running_loop())

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._names.resolve(host, port, family)
        internal = host in self._internal or f"{host}:{port}" in self._internal
        allowed = [one for one in found if is_allowed(one["host"], internal=internal)]
        if not allowed:
            raise OSError(f"{host} means an address inside; name it in CAPSTAN_INTERNAL_HOSTS if it is meant")
        return allowed

    async def close(self) -> None:
        await self._names.close()


def failed_before_sending(error: BaseException) -> bool:
    """Whether nothing of the request can have been worked on."""
    return isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.InvalidURL)
