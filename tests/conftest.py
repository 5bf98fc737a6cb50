"""The suite's database and order. With DATABASE_URL set nothing embedded starts; without it one PostgreSQL does, once.

Under xdist the workers share that one server, each with a test database of its own. It is started by the first test
that needs it and stopped at the end by whoever started the suite; should the suite be killed, the janitor stops it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import TransactionTestCase
from hypothesis import settings

from finops.runtime import processes
from finops.runtime.places import CHECKOUT
from finops.runtime.postgres import DATABASE, Place, Postgres, running_processes, stop_leftovers
from finops.runtime.valkey import Place as ValkeyPlace
from finops.runtime.valkey import Valkey
from tests.emptying import empty_database
from tests.tables import copied

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

# Cheapest first, so that a mistake is named in seconds.
ORDER = ("unit", "repository", "rooms", "interfaces", "scenarios", "browser", "proxies", "clients", "faults")
_SHARED = "CAPSTAN_TEST_SERVERS"
_kept: dict[str, Any] = {}


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or os.environ.get("DATABASE_URL"):
        return
    folder = Path(tempfile.mkdtemp(prefix="capstan-tests-"))
    # As root the server is another user's, who has to get there.
    folder.chmod(0o711)
    os.environ[_SHARED] = str(folder)
    (folder / "run").mkdir()
    _kept["janitor"] = subprocess.Popen(
        [sys.executable, "-m", "finops.runtime.janitor", str(folder / "run" / "children.json")],
        stdin=subprocess.PIPE,
        cwd=CHECKOUT,
        start_new_session=True,
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        server = _kept.pop("server", None)
        if server is not None:
            server.disown()
        return
    folder = os.environ.pop(_SHARED, "")
    if not folder:
        return
    server = _kept.pop("server", None)
    if server is not None:
        server.stop()
    stop_leftovers(Place.below(Path(folder)))
    janitor = _kept.pop("janitor")
    janitor.stdin.close()
    janitor.wait()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent

    def floor(item: pytest.Item) -> int:
        parts = item.path.relative_to(here).parts if item.path.is_relative_to(here) else ("",)
        return ORDER.index(parts[0]) if parts[0] in ORDER else len(ORDER)

    # Stable, so pytest-django's own order (transactional tests last) holds within a folder.
    items.sort(key=floor)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Points Django at the embedded server before the first connection, when there is no DATABASE_URL."""
    folder = os.environ.get(_SHARED)
    if not folder:
        return
    place = Place.below(Path(folder))
    _start_once(place, Path(folder))
    from django.db import connections

    server = connections["default"].settings_dict
    server.update({"HOST": str(place.sockets), "PORT": "", "USER": "postgres", "PASSWORD": ""})
    server["TEST"]["TEMPLATE"] = DATABASE


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """At the end, waits until the backends of processes that tests killed have noticed, and names those that do not."""
    yield
    with django_db_blocker.unblock():
        deadline = time.monotonic() + 10
        while others := _other_sessions():
            assert time.monotonic() < deadline, f"sessions are left in the test database: {others}"
            threading.Event().wait(0.1)


def _other_sessions() -> list[tuple[Any, ...]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid, state, wait_event, backend_type, left(query, 200) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def _start_once(place: Place, folder: Path) -> None:
    with (folder / "run" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if running_processes(place):
            return
        roster = processes.Roster(folder / "run" / "children.json")
        copied(folder, folder, lambda made: roster.write([made]))
        server = Postgres(place, durable=False)
        identity = server.start()
        _kept["server"] = server
        roster.write([identity])


@pytest.fixture(scope="session", autouse=True)
def quickly_emptied() -> Iterator[None]:
    """Instead of Django's flush, which takes longer than most tests and leaves tables that are made by hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _: empty_database())
        yield


@pytest.fixture(scope="session")
def broker_url() -> Iterator[str]:
    """A Celery broker's address: REDIS_URL, or an embedded Valkey of this process's own."""
    named = os.environ.get("REDIS_URL")
    if named:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="capstan-") as folder:
        server = Valkey(ValkeyPlace.below(Path(folder)))
        server.start()
        yield f"redis+socket://{server.place.socket}"
        server.stop()


@pytest.fixture
def empty_data() -> Iterator[Path]:
    """An empty data folder with a path short enough for sockets, that another user may reach when we are root."""
    with tempfile.TemporaryDirectory(prefix="capstan-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "data"


@pytest.fixture(scope="session")
def shared() -> Iterator[Path]:
    """A folder of the whole suite; with a DATABASE_URL, which starts nothing for all, of this process."""
    if named := os.environ.get(_SHARED):
        yield Path(named)
        return
    with tempfile.TemporaryDirectory(prefix="capstan-tests-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def made_data(shared: Path, empty_data: Path) -> Path:
    """A data folder whose database has its tables already."""
    copied(shared, empty_data)
    return empty_data
