"""The door of model calls: any client's dialect in, an upstream's answer out; every error in the client's own shape."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any, Final

from finops.budgets.journal import JournalFailed
from finops.core.errors import FinopsError
from finops.core.ids import RandomHex
from routing.configuration.wire import Key
from routing.gateway import calls
from routing.gateway.answers import Unexpected
from routing.gateway.attributed import Tree, attributed
from routing.gateway.batches.door import Batches
from routing.gateway.captured import Captured
from routing.gateway.decisions import Decisions
from routing.gateway.dialects.errors import model_answer, models_answer, wording
from routing.gateway.dialects.registry import by_path
from routing.gateway.dialects.types import ANTHROPIC, OPENAI, Dialect, Told, Wording
from routing.gateway.forwarded import forwarded
from routing.gateway.house import House
from routing.gateway.keys import Keys
from routing.gateway.proxy.ask import Ask
from routing.gateway.proxy.candidates import WISHES, met, wishes_of
from routing.gateway.proxy.client import BODY_MOST, Client, ClientGone
from routing.gateway.proxy.course import CLIENT_GONE, Course
from routing.gateway.proxy.errors import CutOff, Overloaded, PathRefused, Stopping, UpstreamAway, UpstreamRefusesUs
from routing.gateway.proxy.failing import Failed
from routing.gateway.proxy.flow import Flow
from routing.gateway.proxy.free import pass_free
from routing.gateway.proxy.headers import CALL
from routing.gateway.proxy.listed import Lists
from routing.gateway.proxy.means import Means
from routing.gateway.refusals import TooMany
from routing.gateway.routes import MEASURES, Router
from routing.gateway.sampled import Sampled

log = logging.getLogger(__name__)
PERMISSION: Final = "calls.make"
# Calls under way in one process, and bytes of requests that are read or kept for another try.
MOST_CALLS: Final = 10_000
MOST_BYTES: Final = 512 * 2**20
# While it is being stopped.
_BROKEN_OFF_WITHIN_S: Final = 1.0

# Where each family's clients look for what to tell support.
_REQUEST_ID: Final = {OPENAI: "x-request-id", ANTHROPIC: "request-id"}
_MODELS: Final = re.compile(r"(?:/openai|/anthropic)?(?:/v1)?/models(?:/(.+))?/?")


def family_of(path: str, headers: Mapping[str, str]) -> str:
    """Whose shape errors and lists have: as the path says, and where that is both families', as the client does."""
    dialect = by_path(path)
    if dialect is not None:
        return dialect.family
    return ANTHROPIC if "/messages" in path or "anthropic-version" in headers else OPENAI


def _overloaded() -> Overloaded:
    return Overloaded("too many calls are under way here")


def _stopping() -> Stopping:
    return Stopping("The gateway is being stopped; try again.")


