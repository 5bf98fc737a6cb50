"""The web application as it is deployed, behind HTTP on the test's database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from tests.clients.serving import HERE, database_url
from tests.proxies.running import Child, ending, free_port, request
from tests.waiting import until


@contextmanager
def website(folder: Path) -> Iterator[str]:
    """Its address."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", HERE, "--port", str(port)]
    child = Child(
        [*command, "--workers", "1", "--log-level", "error", "finops.config.wsgi:application"],
        folder / "web.log",
        {
            "DATABASE_URL": database_url(),
            "CAPSTAN_SECRET_KEY": settings.SECRET_KEY,
            "CAPSTAN_HOSTS": HERE,
            "CAPSTAN_DATA": str(folder),
        },
    )

    def ready() -> bool:
        assert child.process.poll() is None, (folder / "web.log").read_text()[-3000:]
        try:
            return request(port, "GET", "/readyz")[0] == 200
        except OSError:
            return False

    with ending(_Ended(child)):
        until(ready, within_s=60)
        yield f"http://{HERE}:{port}"


class _Ended:
    def __init__(self, child: Child) -> None:
        self._child = child

    def end(self) -> None:
        self._child.process.terminate()
        self._child.end()
