"""Agents on a provider's machines: hours and gigabytes, at the price they are paid by."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from finops.connectors.managed_agents.parse import parse, record_of
from tests.factories.agents import bent, checked, dollars, meters, said

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def record(**changes: Any) -> bytes:
    told: dict[str, Any] = {
        "kind": "claude-session", "session": "sesn_01", "started_at": NOON, "quantity": Decimal(5400),
        "rate": Decimal("0.08"),
    }  # fmt: skip
    return record_of(**(told | changes))


def test_a_session_costs_its_hours_and_its_tokens_are_told_elsewhere() -> None:
    made = said(parse(record(account="wrkspc_01", agent="agent_01")))
    assert (made.provider, made.session, made.evidence, dollars(made)) == ("anthropic", "sesn_01", "estimated", "0.12")
    assert (meters(made), made.provider_account) == ({}, "wrkspc_01")
    assert dict(made.tags) == {"seconds": "5400", "agent_id": "agent_01"}


def test_a_sandbox_costs_its_gigabytes() -> None:
    made = said(parse(record(kind="openai-sandbox", session="sbx_1", quantity=Decimal("2.5"), rate=Decimal("0.03"))))
    assert (made.provider, dollars(made)) == ("openai", "0.075")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "lambda"}, "kind"),
        ({"session": ""}, "session"),
        ({"quantity": Decimal(-1)}, "quantity"),
        ({"rate": Decimal(-1)}, "rate"),
        ({"currency": "dollars"}, "rate"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], field: str) -> None:
    received = parse(record(**changes))
    assert received.problem is not None
    assert received.problem.field == field


@given(
    bent({"kind": "claude-session", "session": "s", "started_at": "2026-11-20T12:00:00Z", "quantity": "1", "rate": "1",
          "currency": "USD", "account": "a", "agent": "b"})
)  # fmt: skip
def test_anything_in_any_place_of_a_record(raw: bytes) -> None:
    checked(raw, parse)
