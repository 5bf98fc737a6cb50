"""What callers know of their own calls, and whether a refusal can have been right. Amounts are picodollars."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

# A refusal may look back as long as its request was under way, which is never longer.
KEPT_S = 20.0


class Limit(NamedTuple):
    """In force from an instant on; kept low around a change, so that only what is surely wrong is called so."""

    at: float
    amount: int


@dataclass
class Account:
    limits: list[Limit]
    # Settled, and the most that calls under way can come to.
    committed: int = 0
    settled: int = 0
    history: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, amount: int) -> None:
        now = time.monotonic()
        self.committed += amount
        self.history.append((now, self.committed))
        while len(self.history) > 1 and self.history[1][0] < now - KEPT_S:
            self.history.popleft()

    def most_since(self, at: float) -> int:
        """The most that was committed at any moment since."""
        before = [amount for when, amount in self.history if when <= at]
        return max([*before[-1:], *(amount for when, amount in self.history if when > at), self.committed])

    def least_limit_since(self, at: float) -> int:
        before = [limit.amount for limit in self.limits if limit.at <= at]
        return min([*before[-1:], *(limit.amount for limit in self.limits if limit.at > at)])


class Tally:
    """By the names of accounts."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self.accounts: dict[str, Account] = defaultdict()
        for name, amount in limits.items():
            self.accounts[name] = Account([Limit(0.0, amount)])
        self.costs: dict[str, int] = {}
        # While a process is dead and nobody has taken over, what it held is out of reach.
        self.unreachable: list[tuple[float, float]] = []

    def limit_is(self, name: str, amount: int) -> None:
        self.accounts[name].limits.append(Limit(time.monotonic(), amount))

    def asked(self, names: Iterable[str], worst: int) -> None:
        for name in names:
            self.accounts[name].add(worst)

    def over(self, names: Iterable[str], worst: int, cost: int) -> None:
        for name in names:
            self.accounts[name].add(cost - worst)
            self.accounts[name].settled += cost

    def is_false(self, names: Iterable[str], need: int, began: float) -> bool:
        """Whether a call that needed so much was refused although the money was there all the time, in each account."""
        now = time.monotonic()
        if any(start <= now and end >= began for start, end in self.unreachable):
            return False
        return all(
            # What the refused call itself was counted with is taken out again.
            self.accounts[name].most_since(began) + need <= self.accounts[name].least_limit_since(began)
            for name in names
        )
