"""One try of a call at one upstream: held, sent, read to its end, and settled. What it held is never left behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import Final

import aiohttp
from msgspec.structs import replace

from finops.budgets.hot import NotOpen
from finops.core.tokens import OUTPUT_METERS
from routing.gateway.bounds import BYTES_OF_TOKEN, likely_read
from routing.gateway.calls import Calls, Decision
from routing.gateway.dialects.answers import says_output
from routing.gateway.dialects.types import Answered, Dialect, ModelCall
from routing.gateway.house import House
from routing.gateway.proxy.candidates import Candidate
from routing.gateway.proxy.errors import AnswerTooLarge
from routing.gateway.proxy.failing import Failed, Fate, broke_off, not_reached, refused
from routing.gateway.proxy.sender import FAILS, Sender
from routing.gateway.requests import FieldInvalid, Input, Settle
from routing.gateway.wording import UNBOUNDED, Settlement

log = logging.getLogger(__name__)
EVENT_STREAM: Final = "text/event-stream"
_PAGE: Final = "text/html"
# Of an answer that is not streamed, or an error.
ANSWER_MOST: Final = 64 * 2**20
ERROR_MOST: Final = 2**20
# Between two pieces of an answer; providers send a ping more often than that.
SILENCE_S: Final = 300.0
# What still comes after an answer's end, mostly nothing: so long is waited for it, and so much of it passed on.
_REST_S: Final = 0.5
_REST_MOST: Final = 2**16
# Who breaks off sooner than this has hardly written anything.
WORKED_AFTER_S: Final = 5.0
# Shorter ids come again: some hosts count, Ollama draws one of a thousand. Another source would mean another call.
_UNIQUE: Final = 20


class Attempt:
    """`send`, then `next` where it streams, then `settle`; `give_up` at any time before that."""

    def __init__(self, calls: Calls, sender: Sender, house: House, candidate: Candidate, said: Decision) -> None:
        self._calls = calls
        self._sender = sender
        self._house = house
        self.candidate = candidate
        self.allowance = said.allowance
        # What it reads, once it was sent.
        self._reads: Input | None = None
        self._response: aiohttp.ClientResponse | None = None
        self._answered: Answered | None = None
        self.settlement: Settlement | None = None
        # Meters it was settled with.
        self.used: Mapping[str, int | str] = {}
        self._over = False
        # Of its money, should it end before its end.
        self.fate = Fate.UNKNOWN
        # When it was sent, 0 before.
        self.sent_at = 0.0
        self.first_byte_s: float | None = None

    @property
    def most_output(self) -> int | None:
        """The most tokens each answer may have; None where nothing bounds it."""
        held = self.allowance.held
        return None if held.output == UNBOUNDED else held.output // held.turns

    @property
    def began(self) -> bool:
        """Whether an answer is being read."""
        return self._answered is not None

    @property
    def ended(self) -> bool:
        """Whether the upstream said its answer's end, or an error of its own, as an event of a stream."""
        return self._answered is not None and (self._answered.complete or self._answered.failed)

    @property
    def streams(self) -> bool:
        return self.response.content_type == EVENT_STREAM

    @property
    def bills_cancelled(self) -> bool:
        return self.candidate.upstream.bills_cancelled

    @property
    def left_s(self) -> float:
        """Until the upstream's time is over."""
        return self.sent_at + self.candidate.upstream.total_s - monotonic()

    @property
    def response(self) -> aiohttp.ClientResponse:
        assert self._response is not None  # noqa: S101 - asked for once it was sent
        return self._response

    @property
    def answered(self) -> Answered:
        assert self._answered is not None  # noqa: S101 - asked for once it was sent
        return self._answered

    # --- The way there ------------------------------------------------------------------------------------------------
    async def send(
        self, dialect: Dialect, call: ModelCall, method: str, query: str, headers: list[tuple[str, str]]
    ) -> bytes:
        """What a client sees: of a stream how it begins, of an answer that is none all. Raises Failed and
        AnswerTooLarge.
        """
        upstream = self.candidate.upstream
        body = dialect.write(call, model=self.candidate.model, max_output_tokens=self.most_output)
        self._reads = call.input
        self.sent_at = monotonic()
        patience = upstream.first_byte_s if call.stream else upstream.total_s
        try:
            async with asyncio.timeout(patience):
                sender = self._sender
                self._response = response = await sender.send(upstream, method, dialect.path, query, headers, body)
                if not 200 <= response.status < 300:
                    raise await self._refused(response)
                first = await response.content.readany()
                self.first_byte_s = monotonic() - self.sent_at
                if first and self.streams:
                    self._answered = dialect.answered(call, stream=True)
                    return await self._begun(first)
        except FAILS as error:
            raise not_reached(upstream, error, patience) from None
        if response.content_type == _PAGE:
            # Of somebody who stands in the way, or of a wrong address: no model said that.
            raise Failed(f"{upstream.name} answered with a page", Fate.NOTHING, "no_answer")
        if self.streams:
            raise Failed(f"{upstream.name} answered nothing", Fate.UNKNOWN, "no_answer")
        self._answered = dialect.answered(call, stream=False)
        return await self._whole(first)

    async def _begun(self, piece: bytes) -> bytes:
        """How a stream begins, once there is an event of it. Raises Failed where that is an error which another
        upstream may not answer with: nothing has reached the client yet.
        """
        answered, content = self.answered, self.response.content
        shown = answered.feed(piece)
        while not shown and (piece := await content.readany()):
            shown = answered.feed(piece)
        shown = shown or answered.end()
        if answered.failed and not answered.output_bytes:
            if answered.usage is None:
                self.fate = Fate.NOTHING
            if answered.elsewhere:
                raise Failed(
                    f"{self.candidate.upstream.name} began with an error", self.fate, "error_event",
                    status=self.response.status, headers=passed_on(self.response), body=shown,
                )  # fmt: skip
        return shown

    async def _refused(self, response: aiohttp.ClientResponse) -> Failed:
        body = await read_most(response, ERROR_MOST) if response.status >= 400 else b""
        response.close()
        return refused(self.candidate.upstream, response.status, passed_on(response), body)

    # --- The answer ---------------------------------------------------------------------------------------------------
    async def next(self) -> bytes:
        """The next piece, b'' at the end. Raises Failed where it breaks off, or is silent for too long."""
        try:
            async with asyncio.timeout(min(SILENCE_S, self.left_s)):
                return await self.piece()
        except TimeoutError:
            raise self.silent() from None

    async def piece(self) -> bytes:
        """As `next`, waiting as long as it takes."""
        try:
            return await self.response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise broke_off(self.candidate.upstream, error) from None

    async def rest(self) -> bytes:
        """What comes after the answer's end. Some keep its body open: nobody waits for them, and their connection is
        not used again.
        """
        content, rest = self.response.content, b""
        if content.at_eof():
            return rest
        with suppress(TimeoutError, Failed):
            async with asyncio.timeout(_REST_S):
                while len(rest) < _REST_MOST and (piece := await self.piece()):
                    rest += piece
        return rest

    def silent(self) -> Failed:
        return broke_off(self.candidate.upstream, TimeoutError())

    async def _whole(self, first: bytes) -> bytes:
        """All of an answer, read and understood. Raises Failed and AnswerTooLarge."""
        parts, size, piece = [], 0, first
        while piece:
            parts.append(piece)
            size += len(piece)
            if size > ANSWER_MOST:
                raise AnswerTooLarge(f"the upstream's answer has more than {ANSWER_MOST} bytes")
            if self.response.content.at_eof():
                break
            piece = await self.next()
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        body = self.answered.feed(body) + self.answered.end()
        if not self.answered.complete and self.response.content_type.endswith("json"):
            raise Failed(f"{self.candidate.upstream.name}: {self.answered.problem}", Fate.UNKNOWN, "no_answer")
        return body

    # --- The end ------------------------------------------------------------------------------------------------------
    def settle(self) -> int:
        """It came to what the answer says; where it says nothing, or no output though there was some, to an estimate.
        Gives the journal's ticket; once.
        """
        answered = self.answered
        if answered.usage is None and self.fate is Fate.NOTHING:
            return self._void()
        silent = bool(answered.output_bytes) and not says_output(answered.usage)
        if answered.usage is not None and answered.complete and not silent:
            return self._settle(self._told(answered.usage), evidence="estimated" if answered.partial else "metered")
        return self._settle(self._estimated(), evidence="estimated")

    def give_up(self, fate: Fate) -> int:
        """It will not be answered. Where more may be billed than is known of, by somebody who bills to the end or who
        worked for long without a word, the rest stays held until its time is over, and is then charged as the most it
        can be. Gives the journal's ticket.
        """
        self.close()
        if self._over:
            return 0
        if fate is Fate.NOTHING or self._reads is None:
            return self._void()
        if self._answered is not None and self._answered.complete:
            return self.settle()
        came = self._answered is not None and self._answered.output_bytes > 0
        worked = not came and monotonic() - self.sent_at > WORKED_AFTER_S
        more = self.bills_cancelled or (fate is Fate.UNKNOWN and worked)
        return self._settle(replace(self._estimated(), estimated=more), evidence="estimated")

    def close(self) -> None:
        """Let go of the connection; one whose answer was not read to its end is not used again."""
        if self._response is not None:
            self._response.release()

    def _void(self) -> int:
        if self._over:
            return 0
        self._over = True
        return self._calls.void(self._house, self.allowance.held.id)

    def _settle(self, told: Settle, *, evidence: str) -> int:
        if self._over:
            return 0
        self._over = True
        call_id = self.allowance.held.id
        try:
            try:
                found = self._calls.settle(self._house, call_id, told, evidence=evidence)
            except FieldInvalid as error:
                log.warning("%s told what cannot be: %s", self.candidate.upstream.name, error.message)
                self.answered.usage = None
                told = replace(self._estimated(), estimated=told.estimated)
                found = self._calls.settle(self._house, call_id, told, evidence="estimated")
        except NotOpen:
            log.warning("a call was over before its answer: it was charged as the most it could cost")
            return 0
        self.used = told.usage
        self.settlement, ticket = found
        return ticket

    def _told(self, usage: Mapping[str, int]) -> Settle:
        answered = self._answered
        told = answered.request_id[:200] if answered else ""
        return Settle(
            usage=dict(usage),
            service_tier=answered.service_tier[:200] if answered else "",
            # To the ledger, charges of one request are one.
            provider_request_id=told if len(told) >= _UNIQUE else "",
        )

    def _estimated(self) -> Settle:
        """What was told so far, and the rest by its size, within what was held for it."""
        usage = dict(self._answered.usage or {}) if self._answered else {}
        if self._reads is not None and not any(name.startswith(("input_", "cache_")) for name in usage):
            usage |= likely_read(self._reads)
        written = -(-self._answered.output_bytes // BYTES_OF_TOKEN) if self._answered else 0
        if self.allowance.held.output != UNBOUNDED:
            others = sum(usage.get(name, 0) for name in OUTPUT_METERS if name != "output_text")
            written = min(written, self.allowance.held.output - others)
        usage["output_text"] = max(usage.get("output_text", 0), written)
        return self._told(usage)


_HOP_BY_HOP: Final = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer", "transfer-encoding",
        "upgrade", "content-length", "set-cookie", "alt-svc", "strict-transport-security",
        # What comes compressed, though nobody asked for that, is not any more when it can be read.
        "content-encoding",
    }
)  # fmt: skip


async def read_most(response: aiohttp.ClientResponse, most: int) -> bytes:
    """All of a body, or as much of it."""
    body = b""
    while len(body) < most and (piece := await response.content.read(most - len(body))):
        body += piece
    return body


def passed_on(response: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    """Headers of an answer that are the client's too."""
    return [(name, value) for name, value in response.headers.items() if name.lower() not in _HOP_BY_HOP]
