"""The upstream's doors: what is asked is kept, what is answered is as its script says, what is served is billed."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import web

from tests.fakes.upstream.answers import CREATED, Answer, BadRequest, Ids, encode
from tests.fakes.upstream.anthropic import CountTokens, Messages
from tests.fakes.upstream.bill import Bill, Line, cost_pico
from tests.fakes.upstream.errors import ANTHROPIC, OPENAI, error_body
from tests.fakes.upstream.headers import answered_headers
from tests.fakes.upstream.openai_batches import Account
from tests.fakes.upstream.openai_chat import Chat, Embeddings
from tests.fakes.upstream.openai_responses import Responses
from tests.fakes.upstream.script import Plan, Script

ANSWERS: Final[Mapping[str, type[Answer]]] = {
    "/chat/completions": Chat,
    "/responses": Responses,
    "/embeddings": Embeddings,
    "/v1/messages": Messages,
    "/v1/messages/count_tokens": CountTokens,
}
MOST_SEEN: Final = 2_000
MOST_SEEN_BYTES: Final = 64 * 2**20
# What nobody can read: a truncated object, a line without a field, a comment, and what is no UTF-8.
MALFORMED: Final = (
    b'data: {"id": "broken", "choices": [{"del\n\n',
    b"no field at all\n\n",
    b": a comment\n\n",
    b"data: \xff\xfe not text\n\n",
    b"event: \ndata:\n\n",
)
_RESET: Final = b"\x01\x00\x00\x00\x00\x00\x00\x00"


class Seen(NamedTuple):
    """A request as it came over the wire. Of names and values of headers the bytes and the order are kept."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: str) -> str:
        """'' when it is not there."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == wanted), "")

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Doors:
    """One upstream. `queue` and `decide` say what becomes of single requests; see `running.Upstream`."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.bill = Bill()
        self.queue: deque[Plan] = deque()
        self.decide: Callable[[Seen], Plan | None] | None = None
        self.seen: deque[Seen] = deque()
        self.let_go = asyncio.Event()
        self.open = 0
        self._seen_bytes = 0
        self._numbers = 0
        self._name = os.urandom(5).hex()
        self.account = Account(self.bill, self._next_ids, ANSWERS, self._plan_for)
        # What becomes of the next requests about files and batches: answered so, whether they were done or not.
        self.beside: deque[int] = deque()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=256 * 2**20)
        app.router.add_route("*", "/{path:.*}", self.answer)
        return app

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.open += 1
        try:
            return await self._answer(request)
        finally:
            self.open -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(request.method, request.path, request.query_string, request.raw_headers, await request.read())
        self._keep(seen)
        ids = self._next_ids()
        kind = _kind(request.path)
        family = kind.family if kind else ANTHROPIC if seen.header("anthropic-version") else OPENAI
        if refused := self._refused(seen, family, ids):
            return refused
        told = (
            None if kind else self.account.answer(self.script, seen.method, seen.path, dict(request.query), seen.body)
        )
        if told is not None:
            if self.beside and (status := self.beside.popleft()):
                return _error(family, status, ids)
            headers = {**answered_headers(family, ids), "content-type": "application/json"}
            return web.Response(body=told.body, status=told.status, headers=headers)
        if kind is None or request.method != "POST":
            return self._other(seen, family, ids)
        body = _object(seen.body)
        if body is None:
            return _error(family, 400, ids, message="We could not parse the JSON body of your request.")
        plan = self._plan(seen, str(body.get("model")))
        if plan.status != 200:
            await self.wait(plan)
            return _error(family, plan.status, ids, plan)
        try:
            answer = kind(body, plan, ids)
        except BadRequest as error:
            return _error(family, 400, ids, message=error.message, param=error.param)
        streams = bool(body.get("stream")) and kind in (Chat, Responses, Messages)
        return await Serving(self, request, answer, streams=streams).serve()

    def _next_ids(self) -> Ids:
        self._numbers += 1
        return Ids(self._numbers, f"{self._name}{self._numbers:014x}")

    def _keep(self, seen: Seen) -> None:
        self.seen.append(seen)
        self._seen_bytes += len(seen.body)
        while len(self.seen) > MOST_SEEN or self._seen_bytes > MOST_SEEN_BYTES:
            self._seen_bytes -= len(self.seen.popleft().body)

    def forget(self) -> None:
        self.seen.clear()
        self.bill.clear()
        self._seen_bytes = 0

    def _plan(self, seen: Seen, model: str) -> Plan:
        if self.decide is not None and (decided := self.decide(seen)) is not None:
            return decided
        return self._plan_for(model)

    def _plan_for(self, model: str) -> Plan:
        return self.queue.popleft() if self.queue else self.script.by_model.get(model, self.script.usual)

    def _refused(self, seen: Seen, family: str, ids: Ids) -> web.Response | None:
        wanted = self.script.key
        given = (
            seen.header("x-api-key") or seen.header("api-key") or seen.header("authorization").removeprefix("Bearer ")
        )
        if wanted and given != wanted:
            return _error(family, 401, ids)
        if family == ANTHROPIC and not seen.header("anthropic-version"):
            return _error(family, 400, ids, message="anthropic-version: header is required")
        return None

    def _other(self, seen: Seen, family: str, ids: Ids) -> web.Response:
        if seen.method != "GET" or not seen.path.endswith("/models"):
            return _error(family, 404, ids, message=f"Unknown request URL: {seen.method} {seen.path}.")
        return _json(models(family, self.script.models), answered_headers(family, ids))

    async def wait(self, plan: Plan) -> None:
        if plan.hangs:
            await self.let_go.wait()
        if plan.first_byte_s:
            await asyncio.sleep(plan.first_byte_s)