class Relay:
    """Answers model calls; one for each process, used by its event loop alone."""

    def __init__(
        self,
        keys: Keys,
        means: Means,
        now: Callable[[], datetime],
        over: Callable[[Course], None],
        captured: Captured,
        decisions: Decisions,
        sampled: Sampled,
        batches: Batches,
    ) -> None:
        """`over` is told of every call that is."""
        self._batches = batches
        self._keys = keys
        self._over = over
        self._captured = captured
        self._decisions = decisions
        self._sampled = sampled
        self._router = Router(means.health, means.whereabouts)
        self._means = means
        self._now = now
        # Calls under way, and those of them that were asked for to their end and are not free.
        self._tasks: set[asyncio.Task[Any]] = set()
        self._flows: set[Flow] = set()
        self._stopping = False
        # Of each organization: which of its sub-agents was started by which.
        self._trees: dict[int, Tree] = {}
        self._bytes = 0
        self._ids = RandomHex(24)

    def takes(self, path: str) -> bool:
        """Whether a path is of the model APIs, metered or not; all others are somebody else's."""
        return not path.startswith(("/api/", "/healthz", "/readyz", "/metrics"))

    async def answer(self, client: Client) -> None:
        """Never raises for what somebody sent."""
        dialect = by_path(client.path)
        family = dialect.family if dialect else family_of(client.path, client.headers)
        words = wording(family, dialect.name if dialect else "")
        course = Course(dialect.name if dialect else "none")
        client.call_id = course.call_id = self._ids.next()
        try:
            await self._answer(client, family, dialect, words, course)
        except ClientGone:
            course.code = CLIENT_GONE
            log.debug("nobody listens any more")
        except Failed as failed:
            course.code = f"upstream_{failed.kind}"
            await self._failed(client, words, failed)
        except FinopsError as error:
            course.code = error.code
            await self._say(client, words, error)
        except JournalFailed as error:
            course.code = error.code
            await self._say(client, words, calls.Unavailable(error.message))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._stopping or task is None:
                raise
            task.uncancel()
            course.code = Stopping.code
            if not client.started:
                await self._say(client, words, _stopping())
        except Exception:
            course.code = Unexpected.code
            # Its text may quote what somebody sent, so it stays in the log.
            log.exception("a model call could not be answered")
            await self._say(client, words, Unexpected("something went wrong here; the call was not answered"))
        finally:
            course.status, course.said_bytes = client.status, client.said_bytes
            self._means.figures.over(course)
            self._over(course)
            if course.kept is not None:
                self._captured.over(course)

    @property
    def open(self) -> tuple[int, int, int]:
        """Calls under way, how many of them are streams, and bytes of requests that are kept for them."""
        return len(self._flows), sum(flow.streams for flow in self._flows), self._bytes

    async def cut(self, called: Sequence[tuple[str, str]], reason: str) -> None:
        """Calls that are stopped, each with who asked: those under way here end."""
        ids = {call_id for _, call_id in called}
        for flow in [one for one in self._flows if one.held in ids]:
            flow.cut(CutOff(f"The call was stopped: {reason or 'stopped'}."))

    async def drain(self, within_s: float) -> None:
        """Calls under way have so long to end. Then they are broken off, each in its client's words, and settled."""
        await self._idle(within_s)
        # Whoever comes now is for another process.
        self._stopping = True
        for task in self._tasks - {flow.task for flow in self._flows}:
            task.cancel()
        for flow in tuple(self._flows):
            flow.cut(_stopping())
        while not await self._idle(_BROKEN_OFF_WITHIN_S):
            # Clients that do not read, and answers that are read on for what they will be billed.
            for task in self._tasks:
                task.cancel()

    async def _idle(self, within_s: float) -> bool:
        """Once no call is under way; whether that was in time."""
        ends = monotonic() + within_s
        while self._tasks and (left_s := ends - monotonic()) > 0:
            await asyncio.wait(self._tasks, timeout=left_s)
        return not self._tasks

    async def _answer(
        self, client: Client, family: str, dialect: Dialect | None, words: Wording, course: Course
    ) -> None:
        house, key = self._keys.authenticated(client.secret, PERMISSION)
        course.organization, course.key_prefix = house.id, key.prefix
        if client.method == "GET" and (asked := _MODELS.fullmatch(client.path)):
            await self._models(client, house, key, family, asked.group(1))
            return
        act: Callable[[], Awaitable[None]]
        if family == OPENAI and self._batches.takes(client.method, client.path):
            act = partial(self._batches.answer, client, house, key, course, self._took)
        elif dialect is None or client.method != "POST":
            raise PathRefused(f"{client.method} {client.path[:200]} is not metered here, so it is not passed on")
        else:
            act = partial(self._relay, client, house, key, dialect, words, course)
        if self._stopping:
            raise _stopping()
        if len(self._tasks) >= MOST_CALLS or self._bytes + min(client.declared_bytes, BODY_MOST) > MOST_BYTES:
            raise _overloaded()
        self._means.probes.called(house.id)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - each call has one
        self._tasks.add(task)
        try:
            await act()
        finally:
            self._tasks.discard(task)
            self._bytes -= client.asked_bytes

    async def _relay(
        self, client: Client, house: House, key: Key, dialect: Dialect, words: Wording, course: Course
    ) -> None:
        body = await client.body(self._took)
        course.began, course.asked_bytes = monotonic(), len(body)
        ask = self._ask(client, house, key, dialect, words, body)
        course.model, course.stream = ask.call.model, ask.call.stream
        if ask.call.free:
            await pass_free(self._means, client, ask, course)
            return
        if house.captures is not None and MEASURES not in key.permissions:
            self._captured.begin(house.captures, client, ask, body, course)
        flow = Flow(self._means, client, ask, course)
        self._flows.add(flow)
        try:
            await flow.run()
        finally:
            self._flows.discard(flow)
            self._decisions.over(ask, course)
            course.status = client.status
            if MEASURES not in key.permissions:
                # What measures models is no work of anybody's, and its call was sampled when somebody made it.
                self._sampled.over(ask, course)

    def _took(self, size: int) -> None:
        """What is read counts from when it is there: many large bodies at once may be more than there is room for."""
        self._bytes += size
        if self._bytes > MOST_BYTES:
            raise _overloaded()

    def _ask(self, client: Client, house: House, key: Key, dialect: Dialect, words: Wording, body: bytes) -> Ask:
        call = dialect.read(body)
        whose = attributed(client.raw_headers, call.told, self._trees.setdefault(house.id, Tree()), also=WISHES)
        model, wishes = wishes_of(call.model, client.headers)
        if key.wishes is not None:
            wishes = met(wishes, house.wishes[key.prefix])
        call_id, now = client.call_id, self._now()
        ways = self._router.ways(house, key, dialect.family, call, whose, wishes, model, call_id, now)
        if not whose.task_type and ways.route.confidence is not None:
            # What was guessed of it, where nobody said it, is what it is charged as.
            whose = whose._replace(task_type=ways.route.task_type)
        return Ask(
            call_id, now, now.date(), house, key, dialect, words, call, whose, ways.candidates, client.method,
            client.query, forwarded(client.raw_headers, call.form.content_type if call.form else ""), ways.order,
            ways.route,
        )  # fmt: skip

    async def _models(self, client: Client, house: House, key: Key, family: str, name: str | None) -> None:
        """All that this key may ask for, or one of them by name. Raises NoDeployment."""
        whose = attributed(client.raw_headers, Told(), Tree(), also=WISHES)
        lists = Lists(house, key, whose, family, self._now(), self._means.entry.allows)
        body = models_answer(family, lists.all()) if name is None else model_answer(family, lists.one(name))
        await client.answer(200, [("content-type", "application/json")], body)

    async def _failed(self, client: Client, words: Wording, failed: Failed) -> None:
        """No upstream had an answer: the last one's own words, where it had any that are meant for the client."""
        if failed.status in (401, 403):
            await self._say(client, words, UpstreamRefusesUs(f"{failed.why}: it does not take our credential"))
        elif failed.told:
            await self._send(client, failed.status, [*failed.headers, (CALL, client.call_id)], failed.body)
        else:
            await self._say(client, words, UpstreamAway(failed.why))

    async def _say(self, client: Client, words: Wording, error: FinopsError) -> None:
        if client.started:
            if not client.finished:
                # Whatever it was, a stream that began has an end.
                await self._finish(client, words.event(error, client.call_id))
            return
        named = _REQUEST_ID[family_of(client.path, client.headers)]
        headers = [("content-type", "application/json"), (CALL, client.call_id), (named, client.call_id)]
        if error.retry_after_s is not None:
            headers.append(("retry-after", str(error.retry_after_s)))
        if error.code.startswith("budgets.") and error.status == 429 and not isinstance(error, TooMany):
            # Clients that know the header do not try again on their own. A minute or a place is free soon, money not.
            headers.append(("x-should-retry", "false"))
        await self._send(client, error.status, headers, words.error(error, client.call_id))

    @staticmethod
    async def _send(client: Client, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        with suppress(ClientGone):
            await client.answer(status, headers, body)

    @staticmethod
    async def _finish(client: Client, event: bytes) -> None:
        with suppress(ClientGone):
            await client.finish(event)
