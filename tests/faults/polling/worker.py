"""Workers that poll, made to be killed: Django is set up once, each worker is a fork of that. See factories/killing.py.

Asked for on stdin, a line of JSON each: a turn of a feed or of a job. Answers `ended` when a worker ended by itself.
Then, or before, comes `kill` or `bury`, and its exit code is told: -9 where it was killed.
"""

from __future__ import annotations

import gc
import io
import json
import os
import select
import signal
import sys
import traceback
from datetime import datetime, timedelta
from typing import Any


def main() -> None:
    import django
    from django.db import connections

    django.setup()
    # None is open here: a connection is no fork's to share.
    connections["default"].settings_dict.update(json.loads(os.environ["CAPSTAN_TEST_DATABASE"]))
    from finops.connectors import outgoing
    from finops.polling import services

    assert services.poll is not None
    # What each worker would make for itself again, which takes longer than most turns.
    outgoing._certificates()
    # Forks share what is never looked at.
    gc.freeze()
    # Unbuffered: what was not read yet can be waited for.
    asked = io.FileIO(0, closefd=False)
    _say("ready")
    while line := asked.readline():
        reads, writes = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reads)
            _child(json.loads(line))
        # The last one to hold the other end is the worker: it is closed when that is no more.
        os.close(writes)
        _follow(pid, asked, reads)
        os.close(reads)


def _follow(pid: int, asked: io.FileIO, line: int) -> None:
    ready, _, _ = select.select([asked.fileno(), line], [], [])
    if asked.fileno() not in ready:
        _say("ended")
    # Nobody there any more says nothing, and ends it too.
    if asked.readline() != b"bury\n":
        os.kill(pid, signal.SIGKILL)
    _say(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))


def _child(asked: dict[str, Any]) -> None:
    try:
        _work(asked["what"], asked["id"], asked["host"], datetime.fromisoformat(asked["at"]))
    except BaseException:  # noqa: BLE001  a fork must not go on with what its parent does
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _work(what: str, number: int, host: str, at: datetime) -> None:
    from django.conf import settings

    from finops.jobs.models import Job
    from finops.jobs.working import work
    from finops.polling import services

    settings.INTERNAL_HOSTS = frozenset({host})

    def now() -> datetime:
        nonlocal at
        at += timedelta(milliseconds=1)
        return at

    def history(job: Job) -> None:
        services.run_backfill(job=job, now=now)

    if what == "poll":
        services.poll(number, now)
    else:
        work(job_id=number, now=now, act=history)


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
