"""`bench preventive`: keys blocked ahead of limits, and what that costs.

Twenty burns (`burns.py`), some seeds of each, play through the rules against a source that reports an hour late: how
many stay within their caps, and how much of the caps is left. And the task itself looks at 100,000 accounts in a
database, of which some are near their limits.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from bench import support
from bench.burns import Played, burns, play
from finops.budgets import enforcement
from finops.budgets.models import Enforceable
from finops.budgets.services.budgets import create_budget
from finops.budgets.services.planning import plan
from finops.budgets.types import Draft, Enforcement, Period
from finops.core.actors import system
from finops.ledger.services import ensure_months
from finops.orgs.models import Organization, Person
from finops.sources.models import Source
from finops.sources.services import add_source, set_access

NEAR: Final = 200
HISTORY_H: Final = 30
_BY: Final = system("bench")
_AT: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)


def run(parameters: dict[str, str], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys: kept (of 20, at worst), unused_share, overshoot_share, bound_held, plan_s; and what they were made of."""
    hours = float(parameters.get("hours", "48"))
    seeds = int(parameters.get("seeds", "5"))
    accounts = int(parameters.get("accounts", "100000"))
    by_way: dict[str, list[Played]] = defaultdict(list)
    kept = []
    for seed in range(1, seeds + 1):
        say(f"twenty burns, seed {seed}")
        played = [play(one) for one in burns(hours=hours, seed=seed)]
        kept.append(sum(one.share <= 1 for one in played))
        for one in played:
            by_way[one.name].append(one)
    say(f"{accounts} accounts, {NEAR} of them near their limits")
    with support.scratch_database():
        timed = _plan(accounts)
    every = [one for some in by_way.values() for one in some]
    return {
        "bench": "preventive",
        "kept": min(kept),
        "kept_by_seed": kept,
        "unused_share": round(sum(max(0.0, 1 - one.share) for one in every) / len(every), 3),
        "overshoot_share": round(max(max(0.0, one.share - 1) for one in every), 3),
        "bound_held": round(sum(one.held for one in every) / sum(one.bounds for one in every), 3),
        "ways": {name: _way(some) for name, some in by_way.items()},
        **timed,
        "hours": hours,
        "seeds": seeds,
        "accounts": accounts,
        **support.machine(),
    }


def _way(played: list[Played]) -> dict[str, float]:
    return {
        "unused": round(sum(max(0.0, 1 - one.share) for one in played) / len(played), 3),
        "over": round(max(max(0.0, one.share - 1) for one in played), 3),
        "blocks": round(sum(one.blocks for one in played) / len(played), 1),
    }


def _plan(accounts: int) -> dict[str, Any]:
    """The task, once with everything to be worked out and then as it is from then on."""
    organization_id, budget_id = _company(accounts)
    seconds = []
    for turn in range(4):
        began = time.perf_counter()
        planned = plan(every=timedelta(seconds=40), at=_AT + timedelta(seconds=20 * turn))
        seconds.append(time.perf_counter() - began)
        if not turn and planned.looked_at != NEAR:
            raise AssertionError(f"{planned.looked_at} accounts were looked at, and {NEAR} are near their limits")
    targets = enforcement.load_targets(organization_id, _AT)
    if len(targets.keys[budget_id]) != accounts:
        raise AssertionError(f"{len(targets.keys[budget_id])} subjects have keys")
    return {"first_plan_s": round(seconds[0], 2), "plan_s": round(min(seconds[1:]), 2), "near": NEAR}


def _company(accounts: int) -> tuple[int, int]:
    """People with a key and an account each, all of it open; those near have spent steadily for a day."""
    organization = Organization.objects.create(slug="bench", name="Bench")
    people = Person.objects.bulk_create(
        [Person(organization=organization, slug=f"p{number}", name=f"P {number}") for number in range(accounts)]
    )
    mine: dict[str, Any] = {"organization_id": organization.id, "by": _BY, "at": _AT}
    source = add_source(slug="anthropic", **mine)
    hour = timedelta(hours=1)
    set_access(source_id=source.id, connector="anthropic", credential="none", reporting_delay=hour, **mine)
    Enforceable.objects.bulk_create(
        Enforceable(
            organization=organization,
            source=source,
            external_id=f"apikey_{one.id:08d}",
            dimension="person",
            subject=str(one.id),
        )
        for one in people
    )
    draft = Draft(
        name="Each person, a month",
        limit_amount=Decimal(100),
        period=Period.MONTH,
        enforcement=Enforcement.HARD,
        each="person",
        timezone="UTC",
    )
    budget = create_budget(draft=draft, **mine)
    _spend(source, budget.id, [one.id for one in people])
    return organization.id, budget.id


def _spend(source: Source, budget_id: int, people: list[int]) -> None:
    """Accounts as they would have been opened: most with a third spent, those near with eighty of a hundred, and their
    charges of the last day.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO budgets_account (organization_id, budget_id, subject, starts_at, ends_at, limit_amount,"
            " ceiling, observed, opened_at) SELECT %s, %s, p.id::text, '2026-11-01+00', '2026-12-01+00', 100, 100,"
            " CASE WHEN p.id = ANY(%s) THEN 80 ELSE 33 END, now() FROM unnest(%s::int[]) AS p(id)",
            [source.organization_id, budget_id, people[:NEAR], people],
        )
        ensure_months([_AT.date().replace(day=1)])
        cursor.execute(
            "INSERT INTO ledger_charge (id, occurred_at, booked_at, organization_id, source_id, person_id, calls,"
            " list_cost, contracted_cost, effective_cost, reporting_cost, fx_rate, currency, reporting_currency,"
            " external_id)"
            " SELECT gen_random_uuid(), %s::timestamptz - n * interval '3 minutes', now(), %s, %s, p.id, 1,"
            " c.cost, c.cost, c.cost, c.cost, 1, 'USD', 'USD', p.id || '-' || n"
            " FROM unnest(%s::int[]) AS p(id), generate_series(20, %s) AS n, (SELECT 0.01::numeric AS cost) AS c",
            [_AT, source.organization_id, source.id, people[: NEAR * 5], HISTORY_H * 20],
        )
        cursor.execute("ANALYZE")
