"""Where one process decides its calls: from its leases, or by asking the bank for more. No Django.

A call that finds its money in hand never leaves memory. Otherwise the desk asks for a slice; where an account has too
little left it calls home what other processes have idle, for a quarter of a second; then it offers as much output as
the money affords; then it refuses, and says how the accounts stand.

While it waits it gives back what others call home: two desks that each have half of what each needs both return it, and
one of them gets it all.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from finops.budgets.bank import Accounted, Bank, Standing, Want
from finops.budgets.gate import Gate
from finops.budgets.hot import LASTS_S, SLICE_SECONDS, Leases, Need, Settled, slice_wanted
from finops.budgets.lines import Busy
from finops.budgets.recalls import Recalls, Returns
from finops.budgets.rules.worst import Worst
from finops.budgets.types import Account, Terms

RECALL_S: Final = 0.25
# How often less output is offered, should others be quicker to take what was left.
OFFERS: Final = 4
_IDLE_AT_ONCE: Final = 1_000
_FILLED_AT_ONCE: Final = 500
# The bank gives no more than an eighth of what is left, unless a call needs it.
_PLENTY: Final = 8
# How many calls that are over are remembered, for whoever asks again.
REMEMBERED: Final = 50_000


class Allowed(msgspec.Struct, frozen=True, gc=False):
    """The call may be made: `amount` is held, which bounds it to `output` tokens."""

    amount: int
    output: int


class Refused(NamedTuple):
    """The call may not be made. How the accounts stand that had too little, after all that could be called home."""

    short: tuple[Standing, ...]


# Writes down what a call came to.
Keep = Callable[[Settled], object]


def _pass(_: Settled) -> None:
    pass


class Desk:
    """Decides the calls of one process; its methods may be called by any thread."""

    def __init__(
        self, bank: Bank, *, clock: Callable[[], float] = time.monotonic, durable: Callable[[], None] = lambda: None
    ) -> None:
        """`durable` returns once all that was kept of calls that are over is (see `settle`)."""
        self._bank = bank
        self._durable = durable
        self._clock = clock
        self._leases = Leases()
        # Held for moments, around memory alone.
        self._memory = threading.Lock()
        # Each held by the one thread that asks for that account; who waited for it mostly finds what they need.
        self._asking: dict[int, threading.Lock] = {}
        self._returns = Returns()
        # How accounts stood when they were last heard of.
        self._standing: dict[int, Standing] = {}
        self._recalls = Recalls()
        self._called_home = self._recalls.accounts
        # What was answered, by call: whoever asks again gets the first answer, also for a while after the call is over.
        self._allowed: dict[str, Allowed] = {}
        self._over: deque[str] = deque()
        # Whether the bank may have done what it could not answer: it may have leased more to us than we know.
        self.in_doubt = False
        self._gate = Gate()
        bank.listen(self._recalled, self._returns.came, self._listening)

    def at_once(self, call_id: str, accounts: Sequence[int], worst: Worst) -> Allowed | None:
        """Hold the most a call can cost, if what is in hand suffices; never waits for the database."""
        with self._memory:
            return self._hold_now(call_id, accounts, Allowed(worst.amount, worst.output))

    def authorize(
        self, call_id: str, accounts: Sequence[int], worst: Worst, *, least_output: int = 1
    ) -> Allowed | Refused:
        """Hold the most a call can cost in every account it concerns. Where that is not there, less output is offered,
        down to `least_output` tokens. Asking again for the same call gives the first answer.
        """
        whole = Allowed(worst.amount, worst.output)
        said = self._said(call_id) or self._hold(call_id, accounts, whole)
        if said is None:
            with self._alone(accounts, whole.amount):
                said = self._ask(call_id, accounts, whole, generous=True)
        said = said or self._ask_all(call_id, accounts, whole)
        return said or self._offer(call_id, accounts, worst, least_output)

    def open(
        self, organization_id: int, token: UUID | None, wanted: Mapping[Account, tuple[Terms, Need]]
    ) -> dict[Account, int]:
        """Ids of accounts, opened where they are not, with a lease in hand for some calls where there is room for one:
        `wanted` gives the terms of each and what is needed of it. Nothing when `token` is not of the budgets in force
        any more.
        """
        most = {account: (terms, self._slice(0, need)) for account, (terms, need) in wanted.items()}
        with self._asking_bank() as question:
            found = self._bank.open(organization_id, token, most)
            with self._memory:
                self._take(question, found.values())
        return {account: standing.account_id for account, standing in found.items()}

    def lacking(self, accounts: Sequence[int], amount: int) -> list[int]:
        """Those that have too little in hand, where the bank has plenty as far as is known."""
        with self._memory:
            slots, heard = self._leases.slots, self._standing
            short = [one for one in accounts if (slot := slots.get(one)) is None or slot.free < amount]
            return [one for one in short if (known := heard.get(one)) is None or known.free >= amount * _PLENTY]

    def running_low(self) -> dict[int, Need]:
        """Accounts that would not last a minute at the rate they are spent at, should the bank be away, and that have
        plenty as far as is known; the ones that end first, some at a time.
        """
        now = self._clock()
        with self._memory:
            found = []
            for account, slot in self._leases.slots.items():
                pace = slot.per_second(now) if slot.held or slot.spent else 0
                known = self._standing.get(account)
                if not pace or known is None or account in self._called_home or slot.free >= pace * LASTS_S:
                    continue
                lacking = pace * SLICE_SECONDS - slot.free
                if known.free >= lacking * _PLENTY:
                    found.append((slot.free // pace, account, lacking))
        return {account: Need(1, lacking) for _, account, lacking in sorted(found)[:_FILLED_AT_ONCE]}

    def top_up(self, needs: Mapping[int, Need]) -> None:
        """Lease more of accounts, of each as far as there is room."""
        with self._asking_bank() as question:
            with self._memory:
                wants = [Want(one, 0, self._slice(one, need)) for one, need in sorted(needs.items())]
            granted = self._bank.grant(wants)
            with self._memory:
                self._take(question, granted)

    def adopt(self, call_id: str, accounts: Sequence[int], answer: Allowed, *, charged: int) -> None:
        """Take over a hold, whose money the bank has leased to this process already; `charged` was spent of it. Limits
        may have been lowered since it was made: what it gives free counts as called home.
        """
        with self._memory:
            for account in accounts:
                self._leases.granted(account, answer.amount - charged)
            self._leases.hold(call_id, accounts, answer.amount - charged, charged=charged)
            self._recalls.heard(accounts, self._leases.slot)
            self._allowed[call_id] = answer

    def settle_part(self, call_id: str, estimate: int, keep: Keep = _pass) -> Settled:
        """The call broke off: it is charged as estimated, and the rest stays held until its figure. Raises NotOpen."""
        with self._memory:
            said = self._leases.settle_part(call_id, estimate)
            keep(said)
            return said

    def held(self, call_id: str) -> tuple[int, int] | None:
        """What an open call holds, and what was charged of it already; None when it is not open here."""
        with self._memory:
            found = self._leases.holds.get(call_id)
            return (found.amount, found.charged) if found else None

    def settle(self, call_id: str, actual: int, keep: Keep = _pass) -> Settled:
        """The call is over and cost `actual`; `keep` writes that down before what it did not cost can leave this
        process. Raises NotOpen.
        """
        with self._memory:
            said = self._leases.settle(call_id, actual)
            keep(said)
            self._is_over(call_id)
            return said

    def void(self, call_id: str, keep: Keep = _pass) -> None:
        """The call never happened. Raises NotOpen."""
        with self._memory:
            keep(self._leases.settle(call_id, 0))
            self._is_over(call_id)

    def leased(self) -> dict[int, tuple[int, int]]:
        """What is free and held of each account."""
        with self._memory:
            return {account: (one.free, one.held) for account, one in self._leases.slots.items()}

    def standing(self, account: int) -> Standing | None:
        """How an account stood when it was last heard of; `free` includes what is in hand here."""
        with self._memory:
            known, slot = self._standing.get(account), self._leases.slot(account)
            return known and known._replace(free=known.free + (slot.free if slot else 0))

    def heard(self, accounts: Sequence[int]) -> tuple[Standing | None, ...]:
        """How accounts stood when they were last heard of."""
        return tuple(map(self._standing.get, accounts))

    def give_back(self, accounts: Sequence[int] | None = None) -> int:
        """Return what is free of these accounts (None: of all) to the bank; gives how many had any."""
        with self._asking_bank(giving=True):
            with self._memory:
                wanted = list(self._leases.slots) if accounts is None else accounts
                found = [(account, self._leases.give_back(account)) for account in wanted]
                self._forget_empty(wanted)
            lines = [Accounted(account, 0, amount) for account, amount in sorted(found) if amount]
            if lines:
                # Should we die now, whoever comes after us must not take it for held any more.
                self._durable()
                self._bank.account_for(lines)
            return len(lines)

    @contextmanager
    def standing_still(self) -> Iterator[bool]:
        """Nothing is asked of the bank meanwhile, so that memory and bank can be brought together; False when somebody
        still asks.
        """
        with self._gate.closed(timeout=RECALL_S) as closed:
            yield closed

    def in_hand(self) -> dict[int, int]:
        """What is free and held of each account. Call it where calls are settled, so that none is half settled."""
        with self._memory:
            return {n: one.free + one.held for n, one in self._leases.slots.items() if one.free or one.held}

    @contextmanager
    def _asking_bank(self, *, giving: bool = False) -> Iterator[int]:
        """Gives the number of the question (see `Recalls`)."""
        with self._gate.passing():
            with self._memory:
                question = self._recalls.ask()
            try:
                yield question
            except Exception as error:
                # Who was busy leased us nothing; what we were giving back is in nobody's hand.
                if giving or not isinstance(error, Busy):
                    self.in_doubt = True
                raise
            finally:
                with self._memory:
                    self._recalls.done(question)

    def give_back_idle(self, idle_s: float) -> int:
        """Return what is free of accounts that no call was held against for so long; gives how many there were."""
        until = self._clock() - idle_s
        with self._memory:
            idle = self._leases.idle(until)
        return self.give_back(idle[:_IDLE_AT_ONCE]) if idle else 0

    def close(self) -> None:
        """Return what is free, and hear no more. What is held, or spent and not yet in the ledger, stays leased."""
        self.give_back()
        self._bank.close()

    def _said(self, call_id: str) -> Allowed | None:
        with self._memory:
            return self._allowed.get(call_id)

    def _is_over(self, call_id: str) -> None:
        self._over.append(call_id)
        if len(self._over) > REMEMBERED:
            self._allowed.pop(self._over.popleft(), None)

    def _forget_empty(self, accounts: Iterable[int]) -> None:
        for account in accounts:
            if self._leases.slot(account) is None:
                self._standing.pop(account, None)
                self._called_home.discard(account)
                self._asking.pop(account, None)

    def _hold(self, call_id: str, accounts: Sequence[int], wanted: Allowed) -> Allowed | None:
        with self._memory:
            return self._hold_now(call_id, accounts, wanted)

    def _hold_now(
        self, call_id: str, accounts: Sequence[int], wanted: Allowed, *, given: Collection[int] = ()
    ) -> Allowed | None:
        """The answer, when the money is in hand; the first answer, when another thread was quicker with this call. What
        was called home holds no more money, but where the bank has just `given` what was lacking.
        """
        first = self._allowed.get(call_id)
        if first is not None:
            return first
        if self._called_home and wanted.amount and self._called_home.intersection(accounts).difference(given):
            return None
        if self._leases.hold(call_id, accounts, wanted.amount, now=self._clock()):
            return None
        self._allowed[call_id] = wanted
        return wanted

    def _ask(self, call_id: str, accounts: Sequence[int], wanted: Allowed, *, generous: bool) -> Allowed | None:
        """Hold it, with more from the bank if need be."""
        said = self._hold(call_id, accounts, wanted)
        if said is not None:
            return said
        with self._memory:
            called_home = self._called_home.intersection(accounts)
        if called_home:
            self.give_back(sorted(called_home))
        with self._asking_bank() as question:
            granted = self._bank.grant(self._wants(accounts, wanted.amount, generous=generous))
            # Held before anybody can call it home again.
            with self._memory:
                self._take(question, granted)
                given = {one.account_id for one in granted if one.granted}
                return self._hold_now(call_id, accounts, wanted, given=given)

    def _take(self, question: int, granted: Iterable[Standing]) -> None:
        for one in granted:
            if one.granted:
                self._leases.granted(one.account_id, one.granted)
            self._standing[one.account_id] = one
            self._recalls.answered(question, one, self._leases.slot)

    @contextmanager
    def _alone(self, accounts: Sequence[int], amount: int) -> Iterator[None]:
        """While no other thread asks for the accounts that are short."""
        with self._memory:
            short = {one for one in accounts if (slot := self._leases.slot(one)) is None or slot.free < amount}
            locks = [self._asking.setdefault(one, threading.Lock()) for one in sorted(short)]
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            yield

    def _wants(self, accounts: Sequence[int], amount: int, *, generous: bool) -> list[Want]:
        """What a call lacks; of what was called home all of it, for what is free of that is not ours to give."""
        wants = []
        with self._memory:
            for account in accounts:
                slot = self._leases.slot(account)
                lacking = amount - (slot.free if slot and account not in self._called_home else 0)
                if lacking > 0:
                    most = self._slice(account, Need(lacking, lacking)) if generous else lacking
                    wants.append(Want(account, lacking, most))
        return wants

    def _slice(self, account: int, need: Need) -> int:
        slot = self._leases.slot(account)
        asked, pace = (slot.asked, slot.per_second(self._clock())) if slot else (0, 0)
        return max(need.together, slice_wanted(need.largest, per_second=pace, asked=asked))

    def _ask_all(self, call_id: str, accounts: Sequence[int], wanted: Allowed) -> Allowed | None:
        """Call home what others have idle, and try again as it comes, for a quarter of a second. Nobody else's call
        waits for that.
        """
        deadline = self._clock() + RECALL_S
        seen = self._returns.count
        if not self._bank.recall(accounts):
            return self._ask(call_id, accounts, wanted, generous=False)
        while True:
            seen = self._returns.more_than(seen, max(0.0, deadline - self._clock()))
            said = self._ask(call_id, accounts, wanted, generous=False)
            if said is not None or self._clock() >= deadline:
                return said

    def _offer(self, call_id: str, accounts: Sequence[int], worst: Worst, least_output: int) -> Allowed | Refused:
        """As much output as the money affords, or a refusal."""
        standing: list[Standing] = []
        free: list[int] = []
        for _ in range(OFFERS):
            standing = self._bank.grant([Want(account, 0, 0) for account in accounts])
            with self._memory:
                slots = self._leases.slots
                free = [one.free + (slots[one.account_id].free if one.account_id in slots else 0) for one in standing]
            affordable = worst.affordable(min(free)) if len(free) == len(accounts) else -1
            if affordable < min(least_output, worst.output):
                break
            less = Allowed(worst.fixed + worst.per_output * affordable, affordable)
            said = self._ask(call_id, accounts, less, generous=False)
            if said is not None:
                return said
        return Refused(tuple(one for one, left in zip(standing, free, strict=True) if left < worst.amount))

    def _recalled(self, accounts: list[int]) -> None:
        with self._memory:
            self._recalls.heard(accounts, self._leases.slot)
        self.give_back(accounts)

    def _listening(self) -> None:
        """What was called home from now on is heard; before, limits may have been lowered."""
        with self._memory:
            self._recalls.missed()
            in_hand = sorted(self._leases.slots)
        if over := self._bank.over(in_hand):
            self._recalled(over)
