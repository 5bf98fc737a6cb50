"""Reading values that are sometimes objects of a library and sometimes plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Above this a count is a bug at the source; Capstan refuses it, and a refused settlement is a lost one.
MOST: Final = 10**12


def get(value: Any, name: str) -> Any:
    """A mapping's entry or an object's attribute; None where there is none."""
    if isinstance(value, Mapping):
        return value.get(name)
    return getattr(value, name, None)


def count(value: Any, name: str) -> int:
    """A whole number from 0; 0 where there is none or something else."""
    found = get(value, name)
    return min(found, MOST) if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0


def text(value: Any, name: str, most: int = 300) -> str:
    """Printable text of at most `most` characters; empty where there is something else."""
    found = get(value, name)
    return clean(found, most) if isinstance(found, str) else ""


def clean(said: str, most: int = 300) -> str:
    return "".join(letter for letter in said.strip() if letter.isprintable())[:most]
