"""Decides calls in memory against leases: no database, no Django, no clock. Microseconds, and never over.

The database gives a process slices of its accounts (leases). Within them the process decides alone: a call *holds* the
most it can cost in every account it concerns, and is settled to what it did cost. What was spent leaves the memory and
stays leased in the database until the ledger has the charge; only what was never promised goes back. So of every lease

    free + held here + spent and not yet in the ledger = what the database has as leased to this process

and nothing is ever promised twice. All amounts are whole picodollars of the organization's reporting currency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from finops.core.errors import FinopsError

# A slice is to last this long at the rate the account is spent at here, and more is asked for ahead when what is left
# would last less: so that calls go on while the database is away for a minute.
SLICE_SECONDS: Final = 90
LASTS_S: Final = 70
# And where no rate is known yet, for so many calls.
SLICE_CALLS: Final = 64
MOST_DOUBLED: Final = 6
# How long the rate is measured over.
PACE_S: Final = 10.0


class NotOpen(FinopsError):
    """There is no open hold of that id here: it was settled, voided, or never made."""

    code = "budgets.not_open"
    status = 404


class Slot:
    """One account as this process holds it: what of its lease is free and what is held. Beside it when it was last held
    against, what was spent since when, and how often it was leased; times are the caller's, in seconds.
    """

    __slots__ = ("asked", "free", "held", "since", "spent", "used")

    def __init__(self) -> None:
        self.free = 0
        self.held = 0
        self.used = 0.0
        self.since = 0.0
        self.spent = 0
        self.asked = 0

    def per_second(self, now: float) -> int:
        """What is spent a second, of late."""
        lasted = now - self.since
        pace = int(self.spent / max(lasted, 1.0))
        if lasted > PACE_S:
            self.since, self.spent = now, 0
        return pace


class Hold(msgspec.Struct, frozen=True, gc=False):
    """Money promised to one try of a call: the same amount in each of its accounts. `charged` is what was spent of it
    already, when the try broke off.
    """

    accounts: tuple[int, ...]
    amount: int
    charged: int = 0


class Settled(msgspec.Struct, frozen=True, gc=False):
    """What a try came to: `spent` of its hold, and what went `beyond` it, which is observed, never hidden."""

    accounts: tuple[int, ...]
    spent: int
    beyond: int


class Leases:
    """The leases of one process, and the holds on them. Not for use by two threads at once."""

    def __init__(self) -> None:
        self._slots: dict[int, Slot] = {}
        self._holds: dict[str, Hold] = {}

    def hold(
        self, call_id: str, accounts: Sequence[int], amount: int, *, charged: int = 0, now: float = 0.0
    ) -> list[int]:
        """Promise an amount in every account, or in none: gives the accounts that have too little (none: it is held).

        A call that is held already stays held as it was. `charged` was spent before, by who held it then.
        """
        if call_id in self._holds:
            return []
        # What costs nothing needs no lease.
        if amount:
            slots = self._slots
            short = [one for one in accounts if (slot := slots.get(one)) is None or slot.free < amount]
            if short:
                return short
            for account in accounts:
                slot = slots[account]
                slot.free -= amount
                slot.held += amount
                slot.used = now
        self._holds[call_id] = Hold(tuple(accounts), amount, charged)
        return []

    def settle(self, call_id: str, actual: int) -> Settled:
        """The try is over and cost `actual` in all; what it held beyond that is free again. Raises NotOpen.

        What was charged when it broke off stays charged: a lower figure is for the ledger to correct.
        """
        hold = self._holds.pop(call_id, None)
        if hold is None:
            raise NotOpen(f"no open authorization {call_id}")
        slots, amount = self._slots, hold.amount
        more = max(actual - hold.charged, 0)
        spent = min(more, amount)
        # What holds nothing may have no slot.
        for account in hold.accounts if amount else ():
            slot = slots[account]
            slot.held -= amount
            slot.free += amount - spent
            slot.spent += spent
            if not slot.free and not slot.held:
                del slots[account]
        return Settled(hold.accounts, spent, more - spent)

    def settle_part(self, call_id: str, estimate: int) -> Settled:
        """A try broke off: it is charged as estimated in all, and what is left stays held until its figure comes."""
        hold = self._holds.get(call_id)
        if hold is None:
            raise NotOpen(f"no open authorization {call_id}")
        more = max(estimate - hold.charged, 0)
        spent = min(more, hold.amount)
        for account in hold.accounts if hold.amount else ():
            self._slots[account].held -= spent
        self._holds[call_id] = Hold(hold.accounts, hold.amount - spent, hold.charged + spent)
        return Settled(hold.accounts, spent, more - spent)

    def granted(self, account: int, amount: int) -> None:
        """The database leased more."""
        slot = self._slots.get(account)
        if slot is None:
            slot = self._slots[account] = Slot()
        slot.free += amount
        slot.asked += 1

    def give_back(self, account: int) -> int:
        """Take what is free out of the lease, to be returned to the database; gives how much."""
        slot = self._slots.get(account)
        if slot is None:
            return 0
        amount, slot.free = slot.free, 0
        if not slot.held:
            del self._slots[account]
        return amount

    def slot(self, account: int) -> Slot | None:
        return self._slots.get(account)

    @property
    def slots(self) -> Mapping[int, Slot]:
        return self._slots

    @property
    def holds(self) -> Mapping[str, Hold]:
        return self._holds

    def idle(self, until: float) -> list[int]:
        """Accounts with money in hand that no open call is promised, last held against at `until` or before."""
        return [n for n, slot in self._slots.items() if slot.free and not slot.held and slot.used <= until]


class Need(NamedTuple):
    """What calls that wait need of an account now: the `largest` of them, and all together."""

    largest: int
    together: int

    def and_also(self, amount: int) -> Need:
        return Need(max(self.largest, amount), self.together + amount)


NOTHING: Final = Need(0, 0)


def slice_wanted(amount: int, *, per_second: int, asked: int = 0) -> int:
    """How much to ask for when a call needs `amount`: enough for a while at the present rate, and for some calls like
    this one, for twice as many each time the account has been `asked` for before. The bank gives less near the limit.
    """
    return max(amount * SLICE_CALLS << min(asked, MOST_DOUBLED), per_second * SLICE_SECONDS)
