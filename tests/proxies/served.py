"""A real gateway over PostgreSQL, for the real LiteLLM to ask."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from tests.factories.gateway import published
from tests.proxies.running import Child, free_port, request
from tests.waiting import until


class Server:
    """A gateway process as it is deployed."""

    def __init__(self, folder: Path) -> None:
        published()
        self.port = free_port()
        self.log = folder / "gateway.log"
        granian = [sys.executable, "-m", "granian", "--interface", "asgi", "routing.gateway.asgi:app"]
        environment = {
            "DATABASE_URL": _database_url(),
            "CAPSTAN_SECRET_KEY": settings.SECRET_KEY,
            "CAPSTAN_JOURNAL": str(folder / "gateway"),
        }
        self.child = Child(
            [*granian, "--host", "127.0.0.1", "--port", str(self.port), "--no-ws"], self.log, environment
        )
        until(lambda: _answers(self.port))

    def end(self) -> None:
        self.child.process.terminate()
        self.child.end()


def _answers(port: int) -> bool:
    try:
        return request(port, "GET", "/readyz")[0] == 200
    except OSError:
        return False


def _database_url() -> str:
    parameters = connection.get_connection_params()
    user, password = quote(str(parameters.get("user") or "")), quote(str(parameters.get("password") or ""))
    host, port = str(parameters.get("host") or ""), parameters.get("port")
    name = parameters["dbname"]
    if host.startswith("/"):
        return f"postgresql://{user}@/{name}?host={quote(host, safe='')}"
    return f"postgresql://{user}:{password}@{host}:{port}/{name}"
