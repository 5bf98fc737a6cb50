"""Reads settings from the environment. Each has a default, a check and a hint that says how to mend it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


class SettingInvalid(Exception):
    """A setting in the environment that cannot be read. The message names it, what it holds and what is expected."""


def read(name: str, default: T, parse: Callable[[str], T], hint: str, *, shown: bool = True) -> T:
    """The setting `name` as `parse` makes it. Raises SettingInvalid; with `shown=False` without repeating a secret."""
    raw = os.environ.get(name)
    if raw is None:
        return default
    try:
        return parse(raw.strip())
    except ValueError as error:
        what = f"{name}={raw!r}" if shown else name
        raise SettingInvalid(f"{what} cannot be used: {error}. {hint}") from None


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def secret(name: str, default: str = "") -> str:
    """A secret from `NAME`, or from the file that `NAME_FILE` names (as container platforms mount them)."""
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return text(name, default)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingInvalid(f"{name}_FILE={path!r} cannot be read: {error.strerror}") from None


def boolean(name: str, *, default: bool) -> bool:
    def parse(raw: str) -> bool:
        lowered = raw.lower()
        if lowered in _TRUE:
            return True
        if lowered in _FALSE:
            return False
        raise ValueError("not a yes or no")

    return read(name, default, parse, "Set it to 1 or 0.")


def integer(name: str, default: int, *, low: int, high: int) -> int:
    def parse(raw: str) -> int:
        value = int(raw)
        if not low <= value <= high:
            raise ValueError("out of range")
        return value

    return read(name, default, parse, f"Set it to a whole number from {low} to {high}.")


def choice(name: str, default: str, options: Sequence[str]) -> str:
    def parse(raw: str) -> str:
        if raw not in options:
            raise ValueError("not a choice")
        return raw

    return read(name, default, parse, f"Set it to one of {', '.join(options)}.")


def words(name: str, default: list[str]) -> list[str]:
    return read(name, default, lambda raw: [word.strip() for word in raw.split(",") if word.strip()], "Use a,b,c.")
