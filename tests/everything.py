"""`make test`: every check, cheapest first, each with its name and seconds; the first failure ends it.

Browser tests need Chromium. As root it is installed where it is missing; where it cannot be, the last line says loudly
what was not run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.factories.examples import FOLDER

PYTHON = [sys.executable, "-m"]
MANAGE = [sys.executable, "manage.py"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BIN = Path(sys.executable).parent

LINT: list[tuple[str, list[str]]] = [
    ("format", [*PYTHON, "ruff", "format", "--check", "--output-format", "concise", "."]),
    ("style", [*PYTHON, "ruff", "check", "--quiet", "."]),
    ("layers", [str(BIN / "lint-imports"), "--no-logo"]),
    ("dependencies", [*PYTHON, "deptry", "--no-ansi", "."]),
    ("types", [*PYTHON, "mypy", "--strict", "--no-error-summary"]),
    ("settings", [*MANAGE, "check", "--fail-level", "WARNING"]),
    # It would like to ask the database too; none needs to run for this.
    (
        "migrations",
        [sys.executable, "-W", "ignore::RuntimeWarning", "manage.py", "makemigrations", "--check", "--dry-run"],
    ),
]


def main(arguments: list[str]) -> int:
    # The settings keep a secret in the data folder; the one of the person who tests stays out of it.
    with tempfile.TemporaryDirectory(prefix="capstan-") as data:
        os.environ["CAPSTAN_DATA"] = data
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    for title, command in LINT:
        if not _passes(title, command):
            return 1
    if "--lint" in arguments:
        return 0
    browser = _browser()
    # By file, so that a room's tests share what they set up, in the order of tests/conftest.py.
    cores = os.cpu_count() or 1
    # One more than cores: part of what is tested is waiting.
    workers = ["-n", str(min(4, cores + 1)), "--dist", "loadfile", "--no-loadscope-reorder"] if cores > 1 else []
    skipped = [] if browser else ["--ignore", "tests/browser"]
    slowest = ["--durations", "15", "--durations-min", "5"]
    status = subprocess.call([*PYTHON, "pytest", "-q", *slowest, *workers, *skipped])
    if not FOLDER.is_dir():
        print("\n*** NOT RUN: tests on composed bodies. Name their folder in CAPSTAN_EXAMPLES. ***", file=sys.stderr)
    if not os.environ.get("CAPSTAN_TRACES") and not (Path.cwd().parent / "shared" / "data").is_dir():
        print("\n*** NOT RUN: tests on real usage traces. Name their folder in CAPSTAN_TRACES. ***", file=sys.stderr)
    if not browser:
        print(
            "\n*** NOT RUN: browser tests (tests/browser). No Chromium here; install it (apt-get install chromium) and "
            "run make test again. ***",
            file=sys.stderr,
        )
    return status


def _passes(title: str, command: list[str]) -> bool:
    began = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(f"{title:<14}{'ok' if done.returncode == 0 else 'FAILED':<8}{time.monotonic() - began:6.1f} s", flush=True)
    if done.returncode != 0:
        print(done.stdout, flush=True)
    return done.returncode == 0


def _browser() -> str | None:
    found = _find_browser()
    if found or os.geteuid() != 0 or not shutil.which("apt-get"):
        return found
    print("browser       installing Chromium with apt-get", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", "chromium"],
    ):
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"browser         {' '.join(command)} failed: {done.stderr.strip().splitlines()[-1:]}", flush=True)
    return _find_browser()


def _find_browser() -> str | None:
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
