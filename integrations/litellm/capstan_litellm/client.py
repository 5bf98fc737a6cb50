"""Speaks to Capstan's gateway."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import aiohttp

from capstan_litellm.answers import Answer, Unreachable
from capstan_litellm.settings import Settings


class Client:
    """Of one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {settings.key}"},
            connector=aiohttp.TCPConnector(limit=256, keepalive_timeout=30),
            auto_decompress=True,
        )

    async def authorize(self, body: dict[str, Any]) -> Answer:
        """Tried once more where the connection broke, which an idle one does; the id makes the repeat harmless. Raises
        Unreachable.
        """
        async with _within(self._settings.timeout):
            try:
                return await self._ask("POST", "/api/v1/authorizations", body)
            except Unreachable:
                return await self._ask("POST", "/api/v1/authorizations", body)

    async def route(self, body: dict[str, Any]) -> Answer:
        """Where a call should go. Raises Unreachable, and soon: the call waits for it."""
        async with _within(self._settings.route_timeout):
            return await self._ask("POST", "/api/v1/authorizations/route", body)

    async def settle(self, authorization: str, body: dict[str, Any]) -> Answer:
        return await self._bounded("POST", f"/api/v1/authorizations/{quote(authorization, safe='')}/settle", body)

    async def void(self, authorization: str) -> Answer:
        return await self._bounded("POST", f"/api/v1/authorizations/{quote(authorization, safe='')}/void", {})

    async def usage(self, record: dict[str, Any]) -> Answer:
        return await self._bounded("POST", f"{self._settings.usage_url}/api/v1/usage", record)

    async def stopped(self, cursor: str, wait: int) -> Answer:
        query = {"wait": str(wait), **({"since": cursor} if cursor else {})}
        async with _within(wait + self._settings.timeout):
            return await self._ask("GET", "/api/v1/authorizations/stopped", None, query)

    async def close(self) -> None:
        await self._session.close()

    async def _bounded(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        async with _within(self._settings.timeout):
            return await self._ask(method, path, body)

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None, query: dict[str, str] | None = None
    ) -> Answer:
        url = path if path.startswith("http") else f"{self._settings.url}{path}"
        try:
            async with self._session.request(method, url, json=body, params=query, allow_redirects=False) as response:
                raw = await response.read()
                if response.status in {502, 503, 504}:
                    raise Unreachable(f"Capstan answered {response.status}")
                said = await response.json(content_type=None) if raw else {}
                retry_after = response.headers.get("Retry-After", "")
                return Answer(response.status, said if isinstance(said, dict) else {}, retry_after)
        except (aiohttp.ClientError, ValueError) as error:
            raise Unreachable(f"Capstan gave no answer ({type(error).__name__})") from error


class _within:  # noqa: N801  # reads as the word it is
    """`asyncio.timeout` whose end is Unreachable."""

    def __init__(self, seconds: float) -> None:
        self._timeout = asyncio.timeout(seconds)
        self._seconds = seconds

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            raise Unreachable(f"Capstan gave no answer within {self._seconds:g} seconds") from None
