"""`manage.py up`: everything Capstan needs, under one supervisor, until Ctrl-C."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from finops.runtime import places, programs, starting
from finops.runtime.console import Screen
from finops.runtime.demo_login import DEMO_LOGINS
from finops.runtime.errors import CannotRun
from finops.runtime.programs import Door
from finops.runtime.supervisor import Program, Supervisor

# Folding must not wait behind a re-rating of last year: what is short and regular has a worker of its own.
QUEUES = "ingest,routing"
SHORT_QUEUE = "control"
# News must wait neither behind that nor behind a server that does not answer: it mostly waits, so it has threads. So do
# experiments and feeds, of which few are worked on at once.
WAITING_QUEUES, WAITING_THREADS = "alerts,experiments,polling", "9"


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
        web = Door(options["host"], options["port"])
        gateway = Door(options["host"], options["gateway_port"] or options["port"] + 1)
        listens = (
            starting.Listens(web, "stop it, or choose another with --port (make demo PORT=…)"),
            starting.Listens(gateway, "stop it, or choose another with --gateway-port"),
        )
        with starting.supervised(screen, f"{web.url}/", listens) as supervisor:
            starting.start_servers(supervisor, screen)
            starting.migrate(screen)
            starting.collect_static(supervisor, screen)
            if options["demo"]:
                _seed(supervisor, screen)
            else:
                starting.seed_prices(supervisor, screen)
            starting.launch(
                supervisor,
                screen,
                "Starting web, gateway, worker and beat",
                _programs(web, gateway, options),
                lambda: web.answers("/healthz") and gateway.answers("/readyz"),
            )
            screen.box("Capstan is running", _welcome(web, gateway, options, time.monotonic() - began))
            supervisor.watch()


def _seed(supervisor: Supervisor, screen: Screen) -> None:
    program = Program("seed_demo", programs.manage("seed_demo"))
    if screen.live:
        # It draws its own progress on our terminal.
        status = supervisor.run_to_end(program, on_line=None)
    else:
        with screen.step("Filling in the demo company"):
            status = supervisor.run_to_end(program, on_line=lambda line: screen.line("demo", line))
    if status != 0:
        raise CannotRun(f"seed_demo ended with status {status}; its lines are above")


def _programs(web: Door, gateway: Door, options: dict[str, Any]) -> list[Program]:
    told, count = programs.level(options["verbosity"]), str(options["workers"])
    threads = ("--pool", "threads", "--concurrency", WAITING_THREADS)
    return [
        programs.web(web, gateway, workers=options["workers"], told=told),
        programs.publish(),
        programs.gateway(gateway, told=told),
        programs.worker("worker", QUEUES, "--concurrency", count, told=told),
        programs.worker("control", SHORT_QUEUE, "--pool", "solo", told=told),
        programs.worker("alerts", WAITING_QUEUES, *threads, told=told, gateway=gateway),
        programs.beat(told=told),
    ]


def _welcome(web: Door, gateway: Door, options: dict[str, Any], seconds: float) -> list[str]:
    lines = [f"Open     {web.url}/", f"Gateway  {gateway.url}/"]
    if options["demo"]:
        lines += ["", "Log in  (everything inside is invented)"]
        lines += [f"  {email:<24}{password:<24}{who}" for email, password, who in DEMO_LOGINS]
        lines.append("")
    if not web.is_local and not os.environ.get("CAPSTAN_HOSTS"):
        lines.append("Hosts    set CAPSTAN_HOSTS to the names people will use; others are refused")
    if not os.environ.get("DATABASE_URL") or not os.environ.get("REDIS_URL"):
        lines.append(f"Data     {places.data_dir()}")
    lines += [f"Started  in {seconds:.0f} s", "Stop     Ctrl-C"]
    return lines
