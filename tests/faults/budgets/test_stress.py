"""Four gateway processes with many callers each, one of them killed: no cap is passed, and no money is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from finops.budgets.bank import Bank
from finops.budgets.desk import Allowed, Desk, Refused
from finops.budgets.rules.worst import Worst
from finops.budgets.selectors import terms_of
from finops.budgets.services import accounts
from finops.budgets.types import Account
from finops.core.money import from_pico, to_pico
from finops.runtime.places import CHECKOUT
from tests.factories.budgets import budget, database_address, standing
from tests.factories.ledger import AT, rows
from tests.factories.orgs import the_cast
from tests.waiting import until

PROCESSES = 4


@pytest.fixture
def desk(transactional_db: None) -> Iterator[Desk]:
    made = Desk(Bank(database_address(), uuid4(), "the last"))
    yield made
    made.close()


def _start(holder: UUID, account: int, callers: int, log: Path) -> subprocess.Popen[bytes]:
    parts = [database_address(), str(holder), str(account), str(callers)]
    command = [sys.executable, "-m", "tests.faults.budgets.caller", *parts]
    with log.open("wb") as file:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file, cwd=CHECKOUT)


def _spent(log: Path) -> int:
    """What calls came to, also of a process that was killed: a line is written before the call is settled."""
    lines = log.read_text().split("\n")[:-1]
    return sum(int(line.split()[1]) for line in lines if line.startswith("spent"))


def _run(tmp_path: Path, desk: Desk, *, limit: int, callers: int) -> None:
    cast = the_cast()
    cap = budget(cast.acme.id, str(from_pico(limit)), at=AT)
    wanted = [(terms_of(cap), Account(cap.id, "", cap.starts_at))]
    (account,) = accounts.open_accounts(organization_id=cast.acme.id, wanted=wanted, at=AT).values()
    holders = [uuid4() for _ in range(PROCESSES)]
    logs = [tmp_path / str(holder) for holder in holders]
    running = [_start(holder, account, callers, log) for holder, log in zip(holders, logs, strict=True)]
    try:
        # Whoever came first would else have spent all there is before the last one has started.
        until(lambda: all(log.read_text() == "ready\n" for log in logs))
        for process in running:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        until(lambda: _spent(logs[0]) > 0)
        running[0].kill()
        # The cap is met: all the others are refused.
        until(lambda: all("refused" in log.read_text() for log in logs[1:]))
        for process in running[1:]:
            process.communicate(timeout=100)
        assert [process.wait(120) for process in running] == [-9, 0, 0, 0]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    found = standing(cap, AT)
    authorised, leased = to_pico(found.authorised), to_pico(found.leased)
    assert authorised + leased <= limit
    assert sum(map(_spent, logs)) <= limit
    # Whoever ended in order has accounted for all it had; what the killed one has not is still leased to it, whole.
    assert rows("SELECT DISTINCT holder_id FROM budgets_lease WHERE amount > 0") in ([], [(holders[0],)])
    survivors = sum(map(_spent, logs[1:]))
    assert survivors <= authorised <= survivors + _spent(logs[0])
    assert _spent(logs[0]) <= authorised - survivors + leased
    left = limit - authorised - leased
    assert isinstance(desk.authorize("one too many", [account], Worst(left + 1, 0, 0, "USD")), Refused)
    if left:
        assert desk.authorize("the last", [account], Worst(left, 0, 0, "USD")) == Allowed(left, 0)


@pytest.mark.django_db(transaction=True)
def test_no_cap_is_passed_when_a_gateway_is_killed(tmp_path: Path, desk: Desk) -> None:
    _run(tmp_path, desk, limit=200_000, callers=8)


@pytest.mark.soak
@pytest.mark.django_db(transaction=True)
def test_nor_with_sixty_four_callers_in_each(tmp_path: Path, desk: Desk) -> None:
    _run(tmp_path, desk, limit=5_000_000, callers=64)
