"""Reads a capstan.toml, and the credentials it names."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from routing.laptop.errors import FileInvalid, SaidWrong
from routing.laptop.rules import wanted
from routing.laptop.types import Said, UpstreamSaid, Wanted

LONGEST_FILE: Final = 2**20
_LONGEST_CREDENTIAL: Final = 16 * 2**10
_PLACE: Final = re.compile(r" - at `\$\.?(.*)`\Z")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.+)`")
_MISSING: Final = re.compile(r"Object missing required field `(.+)`")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
# What somebody writes who would write the credential itself.
_SECRET: Final = re.compile(r"(?i)credential|(api_?)?key|secret|token|password")


def read(path: Path, *, environment: Mapping[str, str], internal: Collection[str]) -> Wanted:
    """What the file at `path` asks for. Raises FileInvalid, with every mistake and its place in the file."""
    said = _said(_text(path))

    def credential(one: UpstreamSaid) -> str:
        return _credential(one, path.parent, environment)

    return wanted(said, credential=credential, internal=internal)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LONGEST_FILE + 1)
        if len(raw) > LONGEST_FILE:
            raise FileInvalid([f"{path.name} is larger than 1 MiB"])
        return raw.decode()
    except OSError as error:
        raise FileInvalid([f"{path.name} cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise FileInvalid([f"{path.name} is not UTF-8 text"]) from None


def _said(text: str) -> Said:
    try:
        tables = tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FileInvalid([f"not TOML: {error}"]) from None
    try:
        return msgspec.convert(tables, Said)
    except msgspec.ValidationError as error:
        raise FileInvalid([_shape(str(error), tables)]) from None


def _shape(told: str, tables: Mapping[str, Any]) -> str:
    """What does not have the file's shape, with its place first."""
    if not tables:
        return "upstreams: name one at least: [[upstreams]] with a preset, or with a base_url"
    found = _PLACE.search(told)
    place, message = (found[1], told[: found.start()]) if found else ("", told)
    if unknown := _UNKNOWN.match(message):
        place, message = _join(place, unknown[1]), "there is no such field"
        if _SECRET.fullmatch(unknown[1]):
            message = "a credential is named, never written: credential_env or credential_file"
    elif missing := _MISSING.match(message):
        place, message = _join(place, missing[1]), "is needed"
    message = message.replace("`", "").replace("Expected", "expected")
    return f"{place}: {message}" if place else message


def _join(place: str, field: str) -> str:
    return f"{place}.{field}" if place else field


def _credential(said: UpstreamSaid, folder: Path, environment: Mapping[str, str]) -> str:
    if said.credential_env:
        if not _VARIABLE.fullmatch(said.credential_env):
            raise SaidWrong("the name of a variable, never the credential itself", field="credential_env")
        found = environment.get(said.credential_env, "").strip()
        if not found:
            raise SaidWrong(f"{said.credential_env} is not set where Capstan was started", field="credential_env")
        return found
    if not said.credential_file:
        return ""
    try:
        with (folder / Path(said.credential_file).expanduser()).open("rb") as file:
            return file.read(_LONGEST_CREDENTIAL).decode().strip()
    except OSError as error:
        raise SaidWrong(f"it cannot be read: {error.strerror}", field="credential_file") from None
    except (ValueError, RuntimeError):
        raise SaidWrong("it is no file of text", field="credential_file") from None
