"""Providers that report what was used and what it cost: real HTTP, pages, and a truth of their own to compare with."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from tests.fakes.http import Asked, Fake

SECRET = "secret-of-the-tests"


class Truth(NamedTuple):
    """What one feed says in all: rows, every meter that is not 0, and picodollars by currency. Added up by the fake
    from what it made up, never by the parser under test.
    """

    rows: int
    counts: dict[str, int]
    pico: dict[str, int]


class Reporting(Fake):
    """Of one account. `fail(429, headers={"retry-after": "1"})` and `fail(200, body=b"<html>")` are answered first."""

    account: ClassVar[str]
    # What its feeds need besides a credential.
    settings: ClassVar[Mapping[str, str]] = {}
    # Feeds that say in money what is to be paid, and those that say the same a second time: nobody reads both.
    owing: ClassVar[tuple[str, ...]] = ()
    twins: ClassVar[Mapping[str, str]] = {}

    def __init__(self, *, until: datetime, days: int = 3) -> None:
        """Makes up `days` whole days of usage before midnight of `until`, always the same ones, in several pages."""
        self.until, self.days = until, days
        self.is_revoked = False
        self.credential = SECRET
        self.make()
        super().__init__()

    @abstractmethod
    def make(self) -> None: ...

    @abstractmethod
    def is_let_in(self, asked: Asked) -> bool:
        """By the header the provider looks at, and `credential`."""

    @abstractmethod
    def page(self, asked: Asked) -> tuple[int, Any]: ...

    @abstractmethod
    def truth(self, feed: str) -> Truth: ...

    @abstractmethod
    def revise(self) -> None:
        """Tell one figure of the last day otherwise than before, in every feed that can."""

    def owed(self) -> dict[str, int]:
        """What all of it comes to, in picodollars by currency."""
        found: Counter[str] = Counter()
        for feed in self.owing:
            found.update(self.truth(feed).pico)
        return dict(found)

    def revoke(self) -> None:
        self.is_revoked = True

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if self.is_revoked or not self.is_let_in(asked):
            return 401, {"error": {"type": "authentication_error", "message": "invalid key"}}
        return self.page(asked)
