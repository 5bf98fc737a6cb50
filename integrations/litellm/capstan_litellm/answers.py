"""What Capstan answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class Unreachable(Exception):
    """Capstan gave no answer that means anything: not there, too slow, or not ready."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: dict[str, Any]
    retry_after: str = ""

    @property
    def code(self) -> str:
        found = self.body.get("code")
        return found if isinstance(found, str) else ""
