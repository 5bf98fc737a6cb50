"""Gateway processes among themselves: a call is decided and settled by the process that owns it, others forward.

Whose a new call is follows from its id and from who lives, so that asking twice finds the same process.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import msgspec

from finops.budgets.bank import Other
from finops.core.errors import FinopsError
from finops.ingest.records import Held
from finops.orgs import hot
from routing.gateway.answers import Answer, Asked

_PATIENCE: Final = aiohttp.ClientTimeout(total=10, sock_connect=1)
FORWARDED: Final = "capstan-forwarded"
# What only processes ask each other.
KNOWN: Final = "/known"


class OwnerAway(FinopsError):
    """The process that owns the call cannot be reached, and nobody has taken over from it yet."""

    code = "gateway.owner_away"
    status = 503
    retry_after_s = 1


class Peers:
    """The other processes, as last heard of."""

    def __init__(self, own: UUID, hash_key: bytes = b"", reached_at: str = "") -> None:
        """`hash_key` is the installation's: whoever has it is one of us."""
        self._own = own
        self._word = hmac.new(hash_key, b"capstan.gateway.peers.v1", hashlib.sha256).hexdigest()
        self._reached_at = reached_at
        self._known: dict[str, Other] = {}
        self._living: list[str] = [own.hex]
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    def heard(self, others: Sequence[Other]) -> None:
        self._known = {other.id.hex: other for other in others}
        living = {other.id.hex for other in others if other.alive and other.adopted_by is None}
        self._living = sorted(living | {self._own.hex})

    def decides(self, asked_by: str, asked_as: str) -> str:
        """Who decides a new call: the same for everybody who knows the same processes."""
        if len(self._living) == 1:
            return self._living[0]
        name = f"{asked_by}\0{asked_as}".encode()
        return max(self._living, key=lambda one: hashlib.blake2b(name, key=one.encode(), digest_size=8).digest())

    def owns(self, call_id: str) -> str:
        """Who owns an open call: whose id it carries, or whoever took over from them."""
        found = call_id.partition("-")[0]
        for _ in range(len(self._known)):
            other = self._known.get(found)
            if other is None or other.adopted_by is None:
                break
            found = other.adopted_by.hex
        return found

    def is_one_of_us(self, word: str) -> bool:
        """By what a request says in `FORWARDED`."""
        return hot.same(word, self._word)

    def is_own(self, holder: str) -> bool:
        return holder == self._own.hex

    def neighbours(self) -> list[str]:
        """The others that live on this host."""
        living = [one for one in self._living if not self.is_own(one)]
        return [one for one in living if _host_of(self._known[one].address) == _host_of(self._reached_at)]

    async def forward(self, holder: str, asked: Asked) -> Answer:
        """Raises OwnerAway."""
        other = self._known.get(holder)
        if other is None or not other.address:
            raise OwnerAway("the process that owns this call is not known here")
        session = self._session(other)
        base = "http://gateway" if other.address.startswith("unix:") else other.address
        headers = {"authorization": asked.authorization, FORWARDED: self._word}
        try:
            async with session.request(
                asked.method, base + asked.path, params=asked.query, data=asked.body, headers=headers
            ) as answer:
                kept = {name: value for name, value in answer.headers.items() if name.lower() in _KEPT}
                return Answer(answer.status, await answer.read(), kept)
        except (TimeoutError, aiohttp.ClientError, OSError):
            raise OwnerAway("the process that owns this call cannot be reached") from None

    async def know_other(self, held: Held) -> bool:
        """Whether another living process decided the same call, and that one is over or to be charged instead."""
        query = {"by": held.asked_by, "as": held.asked_as, "id": held.id}
        asked = Asked("GET", KNOWN, query, "", b"")
        for holder in self._living:
            if not self.is_own(holder):
                try:
                    answer = await self.forward(holder, asked)
                except OwnerAway:
                    continue
                if answer.status == HTTPStatus.OK and msgspec.json.decode(answer.body) is True:
                    return True
        return False

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()

    def _session(self, other: Other) -> aiohttp.ClientSession:
        found = self._sessions.get(other.id.hex)
        if found is None:
            connector: aiohttp.BaseConnector
            if other.address.startswith("unix:"):
                path = f"{other.address.removeprefix('unix:')}/{other.id.hex[:12]}.sock"
                connector = aiohttp.UnixConnector(path=path)
            else:
                connector = aiohttp.TCPConnector()
            found = self._sessions[other.id.hex] = aiohttp.ClientSession(connector=connector, timeout=_PATIENCE)
        return found


def _host_of(address: str) -> str:
    """Processes of one host share a folder of sockets, or the host of their addresses."""
    return address if address.startswith("unix:") else urlsplit(address).hostname or ""


_KEPT: Final = frozenset({"content-type", "retry-after"})
