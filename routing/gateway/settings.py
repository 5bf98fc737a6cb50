"""The gateway process's own settings, from the environment. Everything else is published (`routing.configuration`)."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final, NamedTuple

from psycopg.conninfo import make_conninfo

from finops.config import env
from finops.orgs.hot import hash_key
from finops.runtime import places

_SHORTEST_TOKEN: Final = 16


class Settings(NamedTuple):
    """`address` is the database's. `journals` holds one folder for each process; `reached_at` is where other gateway
    processes find this one: `unix:` and a folder for the sockets of one host, or `http://host:port`.
    """

    address: str
    hash_key: bytes
    journals: Path
    reached_at: str
    name: str
    # What credentials of upstreams are sealed under, the present one first; and hosts of our own they may be at.
    secrets: tuple[str, ...] = ()
    internal: frozenset[str] = frozenset()
    # Who may see figures from elsewhere than this machine: whoever has this; '' is nobody.
    metrics_token: str = ""
    # One line of the log for each call of a model: `line`, `json`, or '' for none.
    calls_logged: str = ""


def from_environment() -> Settings:
    """Raises finops.config.env.SettingInvalid."""
    folder = Path(env.text("CAPSTAN_JOURNAL") or places.data_dir() / "gateway")
    secret = env.secret("CAPSTAN_SECRET_KEY") or places.kept_secret("secret_key")
    return Settings(
        address=_address(os.environ.get("DATABASE_URL", "")),
        hash_key=hash_key(secret),
        journals=folder / "journals",
        reached_at=env.text("CAPSTAN_GATEWAY_PEERS") or f"unix:{places.socket_dir(folder, 'x' * 24)}",
        name=f"{socket.gethostname()}:{os.getpid()}",
        secrets=(secret, *env.words("CAPSTAN_FORMER_SECRET_KEYS", [])),
        internal=frozenset(env.words("CAPSTAN_INTERNAL_HOSTS", [])),
        metrics_token=_metrics_token(),
        calls_logged=("json" if logs_json() else "line") if env.boolean("CAPSTAN_LOG_CALLS", default=True) else "",
    )


def logs_json() -> bool:
    return env.boolean("CAPSTAN_LOG_JSON", default=False)


def log_level() -> str:
    return env.choice("CAPSTAN_LOG_LEVEL", "INFO", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])


def _metrics_token() -> str:
    token = env.secret("CAPSTAN_METRICS_TOKEN")
    if token and len(token) < _SHORTEST_TOKEN:
        raise env.SettingInvalid(f"CAPSTAN_METRICS_TOKEN cannot be used: it has under {_SHORTEST_TOKEN} characters.")
    return token


def _address(url: str) -> str:
    given = places.database_settings(url)
    known = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    options = {name: given[key] for name, key in known.items() if given.get(key)}
    return make_conninfo("", **options, **given.get("OPTIONS", {}))
