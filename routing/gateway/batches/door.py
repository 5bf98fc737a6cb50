"""Files and batches of OpenAI's dialect: passed to the upstream that has them, for the organization that made them.

A provider's account is shared by all keys of an organization, and may be by others; so nothing is read or run there
that was not made through here. A batch is kept before its upstream hears of it: what it will use is booked once it has
ended (`routing.batches`), whatever becomes of this process.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from http import HTTPStatus
from typing import Any, Final

import msgspec

from finops.connectors.openai.batches import ID, told_of
from finops.core.errors import FinopsError
from finops.core.ids import RandomHex
from routing.batches.hot import OPEN
from routing.configuration.wire import Key, Upstream
from routing.gateway.attributed import Tree, attributed
from routing.gateway.batches import reading
from routing.gateway.batches.admitting import Admitting
from routing.gateway.batches.errors import NOT_KEPT, NoSuchBatch, NoSuchFile, NotBooked
from routing.gateway.batches.kept import Kept, KeptBatch, Owned
from routing.gateway.batches.passing import Passing
from routing.gateway.forwarded import forwarded
from routing.gateway.house import House
from routing.gateway.proxy.candidates import WISHES
from routing.gateway.proxy.client import Client
from routing.gateway.proxy.course import Course
from routing.gateway.proxy.errors import Overloaded, UpstreamAway, UpstreamBroke, UpstreamRefusesUs
from routing.gateway.proxy.plain import NotSent, Said
from routing.gateway.requests import FieldInvalid

log = logging.getLogger(__name__)
# Bytes of files that are passed on at once.
MOST_BYTES: Final = 128 * 2**20
_PATH: Final = re.compile(r"(?:/openai)?(?:/v1)?/(files|batches)(?:/([A-Za-z0-9_-]{1,100})(?:/(content|cancel))?)?/?")
_JSON: Final = ("content-type", "application/json")

Act = Callable[["_Asking", str], Awaitable[None]]


class _Asking:
    """Who asks, and how."""

    __slots__ = ("client", "course", "house", "key", "took")

    def __init__(self, client: Client, house: House, key: Key, course: Course, took: Callable[[int], None]) -> None:
        self.took = took
        self.client = client
        self.house = house
        self.key = key
        self.course = course

    async def body(self) -> bytes:
        body = await self.client.body(self.took)
        self.course.asked_bytes = len(body)
        return body

    def headers(self, media_type: str = "") -> list[tuple[str, str]]:
        """What an upstream is sent."""
        kept = forwarded(self.client.raw_headers)
        if not media_type:
            return kept
        return [*(pair for pair in kept if pair[0] != "content-type"), ("content-type", media_type)]


class Batches:
    """One for each process; used by its event loop alone."""

    def __init__(self, kept: Kept, passing: Passing, admitting: Admitting, executor: Executor) -> None:
        self._kept = kept
        self._passing = passing
        self._admitting = admitting
        self._executor = executor
        self._ids = RandomHex(24)
        self._bytes = 0
        # By method, kind, whether one is named, and what is wanted of it.
        self._acts: dict[tuple[str, str, bool, str], Act] = {
            ("POST", "files", False, ""): self._upload,
            ("GET", "files", True, ""): self._file,
            ("DELETE", "files", True, ""): self._delete,
            ("GET", "files", True, "content"): self._content,
            ("POST", "batches", False, ""): self._create,
            ("GET", "batches", False, ""): self._list,
            ("GET", "batches", True, ""): self._batch,
            ("POST", "batches", True, "cancel"): self._cancel,
        }

    def takes(self, method: str, path: str) -> bool:
        """Whether a path is of files or batches, and there is such an act."""
        return self._act(method, path) is not None

    async def answer(self, client: Client, house: House, key: Key, course: Course, took: Callable[[int], None]) -> None:
        """`took` is told how much of a body is there. Raises what refuses it."""
        found = self._act(client.method, client.path)
        assert found is not None  # noqa: S101 - `takes` was asked
        act, kind, name = found
        course.dialect = f"openai.{kind}"
        await act(_Asking(client, house, key, course, took), name)

    def _act(self, method: str, path: str) -> tuple[Act, str, str] | None:
        asked = _PATH.fullmatch(path)
        if asked is None:
            return None
        kind, name, wanted = asked.group(1), asked.group(2) or "", asked.group(3) or ""
        act = self._acts.get((method, kind, bool(name), wanted))
        return act and (act, kind, name)

    # --- Files --------------------------------------------------------------------------------------------------------
    async def _upload(self, asking: _Asking, _: str) -> None:
        body = await asking.body()
        # It is there once more in the form that is sent on.
        size = len(body)
        if self._bytes + size > MOST_BYTES:
            raise Overloaded("too many files are uploaded here at once")
        self._bytes += size
        try:
            await self._uploaded(asking, body)
        finally:
            self._bytes -= size

    async def _uploaded(self, asking: _Asking, body: bytes) -> None:
        house, key, client = asking.house, asking.key, asking.client
        media_type = client.headers.get("content-type", "")
        upload = await asyncio.get_running_loop().run_in_executor(self._executor, reading.upload, body, media_type)
        upstream = self._admitting.place(house, key, upload.models, client.headers)
        # Nobody would know whose it is.
        await self._kept.reachable()
        headers = asking.headers(upload.media_type)
        said = await self._passing.ask(upstream, "POST", "/files", headers, upload.form, upstream.total_s)
        if said.good:
            file_id = _json(said.body).get("id")
            if not isinstance(file_id, str) or not ID.fullmatch(file_id):
                raise UpstreamBroke("The upstream took the file and does not say which it is.")
            try:
                await self._kept.keep_file(house.id, upstream.upstream_id, file_id, upload, key.prefix)
            except NOT_KEPT:
                await self._forget(upstream, file_id, asking.headers())
                raise
        await _answer(client, said, ("x-capstan-upstream", upstream.name))

    async def _forget(self, upstream: Upstream, file_id: str, headers: list[tuple[str, str]]) -> None:
        try:
            await self._passing.ask(upstream, "DELETE", f"/files/{file_id}", headers)
        except FinopsError as error:
            log.warning("file %s at %s is nobody's: %s", file_id, upstream.name, error.message)

    async def _file(self, asking: _Asking, file_id: str) -> None:
        _, upstream = await self._owned(asking, file_id)
        await _answer(asking.client, await self._passing.ask(upstream, "GET", f"/files/{file_id}", asking.headers()))

    async def _content(self, asking: _Asking, file_id: str) -> None:
        _, upstream = await self._owned(asking, file_id)
        await self._passing.stream(upstream, f"/files/{file_id}/content", asking.headers(), asking.client)

    async def _delete(self, asking: _Asking, file_id: str) -> None:
        owned, upstream = await self._owned(asking, file_id)
        if owned.unbooked:
            raise NotBooked("What these results used is not in the books yet; delete them in a few minutes.")
        await _answer(asking.client, await self._passing.ask(upstream, "DELETE", f"/files/{file_id}", asking.headers()))

    async def _owned(self, asking: _Asking, file_id: str) -> tuple[Owned, Upstream]:
        owned = await self._kept.owner(asking.house.id, file_id)
        if owned is None:
            raise NoSuchFile("There is no such file that was made through this gateway.", field="file_id")
        return owned, self._admitting.upstream(asking.house, owned.upstream_id)

    # --- Batches ------------------------------------------------------------------------------------------------------
    async def _create(self, asking: _Asking, _: str) -> None:
        house, key, client = asking.house, asking.key, asking.client
        asked = reading.asked(await asking.body())
        whose = attributed(client.raw_headers, asked.told, Tree(), also=WISHES)
        file = await self._kept.file(house.id, asked.input_file_id)
        if file is None:
            raise NoSuchFile("There is no such file that was made through this gateway.", field="input_file_id")
        if file.endpoint != asked.endpoint:
            raise FieldInvalid(f"the requests of this file are for {file.endpoint}", field="endpoint")
        upstream = self._admitting.upstream(house, file.upstream_id)
        call_id = asking.course.call_id = self._ids.next()
        event = self._admitting.admitted(house, key, whose, call_id, upstream, file.models)
        await self._kept.begin(house.id, upstream.upstream_id, call_id, asked, key.prefix, event)
        said = await self._made(asking, upstream, call_id, asked.body(call_id))
        await _answer(client, said, ("x-capstan-call", call_id), ("x-capstan-upstream", upstream.name))

    async def _made(self, asking: _Asking, upstream: Upstream, call_id: str, body: bytes) -> Said:
        """What the upstream says of a batch that it was asked to make. Where nobody knows whether it did, or that could
        not be kept, whoever follows batches finds out.
        """
        organization = asking.house.id
        try:
            said = await self._passing.ask_once(upstream, "/batches", asking.headers(), body)
        except (NotSent, UpstreamRefusesUs):
            await self._kept_late(self._kept.not_made(organization, call_id), call_id)
            raise
        told = told_of(_json(said.body)) if said.good else None
        if told is not None and told.call_id in ("", call_id):
            await self._kept_late(self._kept.made(organization, call_id, told.id, said.body), call_id)
        elif told is not None or (400 <= said.status < 500 and said.status != HTTPStatus.REQUEST_TIMEOUT):
            # It refused; or it shows what it was asked for before, by an idempotency key, which is kept already.
            await self._kept_late(self._kept.not_made(organization, call_id), call_id)
        return said

    async def _kept_late(self, keeping: Awaitable[None], call_id: str) -> None:
        """What became of a batch; whoever follows batches finds out by themselves, where this cannot be kept."""
        try:
            await keeping
        except NOT_KEPT:
            log.warning("what became of batch %s could not be kept", call_id)

    async def _batch(self, asking: _Asking, batch_id: str) -> None:
        await self._looked(asking, batch_id, "GET", f"/batches/{batch_id}")

    async def _cancel(self, asking: _Asking, batch_id: str) -> None:
        await self._looked(asking, batch_id, "POST", f"/batches/{batch_id}/cancel")

    async def _looked(self, asking: _Asking, batch_id: str, method: str, path: str) -> None:
        kept = await self._kept.batch(asking.house.id, batch_id)
        if kept is None:
            raise NoSuchBatch("There is no such batch that was made through this gateway.", field="batch_id")
        upstream = self._admitting.upstream(asking.house, kept.upstream_id)
        said = await self._passing.ask(upstream, method, path, asking.headers())
        await self._heard(asking.house, kept, said)
        await _answer(asking.client, said, ("x-capstan-upstream", upstream.name))

    async def _heard(self, house: House, kept: KeptBatch, said: Said) -> None:
        """Which files its results are in is known before a client can ask for them."""
        told = told_of(_json(said.body)) if said.good else None
        if told is not None and told.id == kept.batch_id:
            await self._kept.heard(house.id, kept, told, said.body)

    async def _list(self, asking: _Asking, _: str) -> None:
        """The organization's own, the newest first; of those that go on, as they are now where that can be asked."""
        page, house = reading.page(asking.client.query), asking.house
        after = await self._kept.batch(house.id, page.after) if page.after else None
        if page.after and after is None:
            raise NoSuchBatch("There is no such batch that was made through this gateway.", field="after")
        found = await self._kept.listed(house.id, after, page.limit + 1)
        shown = found[: page.limit]
        data = [msgspec.Raw(said) for said in await asyncio.gather(*(self._now(asking, one) for one in shown))]
        first, last = (shown[0].batch_id, shown[-1].batch_id) if shown else (None, None)
        listed = {"object": "list", "data": data, "first_id": first, "last_id": last}
        body = msgspec.json.encode({**listed, "has_more": len(found) > page.limit})
        await asking.client.answer(200, [_JSON], body)

    async def _now(self, asking: _Asking, kept: KeptBatch) -> bytes:
        """What a provider says of a batch; once it has ended, as it did then."""
        if kept.state != OPEN:
            return kept.said
        try:
            upstream = self._admitting.upstream(asking.house, kept.upstream_id)
            said = await self._passing.ask(upstream, "GET", f"/batches/{kept.batch_id}", asking.headers())
        except (UpstreamAway, UpstreamRefusesUs):
            return kept.said
        if not said.good or told_of(_json(said.body)) is None:
            return kept.said
        await self._heard(asking.house, kept, said)
        return said.body


async def _answer(client: Client, said: Said, *beside: tuple[str, str]) -> None:
    await client.answer(said.status, [*said.headers, *beside], said.body)


def _json(body: bytes) -> dict[str, Any]:
    """Nothing, where it is no object."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
