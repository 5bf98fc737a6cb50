"""The gateway on a machine whose wall clock somebody sets: `POST /jump/-3600` sets it back by an hour.

Only the process's own clock moves, also for what C reads; the monotonic clock goes on, as it does on a real machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import time_machine

from routing.gateway.asgi import Receive, Send
from routing.gateway.asgi import app as gateway

_JUMP: Final = "/jump/"


class Machine:
    def __init__(self) -> None:
        self._set: Any = None

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if not scope.get("path", "").startswith(_JUMP):
            await gateway(scope, receive, send)
            return
        before = datetime.now(UTC)
        self._jump(timedelta(seconds=float(scope["path"].removeprefix(_JUMP))))
        moved = str((datetime.now(UTC) - before).total_seconds()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(moved))]})
        await send({"type": "http.response.body", "body": moved})

    def _jump(self, by: timedelta) -> None:
        now = datetime.now(UTC)
        if self._set is not None:
            self._set.stop()
        self._set = time_machine.travel(now + by, tick=True)
        self._set.start()


app = Machine()
