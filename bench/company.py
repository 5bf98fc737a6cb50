"""A company whose every call concerns four hard budgets, and whether its books are right afterwards."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Final, NamedTuple

# Far from every limit: near it, asking the database for each call is what is right.
LIMIT: Final = Decimal(1_000_000)


class Size(NamedTuple):
    teams: int
    projects: int
    people: int

    @property
    def accounts(self) -> int:
        return 1 + self.teams + self.projects + self.people


def found(size: Size, permission: str) -> tuple[int, str]:
    """The company's id, and the secret of a key that every call comes by. Nothing is published yet."""
    from django.utils import timezone

    from finops.budgets.rules.limits import BreakerDraft
    from finops.budgets.services.budgets import create_budget
    from finops.budgets.services.limits import set_breaker
    from finops.budgets.types import Draft, Enforcement, Period
    from finops.core.actors import system
    from finops.orgs.models import Organization, Person, Project, Team
    from finops.orgs.services import issue_key
    from finops.pricing.services import seed_price_book

    by, at = system("bench"), timezone.now()
    seed_price_book(by=by, at=at)
    org = Organization.objects.create(slug="bench", name="Bench")
    teams = Team.objects.bulk_create(
        [Team(organization=org, slug=f"t{n}", name=f"Team {n}") for n in range(size.teams)]
    )
    of = [teams[n % size.teams] for n in range(max(size.projects, size.people))]
    Project.objects.bulk_create(
        [Project(organization=org, slug=f"j{n}", name=f"Project {n}", team=of[n]) for n in range(size.projects)]
    )
    Person.objects.bulk_create(
        [Person(organization=org, slug=f"p{n}", name=f"Person {n}", team=of[n]) for n in range(size.people)]
    )
    for each in ("", "team", "project", "person"):
        draft = Draft(
            name=f"each {each}" if each else "all",
            limit_amount=LIMIT,
            period=Period.YEAR,
            enforcement=Enforcement.HARD,
            each=each,
        )
        create_budget(organization_id=org.id, draft=draft, by=by, at=at)
    # All of it comes by one key, faster than a key's breaker has it by default.
    for measure in ("calls_per_minute", "amount_per_minute"):
        off = BreakerDraft(dimension="key", measure=measure, threshold=None)
        set_breaker(organization_id=org.id, draft=off, by=by, at=at)
    return org.id, issue_key(organization_id=org.id, name="proxy", permissions=[permission], by=by, at=at).secret


def book(organization_id: int, calls: int) -> float:
    """Every call becomes a charge, and the accounts say what the ledger says. Gives the seconds that took."""
    from django.db import connection
    from django.utils import timezone

    from finops.budgets.services import fold_observed
    from finops.ingest.services import book_inbox

    began = time.perf_counter()
    booked = book_inbox(timezone.now())
    seconds = time.perf_counter() - began
    fold_observed()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), sum(reporting_cost) FROM ledger_charge WHERE organization_id = %s", [organization_id]
        )
        charges, cost = cursor.fetchone()
        cursor.execute(
            "SELECT sum(authorised + observed), sum(leased) FROM budgets_account WHERE organization_id = %s",
            [organization_id],
        )
        spent, leased = cursor.fetchone()
    if (booked, charges) != (calls, calls) or not cost or spent != 4 * cost or leased:
        raise AssertionError(f"{calls} calls, {booked} booked, {charges} charges of {cost}; accounts {spent}, {leased}")
    return seconds
