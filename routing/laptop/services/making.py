"""One taking of a file: whose, by whom, when; what it changed, and what was refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypedDict

from finops.core.actors import Actor
from routing.laptop.errors import Mistakes

# One name whatever the file is called: by it the trail tells what the file made.
CONFIG: Final = Actor("config:capstan.toml", "capstan.toml")


class Who(TypedDict):
    by: Actor
    at: datetime


@dataclass(slots=True)
class Making:
    organization_id: int
    at: datetime
    mistakes: Mistakes = field(default_factory=Mistakes)
    # In words, for whoever saved the file.
    changes: list[str] = field(default_factory=list)

    @property
    def who(self) -> Who:
        return {"by": CONFIG, "at": self.at}

    def tell(self, change: str) -> None:
        self.changes.append(change)
