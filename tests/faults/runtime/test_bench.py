"""`manage.py bench` with nothing running: it starts what it needs, and leaves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from finops.runtime.places import CHECKOUT


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_a_benchmark_runs_on_a_machine_with_nothing_running(empty_data: Path) -> None:
    own = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    ran = subprocess.run(
        [sys.executable, "manage.py", "bench", "ingest", "--json", "--set", "events=2000"],
        cwd=CHECKOUT,
        env=own | {"CAPSTAN_DATA": str(empty_data)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1])["ratio"] > 0
    assert not [
        one for one in psutil.process_iter(["cmdline"]) if str(empty_data) in " ".join(one.info["cmdline"] or [])
    ]
