"""An upstream in a thread of the test's process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from aiohttp import web

from tests.fakes.upstream.bill import Bill
from tests.fakes.upstream.script import Plan, Script
from tests.fakes.upstream.server import Doors, Seen
from tests.waiting import until

_PATIENCE_S: Final = 20
T = TypeVar("T")


class Upstream:
    """`address` is its root: OpenAI's SDK is given `address + "/v1"`, Anthropic's `address`.

    What becomes of a request is said, first come first served, by `decides`, by what `then` put in the queue, by the
    script for its model, and by the script's usual.
    """

    def __init__(self, script: Script | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._doors = self._run(self._made(script or Script()))
        self._runner, self.port = self._run(serve(self._doors, 0))

    @staticmethod
    async def _made(script: Script) -> Doors:
        return Doors(script)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bill(self) -> Bill:
        return self._doors.bill

    @property
    def seen(self) -> list[Seen]:
        return list(self._doors.seen)

    def asked(self, requests: int) -> None:
        """Until so many came."""
        until(lambda: len(self._doors.seen) >= requests, lambda: f"{len(self._doors.seen)} requests")

    @property
    def open(self) -> int:
        """Requests that are not answered to their end."""
        return self._doors.open

    def then(self, *plans: Plan) -> None:
        """What becomes of the next requests."""
        self._doors.queue.extend(plans)

    def decides(self, decide: Callable[[Seen], Plan | None] | None) -> None:
        """Called in the server's thread, with each request of a model; None leaves it to the others."""
        self._doors.decide = decide

    def script(self, script: Script) -> None:
        self._doors.script = script

    @property
    def batches(self) -> dict[str, dict[str, Any]]:
        """By their ids, as they are now."""
        return self._doors.account.batches

    @property
    def files(self) -> dict[str, bytes]:
        """What is in each file that is there."""
        return self._doors.account.contents

    def finish(self, status: str = "completed") -> None:
        """Runs every batch that was not run."""
        self._run(self._finish(status))

    async def _finish(self, status: str) -> None:
        for batch_id in list(self._doors.account.batches):
            self._doors.account.finish(self._doors.script, status, batch_id)

    def loses(self, *statuses: int) -> None:
        """The next requests about files and batches are done, and answered by these; 0 as it should be."""
        self._doors.beside.extend(statuses)

    def release(self) -> None:
        """Lets go what hangs or is held, now and from now on."""
        self._loop.call_soon_threadsafe(self._doors.let_go.set)

    def close(self) -> None:
        """At once; who is being answered loses the connection."""
        self._run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, act: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(act, self._loop).result(_PATIENCE_S)


async def serve(doors: Doors, port: int) -> tuple[web.AppRunner, int]:
    """Who leaves is noticed at once."""
    runner = web.AppRunner(doors.app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    bound: int = runner.addresses[0][1]
    return runner, bound


@contextmanager
def upstream(script: Script | None = None) -> Iterator[Upstream]:
    running = Upstream(script)
    try:
        yield running
    finally:
        running.close()
