"""Sharing costs moves money and makes none; what no longer holds is undone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from finops.attribution import services as attribution
from finops.attribution.types import Method
from finops.connectors.types import Dimensions, GivenCost
from finops.ingest import services as ingest
from finops.ingest.services import allocate
from finops.ingest.services.allocate import SharedTwice
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.pricing.rules.terms import GivenRate
from finops.pricing.services import add_exchange_rates
from tests.factories.attribution import shared_draft, shared_rule
from tests.factories.ledger import THEN, Book, event, rows
from tests.factories.orgs import HOUSE, NOON, Cast

OCTOBER = date(2026, 10, 1)


def share(book: Book, month: date = OCTOBER) -> dict[str, Any]:
    job = ingest.open_allocation(organization_id=book.organization.id, month=month, by=HOUSE, at=book.now())
    claimed = jobs.claim(job_id=job.id, at=book.now())
    assert claimed is not None
    ingest.run_allocation(job=claimed, now=book.now)
    return dict(Job.objects.get(id=job.id).result)


def totals(book: Book, by: str = "currency") -> dict[Any, tuple[Decimal, Decimal]]:
    found = rows(
        f"SELECT {by}, sum(effective_cost), sum(reporting_cost) FROM ledger_charge WHERE organization_id = %s"
        f" GROUP BY {by} ORDER BY {by}",
        book.organization.id,
    )
    return {row[0]: row[1:] for row in found}


def euros_at_other_rates(book: Book) -> None:
    """Search's calls in euros on three days, and no rate for the first of the month."""
    days = [THEN + timedelta(days=n) for n in range(3)]
    rates = [GivenRate(day.date(), "EUR", "USD", Decimal("1.08") + Decimal(n) / 100) for n, day in enumerate(days)]
    add_exchange_rates(organization_id=book.organization.id, rates=rates, by=HOUSE, at=NOON)
    book.take(
        *(
            event(
                f"call-{n}",
                occurred_at=day,
                cost=GivenCost(10**12 + n, "EUR"),
                dimensions=Dimensions(team="search", project="" if n else "answers"),
            )
            for n, day in enumerate(days)
        )
    )


@pytest.mark.parametrize("percent", ["100", "33.3333"])
def test_both_sums_are_what_they_were(book: Book, cast: Cast, percent: str) -> None:
    euros_at_other_rates(book)
    before, by_team = totals(book), totals(book, "team_id")
    targets = {cast.chat.id: Decimal(percent)}
    fixed = shared_draft(pool={"team": (cast.search.id,)}, method=Method.FIXED, percentages=targets)
    shared_rule(book.organization.id, fixed)
    assert share(book)["changed"] > 0
    assert totals(book) == before
    after = totals(book, "team_id")
    if percent == "100":
        assert after == {cast.search.id: (0, 0), cast.chat.id: by_team[cast.search.id]}
    else:
        assert all(amount > 0 for pair in after.values() for amount in pair)
    assert share(book)["changed"] == 0
    assert book.disagreements() == []


def test_a_rule_that_ended_is_undone(book: Book, cast: Cast) -> None:
    euros_at_other_rates(book)
    before = totals(book, "team_id")
    even = shared_draft(pool={"team": (cast.search.id,)}, targets=(cast.chat.id,))
    rule = shared_rule(book.organization.id, even)
    share(book)
    assert totals(book, "team_id") != before
    attribution.retire_shared_cost_rule(
        organization_id=book.organization.id, rule_id=rule.id, retired_from=OCTOBER, by=HOUSE, at=book.now()
    )
    assert share(book)["changed"] > 0
    assert totals(book, "team_id") == before | {cast.chat.id: (0, 0)}
    assert share(book)["changed"] == 0
    assert book.disagreements() == []


def test_the_same_charges_are_not_given_away_twice(book: Book, cast: Cast) -> None:
    euros_at_other_rates(book)
    before = book.charges()
    part = {cast.chat.id: Decimal(60)}
    for name, pool in (("Search", {"team": (cast.search.id,)}), ("OpenAI", {"provider": ("openai",)})):
        fixed = shared_draft(pool=pool, method=Method.FIXED, percentages=part)
        shared_rule(book.organization.id, fixed, name=name)
    with pytest.raises(SharedTwice, match="Search, OpenAI"):
        share(book)
    assert book.charges() == before


def test_rules_whose_pools_are_apart_share_side_by_side(book: Book, cast: Cast) -> None:
    euros_at_other_rates(book)
    book.take(event("mini", provider="azure", dimensions=Dimensions(team="search")))
    before = totals(book)
    for provider in ("openai", "azure"):
        apart = shared_draft(pool={"provider": (provider,)}, targets=(cast.chat.id,))
        shared_rule(book.organization.id, apart, name=provider)
    share(book)
    assert totals(book) == before
    assert set(totals(book, "team_id")[cast.search.id]) == {Decimal(0)}


@pytest.fixture
def another_worker(book: Book) -> Iterator[Any]:
    """Somebody else who shares October just now; `close()` ends it."""
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"allocate:{book.organization.id}:{OCTOBER}"]
        )
    yield other
    other.close()


def waiting(book: Book, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(allocate, "_TURN_MS", 20)
    job = ingest.open_allocation(organization_id=book.organization.id, month=OCTOBER, by=HOUSE, at=book.now())
    claimed = jobs.claim(job_id=job.id, at=book.now())
    assert claimed is not None
    return claimed


def test_who_waits_for_another_worker_says_that_it_lives(
    book: Book, another_worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = waiting(book, monkeypatch)
    beats: list[datetime] = []

    def now() -> datetime:
        beat = Job.objects.get(id=job.id).beat_at
        assert beat is not None
        beats.append(beat)
        if len(beats) == 4:
            another_worker.close()
        return book.now()

    ingest.run_allocation(job=job, now=now)
    assert Job.objects.get(id=job.id).state == Job.State.DONE
    assert beats[:4] == sorted(set(beats[:4])), "each turn renewed it"


def test_a_job_that_waits_can_be_stopped(book: Book, another_worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = waiting(book, monkeypatch)
    jobs.request_stop(organization_id=book.organization.id, job_id=job.id, by=HOUSE, at=book.now())
    ingest.run_allocation(job=job, now=book.now)
    assert Job.objects.get(id=job.id).state == Job.State.STOPPED
