"""What calls lack is asked of the bank for all at once: while one question is under way, the next one gathers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from uuid import UUID

from finops.budgets.desk import Desk
from finops.budgets.hot import NOTHING, Need
from finops.budgets.types import Account, Terms
from routing.gateway.house import Concern, Concerned, House

# An organization, and the token of the budgets that are known of it.
Whose = tuple[int, UUID | None]
# Accounts that are remembered; one that is forgotten is asked for again.
REMEMBERED: Final = 500_000
# Organizations that are asked for at once.
_AT_ONCE: Final = 4


class _Question:
    """Accounts to open and accounts to lease more of, for all calls that wait for the answer."""

    def __init__(self) -> None:
        self.open: dict[Account, tuple[Terms, Need]] = {}
        self.more: dict[int, Need] = {}
        self.answered = asyncio.Event()
        self.failed: Exception | None = None


class Supply:
    """Opens accounts and leases more of them, for the event loop. Other threads may ask which accounts are known: they
    read one entry after another of a dictionary whose ids never change, and at worst miss one that was just opened.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._executor = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="supply")
        self._accounts: dict[Account, int] = {}
        # Questions that were put so far.
        self.questions = 0
        # The question that gathers, of each organization that one is under way for.
        self._next: dict[Whose, _Question | None] = {}
        self._serving: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        self._executor.shutdown()

    @property
    def waiting(self) -> int:
        """Organizations that a question is under way for."""
        return len(self._next)

    def account(self, account: Account) -> int:
        """Its id, 0 when it is not known to be open."""
        return self._accounts.get(account, 0)

    def ids(self, concerns: Sequence[Concern]) -> tuple[int, ...] | None:
        """Ids of accounts, None when not all are known to be open."""
        known = self._accounts
        accounts = tuple([known.get(one.account, 0) for one in concerns])
        return None if 0 in accounts else accounts

    def known(self, whose: Concerned) -> tuple[int, ...] | None:
        """As `ids`, remembered."""
        if whose.accounts is None:
            whose.accounts = self.ids(whose.concerns)
        return whose.accounts

    async def fetch(self, house: House, whose: Concerned, amount: int) -> bool:
        """Whether anything was asked for a call of this amount; it may be in hand now, or there was no room for it.

        Raises what the bank does.
        """
        accounts = self.known(whose)
        closed = [] if accounts is not None else [one for one in whose.concerns if not self.account(one.account)]
        known = accounts if accounts is not None else [n for one in whose.concerns if (n := self.account(one.account))]
        short = self._desk.lacking(known, amount)
        if not closed and not short:
            return False
        question = self._question((house.id, house.token))
        for one in closed:
            terms, need = question.open.get(one.account, (one.terms, NOTHING))
            question.open[one.account] = terms, need.and_also(amount)
        for account in short:
            question.more[account] = question.more.get(account, NOTHING).and_also(amount)
        await question.answered.wait()
        if question.failed is not None:
            raise question.failed
        return True

    def _question(self, whose: Whose) -> _Question:
        """The one that gathers."""
        serving = whose in self._next
        found = self._next.get(whose)
        if found is None:
            found = self._next[whose] = _Question()
        if not serving:
            task = asyncio.get_running_loop().create_task(self._serve(whose))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        return found

    async def _serve(self, whose: Whose) -> None:
        loop = asyncio.get_running_loop()
        while (question := self._next[whose]) is not None:
            self._next[whose] = None
            self.questions += 1
            try:
                opened = await loop.run_in_executor(self._executor, self._ask, whose, question)
                if len(self._accounts) > REMEMBERED:
                    self._accounts.clear()
                self._accounts.update(opened)
            except Exception as error:  # noqa: BLE001 - it is raised for each who waits
                question.failed = error
            question.answered.set()
        del self._next[whose]

    def _ask(self, whose: Whose, question: _Question) -> dict[Account, int]:
        if question.more:
            self._desk.top_up(question.more)
        return self._desk.open(*whose, question.open) if question.open else {}
