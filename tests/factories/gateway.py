"""A gateway process without a server before it: its event loop in a thread, asked as HTTP would ask it."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from django.conf import settings as django
from django.utils import timezone
from psycopg import OperationalError

from finops.budgets.lines import connect
from finops.ingest.services import book_inbox
from finops.orgs import services
from finops.orgs.hot import hash_key
from routing.configuration.models import Published
from routing.configuration.services import publish_changes
from routing.gateway.answers import Asked
from routing.gateway.process import Process
from routing.gateway.settings import Settings
from tests.factories.budgets import database_address
from tests.factories.orgs import HOUSE
from tests.waiting import until

T = TypeVar("T")
PATIENCE_S = 20


class Said(NamedTuple):
    status: int
    body: dict[str, Any]
    headers: dict[str, str]


class Gateway:
    """One process, its journals in `folder`."""

    def __init__(self, folder: Path, **given: Any) -> None:
        """`given` are settings that are not as usual."""
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        folder.mkdir(parents=True, exist_ok=True)
        usual: dict[str, Any] = {
            "address": database_address(),
            "hash_key": hash_key(django.SECRET_KEY),
            "journals": folder / "journals",
            "reached_at": f"unix:{folder}",
            "name": "test",
            "secrets": (django.SECRET_KEY,),
            "internal": frozenset(django.INTERNAL_HOSTS),
        }
        self.process = Process(Settings(**usual | given))
        self.run(self.process.start())
        assert self.process.configured.ready.wait(PATIENCE_S)

    def run(self, act: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(act, self.loop).result(PATIENCE_S)

    def begin(self, secret: str, path: str, body: Any = None, method: str = "POST", **query: str) -> Future[Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        asked = Asked(method, f"/api/v1/authorizations{path}", query, f"Bearer {secret}", raw)
        return asyncio.run_coroutine_threadsafe(self.process.door.answer(asked), self.loop)

    def ask(self, secret: str, path: str = "", body: Any = None, method: str = "POST", **query: str) -> Said:
        answer = self.begin(secret, path, body, method, **query).result(PATIENCE_S)
        return Said(answer.status, json.loads(answer.body), dict(answer.headers))

    def settles(self, secret: str, call_id: str, usage: dict[str, Any]) -> None:
        said = self.ask(secret, f"/{call_id}/settle", usage)
        assert said.status == 200, said

    def hears(self, processes: int) -> None:
        """Until it has heard of so many."""
        peers = self.process.peers
        until(lambda: len(peers._living) == processes, lambda: peers._living)

    def is_told(self) -> None:
        """What is configured now is published, and it decides by it."""
        published()
        stamps = dict(Published.objects.values_list("organization_id", "stamp"))
        until(lambda: self.process.configured.stamps == stamps, lambda: (self.process.configured.stamps, stamps))

    def loses_its_database(self) -> None:
        """From now on, whenever it asks for more of a minute's limit."""

        def fetch(_: object) -> None:
            raise OperationalError("the server is away")

        self.process._pulse.fetch = fetch  # type: ignore[method-assign,assignment]

    def bring(self) -> None:
        """Its journal to the inbox, now."""
        with connect(database_address()) as connection:
            self.process.keeper.close()
            self.process.keeper.bring(connection)

    def comes_home(self) -> int:
        """All it knows is booked, and all it has leased is given back: how many calls' ends that were."""
        self.bring()
        ends = booked()
        self.process.desk.give_back()
        return ends

    def brings_one_home(self, secret: str, call_id: str) -> None:
        """A call ends, having used 500 and 10 tokens ($0.0052 by the small book), and it is the only one."""
        self.settles(secret, call_id, used(500, 10))
        assert self.comes_home() == 1

    def stop(self) -> None:
        self.run(self.process.stop())
        self.halt()

    def halt(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE_S)
        self.loop.close()


def die(gateway: Gateway) -> None:
    """As SIGKILL: nothing is given back, nothing is copied, and the kernel lets go of its journal."""
    process = gateway.process
    for task in (process._expiring, process._probing):
        gateway.loop.call_soon_threadsafe(task.cancel)
    process.keeper._stopping.set()
    process.keeper._thread.join()
    process.configured.close()
    process._pulse.close()
    process.desk._bank.close()
    gateway.run(process._peer_runner.cleanup())
    gateway.run(process._sender.close())
    for journal in (process.journal, *process.keeper._unsure):
        os.close(journal._lock)
    gateway.halt()


def call(name: str = "", **given: Any) -> dict[str, Any]:
    """A call of gpt: a thousand tokens in and at most a hundred out, so 0.012 dollars in the small book."""
    usual: dict[str, Any] = {
        "id": name or f"call-{uuid4()}",
        "provider": "openai",
        "model": "gpt",
        "input": {"tokens": 1_000},
        "max_output_tokens": 100,
    }
    return usual | given


def used(input_uncached: int = 1_000, output_text: int = 100, **given: Any) -> dict[str, Any]:
    return {"usage": {"input_uncached": input_uncached, "output_text": output_text}} | given


def key(organization_id: int, *permissions: str, at: datetime, **bound: Any) -> str:
    """A virtual key's secret."""
    issued = services.issue_key(
        organization_id=organization_id,
        name="proxy",
        permissions=list(permissions or ("calls.authorize",)),
        by=HOUSE,
        at=at,
        **bound,
    )
    return issued.secret


def published() -> None:
    publish_changes(timezone.now())


def booked() -> int:
    return book_inbox(timezone.now())
