"""One call from its client to whichever upstream answers it, try by try, and the answer back as it comes.

Another upstream is tried only before the first byte has reached the client. Money is held before a try is sent and
settled before the answer's end leaves; whatever happens in between, what was held is given up by what may have been
billed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Any, Final

from finops.budgets.rules.worst import Unbounded, Unpriced
from finops.core.errors import FinopsError
from routing.gateway.asked import Elsewhere
from routing.gateway.dialects.types import Dialect, ModelCall
from routing.gateway.proxy.ask import Ask, expires_in_s
from routing.gateway.proxy.attempt import SILENCE_S, Attempt
from routing.gateway.proxy.candidates import Candidate
from routing.gateway.proxy.client import Client, ClientGone
from routing.gateway.proxy.course import CLIENT_GONE, Course
from routing.gateway.proxy.errors import CutOff, UpstreamBroke
from routing.gateway.proxy.failing import OF_ONE_UPSTREAM, Failed, Fate
from routing.gateway.proxy.gated import ask_once, passes
from routing.gateway.proxy.headers import told_of
from routing.gateway.proxy.means import Means
from routing.gateway.refusals import Exceeded
from routing.gateway.requests import Authorize
from routing.rules.types import Use

log = logging.getLogger(__name__)
MOST_TRIES: Final = 4
# Most answers that are not streamed are there before; and a client that leaves earlier is noticed then.
_WATCHED_AFTER_S: Final = 0.05
# A client has so long to read what is left, once an upstream's time is over.
_LATE_S: Final = 5.0
# What refuses one deployment may not refuse another: it is cheaper, or its price is known.
_OF_ONE_CANDIDATE: Final = (Exceeded, Unbounded, Unpriced)


class Flow:
    """`run` it once; `cut` it from outside, on the same event loop."""

    def __init__(self, means: Means, client: Client, ask: Ask, course: Course) -> None:
        self._means = means
        self._course = course
        self._client = client
        self._ask = ask
        self._attempt: Attempt | None = None
        # What a decision is waited for as: it may be stopped before this hears of it.
        self._asking = ""
        self._tries = 0
        # Where a budget may send the call, by provider, model, host and region.
        self._elsewhere: dict[tuple[str, str, str, str], Candidate] = {}
        # Nobody listens any more; it was stopped, and what is said of that.
        self._gone = False
        self._cut: FinopsError | None = None
        self.task: asyncio.Task[object] | None = None
        self._watcher: asyncio.Task[None] | None = None
        # Since when a piece of a stream is waited for, 0 while none is; none came for too long; and the next look.
        self._reading_since = 0.0
        self._silent = False
        self._looks: asyncio.TimerHandle | None = None
        # While nothing but an upstream is waited for.
        self._interruptible = False

    @property
    def streams(self) -> bool:
        return self._ask.call.stream

    @property
    def held(self) -> str:
        """The id of what is held for the try under way, or being asked for; '' for none."""
        if self._asking:
            return self._means.calls.book.known_as(self._ask.key.prefix, self._asking)
        return self._attempt.allowance.held.id if self._attempt else ""

    def cut(self, error: FinopsError) -> None:
        """End it now, and tell its client why; once, however often it is told."""
        if self._cut is None:
            self._cut = error
            self._interrupt()

    async def run(self) -> None:
        """Raises what refuses the call, and Failed where no upstream has an answer."""
        self.task = asyncio.current_task()
        begins = asyncio.get_running_loop().call_later(_WATCHED_AFTER_S, self._begin_to_watch)
        try:
            attempt, first = await self._answering()
            await (self._stream(attempt, first) if attempt.streams else self._whole(attempt, first))
        except asyncio.CancelledError:
            if not self._gone and self._cut is None:
                raise
            assert self.task is not None  # noqa: S101 - it is the one that was interrupted
            self.task.uncancel()
            self._course.code = CLIENT_GONE if self._cut is None else self._cut.code
            await self._interrupted()
        except ClientGone:
            self._course.code = CLIENT_GONE
            log.debug("nobody listens any more")
        finally:
            begins.cancel()
            if self._watcher is not None:
                self._watcher.cancel()
            if self._attempt is not None:
                # Nothing, where it was settled.
                stopped = self.streams and (self._gone or self._cut)
                self._attempt.give_up(Fate.STOPPED if stopped else self._attempt.fate)

    # --- Interruptions ------------------------------------------------------------------------------------------------
    def _begin_to_watch(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        await self._client.gone()
        self._gone = True
        if self._attempt is not None and not self._reads_on(self._attempt):
            self._interrupt()

    def _reads_on(self, attempt: Attempt) -> bool:
        """Whether an answer is read though nobody listens, so that its figure is known. One that does not stream is
        worked on to its end, and billed, whoever bills those that do no further than they were read.
        """
        return attempt.bills_cancelled or not self.streams

    def _interrupt(self) -> None:
        if self._interruptible and self.task is not None:
            self.task.cancel()

    def _wait_for_upstream(self) -> None:
        """What follows may be interrupted. Raises CutOff and ClientGone when it already is."""
        if self._cut is not None:
            raise self._cut
        if self._gone:
            raise ClientGone
        self._interruptible = True

    async def _interrupted(self) -> None:
        self._interruptible = False
        attempt = self._attempt
        if self._cut is not None and not self._gone:
            await self._break_off(self._cut)
            self._gone = True
        if attempt is not None and attempt.bills_cancelled and attempt.began:
            try:
                while not attempt.answered.complete and (piece := await attempt.next()):
                    attempt.answered.feed(piece)
            except Failed as failed:
                log.info("%s", failed.why)
            else:
                await self._settled(attempt)

    async def _break_off(self, error: FinopsError, tail: bytes = b"") -> None:
        """Tell the client that no more comes, unless the upstream has told it so itself: then `tail` is what is left.
        Raises the error where nothing was answered yet.
        """
        if not self._client.started:
            raise error
        told = self._attempt is not None and self._attempt.ended
        await self._client.finish(tail if told else self._ask.wording.event(error, self._ask.id))

    # --- Tries --------------------------------------------------------------------------------------------------------
    async def _answering(self) -> tuple[Attempt, bytes]:
        """The first upstream that answers, with how it begins, or all where it does not stream. Raises what the last of
        them failed with, which said something that is meant for the client, if any did; and what refused the last of
        them, where none was tried. That an upstream does not have what the call goes on from is none of its failures,
        leads to the next without asking the budget of retries, and is told where there is nothing else to tell.
        """
        health, retries = self._means.health, self._means.retries
        retries.called()
        last: Failed | None = None
        missed: Failed | None = None
        refused: FinopsError | None = None
        doubtful: tuple[Attempt, bytes] | None = None
        refusing: Use | None = None
        for candidate in self._ask.candidates[:MOST_TRIES]:
            if candidate.use is not None and candidate.use is refusing:
                continue  # the same model elsewhere
            if last is not None and refusing is None and not retries.may():
                break
            try:
                attempt = await self._held(candidate)
            except _OF_ONE_CANDIDATE as error:
                refused = error
                continue
            except FinopsError as error:
                if (last is None and doubtful is None) or error.code == CutOff.code:
                    raise
                # What became of the call first is what there is to say; that no other try was allowed follows from it.
                log.info("no other try: %s", error.message)
                break
            name = attempt.candidate.name
            health.tries(name)
            try:
                first = await self._sent(attempt)
            except Failed as failed:
                self._tried(attempt, failed.kind, first=not (last or missed))
                attempt.give_up(failed.fate)
                if failed.not_there and not OF_ONE_UPSTREAM.isdisjoint(self._ask.call.server_input):
                    log.info("%s: what the call names is not there", failed.why)
                    missed = failed
                    continue
                last = failed if failed.told or last is None or not last.told else last
                log.info("%s", failed.why)
                if not failed.elsewhere:
                    health.answered(name)
                    if candidate.use is None:
                        break
                    refusing = candidate.use
                    continue
                health.failed(name)
            else:
                self._tried(attempt, "answered", first=not (last or missed))
                if attempt.streams or attempt.candidate.gate is None:
                    return attempt, first
                await self._settled(attempt)
                if await passes(self._ask, attempt.candidate, first, self._asks):
                    return attempt, first
                doubtful, refusing = (attempt, first), attempt.candidate.use
        if doubtful is not None:
            self._attempt = self._course.attempt = doubtful[0]
            return doubtful
        found = last or missed or refused
        assert found is not None  # noqa: S101 - there is at least one candidate
        raise found

    async def _asks(self, candidate: Candidate, dialect: Dialect, call: ModelCall) -> bytes:
        self._interruptible = False
        self._tries += 1
        # Who asks the same again and again does so with its checks, too.
        ask = self._ask._replace(dialect=dialect, call=call._replace(fingerprint=self._ask.call.fingerprint))
        self._asking = f"{ask.id}.{self._tries}"
        try:
            return await ask_once(self._means, ask, candidate, self._tries, self._wait_for_upstream)
        finally:
            self._asking, self._interruptible = "", False

    def _tried(self, attempt: Attempt, outcome: str, *, first: bool) -> None:
        self._means.figures.tried(self._ask.house.id, attempt.candidate.upstream, outcome, first=first)

    async def _held(self, candidate: Candidate) -> Attempt:
        """A try whose money is held, which outlives this process. Raises what refuses it."""
        ask, means = self._ask, self._means
        self._interruptible = False
        self._tries += 1
        request = ask.request(candidate, self._tries)
        self._asking = request.id
        bounded = partial(self._bounded, candidate)
        said = await means.deciding.decision(ask.house, ask.key, request, self._serves, bounded)
        event = said.allowance.held.event
        if said.allowance.downgraded_from:
            candidate = self._elsewhere[event.provider, event.model, event.host, event.region]
        self._attempt = Attempt(means.calls, means.sender, ask.house, candidate, said)
        self._asking = ""
        self._course.tried(self._attempt)
        means.journal.flush()
        return self._attempt

    def _serves(self, provider: str, model: str) -> Elsewhere | None:
        """Where a budget may send the call."""
        found = self._ask.elsewhere(provider, model)
        if found is None:
            return None
        upstream = found.upstream
        self._elsewhere[upstream.provider, found.model, upstream.host, upstream.region] = found
        return Elsewhere(upstream.provider, found.model, upstream.host, upstream.region, expires_in_s(found))

    def _bounded(self, candidate: Candidate) -> Authorize | None:
        call = self._ask.dialect.bounded(self._ask.call)
        if call is None:
            return None
        self._ask = self._ask._replace(call=call)
        return self._ask.request(candidate, self._tries)

    async def _sent(self, attempt: Attempt) -> bytes:
        ask, means = self._ask, self._means
        self._wait_for_upstream()
        try:
            first = await attempt.send(ask.dialect, ask.shaped(attempt.candidate), ask.method, ask.query, ask.headers)
        finally:
            self._course.sent(attempt.sent_at)
        self._course.first_byte_s = attempt.first_byte_s
        heard = means.health.began if attempt.streams else means.health.answered
        heard(attempt.candidate.name, attempt.first_byte_s)
        return first

    # --- The answer ---------------------------------------------------------------------------------------------------
    async def _whole(self, attempt: Attempt, body: bytes) -> None:
        self._course.ended()
        self._interruptible = False
        await self._settled(attempt)
        if not self._gone:
            headers = told_of(attempt, self._ask, self._tries)
            await self._client.answer(attempt.response.status, headers, body)
        self._course.passed_on()

    async def _stream(self, attempt: Attempt, first: bytes) -> None:
        answered = attempt.answered
        self._look_after(attempt)
        try:
            tail = await self._passed_on(attempt, first)
        finally:
            if self._looks is not None:
                self._looks.cancel()
        self._interruptible = False
        self._course.ended()
        self._judge(attempt)
        if answered.complete:
            await self._settled(attempt)
            await self._tell(self._client.finish, tail)
            self._course.passed_on()
            return
        self._course.code = UpstreamBroke.code
        await self._means.commits.wait(attempt.give_up(attempt.fate))
        if not self._gone:
            await self._break_off(UpstreamBroke("The upstream broke off in the middle of its answer."), tail)

    async def _passed_on(self, attempt: Attempt, first: bytes) -> bytes:
        """All of a stream but what is still to be said at its end."""
        client, answered = self._client, attempt.answered
        await self._tell(client.start, attempt.response.status, told_of(attempt, self._ask, self._tries))
        shown = first
        try:
            while True:
                if answered.complete:
                    self._course.ended()
                    await self._settled(attempt)
                if shown:
                    await self._tell(client.write, shown)
                self._course.passed_on()
                if answered.complete:
                    return answered.feed(await attempt.rest()) + answered.end()
                self._reading_since = monotonic()
                piece = await attempt.piece()
                self._reading_since = 0.0
                if not piece:
                    return answered.end()
                shown = answered.feed(piece)
        except Failed as failed:
            self._broke(attempt, failed)
        except asyncio.CancelledError:
            if not self._silent or self._gone or self._cut is not None:
                raise
            assert self.task is not None  # noqa: S101 - it is the one that was interrupted
            self.task.uncancel()
            self._broke(attempt, attempt.silent())
        return b""

    def _broke(self, attempt: Attempt, failed: Failed) -> None:
        log.info("%s", failed.why)
        self._tried(attempt, failed.kind, first=self._tries == 1)

    def _judge(self, attempt: Attempt) -> None:
        """Whether who began to answer came to the end. An error that is the request's own is none of the upstream's."""
        said, health = attempt.answered, self._means.health
        good = not said.elsewhere if said.failed else said.complete
        (health.answered if good else health.broke)(attempt.candidate.name)

    def _look_after(self, attempt: Attempt) -> None:
        """Now and then, rather than by a timer for each piece: whether the upstream has been silent for too long, or
        its time is over; and whether a client still reads. Whoever has not read by then what came has gone, for all
        that is known.
        """
        reading = self._reading_since > 0
        silent_s = monotonic() - self._reading_since if reading else 0.0
        if reading and (attempt.left_s <= 0 or silent_s >= SILENCE_S):
            self._silent = True
            self._interrupt()
        elif attempt.left_s <= -_LATE_S:
            self._gone = True
            self._interrupt()
        else:
            until = attempt.left_s if attempt.left_s > 0 else attempt.left_s + _LATE_S
            in_s = max(0.05, min(until, SILENCE_S - silent_s))
            self._looks = asyncio.get_running_loop().call_later(in_s, self._look_after, attempt)

    async def _tell(self, tells: Callable[..., Awaitable[None]], *what: Any) -> None:
        """What the client hears, while it listens. Raises ClientGone where nothing is read for its own sake then."""
        if self._gone:
            return
        try:
            await tells(*what)
        except ClientGone:
            self._gone = True
            if self._attempt is None or not self._reads_on(self._attempt):
                raise

    async def _settled(self, attempt: Attempt) -> None:
        """What it came to is durable."""
        ask = self._ask
        if ask.dialect.kept:
            upstream_id, seen = attempt.candidate.upstream.upstream_id, self._means.whereabouts.seen
            seen(ask.house.id, attempt.answered.request_id, upstream_id)
            seen(ask.house.id, ask.call.follows, upstream_id)
        await self._means.commits.wait(attempt.settle(), alone=not self._means.calls.book.open)
