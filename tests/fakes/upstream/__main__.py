"""An upstream in a process of its own: `python -m tests.fakes.upstream [--port N] [--script FILE|JSON]`.

It prints its port, and ends when whoever started it closes its input. Steered at `/_`: GET tells its bill, POST takes
`{"script": {…}, "queue": [{…}], "forget": true, "release": true}`, each of them if it is there. GET `/_/lines` has
every line of the bill.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from aiohttp import web

from finops.runtime.collecting import calm_collector
from tests.fakes.upstream.answers import encode
from tests.fakes.upstream.running import serve
from tests.fakes.upstream.script import Plan, Script, read_script
from tests.fakes.upstream.server import Doors


class Steered(Doors):
    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/_":
            if request.method == "POST":
                self._steer(msgspec.json.decode(await request.read()))
            return _json({**self.bill.shown(), "open": self.open, "seen": len(self.seen)})
        if request.path == "/_/lines":
            return _json(self.bill.lines)
        return await super().answer(request)

    def _steer(self, said: dict[str, Any]) -> None:
        if "script" in said:
            self.script = msgspec.convert(said["script"], Script)
        self.queue.extend(msgspec.convert(said.get("queue", ()), tuple[Plan, ...]))
        if said.get("forget"):
            self.forget()
        if said.get("release"):
            self.let_go.set()


def _json(value: Any) -> web.Response:
    return web.Response(body=encode(value), content_type="application/json")


async def main(port: int, script: str) -> None:
    raw = script.encode() if script.startswith("{") else await asyncio.to_thread(Path(script).read_bytes)
    runner, bound = await serve(Steered(read_script(raw)), port)
    calm_collector()
    sys.stdout.write(f"{bound}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--script", default="{}")
    given = arguments.parse_args()
    uvloop.run(main(given.port, given.script))
    os._exit(0)
