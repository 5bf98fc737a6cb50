"""What the database keeps of files and batches, asked in threads: whose they are is known by all processes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, Final, NamedTuple

import psycopg

from finops.budgets.lines import connect, tried
from finops.connectors.openai.batches import Told
from finops.connectors.types import UsageEvent
from routing.batches import hot
from routing.gateway.batches.errors import DatabaseAway
from routing.gateway.batches.reading import Asked, Upload

_NEWEST: Final = 2**62


class KeptFile(NamedTuple):
    """A file of requests."""

    upstream_id: int
    endpoint: str
    models: list[str]


class Owned(NamedTuple):
    """Any file of an organization; `unbooked` when it holds results whose charges are still to come."""

    upstream_id: int
    unbooked: bool


class KeptBatch(NamedTuple):
    id: int
    upstream_id: int
    batch_id: str
    state: str
    said: bytes


class Kept:
    """All of it raises what is in NOT_KEPT."""

    def __init__(self, address: str, executor: Executor) -> None:
        self._address = address
        self._executor = executor

    async def reachable(self) -> None:
        await self._run("SELECT 1", {})

    async def keep_file(self, organization: int, upstream: int, file: str, said: Upload, key: str) -> None:
        given = {"endpoint": said.endpoint, "models": said.models, "requests": said.requests, "key": key}
        await self._run(hot.KEEP_FILE, {"organization": organization, "upstream": upstream, "file": file, **given})

    async def file(self, organization: int, file: str) -> KeptFile | None:
        rows = await self._run(hot.FIND_FILE, {"organization": organization, "file": file})
        return KeptFile(*rows[0]) if rows else None

    async def owner(self, organization: int, file: str) -> Owned | None:
        rows = await self._run(hot.OWNER, {"organization": organization, "file": file, "due": list(hot.DUE)})
        return Owned(*rows[0]) if rows else None

    async def begin(
        self, organization: int, upstream: int, call: str, asked: Asked, key: str, event: UsageEvent
    ) -> None:
        """A batch that is about to be made."""
        given = {"endpoint": asked.endpoint, "file": asked.input_file_id, "key": key, "event": hot.encode_event(event)}
        await self._run(hot.BEGIN, {"organization": organization, "upstream": upstream, "call": call, **given})

    async def made(self, organization: int, call: str, batch: str, said: bytes) -> None:
        await self._run(hot.MADE, {"organization": organization, "call": call, "batch": batch, "said": said})

    async def not_made(self, organization: int, call: str) -> None:
        await self._run(hot.NOT_MADE, {"organization": organization, "call": call})

    async def batch(self, organization: int, batch: str) -> KeptBatch | None:
        rows = await self._run(hot.FIND, {"organization": organization, "batch": batch})
        return _batch(rows[0]) if rows else None

    async def heard(self, organization: int, kept: KeptBatch, told: Told, said: bytes) -> None:
        """What a provider says of a batch, with the files it put its results in."""
        files = {"output": told.output_file_id, "error": told.error_file_id}
        await self._run(hot.HEARD, {"organization": organization, "id": kept.id, "said": said, **files})

    async def listed(self, organization: int, after: KeptBatch | None, most: int) -> list[KeptBatch]:
        """The newest first."""
        below = _NEWEST if after is None else after.id
        rows = await self._run(hot.LISTED, {"organization": organization, "below": below, "most": most})
        return [_batch(row) for row in rows]

    async def _run(self, statement: str, given: dict[str, Any]) -> Sequence[tuple[Any, ...]]:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._ask, statement, given)

    def _ask(self, statement: str, given: dict[str, Any]) -> Sequence[tuple[Any, ...]]:
        def once() -> Sequence[tuple[Any, ...]]:
            with connect(self._address) as connection:
                cursor = connection.execute(statement, given)
                return cursor.fetchall() if cursor.description else []

        try:
            return tried(once)
        except psycopg.OperationalError:
            raise DatabaseAway("Files and batches cannot be kept now: the database is away.") from None


def _batch(row: tuple[Any, ...]) -> KeptBatch:
    row_id, upstream_id, batch_id, state, said = row
    return KeptBatch(row_id, upstream_id, batch_id, state, bytes(said))
