"""Where things stand on this machine: the data folder, the embedded servers' sockets, and the kept secret."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

# What sockaddr_un holds without its final zero byte: 108 bytes on Linux, 104 on macOS and the BSDs.
SOCKET_PATH_MAX = 107 if sys.platform == "linux" else 103
POSTGRES_SOCKET = ".s.PGSQL.5432"
VALKEY_SOCKET = "v.sock"

CHECKOUT = Path(__file__).resolve().parent.parent.parent


def data_dir() -> Path:
    """`CAPSTAN_DATA`, or a folder of this checkout's own: below /var/lib for root, below ~/.local/share for others.

    Root's PostgreSQL must run as another user, who has to reach its files; /var/lib is open to all already, so no
    folder above the data gets wider permissions.
    """
    named = os.environ.get("CAPSTAN_DATA", "").strip()
    if named:
        return Path(named).expanduser().resolve()
    tag = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:8]
    base = Path("/var/lib") if os.geteuid() == 0 else Path.home() / ".local" / "share"
    return base / "capstan" / tag


def make_folder(folder: Path) -> None:
    """Makes the data folder: ours alone, save that root's servers, being other users, may pass through it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700)


def run_dir() -> Path:
    """The supervisor's own notes: its lock and the list of its children."""
    return data_dir() / "run"


def postgres_dir() -> Path:
    """The embedded PostgreSQL's folder: its cluster, its log and, where the path is short enough, its socket."""
    return data_dir() / "pg"


def postgres_socket_dir() -> Path:
    return socket_dir(postgres_dir(), POSTGRES_SOCKET)


def valkey_dir() -> Path:
    return data_dir() / "valkey"


def valkey_socket() -> Path:
    return socket_dir(valkey_dir(), VALKEY_SOCKET) / VALKEY_SOCKET


def socket_dir(folder: Path, name: str) -> Path:
    """The folder itself, or a short private one when a socket `name` in it would pass the kernel's limit.

    The answer depends on the path alone, so that every process finds the same socket without asking.
    """
    if len(os.fsencode(folder / name)) <= SOCKET_PATH_MAX:
        return folder
    tag = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path("/tmp") / f"capstan-{os.geteuid()}-{tag}"  # noqa: S108 - made 0700 and its owner checked before use


def valkey_url() -> str:
    return f"redis+socket://{valkey_socket()}"


def kept_secret(name: str) -> str:
    """A random secret made once and kept in the data folder, readable by its owner alone."""
    path = data_dir() / name
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    make_folder(path.parent)
    made = secrets.token_urlsafe(48)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(made)
    return made


def database_settings(url: str) -> dict[str, Any]:
    """Django's DATABASES entry for `postgresql://user:password@host:port/name?option=…`, or the embedded server's.

    Raises ValueError, without repeating the URL, which may hold a password, when it is of another kind of database,
    names none, or its port is not a number.
    """
    base: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_HEALTH_CHECKS": True,
        "CONN_MAX_AGE": 60,
        "ATOMIC_REQUESTS": False,
    }
    if not url:
        return base | {"NAME": "capstan", "USER": "postgres", "HOST": str(postgres_socket_dir())}
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ValueError(f"it starts with {parts.scheme!r}, and Capstan needs PostgreSQL")
    if not parts.path.strip("/"):
        raise ValueError("it names no database")
    options = dict(parse_qsl(parts.query))
    return base | {
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", "") or parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
    }
