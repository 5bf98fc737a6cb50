"""Never over and never falsely refused: several gateways, random calls, crashes and changed limits, on the database.

The gateways are real `Leases` and the bank is the real database; only time and processes are imagined. What is checked
after every step is computed here from what was done, not read from what the product keeps.
"""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from finops.budgets import selectors
from finops.budgets.bank import Accounted, Want
from finops.budgets.hot import Leases
from finops.budgets.services import accounts
from finops.budgets.services.budgets import change_budget
from finops.budgets.services.leases import account_for, fold_observed, grant, register_holder
from finops.budgets.types import Account
from finops.core.money import from_pico
from tests.factories.budgets import budget
from tests.factories.ledger import AT
from tests.factories.orgs import HOUSE, Cast, the_cast

GATEWAYS = 3
# Picodollars: small, so that limits are met all the time.
LIMITS = (100, 60)


class Gateways(RuleBasedStateMachine):
    """Two budgets that every call concerns; three gateways that share them."""

    cast: Cast

    def __init__(self) -> None:
        super().__init__()
        self.limits = list(LIMITS)
        # The highest limit in force while money was given out: what may have been authorised under it stands.
        self.highest = list(LIMITS)
        self.budgets = [budget(self.cast.acme.id, str(from_pico(limit)), at=AT) for limit in LIMITS]
        self.accounts = [self._open(n) for n in range(len(LIMITS))]
        self.houses: list[tuple[UUID, Leases]] = []
        for n in range(GATEWAYS):
            holder = uuid4()
            register_holder(holder_id=holder, name=f"gateway-{n}", at=AT)
            self.houses.append((holder, Leases()))
        self.authorised = 0
        self.unposted: list[tuple[int, int]] = []
        self.observed = [0, 0]
        self.calls = 0

    def _open(self, n: int) -> int:
        row = self.budgets[n]
        account = Account(row.id, "", row.starts_at)
        wanted = [(selectors.terms_of(row), account)]
        return accounts.open_accounts(organization_id=row.organization_id, wanted=wanted, at=AT)[account]

    @rule(house=st.integers(0, GATEWAYS - 1), worst=st.integers(1, 40), most=st.integers(1, 40))
    def call(self, house: int, worst: int, most: int) -> None:
        holder, leases = self.houses[house]
        self.calls += 1
        name = f"call-{self.calls}"
        if not leases.hold(name, self.accounts, worst):
            return
        if self._granted(holder, leases, worst, most) and not leases.hold(name, self.accounts, worst):
            return
        self._recall(but=house)
        if self._granted(holder, leases, worst, worst) and not leases.hold(name, self.accounts, worst):
            return
        given = self.authorised + sum(hold.amount for _, one in self.houses for hold in one.holds.values())
        left = [limit - given - max(seen, 0) for limit, seen in zip(self.limits, self.observed, strict=True)]
        assert worst > min(left), "refused while the money was there"

    def _granted(self, holder: UUID, leases: Leases, worst: int, most: int) -> bool:
        wants = []
        for account in self.accounts:
            slot = leases.slot(account)
            lacking = worst - (slot.free if slot else 0)
            if lacking > 0:
                wants.append(Want(account, lacking, max(lacking, most)))
        answers = grant(holder_id=holder, wants=wants)
        for one in answers:
            leases.granted(one.account_id, one.granted)
        return all(one.granted for one in answers)

    def _recall(self, but: int) -> None:
        for n, (holder, leases) in enumerate(self.houses):
            if n == but:
                continue
            lines = [Accounted(account, 0, leases.give_back(account)) for account in self.accounts]
            lines = [line for line in lines if line.returned]
            if lines:
                account_for(holder_id=holder, lines=lines)

    @precondition(lambda self: any(leases.holds for _, leases in self.houses))
    @rule(part=st.floats(0, 1.3), pick=st.integers(0, 99))
    def settle(self, part: float, pick: int) -> None:
        house, name = self._some_call(pick)
        leases = self.houses[house][1]
        actual = int(leases.holds[name].amount * part)
        said = leases.settle(name, actual)
        self.authorised += said.spent
        self.unposted.append((house, said.spent))
        self._observe(said.beyond)

    @precondition(lambda self: any(leases.holds for _, leases in self.houses))
    @rule(pick=st.integers(0, 99))
    def void(self, pick: int) -> None:
        house, name = self._some_call(pick)
        self.houses[house][1].settle(name, 0)

    def _some_call(self, pick: int) -> tuple[int, str]:
        every = [(house, name) for house, (_, leases) in enumerate(self.houses) for name in leases.holds]
        return every[pick % len(every)]

    @precondition(lambda self: self.unposted)
    @rule()
    def post(self) -> None:
        house, spent = self.unposted.pop(0)
        account_for(holder_id=self.houses[house][0], lines=[Accounted(account, spent, 0) for account in self.accounts])

    @rule(amount=st.integers(-20, 30))
    def observe(self, amount: int) -> None:
        self._observe(amount)

    def _observe(self, amount: int) -> None:
        if not amount:
            return
        amounts = {(selectors.terms_of(row), Account(row.id, "", row.starts_at)): amount for row in self.budgets}
        accounts.observe(organization_id=self.cast.acme.id, amounts=amounts, at=AT)
        self.observed = [one + amount for one in self.observed]

    @rule()
    def fold(self) -> None:
        fold_observed()

    @rule(house=st.integers(0, GATEWAYS - 1))
    def crash(self, house: int) -> None:
        """A gateway dies with its memory. What it had settled is in its journal; whatever it held becomes worst case,
        and what was free comes back when it is adopted.
        """
        holder, leases = self.houses[house]
        for name in list(leases.holds):
            amount = leases.holds[name].amount
            leases.settle(name, amount)
            self.authorised += amount
            self.unposted.append((house, amount))
        lines = [Accounted(account, 0, leases.give_back(account)) for account in self.accounts]
        account_for(holder_id=holder, lines=[line for line in lines if line.returned])

    @rule(n=st.integers(0, 1), limit=st.integers(0, 150))
    def limit_changes(self, n: int, limit: int) -> None:
        change_budget(
            organization_id=self.cast.acme.id, budget_id=self.budgets[n].id, limit_amount=from_pico(limit), by=HOUSE,
            at=AT,
        )  # fmt: skip
        self.limits[n] = limit
        self.highest[n] = max(self.highest[n], limit)

    @invariant()
    def nothing_is_over(self) -> None:
        for n in range(len(LIMITS)):
            assert self.authorised <= self.highest[n]

    @invariant()
    def the_database_knows_what_the_gateways_know(self) -> None:
        for n, row in enumerate(selectors.accounts(self.cast.acme.id, self.accounts)):
            waiting = sum(spent for _, spent in self.unposted)
            in_hand = sum(slot.free + slot.held for _, leases in self.houses if (slot := leases.slot(row.id)))
            assert row.authorised == from_pico(self.authorised - waiting)
            assert row.leased == from_pico(in_hand + waiting)
            assert row.observed == from_pico(self.observed[n])
            assert row.limit_amount == from_pico(self.limits[n])

    def teardown(self) -> None:
        for row in self.budgets:
            row.archived_at = AT
            row.save()


@pytest.mark.django_db
def test_no_gateway_ever_passes_a_cap_or_refuses_while_the_money_is_there() -> None:
    class Acme(Gateways):
        cast = the_cast()

    run_state_machine_as_test(
        Acme,
        settings=settings(
            max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
