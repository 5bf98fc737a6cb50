"""What every start is made of: nobody else on this data folder, the servers that are not given, tables, prices; and
nothing left running at the end.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from finops.pricing.models import PriceBook
from finops.runtime import places, ports
from finops.runtime.console import Screen, Step
from finops.runtime.errors import CannotRun
from finops.runtime.interrupts import Interrupts, Stopped
from finops.runtime.postgres import Place as PostgresPlace
from finops.runtime.postgres import Postgres
from finops.runtime.programs import Door, manage
from finops.runtime.supervisor import Program, Supervisor, clear_leftovers, only_one
from finops.runtime.valkey import Place as ValkeyPlace
from finops.runtime.valkey import Valkey

PATIENCE_S: Final = 90.0


class Listens(NamedTuple):
    """A door we are to open, and what a person does about one that is taken."""

    door: Door
    way_out: str


@contextmanager
def supervised(screen: Screen, address: str, listens: Sequence[Listens]) -> Iterator[Supervisor]:
    """Holds the data folder and the ports; stops everything at its end, however that comes. Raises CommandError."""
    with Interrupts() as interrupts:
        try:
            with only_one(places.run_dir(), address):
                # First, for it may hold our own port.
                clear_leftovers(places.run_dir(), screen)
                for one in listens:
                    ports.require_free(one.door.host, one.door.port, way_out=one.way_out)
                with Supervisor(run_dir=places.run_dir(), screen=screen, interrupts=interrupts) as supervisor:
                    yield supervisor
                    screen.say("Stopping")
        except Stopped:
            pass
        except CannotRun as error:
            raise CommandError(error.message) from None
    screen.say("Stopped; nothing is left running")


def start_servers(supervisor: Supervisor, screen: Screen) -> None:
    """An embedded PostgreSQL and Valkey, unless DATABASE_URL and REDIS_URL name others."""
    if not os.environ.get("DATABASE_URL"):
        with screen.step("Starting PostgreSQL") as step:
            supervisor.serve("postgres", Postgres(PostgresPlace.of_data(), say=step.note))
    if not os.environ.get("REDIS_URL"):
        with screen.step("Starting Valkey"):
            supervisor.serve("valkey", Valkey(ValkeyPlace.of_data()))


def launch(
    supervisor: Supervisor, screen: Screen, title: str, programs: Sequence[Program], answer: Callable[[], bool]
) -> None:
    """Starts programs and waits until they answer. Raises CannotRun."""
    for program in programs:
        supervisor.launch(program)
    with screen.step(title):
        ready = supervisor.wait_until(answer, patience_s=PATIENCE_S)
    if not ready:
        supervisor.show_kept_lines()
        raise CannotRun(f"what was started did not answer within {PATIENCE_S:.0f} s; its lines are above")


def migrate(screen: Screen) -> None:
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise CannotRun(f"the database does not answer: {reason}; check DATABASE_URL") from None
    if plan:
        with screen.step("Making the tables") as step:
            call_command("migrate", interactive=False, verbosity=1, stdout=_Applied(step, len(plan)))
    # The supervisor lives long and needs the database no more.
    connections.close_all()


class _Applied(io.StringIO):
    """Counts migrate's `Applying … OK` lines."""

    def __init__(self, step: Step, total: int) -> None:
        super().__init__()
        self._step = step
        self._total = total
        self._done = 0

    def write(self, text: str) -> int:
        if text.strip().endswith("OK"):
            self._done += 1
            self._step.advance(min(self._done, self._total), self._total)
        return len(text)


def collect_static(supervisor: Supervisor, screen: Screen) -> None:
    root = Path(settings.STATIC_ROOT)
    if settings.DEBUG or not os.access(root.parent, os.W_OK):
        return  # settings then serve them from where they are
    stamp = root / ".sources"
    sources = _static_sources()
    if stamp.is_file() and stamp.read_text(encoding="ascii") == sources:
        return
    root.mkdir(exist_ok=True)
    stamp.unlink(missing_ok=True)
    said: deque[str] = deque(maxlen=20)
    with screen.step("Collecting static files"):
        command = manage("collectstatic", "--no-input", "--clear", "--verbosity", "0")
        status = supervisor.run_to_end(Program("static", command), on_line=said.append)
    if status != 0:
        raise CannotRun(f"collectstatic failed: {said[-1] if said else f'status {status}'}")
    stamp.write_text(sources, encoding="ascii")


def _static_sources() -> str:
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            info = Path(storage.path(path)).stat()
            digest.update(f"{path}\0{info.st_size}\0{info.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def seed_prices(supervisor: Supervisor, screen: Screen) -> None:
    """Without a price book every call would be unpriced. One that is there stays: a new release is `seed_prices`."""
    try:
        if PriceBook.objects.exists():
            return
    finally:
        connections.close_all()
    with screen.step("Filling the price book"):
        program = Program("seed_prices", manage("seed_prices"))
        status = supervisor.run_to_end(program, on_line=lambda line: screen.line("prices", line))
    if status != 0:
        raise CannotRun(f"seed_prices ended with status {status}; its lines are above")
