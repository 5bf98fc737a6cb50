"""Asks Capstan for each call, keeps those that are open, and sees to it that the end of each is told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Final

from capstan_litellm.answers import Answer, Unreachable
from capstan_litellm.body import EMBEDDINGS, Ask
from capstan_litellm.calls import Call
from capstan_litellm.client import Client
from capstan_litellm.owner import Owner
from capstan_litellm.post import Post
from capstan_litellm.refusals import detail_of
from capstan_litellm.routing import Routed, Routes
from capstan_litellm.settings import OPEN, Settings
from capstan_litellm.spool import Full, Spool
from capstan_litellm.tries import Plan

logger = logging.getLogger("capstan_litellm")
# How long LiteLLM's own count of a call may take that the provider did not count.
_COUNT_S: Final = 3.0


class Refused(Exception):
    """The call must not be made. `detail` is what its caller is told."""

    def __init__(self, status: int, detail: dict[str, Any]) -> None:
        super().__init__(str(detail.get("error")))
        self.status = status
        self.detail = detail


class Desk:
    """Of one process; its loop is the one it is first used on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.pid = os.getpid()
        self.calls: dict[str, Call] = {}
        self.spool = Spool(settings.spool, settings.spool_bytes)
        self._client: Client | None = None
        self._post: Post | None = None
        self._routes: Routes | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> Client:
        """Idempotent. Needs a running loop."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop, self._client = loop, Client(self.settings)
            self._routes = Routes(self.settings, self._client)
            self._post = Post(self._client, self.spool, self.calls, self.sweep)
        return self._client

    @property
    def routes(self) -> Routes:
        self.start()
        if self._routes is None:
            raise RuntimeError("start() makes them")
        return self._routes

    async def open(
        self, call_id: str, ask: Ask, owner: Owner, plan: Plan, route: Routed
    ) -> tuple[Call, dict[str, Any]]:
        """The call and Capstan's answer, which is empty where Capstan was away. Raises Refused."""
        client = self.start()
        try:
            self.spool.room()
        except Full as error:
            if self.settings.when_unreachable != OPEN:
                raise Refused(503, _unavailable(str(error))) from error
            logger.error("%s; the call is let through, as set", error)
        request = self._request(call_id, ask, owner, plan)
        try:
            answer = await client.authorize(request)
            if answer.status >= 500:
                raise Unreachable(f"Capstan answered {answer.status}")
        except Unreachable as error:
            self._forget(request)
            if self.settings.when_unreachable != OPEN:
                raise Refused(503, _unavailable(str(error))) from error
            logger.warning("%s; a call is let through and will be reported, as set", error)
            answer = Answer(200, {})
        except BaseException:
            self._forget(request)
            raise
        if answer.status != 200:
            raise self._refusal(answer)
        call = Call(
            id=request["id"],
            authorization=str(answer.body.get("id") or ""),
            plan=plan,
            input_bytes=request["input"]["bytes"],
            limit=_limit(ask, answer),
            request=request,
            at=datetime.now(UTC).isoformat(),
            began=time.monotonic(),
            route=route,
        )
        self.calls[call.id] = call
        self.spool.open(call.id, call.if_never_ended())
        self._poster.something_open.set()
        return call, answer.body

    async def close(self, call: Call) -> None:
        """Told once, and kept on the disk when this returns."""
        if call.settled:
            return
        call.settled = True
        self.calls.pop(call.id, None)
        message = call.message()
        if message["do"] == "nothing":
            self.spool.done(call.id)
            return
        kept = self.spool.send(call.id, message)
        self._poster.put(call.id, message)
        await asyncio.wrap_future(kept)

    def close_soon(self, call: Call, *, broken: bool = False) -> None:
        """For an end the provider did not count: waits a little for LiteLLM to do so, though the caller may leave.
        Of a call that was broken off even that is an estimate: more may have been made than came.
        """
        self._spawn(self._close_when_counted(call, broken))

    def sweep(self) -> None:
        """Calls whose end LiteLLM never told."""
        oldest = time.monotonic() - self.settings.expires
        for call in [one for one in self.calls.values() if one.began < oldest]:
            logger.warning("The end of a call was never told; it is settled as the most it is likely to have been")
            self._spawn(self.close(call))

    async def _close_when_counted(self, call: Call, broken: bool) -> None:
        if call.under_way is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(call.logged.wait(), _COUNT_S)
        if call.under_way is not None:
            guessed = call.seen.partial(input_bytes=call.input_bytes) if call.seen else None
            call.answered(call.counted or guessed, estimated=broken or call.counted is None)
        await self.close(call)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def _poster(self) -> Post:
        if self._post is None:
            raise RuntimeError("start() comes first")
        return self._post

    def _forget(self, request: dict[str, Any]) -> None:
        """An authorization may have been given that never reached us. It is given back once Capstan answers."""
        message = {"do": "forget", "request": request}
        name = f"{request['id']}-forget"
        self.spool.send(name, message)
        self._poster.put(name, message)

    def _request(self, call_id: str, ask: Ask, owner: Owner, plan: Plan) -> dict[str, Any]:
        first, *others = plan.deployments
        size = max(ask.input_bytes(one.provider) for one in plan.deployments) + plan.extra_bytes
        request: dict[str, Any] = {
            "id": call_id,
            "provider": first.provider,
            "model": first.model,
            "service_tier": ask.tier,
            "fallbacks": [{"provider": one.provider, "model": one.model} for one in others],
            "tries": plan.tries,
            "input": {"bytes": size, "messages": ask.messages, "tools": ask.tools, "audio_tokens": ask.audio_tokens},
            "max_output_tokens": ask.limit,
            "least_output_tokens": ask.least,
            "choices": ask.choices,
            "server_input": ask.server_input,
            "hosted_tools": ask.hosted_tools,
            "dimensions": owner.dimensions,
            "identities": owner.identities,
            "tags": owner.tags,
            "session": owner.session,
            "task_type": owner.task_type,
            "fingerprint": ask.fingerprint,
            "depth": owner.depth,
            "expires_in_s": int(self.settings.expires),
        }
        return {name: value for name, value in request.items() if value not in (None, "", [], {})}

    def _refusal(self, answer: Answer) -> Refused:
        if not answer.code.startswith("budgets.") and answer.status in (400, 401, 403, 404, 405):
            logger.error("Capstan does not take the plug-in's own request: %s %s", answer.status, answer.code)
            return Refused(503, _unavailable("Capstan does not accept this proxy's key or request"))
        return Refused(answer.status, detail_of(answer, self.settings.url))


def _limit(ask: Ask, answer: Answer) -> int | None:
    """None where no budget bounds the answer: then it is left as it was asked for."""
    said = answer.body.get("max_output_tokens")
    return None if ask.family == EMBEDDINGS or not isinstance(said, int) else said


def _unavailable(why: str) -> dict[str, Any]:
    return {
        "error": f"The call's budget cannot be checked, so it is not made. {why}.",
        "type": "capstan_unavailable",
        "code": "budgets.unavailable",
    }
