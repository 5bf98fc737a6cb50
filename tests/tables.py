"""A PostgreSQL cluster whose database has every table: made once for a suite, stopped, and copied by whoever needs one.
Half of what a server of one's own takes to start is making tables.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from finops.runtime import processes
from finops.runtime.places import CHECKOUT
from finops.runtime.postgres import Place, Postgres

Started = Callable[[processes.Identity], None]


def copied(shared: Path, data: Path, started: Started = lambda _: None) -> Place:
    """A cluster in this data folder. `shared` keeps the one that is copied; `started` hears of the server it is of."""
    whole = _whole(shared / "tables", started)
    data.mkdir(exist_ok=True)
    place = Place.below(data)
    # With its owner, who is not root.
    subprocess.run(["cp", "-a", str(whole.folder), str(place.folder)], check=True)
    return place


def _whole(data: Path, started: Started) -> Place:
    data.mkdir(exist_ok=True)
    place, mark = Place.below(data), data / "whole"
    with (data / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists():
            server = Postgres(place, durable=False)
            started(server.start())
            own = os.environ | {"DATABASE_URL": place.url(), "CAPSTAN_DATA": str(data)}
            migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
            subprocess.run(migrate, cwd=CHECKOUT, env=own, check=True)
            server.stop()
            mark.touch()
    return place
