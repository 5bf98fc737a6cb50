"""Environments of other people's programs, each with its own lock: `.venv-litellm`, `.venv-clients`, `.venv-aider`; and
the client for Node.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from finops.runtime.places import CHECKOUT

NODE: Final = CHECKOUT / "tests" / "clients" / "node"


def installed(name: str) -> Path:
    """The environment's folder. `make test` has installed it before; who runs pytest alone waits here once."""
    folder = CHECKOUT / f".venv-{name}"
    with _alone(name):
        stamp, wanted = folder / f"{name}.stamp", CHECKOUT / "requirements" / f"{name}.lock"
        if not stamp.exists() or stamp.stat().st_mtime < wanted.stat().st_mtime:
            subprocess.run(["sh", "requirements/install.sh", name], cwd=CHECKOUT, check=True)
    return folder


def node_installed() -> Path | None:
    """The folder of what Node runs; None where there is no Node."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return None
    with _alone("node"):
        stamp, wanted = NODE / "node_modules" / ".package-lock.json", NODE / "package-lock.json"
        if not stamp.exists() or stamp.stat().st_mtime < wanted.stat().st_mtime:
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
            subprocess.run(command, cwd=NODE, check=True)
    return NODE


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Workers of one suite, and suites beside it, do not install the same at once."""
    with (Path(tempfile.gettempdir()) / f"capstan-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
