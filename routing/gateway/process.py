"""One gateway process: its leases, its journal, its configuration, and the threads beside its event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any, Final
from uuid import uuid4

import psycopg
from aiohttp import web
from msgspec.structs import replace

from finops.budgets.bank import Bank, Other
from finops.budgets.desk import Desk
from finops.budgets.guard import Guard
from finops.budgets.guard.answers import Stop
from finops.budgets.journal import Journal, JournalFailed
from finops.budgets.lines import Busy, connect
from finops.budgets.pulse import Pulse
from finops.ingest.records import Held
from finops.runtime import places
from routing.gateway import cut
from routing.gateway.answers import Asked
from routing.gateway.batches.admitting import Admitting
from routing.gateway.batches.door import Batches
from routing.gateway.batches.kept import Kept
from routing.gateway.batches.passing import Passing
from routing.gateway.calls import Calls
from routing.gateway.captured import Captured
from routing.gateway.commits import Commits
from routing.gateway.configured import Configured
from routing.gateway.cut import Cuts
from routing.gateway.deciding import Deciding
from routing.gateway.decisions import Decisions
from routing.gateway.door import Door
from routing.gateway.entry import Entry
from routing.gateway.figures.figures import Figures
from routing.gateway.figures.scrape import Scrape
from routing.gateway.figures.standing import Parts, standing
from routing.gateway.keeper import Keeper
from routing.gateway.keys import Keys
from routing.gateway.logs import CallLog
from routing.gateway.peers import FORWARDED, Peers
from routing.gateway.proxy.health import Health, RetryBudget
from routing.gateway.proxy.means import Means
from routing.gateway.proxy.probes import Probes
from routing.gateway.proxy.relay import Relay
from routing.gateway.proxy.sender import Sender
from routing.gateway.proxy.whereabouts import Whereabouts
from routing.gateway.sampled import Sampled
from routing.gateway.settings import Settings
from routing.gateway.supply import Supply
from routing.upstreams.hot import sealer

log = logging.getLogger(__name__)
_EXPIRE_EVERY_S: Final = 1.0
# What is due and could not be ended is tried again.
AGAIN_AFTER: Final = timedelta(seconds=5)
# What nobody used for so long is there for others again, without being called home.
_IDLE_S: Final = 30.0
BODY_MOST: Final = 2**20
# Calls have so long to end once it is asked to stop; supervisors kill who takes 15 seconds over it, or 10 (containers).
DRAIN_S: Final = 7.0
# Calls that wait for the database at once.
SLOW_THREADS: Final = 64


class Clock:
    """The database's time, carried on by the monotonic clock: setting this machine's clock moves no period."""

    def __init__(self) -> None:
        self._base = datetime.fromtimestamp(0, UTC)
        self._at = time.monotonic()

    def set(self, now: datetime) -> None:
        """Never back, so that what follows each other here does so in the ledger."""
        if now > self.now() or self.now() - now > timedelta(seconds=5):
            self._base, self._at = now.astimezone(UTC), time.monotonic()

    def now(self) -> datetime:
        return self._base + timedelta(seconds=time.monotonic() - self._at)


class Process:
    """Everything one gateway process is made of. `start` and `stop` run on its event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._id = uuid4()
        self.clock = Clock()
        self._stopping = asyncio.Event()
        self._started = False
        # Kept until they are done, as asyncio wants.
        self._told: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        settings = self._settings
        settings.journals.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.journal = Journal(settings.journals / self._id.hex)
        self._bank = await asyncio.to_thread(
            Bank, settings.address, self._id, settings.name, reached_at=settings.reached_at
        )
        self.desk = await asyncio.to_thread(Desk, self._bank, durable=self.journal.sync)
        self.commits = Commits(self.journal, loop)
        figures = Figures()
        self._log = CallLog(settings.calls_logged)
        self._guard = Guard(self._id.hex)
        self._pulse = Pulse(settings.address, self._guard, cut=self._cut)
        self._cuts = Cuts(self._id.hex)
        self._slow = ThreadPoolExecutor(SLOW_THREADS, thread_name_prefix="slow")
        self.supply = Supply(self.desk)
        self.calls = Calls(
            desk=self.desk, guard=self._guard, pulse=self._pulse, journal=self.journal, holder=self._id.hex,
            now=self.clock.now, announce=self._bank.announce, supply=self.supply, count=figures.spent,
        )  # fmt: skip
        self.peers = Peers(self._id, settings.hash_key, settings.reached_at)
        self.configured = Configured(
            settings.address, self._guard, self._configuration_changed, self._was_cut, self._pulse.cut_anew
        )
        self.deciding = Deciding(self.configured, self.calls, self.supply, self.commits, self._slow, figures.decided)
        self.keys = Keys(self.configured, settings.hash_key, self.clock.now)
        self._sender = self._new_sender()
        health = Health(time.monotonic)
        self._probes = Probes(
            self._sender, health, houses=lambda: self.configured.houses, clock=time.monotonic,
            draw=SystemRandom().random, count=figures.probed,
        )  # fmt: skip
        entry = Entry(self._guard, self._pulse, self._slow, self.clock.now, figures.decided)
        means = Means(
            deciding=self.deciding, entry=entry, calls=self.calls, commits=self.commits, journal=self.journal,
            sender=self._sender, health=health, retries=RetryBudget(), probes=self._probes, figures=figures,
            whereabouts=Whereabouts(),
        )  # fmt: skip
        self.captured = Captured(settings.address, settings.secrets, self.clock.now)
        self.decisions = Decisions(settings.address)
        self.sampled = Sampled(settings.address)
        self.relay = Relay(
            self.keys, means, self.clock.now, self._log.over, self.captured, self.decisions, self.sampled,
            self._batches(health),
        )  # fmt: skip
        self.keeper = Keeper(
            settings.address, self._id, self.journal, settings.journals, self, self.desk, self._on_loop
        )
        parts = Parts(
            figures=figures, desk=self.desk, journal=self.journal, keeper=self.keeper, calls=self.calls,
            supply=self.supply, configured=self.configured, relay=self.relay, health=health, log=self._log,
            captured=self.captured, sampled=self.sampled,
        )  # fmt: skip
        scrape = Scrape(self._id.hex[:12], lambda: standing(parts), self.peers, settings.metrics_token)
        self.door = Door(
            own=self.calls, deciding=self.deciding, commits=self.commits, peers=self.peers, cuts=self._cuts,
            keys=self.keys, scrape=scrape, decisions=self.decisions, now=self.clock.now, reasons=self._reasons,
        )  # fmt: skip
        await self._listen_to_peers()
        await asyncio.to_thread(self.keeper.start)
        await asyncio.to_thread(self._pulse.start)
        self.configured.start()
        self._expiring = loop.create_task(self._expire())
        self._probing = loop.create_task(self._probes.run())
        self._started = True

    def ends(self) -> None:
        """It will be stopped once no call is under way, which is soon. For any thread."""
        self._soon(partial(self.relay.drain, DRAIN_S))

    async def stop(self) -> None:
        """Give back what is free, and bring the journal home. What is still open is for whoever comes next."""
        self._stopping.set()
        await self._expiring
        self._probing.cancel()
        await asyncio.gather(self._probing, return_exceptions=True)
        await asyncio.to_thread(self.configured.close)
        await asyncio.to_thread(self._pulse.close)
        await asyncio.to_thread(self.supply.close)
        await asyncio.to_thread(self._slow.shutdown)
        await asyncio.to_thread(self.desk.close)
        await asyncio.to_thread(self.keeper.close)
        await asyncio.to_thread(self.commits.close)
        await asyncio.to_thread(self._log.close)
        await asyncio.to_thread(self.captured.close)
        await asyncio.to_thread(self.decisions.close)
        await asyncio.to_thread(self.sampled.close)
        await self._sender.close()
        await self.peers.close()
        await self._peer_runner.cleanup()
        self.journal.close()

    def _new_sender(self) -> Sender:
        return Sender(lambda sealed: sealer(self._settings.secrets).open(sealed), self._settings.internal)

    def _batches(self, health: Health) -> Batches:
        return Batches(
            Kept(self._settings.address, self._slow),
            Passing(self._sender, self._new_sender),
            Admitting(self.calls.forbids, health, self.clock.now),
            self._slow,
        )

    def _reasons(self) -> list[str]:
        """Why calls are better sent elsewhere for now; none when they may come."""
        found = []
        if not self._started:
            found.append("it has not started yet")
        if self._stopping.is_set():
            found.append("it is stopping")
        if not self.configured.ready.is_set():
            found.append("there is no configuration yet")
        if self.journal.failed:
            found.append("the journal cannot be written")
        return found

    # --- Whom the keeper tells ------------------------------------------------------------------------------------
    def carry_on(self, ids: Iterable[str], *, old: bool) -> int | None:
        return self.calls.carry_on(ids, old=old)

    def adopted(self, calls: Sequence[Held]) -> None:
        for call in calls:
            # Ours from now on, whoever had it before; and once, should the answer of the database have been lost.
            if not self.calls.book.has(call.id):
                self.calls.adopt(replace(call, moved_from=""))

    def lives(self, now: datetime, others: Sequence[Other]) -> None:
        self.clock.set(now)
        self.peers.heard(others)

    # --- What runs beside -----------------------------------------------------------------------------------------
    def _on_loop(self, act: Callable[[], Any]) -> Any:
        """Run a function on the event loop, from another thread, and give its result."""
        done: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def run() -> None:
            try:
                done.set_result(act())
            except BaseException as error:  # noqa: BLE001 - it is the other thread's
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(timeout=30)

    def _configuration_changed(self) -> None:
        self._soon(self.deciding.configuration_changed)

    def _cut(self, call_ids: list[str], stop: Stop) -> None:
        """Calls of this process are stopped: every process is told, for their makers may ask any."""
        held = self._on_loop(lambda: self.calls.book.asked_by(call_ids))
        with connect(self._settings.address) as connection:
            cut.tell(connection, held, stop.reason)

    def _was_cut(self, payload: str) -> None:
        for calls, reason in cut.heard(payload):
            self._soon(partial(self._cuts.add, calls, reason))
            self._soon(partial(self.relay.cut, calls, reason))

    def _soon(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run something on the event loop, from another thread, and wait for nothing."""

        def begin() -> None:
            task = self._loop.create_task(act())
            self._told.add(task)
            task.add_done_callback(self._told.discard)

        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(begin)

    async def _expire(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _EXPIRE_EVERY_S)
            try:
                self.calls.guard_adopted(self.configured.houses)
                await self._end_expired()
                await asyncio.to_thread(self.desk.give_back_idle, _IDLE_S)
                if low := self.desk.running_low():
                    await asyncio.to_thread(self.desk.top_up, low)
            except (psycopg.OperationalError, Busy, JournalFailed) as error:
                log.warning("what is due waits: %s", error)
            except Exception:
                # Nothing would expire any more, of any organization.
                log.exception("what is due could not be ended; trying again")

    async def _end_expired(self) -> None:
        """What nobody told the end of is charged as the most it could cost; unless it was asked for once more when this
        or another process could not answer, and is known there.
        """
        while (held := self.calls.due()) is not None:
            try:
                await self._end(held)
            except Exception as error:
                self._later(held)
                if isinstance(error, JournalFailed):
                    raise
                # It is no reason to leave others open that are due.
                log.exception("call %s could not be ended; trying again", held.id)
        await self.commits.wait(self.journal.last)

    async def _end(self, held: Held) -> None:
        house = self.configured.houses.get(held.organization_id)
        if house is None:
            self._later(held)
            return
        here = self.calls.book.knows_other(held.asked_by, held.asked_as, held.id)
        if here or await self.peers.know_other(held):
            self.calls.release(held)
        else:
            self.calls.expire(held, house)

    def _later(self, held: Held) -> None:
        self.calls.book.later(held, self.clock.now() + AGAIN_AFTER)

    async def _listen_to_peers(self) -> None:
        async def passed_on(request: web.Request) -> web.Response:
            asked = Asked(
                request.method, request.path, dict(request.query), request.headers.get("authorization", ""),
                await request.read(), forwarded=self.peers.is_one_of_us(request.headers.get(FORWARDED, "")),
            )  # fmt: skip
            answer = await self.door.answer(asked)
            return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))

        app = web.Application(client_max_size=BODY_MOST)
        app.router.add_route("*", "/{path:.*}", passed_on)
        self._peer_runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._peer_runner.setup()
        if self._settings.reached_at.startswith("unix:"):
            folder = Path(self._settings.reached_at.removeprefix("unix:"))
            places.make_folder(folder)
            path = folder / f"{self._id.hex[:12]}.sock"
            await web.UnixSite(self._peer_runner, str(path)).start()
            path.chmod(0o600)
        else:
            _, _, port = self._settings.reached_at.rpartition(":")
            await web.TCPSite(self._peer_runner, port=int(port)).start()
