"""Brings what is in the spool to Capstan, and hears from it which calls must stop. One event loop's."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from capstan_litellm.answers import Answer, Unreachable
from capstan_litellm.calls import Call
from capstan_litellm.client import Client
from capstan_litellm.spool import Spool

logger = logging.getLogger("capstan_litellm")
_AT_ONCE: Final = 16
_ADOPT_EVERY_S: Final = 10.0
_POLL_S: Final = 20
_LONGEST_WAIT_S: Final = 30.0
# Answers that another attempt may change: the key may be mended, and a limit of requests passes.
_LATER: Final = frozenset({401, 403, 408, 425, 429})


class Post:
    def __init__(self, client: Client, spool: Spool, calls: Mapping[str, Call], sweep: Callable[[], None]) -> None:
        self._client = client
        self._spool = spool
        self._calls = calls
        self._sweep = sweep
        self._waiting: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self.something_open = asyncio.Event()
        self._tasks = [
            asyncio.get_running_loop().create_task(_for_ever(work), name=f"capstan {work.__name__}")
            for work in (*[self._send] * _AT_ONCE, self._adopt, self._listen)
        ]

    def put(self, call: str, message: dict[str, Any]) -> None:
        self._waiting.put_nowait((call, message))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.close()

    async def _send(self) -> None:
        call, message = await self._waiting.get()
        wait = 0.2
        while True:
            try:
                answer = await self._tell(message)
            except Unreachable as error:
                why = str(error)
            else:
                if answer.status < 300:
                    self._spool.done(call)
                    return
                why = f"{answer.status} {answer.code}"
                if answer.status < 500 and answer.status not in _LATER:
                    self._spool.reject(call, message, why)
                    return
            if wait > 1:
                logger.warning("A settlement cannot be delivered yet (%s); it is kept and tried again", why)
            await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311  # so that many do not come at once
            wait = min(wait * 2, _LONGEST_WAIT_S)

    async def _tell(self, message: dict[str, Any]) -> Answer:
        do, body = message["do"], message.get("body", {})
        if do == "settle":
            return await self._client.settle(message["authorization"], body)
        if do == "void":
            return await self._client.void(message["authorization"])
        if do == "report":
            return await self._client.usage(record_of(message["request"], body, message["at"]))
        return await self._forget(message["request"])

    async def _forget(self, request: dict[str, Any]) -> Answer:
        """An authorization whose answer never came. Asked for again under its id it is found, and given back."""
        answer = await self._client.authorize(request)
        if answer.status == 200:
            return await self._client.void(str(answer.body.get("id")))
        return Answer(200, {}) if answer.status < 500 and answer.status not in _LATER - {429, 403} else answer

    async def _adopt(self) -> None:
        taken = await asyncio.to_thread(self._spool.adopt)
        if taken:
            logger.warning("Took over %d settlements of a process that died", len(taken))
        for call, message in taken.items():
            self.put(call, message)
        self._sweep()
        await asyncio.sleep(_ADOPT_EVERY_S)

    async def _listen(self) -> None:
        """Nothing can be stopped while nothing is open; without a cursor Capstan names all that must not go on."""
        cursor, wait = "", 0.2
        while True:
            if not self._calls:
                cursor = ""
                self.something_open.clear()
                await self.something_open.wait()
            try:
                answer = await self._client.stopped(cursor, _POLL_S)
            except Unreachable:
                answer = Answer(599, {})
            if answer.status != 200:
                await asyncio.sleep(wait)
                wait = min(wait * 2, 5.0)
                continue
            wait = 0.2
            cursor = str(answer.body.get("cursor") or "")
            stopped = {one.get("id"): one.get("reason") for one in answer.body.get("stopped") or ()}
            for call in list(self._calls.values()):
                if call.authorization in stopped and not call.stopped:
                    call.stop(str(stopped[call.authorization] or "stopped"))


def record_of(request: dict[str, Any], body: dict[str, Any], at: str) -> dict[str, Any]:
    """A call made while Capstan was away, as a record of usage."""
    record = {
        "id": request["id"],
        "occurred_at": at,
        "provider": body.get("provider") or request.get("provider", ""),
        "model": body.get("model") or request["model"],
        "usage": body["usage"],
        "evidence": "estimated" if body.get("estimated") else "metered",
        "service_tier": body.get("service_tier", ""),
        "provider_request_id": body.get("provider_request_id", ""),
        "session": request.get("session", ""),
        "task_type": request.get("task_type", ""),
        "tags": request.get("tags", {}),
        **request.get("dimensions", {}),
    }
    if request.get("identities"):
        record["identities"] = request["identities"]
    return {name: value for name, value in record.items() if value not in ("", {})}


async def _for_ever(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            # Whatever it is, the money must still be told of. No values: they could hold what is nobody's to read.
            logger.exception("An error in %s; it goes on", work.__name__)
            await asyncio.sleep(1)
