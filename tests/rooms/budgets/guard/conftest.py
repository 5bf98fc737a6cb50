from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from finops.budgets.guard import Guard
from finops.budgets.guard_rules import load_guard_rules
from finops.budgets.pulse import Pulse
from tests.factories.budgets import database_address
from tests.factories.ledger import AT
from tests.factories.orgs import Cast, the_cast

Opens = Callable[[str], "Gateway"]


class Gateway:
    """One process's guard with its pulse, under the rules that hold when it is opened."""

    def __init__(self, cast: Cast, name: str) -> None:
        self.cut: list[str] = []
        self.guard = Guard(name)
        self.guard.rules_are(load_guard_rules(cast.acme.id, at=AT))
        self.pulse = Pulse(database_address(), self.guard, cut=lambda calls, _: self.cut.extend(calls))
        self.pulse.start()


@pytest.fixture
def gateway(transactional_db: None) -> Iterator[Opens]:
    opened: list[Gateway] = []

    def opens(name: str) -> Gateway:
        made = Gateway(cast, name)
        opened.append(made)
        return made

    cast = the_cast()
    yield opens
    for one in opened:
        one.pulse.close()