class Serving:
    """One answer on its way. It is billed once, however it ends."""

    def __init__(self, doors: Doors, request: web.Request, answer: Answer, *, streams: bool) -> None:
        self._doors, self._request, self._answer, self._streams = doors, request, answer, streams
        self._plan = answer.plan
        self._written = 0
        self._billed = False

    async def serve(self) -> web.StreamResponse:
        try:
            await self._doors.wait(self._plan)
            return await self._stream() if self._streams else self._whole()
        finally:
            # It broke off, or its client left.
            self._bill(whole=False)

    def _whole(self) -> web.StreamResponse:
        raw = encode(self._answer.whole())
        headers = self._headers("application/json")
        fault = self._plan.fault
        if fault in ("reset", "close", "truncated"):
            return _Raw(_head("HTTP/1.1", {**headers, "content-length": str(len(raw))}) + raw[: len(raw) // 2], fault)
        self._bill(whole=True)
        if fault == "http10":
            return _Raw(_head("HTTP/1.0", headers) + raw, fault)
        if fault == "gzip":
            raw, headers["content-encoding"] = gzip.compress(raw), "gzip"
        return web.Response(body=raw, headers=headers)

    async def _stream(self) -> web.StreamResponse:
        plan = self._plan
        headers = {**self._headers("text/event-stream; charset=utf-8"), "cache-control": "no-cache"}
        if plan.fault in ("http10", "gzip"):
            return self._at_once(headers)
        response = web.StreamResponse(headers=headers)
        await response.prepare(self._request)
        for count, event in enumerate(self._answer.events()):
            if plan.fault and count == plan.after_events and await self._breaks(response):
                return response
            if plan.holds_after == count:
                await self._doors.let_go.wait()
            await response.write(event.raw)
            self._written += event.tokens
            # Each event by itself, and others get their turn.
            await asyncio.sleep(plan.between_s)
        # Before the last bytes: who has read them finds it billed.
        self._bill(whole=True)
        await response.write(self._answer.ending())
        await response.write_eof()
        return response

    async def _breaks(self, response: web.StreamResponse) -> bool:
        """Does what the plan says goes wrong here; whether that was all of the answer."""
        fault, transport = self._plan.fault, self._request.transport
        if fault == "malformed":
            for raw in MALFORMED:
                await response.write(raw)
            return False
        if fault == "huge":
            await response.write(self._answer.huge_event())
            return False
        if fault == "error":
            await response.write(self._answer.failing())
        self._bill(whole=False)
        if fault in ("error", "unfinished"):
            await response.write_eof()
            return True
        # What is written so far is let out before the connection goes.
        await asyncio.sleep(0.01)
        if transport is not None:
            _cut(transport, reset=fault == "reset")
        return True

    def _at_once(self, headers: dict[str, str]) -> web.StreamResponse:
        raw = b"".join(event.raw for event in self._answer.events())
        self._bill(whole=True)
        raw += self._answer.ending()
        if self._plan.fault == "http10":
            return _Raw(_head("HTTP/1.0", headers) + raw, "http10")
        return web.Response(body=gzip.compress(raw), headers={**headers, "content-encoding": "gzip"})

    def _headers(self, media_type: str) -> dict[str, str]:
        answer = self._answer
        return {**answered_headers(answer.family, answer.ids), **self._plan.headers, "content-type": media_type}

    def _bill(self, *, whole: bool) -> None:
        if self._billed or isinstance(self._answer, CountTokens):
            return
        self._billed = True
        doors, answer = self._doors, self._answer
        how = "whole" if whole else doors.script.bills_cancelled
        meters = {} if how == "nothing" else answer.meters(self._written if how == "so_far" else None)
        doors.bill.add(
            Line(
                number=answer.ids.number,
                request_id=answer.ids.request,
                answer_id=answer.id,
                path=self._request.path,
                model=answer.model,
                stream=self._streams,
                meters=meters,
                pico=cost_pico(doors.script.prices.get(answer.model), meters),
                cancelled=not whole,
            )
        )


class _Raw(web.StreamResponse):
    """Bytes as they are, and then the end of the connection, as the fault wants it."""

    def __init__(self, raw: bytes, fault: str) -> None:
        super().__init__()
        self._raw, self._fault = raw, fault

    async def prepare(self, request: web.BaseRequest) -> None:
        self._transport = request.transport

    async def write_eof(self, data: Any = b"") -> None:
        if self._transport is not None:
            self._transport.write(self._raw)
            if self._fault == "reset":
                await asyncio.sleep(0.01)
            _cut(self._transport, reset=self._fault == "reset")

    @property
    def keep_alive(self) -> bool:
        return False


def _cut(transport: asyncio.Transport, *, reset: bool) -> None:
    if not reset:
        transport.close()
        return
    known = transport.get_extra_info("socket")
    with socket.socket(fileno=os.dup(known.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


def models(family: str, names: tuple[str, ...]) -> dict[str, Any]:
    if family == OPENAI:
        one = {"object": "model", "created": CREATED, "owned_by": "fake"}
        return {"object": "list", "data": [{"id": name, **one} for name in names]}
    of_anthropic = {"type": "model", "created_at": "2026-09-21T00:00:00Z", "lifecycle": "active"}
    rows = [{**of_anthropic, "id": name, "display_name": name.title()} for name in names]
    return {"data": rows, "has_more": False, "first_id": [*names, None][0], "last_id": [None, *names][-1]}


def _kind(path: str) -> type[Answer] | None:
    """By the end of the path: a base URL may be anywhere."""
    return next((kind for end, kind in ANSWERS.items() if path.endswith(end)), None)


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return body if isinstance(body, dict) else None


def _head(version: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{version} 200 OK", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _error(family: str, status: int, ids: Ids, plan: Plan | None = None, **said: Any) -> web.Response:
    headers = answered_headers(family, ids)
    if plan is not None:
        said = {"message": plan.message, "code": plan.code}
        headers |= plan.headers
    return _json(error_body(family, status, ids.request, **said), headers, status)


def _json(value: Any, headers: Mapping[str, str], status: int = 200) -> web.Response:
    return web.Response(body=encode(value), status=status, headers={**headers, "content-type": "application/json"})
