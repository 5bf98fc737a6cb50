"""The programs a supervisor runs, as command lines, and whether they answer."""

from __future__ import annotations

import http.client
import os
import sys
from typing import Final, NamedTuple

from finops.runtime import places
from finops.runtime.supervisor import Program

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_CELERY: Final = (sys.executable, "-m", "celery", "--quiet", "--app", "finops.config.celery")


class Door(NamedTuple):
    """Where a program listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """As a person on this machine writes it."""
        shown = "localhost" if self.is_local else self.host
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}"

    @property
    def reachable(self) -> str:
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - every address, not a bind

    @property
    def is_local(self) -> bool:
        return self.reachable in LOOPBACK

    def answers(self, path: str) -> bool:
        web = http.client.HTTPConnection(self.reachable, self.port, timeout=10)
        try:
            web.request("GET", path, headers={"Host": "localhost"})
            return web.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            web.close()


def manage(*arguments: str) -> list[str]:
    return [sys.executable, os.fspath(places.CHECKOUT / "manage.py"), *arguments]


def level(verbosity: int) -> str:
    """Behind Ctrl-C a person reads what is told; with -v 2 everything is."""
    return "info" if verbosity > 1 else "warning"


def web(door: Door, gateway: Door, *, workers: int, told: str) -> Program:
    """The pages. They tell people where the gateway is: what somebody said goes before; where it listens everywhere,
    only they know by which name they came.
    """
    said = os.environ.get("CAPSTAN_GATEWAY_URL") or gateway.reachable != gateway.host
    known = {} if said else {"CAPSTAN_GATEWAY_URL": gateway.url}
    command = _granian("wsgi", door, workers, told, "finops.config.wsgi:application")
    return Program("web", command, environment=known)


def gateway(door: Door, *, told: str) -> Program:
    return Program("gateway", _granian("asgi", door, 1, told, "routing.gateway.asgi:app"))


def publish() -> Program:
    return Program("publish", manage("publish"))


def worker(name: str, queues: str, *pool: str, told: str, gateway: Door | None = None) -> Program:
    """A Celery worker; `pool` says how much it does at once. One that makes calls of models is told of the gateway, as
    this machine reaches it, where nobody said otherwise.
    """
    command = [*_CELERY, "worker", "--queues", queues, *pool, "--loglevel", told, "--without-gossip"]
    quiet = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser"} if os.geteuid() == 0 else {}
    command += ["--without-mingle", "--hostname", f"{'capstan' if name == 'worker' else name}@%h"]
    if gateway is not None and not os.environ.get("CAPSTAN_GATEWAY_URL"):
        quiet["CAPSTAN_GATEWAY_URL"] = Door(gateway.reachable, gateway.port).url
    return Program(name, command, patience_s=20.0, environment=quiet)


def beat(*, told: str) -> Program:
    return Program("beat", [*_CELERY, "beat", "--loglevel", told, "--pidfile="], patience_s=5.0)


def _granian(interface: str, door: Door, workers: int, told: str, app: str) -> list[str]:
    command = [sys.executable, "-m", "granian", "--interface", interface, "--host", door.host]
    command += ["--port", str(door.port), "--workers", str(workers), "--respawn-failed-workers"]
    return [*command, "--log-level", told, app]
