"""`manage.py up`: everything Capstan needs, under one supervisor, until Ctrl-C."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import sys
import time
from argparse import ArgumentParser
from collections import deque
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from finops.pricing.models import PriceBook
from finops.runtime import places, ports
from finops.runtime.console import Screen, Step
from finops.runtime.demo_login import DEMO_LOGINS
from finops.runtime.errors import CannotRun
from finops.runtime.postgres import Place as PostgresPlace
from finops.runtime.postgres import Postgres
from finops.runtime.supervisor import Interrupts, Program, Stopped, Supervisor, clear_leftovers, only_one
from finops.runtime.valkey import Place as ValkeyPlace
from finops.runtime.valkey import Valkey

# Folding must not wait behind a re-rating of last year: what is short and regular has a worker of its own.
QUEUES = "ingest,routing"
SHORT_QUEUE = "control"
# News must wait neither behind that nor behind a server that does not answer: it mostly waits, so it has threads.
ALERTS_QUEUE, ALERTS_THREADS = "alerts", "4"
WEB_PATIENCE_S = 90.0
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Command(BaseCommand):
    help = (
        "Run web, worker and beat, with an embedded PostgreSQL and Valkey unless DATABASE_URL and REDIS_URL are set. "
        "Ctrl-C stops all of it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        cores = os.cpu_count() or 1
        parser.add_argument("--demo", action="store_true", help="fill in an invented company first, once")
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine only)")
        parser.add_argument("--port", type=int, default=int(os.environ.get("CAPSTAN_PORT") or 8000))
        parser.add_argument(
            "--gateway-port", type=int, default=0, help="the gateway's port (default: the one after --port)"
        )
        parser.add_argument(
            "--workers", type=int, default=max(1, min(4, cores)), help="processes each for web and for the worker"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        screen = Screen()
        began = time.monotonic()
        address = f"http://{_shown(options['host'])}:{options['port']}/"
        with Interrupts() as interrupts:
            try:
                with only_one(places.run_dir(), address):
                    # First, for it may hold our own port.
                    clear_leftovers(places.run_dir(), screen)
                    options["gateway_port"] = options["gateway_port"] or options["port"] + 1
                    for port, way_out in (
                        (options["port"], "stop it, or choose another with --port (make demo PORT=…)"),
                        (options["gateway_port"], "stop it, or choose another with --gateway-port"),
                    ):
                        ports.require_free(options["host"], port, way_out=way_out)
                    with Supervisor(run_dir=places.run_dir(), screen=screen, interrupts=interrupts) as supervisor:
                        _start(supervisor, screen, options)
                        screen.box("Capstan is running", _welcome(address, options, time.monotonic() - began))
                        supervisor.watch()
                        screen.say("Stopping")
            except Stopped:
                pass
            except CannotRun as error:
                raise CommandError(error.message) from None
        screen.say("Stopped; nothing is left running")


def _start(supervisor: Supervisor, screen: Screen, options: dict[str, Any]) -> None:
    if not os.environ.get("DATABASE_URL"):
        with screen.step("Starting PostgreSQL") as step:
            supervisor.serve("postgres", Postgres(PostgresPlace.of_data(), say=step.note))
    if not os.environ.get("REDIS_URL"):
        with screen.step("Starting Valkey"):
            supervisor.serve("valkey", Valkey(ValkeyPlace.of_data()))
    _migrate(screen)
    _collect_static(supervisor, screen)
    if options["demo"]:
        _seed(supervisor, screen)
    else:
        _seed_prices(supervisor, screen)
    for program in _programs(options):
        supervisor.launch(program)
    with screen.step("Starting web, gateway, worker and beat"):
        ready = supervisor.wait_until(lambda: _all_answer(options), patience_s=WEB_PATIENCE_S)
    if not ready:
        supervisor.show_kept_lines()
        raise CannotRun(f"web and gateway did not answer within {WEB_PATIENCE_S:.0f} s; their lines are above")


def _migrate(screen: Screen) -> None:
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


def _collect_static(supervisor: Supervisor, screen: Screen) -> None:
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
        command = _manage("collectstatic", "--no-input", "--clear", "--verbosity", "0")
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


def _seed(supervisor: Supervisor, screen: Screen) -> None:
    program = Program("seed_demo", _manage("seed_demo"))
    if screen.live:
        # It draws its own progress on our terminal.
        status = supervisor.run_to_end(program, on_line=None)
    else:
        with screen.step("Filling in the demo company"):
            status = supervisor.run_to_end(program, on_line=lambda line: screen.line("demo", line))
    if status != 0:
        raise CannotRun(f"seed_demo ended with status {status}; its lines are above")


def _seed_prices(supervisor: Supervisor, screen: Screen) -> None:
    """Without a price book every call would be unpriced. One that is there stays: a new release is `seed_prices`."""
    try:
        if PriceBook.objects.exists():
            return
    finally:
        connections.close_all()
    with screen.step("Filling the price book"):
        program = Program("seed_prices", _manage("seed_prices"))
        status = supervisor.run_to_end(program, on_line=lambda line: screen.line("prices", line))
    if status != 0:
        raise CannotRun(f"seed_prices ended with status {status}; its lines are above")


def _programs(options: dict[str, Any]) -> list[Program]:
    # Behind Ctrl-C a person reads this; with -v 2 everything is told.
    level = "info" if options["verbosity"] > 1 else "warning"
    count = str(options["workers"])
    web = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", options["host"]]
    web += ["--port", str(options["port"]), "--workers", count, "--respawn-failed-workers", "--log-level", level]
    gateway = [sys.executable, "-m", "granian", "--interface", "asgi", "--host", options["host"]]
    gateway += ["--port", str(options["gateway_port"]), "--workers", "1", "--respawn-failed-workers"]
    gateway += ["--log-level", level]
    celery = [sys.executable, "-m", "celery", "--quiet", "--app", "finops.config.celery"]
    worker = [*celery, "worker", "--queues", QUEUES, "--concurrency", count, "--loglevel", level]
    worker += ["--without-gossip", "--without-mingle", "--hostname", "capstan@%h"]
    control = [*celery, "worker", "--queues", SHORT_QUEUE, "--pool", "solo", "--loglevel", level]
    control += ["--without-gossip", "--without-mingle", "--hostname", "control@%h"]
    alerts = [*celery, "worker", "--queues", ALERTS_QUEUE, "--pool", "threads", "--concurrency", ALERTS_THREADS]
    alerts += ["--loglevel", level, "--without-gossip", "--without-mingle", "--hostname", "alerts@%h"]
    beat = [*celery, "beat", "--loglevel", level, "--pidfile="]
    quiet = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser"} if os.geteuid() == 0 else {}
    return [
        Program("web", [*web, "finops.config.wsgi:application"], environment=_gateway_told(options)),
        Program("publish", _manage("publish")),
        Program("gateway", [*gateway, "routing.gateway.asgi:app"]),
        Program("worker", worker, patience_s=20.0, environment=quiet),
        Program("control", control, patience_s=20.0, environment=quiet),
        Program("alerts", alerts, patience_s=20.0, environment=quiet),
        Program("beat", beat, patience_s=5.0),
    ]


def _gateway_told(options: dict[str, Any]) -> dict[str, str]:
    """The web tells people where the gateway is. What somebody said goes before; where it listens everywhere, only they
    know by which name they came.
    """
    if os.environ.get("CAPSTAN_GATEWAY_URL") or _reachable(options["host"]) != options["host"]:
        return {}
    return {"CAPSTAN_GATEWAY_URL": f"http://{_shown(options['host'])}:{options['gateway_port']}"}


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, os.fspath(places.CHECKOUT / "manage.py"), *arguments]


def _all_answer(options: dict[str, Any]) -> bool:
    web = _answers(options["host"], options["port"], "/healthz")
    return web and _answers(options["host"], options["gateway_port"], "/readyz")


def _answers(host: str, port: int, path: str) -> bool:
    web = http.client.HTTPConnection(_reachable(host), port, timeout=10)
    try:
        web.request("GET", path, headers={"Host": "localhost"})
        return web.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        web.close()


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a name for every address, not a bind


def _shown(host: str) -> str:
    shown = "localhost" if _reachable(host) in _LOOPBACK else host
    return f"[{shown}]" if ":" in shown else shown


def _welcome(address: str, options: dict[str, Any], seconds: float) -> list[str]:
    lines = [f"Open     {address}", f"Gateway  http://{_shown(options['host'])}:{options['gateway_port']}/"]
    if options["demo"]:
        lines += ["", "Log in  (everything inside is invented)"]
        lines += [f"  {email:<24}{password:<24}{who}" for email, password, who in DEMO_LOGINS]
        lines.append("")
    if _reachable(options["host"]) not in _LOOPBACK and not os.environ.get("CAPSTAN_HOSTS"):
        lines.append("Hosts    set CAPSTAN_HOSTS to the names people will use; others are refused")
    if not os.environ.get("DATABASE_URL") or not os.environ.get("REDIS_URL"):
        lines.append(f"Data     {places.data_dir()}")
    lines += [f"Started  in {seconds:.0f} s", "Stop     Ctrl-C"]
    return lines
