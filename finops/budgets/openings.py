"""Accounts that several calls need opened are asked for together: who comes while the bank is asked goes next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from uuid import UUID

from finops.budgets.types import Account, Terms

# An organization, and the token of the budgets that are known of it.
Whose = tuple[int, UUID | None]
# For each account its terms, and the most to lease of it.
Wanted = Mapping[Account, tuple[Terms, int]]


class _Opening:
    """What one call needs, and what became of it."""

    def __init__(self, whose: Whose, wanted: Wanted) -> None:
        self.whose = whose
        self.wanted = wanted
        self.found: Mapping[Account, int] = {}
        self.failed: Exception | None = None
        self.done = False


class Openings:
    """`ask` opens accounts and gives their ids; it is called by one thread at a time for each organization."""

    def __init__(self, ask: Callable[[Whose, Wanted], Mapping[Account, int]]) -> None:
        self._ask = ask
        self._changing = threading.Lock()
        self._waiting: list[_Opening] = []
        self._asking: dict[int, threading.Lock] = {}

    def open(self, whose: Whose, wanted: Wanted) -> dict[Account, int]:
        """Ids of accounts, as far as they could be opened. Raises what `ask` does."""
        organization_id = whose[0]
        mine = _Opening(whose, wanted)
        with self._changing:
            self._waiting.append(mine)
            alone = self._asking.setdefault(organization_id, threading.Lock())
        with alone:
            if not mine.done:
                with self._changing:
                    ours = [one for one in self._waiting if one.whose[0] == organization_id]
                    self._waiting = [one for one in self._waiting if one.whose[0] != organization_id]
                for token in {one.whose for one in ours}:
                    self._together(token, [one for one in ours if one.whose == token])
        if mine.failed is not None:
            raise mine.failed
        return {account: mine.found[account] for account in wanted if account in mine.found}

    def _together(self, whose: Whose, openings: list[_Opening]) -> None:
        wanted: dict[Account, tuple[Terms, int]] = {}
        for one in openings:
            for account, (terms, most) in one.wanted.items():
                wanted[account] = terms, wanted.get(account, (terms, 0))[1] + most
        found: Mapping[Account, int] = {}
        failed: Exception | None = None
        try:
            found = self._ask(whose, wanted)
        except Exception as error:  # noqa: BLE001 - it is raised for each who waits
            failed = error
        for one in openings:
            one.found, one.failed, one.done = found, failed, True
