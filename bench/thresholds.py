"""`bench thresholds`: evaluating the thresholds of 100,000 accounts, as the schedule does every half minute.

One organization with a budget for each of 100,000 people, a week each, and one with thresholds for its teams. Every
account has spent something; `observed` rows that are not folded yet lie about. Timed are the first evaluation, in which
a twentieth of the accounts pass a threshold; the second, in which nothing is new; one in which every account passes
100 %; and sending what all of that makes, coalesced, to a channel that takes it at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from bench import support

AT = datetime(2026, 11, 18, 12, tzinfo=UTC)
WEEK = datetime(2026, 11, 16, tzinfo=UTC)
# A twentieth is past a threshold: spread evenly between 50 and 120 % of 200; the others are below 45 %.
_ACCOUNTS = """
INSERT INTO budgets_account (organization_id, budget_id, subject, starts_at, ends_at, limit_amount, ceiling, authorised,
    observed, opened_at)
SELECT %s, %s, n::text, %s, %s, 200, 200, (n %% 45), CASE WHEN n %% 20 = 0 THEN 100 + n %% 97 ELSE (n %% 45) END, %s
FROM generate_series(1, %s) AS n
"""
_UNFOLDED = """
INSERT INTO budgets_observed (organization_id, account_id, amount)
SELECT organization_id, id, 0.01 FROM budgets_account WHERE organization_id = %s AND id %% 10 = 0
"""
_ALL_OVER = "UPDATE budgets_account SET observed = 300 WHERE organization_id = %s"


def run(parameters: dict[str, str], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys: first_s, again_s, all_s, deliver_s; and how many incidents each made."""
    accounts = int(parameters.get("accounts", "100000"))
    with support.scratch_database(f"{support.SCRATCH}_thresholds"):
        organization_id, channel_id = _organization(accounts)
        say(f"{accounts} accounts")
        first_s, first = _timed(organization_id, AT)
        again_s, again = _timed(organization_id, AT + timedelta(seconds=30))
        over = _already_over()
        _execute(_ALL_OVER, [organization_id])
        all_s, everybody = _timed(organization_id, AT + timedelta(seconds=60))
        if first != accounts // 20 or again or everybody != accounts - over:
            raise AssertionError(f"{first}, {again} and {everybody} changed, of {accounts}")
        deliver_s, letters = _deliver(channel_id)
    return {
        "bench": "thresholds",
        "first_s": round(first_s, 3),
        "again_s": round(again_s, 3),
        "all_s": round(all_s, 3),
        "deliver_s": round(deliver_s, 3),
        "letters": letters,
        "accounts": accounts,
        "machine": support.machine(),
    }


def _organization(accounts: int) -> tuple[int, int]:
    from finops.alerts.services.channels import add_channel
    from finops.alerts.types import ChannelDraft
    from finops.budgets.services.budgets import create_budget
    from finops.budgets.types import Draft, Enforcement, Period
    from finops.core.actors import system
    from finops.orgs.services import create_organization

    who: dict[str, Any] = {"by": system("bench"), "at": WEEK}
    organization = create_organization(slug="bench", name="Bench", **who)
    draft = Draft(
        name="Each", limit_amount=Decimal(200), period=Period.WEEK, enforcement=Enforcement.HARD, each="person"
    )
    budget = create_budget(organization_id=organization.id, draft=draft, **who)
    made = add_channel(
        organization_id=organization.id,
        draft=ChannelDraft(name="Ops", kind="email", address="ops@example.com"),
        **who,
    )
    _execute(_ACCOUNTS, [organization.id, budget.id, WEEK, WEEK + timedelta(days=7), WEEK, accounts])
    _execute(_UNFOLDED, [organization.id])
    _execute("ANALYZE budgets_account, budgets_observed", [])
    return organization.id, made.channel.id


def _timed(organization_id: int, at: datetime) -> tuple[float, int]:
    from finops.alerts.services.thresholds import evaluate_thresholds

    began = time.perf_counter()
    changed = evaluate_thresholds(organization_id=organization_id, at=at)
    return time.perf_counter() - began, changed


def _deliver(channel_id: int) -> tuple[float, int]:
    """Until nothing waits any more."""
    from unittest import mock

    from finops.alerts import senders
    from finops.alerts.services.deliveries import deliver_to
    from finops.alerts.types import Outcome

    began, letters = time.perf_counter(), 0
    with mock.patch.object(senders, "send", return_value=Outcome()):
        while sent := deliver_to(channel_id=channel_id, now=lambda: AT + timedelta(minutes=2)):
            letters += sent
    return time.perf_counter() - began, letters


def _already_over() -> int:
    from finops.alerts.models import Incident

    return Incident.objects.filter(step=100).count()


def _execute(statement: str, parameters: list[Any]) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
