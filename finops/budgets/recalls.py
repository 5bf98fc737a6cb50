"""What of a process's leases others called home, which answers of the bank may be older than that, and what others
returned. No Django.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence

from finops.budgets.bank import Standing


class Recalls:
    """Not for use by two threads at once."""

    def __init__(self) -> None:
        # Perhaps their limit is lower now: what calls under way give free is not used again before the bank has said
        # that there is room.
        self.accounts: set[int] = set()
        self._numbers = itertools.count()
        # What was called home since each question that the bank is asked now.
        self._since: dict[int, set[int]] = {}

    def ask(self) -> int:
        """The bank is about to be asked; gives the question's number."""
        number = next(self._numbers)
        self._since[number] = set()
        return number

    def done(self, question: int) -> None:
        self._since.pop(question, None)

    def heard(self, accounts: Iterable[int], in_hand: Callable[[int], object]) -> None:
        """These were called home, of which some are in hand, and some may be on their way."""
        called = set(accounts)
        self.accounts.update(filter(in_hand, called))
        for since in self._since.values():
            since |= called

    def missed(self) -> None:
        """Nobody knows what was called home since the questions that are under way."""
        self._since.clear()

    def answered(self, question: int, standing: Standing, in_hand: Callable[[int], object]) -> None:
        """There is room again, unless the answer may be older than a recall."""
        since, account = self._since.get(question), standing.account_id
        if since is None or account in since:
            if in_hand(account):
                self.accounts.add(account)
        elif standing.free >= 0:
            self.accounts.discard(account)


class Returns:
    """Counts how often something came back, for whoever waits for it; any thread may use it."""

    def __init__(self) -> None:
        self._came = threading.Condition()
        self.count = 0

    def came(self, accounts: Sequence[int]) -> None:
        with self._came:
            self.count += 1
            self._came.notify_all()

    def more_than(self, seen: int, timeout_s: float) -> int:
        """Wait until there were more; gives how many by now."""
        with self._came:
            self._came.wait_for(lambda: self.count != seen, timeout_s)
            return self.count
