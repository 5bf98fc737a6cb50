"""What calls lack is asked of the bank for all that wait, at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from finops.budgets.bank import Bank, Standing
from finops.budgets.types import Account, Period
from tests.factories.budgets import budget
from tests.factories.gateway import call
from tests.factories.orgs import Cast
from tests.rooms.gateway.conftest import Opens

CALLS = 40


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many accounts each question opened."""
    asked: list[int] = []
    really = Bank.open

    def counted(
        bank: Bank, organization_id: int, token: UUID | None, wanted: Mapping[Account, Any]
    ) -> dict[Account, Standing]:
        asked.append(len(wanted))
        return really(bank, organization_id, token, wanted)

    monkeypatch.setattr(Bank, "open", counted)
    return asked


def test_calls_that_come_at_once_open_their_accounts_together(
    cast: Cast, secret: str, gateways: Opens, openings: list[int], now: datetime
) -> None:
    budget(cast.acme.id, "10", at=now)
    budget(cast.acme.id, "10", at=now, each="session", period=Period.SESSION)
    gateway = gateways()
    bodies = [call(f"call-{n}", session=f"session-{n}") for n in range(CALLS)]
    begun = [gateway.begin(secret, "", body) for body in bodies]
    assert [one.result(20).status for one in begun] == [200] * CALLS
    assert len(openings) < CALLS / 4
    assert sum(openings) >= CALLS + 1


def test_what_cannot_be_opened_fails_for_each_who_waits_and_is_asked_for_anew(
    cast: Cast, secret: str, gateways: Opens, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    budget(cast.acme.id, "10", at=now)
    gateway = gateways()
    with monkeypatch.context() as broken:
        broken.setattr(Bank, "open", _broken)
        begun = [gateway.begin(secret, "", call(f"call-{n}")) for n in range(3)]
        assert [one.result(20).status for one in begun] == [500] * 3
    assert gateway.ask(secret, "", call("call-0")).status == 200


def _broken(*_: object) -> None:
    raise RuntimeError("the bank answers nonsense")
