"""Desks under limits that fall while calls hold money and others are asked for: nothing is promised beyond them.

The bank is imagined, and does what `budgets_grant` and `budgets_settle` do. Between its steps calls end and limits
change, as they do in other threads and processes.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID, uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from finops.budgets.bank import Accounted, Bank, Standing, Want
from finops.budgets.desk import Allowed, Desk
from finops.budgets.rules.worst import Worst

Hears = Callable[[list[int]], None]
ACCOUNTS = (1, 2)
DESKS = 2
LIMIT = 100


class Book:
    """What the database knows: limits, what was authorised, and what each holder has leased."""

    def __init__(self) -> None:
        self.limits = dict.fromkeys(ACCOUNTS, LIMIT)
        self.authorised = 0
        self.leases: dict[UUID, dict[int, int]] = defaultdict(lambda: dict.fromkeys(ACCOUNTS, 0))

    def leased(self, account: int) -> int:
        return sum(its[account] for its in self.leases.values())

    def free(self, account: int) -> int:
        return self.limits[account] - self.authorised - self.leased(account)


class Imagined(Bank):
    """One desk's side of the book. Who is called home hears it at once; `between` its steps others act."""

    def __init__(
        self, book: Book, between: Callable[[UUID], None], recall: Callable[[Sequence[int], Bank], None]
    ) -> None:
        self.holder_id = uuid4()
        self._book = book
        self._between = between
        self._recall = recall

    def listen(self, recalled: Hears, returned: Hears, listening: Callable[[], None]) -> None:
        self.recalled, self.listening = recalled, listening

    def grant(self, wants: Sequence[Want]) -> list[Standing]:
        self._between(self.holder_id)
        book, answers = self._book, []
        enough = all(not want.least or book.free(want.account_id) >= want.least for want in wants)
        for account, least, most in wants:
            free = book.free(account)
            granted = max(0, min(free, max(least, min(most, free // 8)))) if enough else 0
            book.leases[self.holder_id][account] += granted
            leased = book.leased(account)
            answers.append(Standing(account, granted, free - granted, book.limits[account], book.authorised, leased, 0))
        self._between(self.holder_id)
        return answers

    def account_for(self, lines: Sequence[Accounted]) -> None:
        self._between(self.holder_id)
        for account, _, returned in lines:
            self._book.leases[self.holder_id][account] -= returned
        self._between(self.holder_id)

    def recall(self, accounts: Sequence[int]) -> bool:
        others = [its for holder, its in self._book.leases.items() if holder != self.holder_id]
        found = any(its[account] for its in others for account in accounts)
        if found:
            self._recall(accounts, self)
        return found


class Limit(NamedTuple):
    """An account's limit becomes this; where nobody `heard` of it, they do not until they begin to listen anew."""

    account: int
    limit: int
    heard: bool


class Ends(NamedTuple):
    """One of a desk's calls ends, having cost so many hundredths of what it held."""

    pick: int
    part: int


LIMITS = st.builds(Limit, st.sampled_from(ACCOUNTS), st.integers(0, 150), st.booleans())
ENDS = st.builds(Ends, st.integers(0, 99), st.sampled_from([0, 10, 50, 100]))
MEANWHILE = st.lists(st.one_of(st.none(), ENDS, LIMITS), max_size=6)


class Desks(RuleBasedStateMachine):
    """Two accounts that every call concerns; two desks that share them."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.banks = [Imagined(self.book, self._act, self._call_home) for _ in range(DESKS)]
        # Nobody waits: every look at the clock is a second later.
        seconds = itertools.count()
        self.desks = [Desk(bank, clock=lambda: next(seconds)) for bank in self.banks]
        self.calls = itertools.count()
        self.meanwhile: list[Limit | Ends | None] = []
        # Of the steps that a decision takes: what was left, and which limits were in force.
        self.left: list[int] = []
        self.in_force: list[int] = []

    @rule(which=st.integers(0, DESKS - 1), worst=st.integers(1, 40), meanwhile=MEANWHILE)
    def call(self, which: int, worst: int, meanwhile: list[Limit | Ends | None]) -> None:
        self.meanwhile, self.left, self.in_force = meanwhile, [], []
        self._look()
        said = self.desks[which].authorize(f"call-{next(self.calls)}", ACCOUNTS, Worst(worst, 0, 0, "USD"))
        self.meanwhile = []
        if isinstance(said, Allowed):
            assert self._given() <= max(self.in_force), "allowed beyond the limits"
        else:
            assert worst > min(self.left), "refused while the money was there"

    @rule(which=st.integers(0, DESKS - 1), worst=st.integers(1, 40))
    def call_at_once(self, which: int, worst: int) -> None:
        if self.desks[which].at_once(f"call-{next(self.calls)}", ACCOUNTS, Worst(worst, 0, 0, "USD")):
            assert self._given() <= min(self.book.limits.values()), "allowed beyond the limits"

    @precondition(lambda self: self._holds())
    @rule(which=st.integers(0, DESKS - 1), ends=ENDS)
    def ends(self, which: int, ends: Ends) -> None:
        self._end(which, ends)

    @rule(limit=LIMITS)
    def limit_changes(self, limit: Limit) -> None:
        self._change(limit)

    @rule(which=st.integers(0, DESKS - 1))
    def gives_back(self, which: int) -> None:
        self.desks[which].give_back()

    def _act(self, asking: UUID) -> None:
        """Between two steps of a desk that asks the bank."""
        if not self.meanwhile:
            return
        rest, self.meanwhile = self.meanwhile, []
        act = rest.pop(0)
        if isinstance(act, Limit):
            self._change(act)
        elif isinstance(act, Ends):
            self._end([bank.holder_id for bank in self.banks].index(asking), act)
        self._look()
        self.meanwhile = rest

    def _look(self) -> None:
        lowest = min(self.book.limits.values())
        self.left.append(lowest - self._given())
        self.in_force.append(lowest)

    def _holds(self) -> list[int]:
        return [hold.amount for desk in self.desks for hold in desk._leases.holds.values()]

    def _given(self) -> int:
        return self.book.authorised + sum(self._holds())

    def _end(self, which: int, ends: Ends) -> None:
        names = list(self.desks[which]._leases.holds)
        if not names:
            return
        name = names[ends.pick % len(names)]
        amount = self.desks[which]._leases.holds[name].amount
        spent = self.desks[which].settle(name, amount * ends.part // 100).spent
        # The ledger has it at once.
        self.book.authorised += spent
        for account in ACCOUNTS:
            self.book.leases[self.banks[which].holder_id][account] -= spent

    def _change(self, limit: Limit) -> None:
        self.book.limits[limit.account] = limit.limit
        if limit.heard:
            self._call_home([limit.account])
        else:
            for bank in self.banks:
                bank.listening()

    def _call_home(self, accounts: Sequence[int], by: Bank | None = None) -> None:
        for bank in self.banks:
            if bank is not by:
                bank.recalled(list(accounts))

    @invariant()
    def the_book_knows_what_the_desks_know(self) -> None:
        for bank, desk in zip(self.banks, self.desks, strict=True):
            assert {n: amount for n, amount in self.book.leases[bank.holder_id].items() if amount} == desk.in_hand()


def test_nothing_is_promised_beyond_a_limit_that_fell_nor_refused_while_there_is_room() -> None:
    run_state_machine_as_test(
        Desks,
        settings=settings(
            max_examples=300, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
