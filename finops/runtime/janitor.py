"""`python -m finops.runtime.janitor ROSTER`: stops the supervisor's children when the supervisor itself is killed.

Its standard input is a pipe whose other end only the supervisor holds. When that end closes, however the supervisor
died, whatever the roster still names is stopped. A tidy supervisor empties the roster first, and this finds nothing.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from finops.runtime import processes


def main(path: Path) -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    roster = processes.Roster(path)
    left = roster.read()
    servers = [identity for identity in left if identity.name in {"postgres", "valkey"}]
    # The programs first, so that the databases see them leave.
    processes.stop(identity for identity in left if identity not in servers)
    processes.stop(servers)
    if roster.read() == left:
        roster.clear()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
