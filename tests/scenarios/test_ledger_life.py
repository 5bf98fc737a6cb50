"""A month of acme's ledger, from the first call to the close, and at its end everything ties out."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from finops.attribution.types import Method
from finops.connectors.types import Dimensions, GivenCost
from finops.core.periods import DayRange
from finops.ingest import services as ingest
from finops.ingest.types import Status
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.ledger.selectors import spend
from finops.ledger.services import fold_all, settle_days
from finops.ledger.types import SpendQuestion
from finops.pricing.services import Agreed, add_custom_model, set_discount
from tests.factories.attribution import draft, rule, shared_draft, shared_rule
from tests.factories.ledger import THEN, Book, event, small_book
from tests.factories.orgs import HOUSE, Cast, the_cast
from tests.factories.pricing import counts, steps

OCTOBER = DayRange(date(2026, 10, 1), date(2026, 11, 1))
# From the 14th of October to the 29th.
DAYS = 16
# A million tokens at list price.
CALL = Decimal(10)


@pytest.fixture
def cast(db: None) -> Cast:
    small_book()
    return the_cast()


def by_team(book: Book) -> dict[int, Decimal]:
    question = SpendQuestion(book.organization.id, OCTOBER, group_by=("team",))
    return {row.values[0]: row.effective_cost for row in spend(question)}


def work(book: Book, job: Job) -> dict[str, int]:
    claimed = jobs.claim(job_id=job.id, at=book.now())
    assert claimed is not None
    (ingest.run_allocation if job.kind == ingest.ALLOCATE else ingest.run_rework)(job=claimed, now=book.now)
    result: dict[str, int] = Job.objects.get(id=job.id).result
    return result


def rework(book: Book, kind: str) -> dict[str, int]:
    job = ingest.open_rework(organization_id=book.organization.id, kind=kind, period=OCTOBER, by=HOUSE, at=book.now())
    return work(book, job)


def test_a_month_ties_out(cast: Cast) -> None:
    book, acme = Book(cast.acme), cast.acme.id
    million = counts(input_uncached=1_000_000)
    for day in range(DAYS):
        when = THEN + timedelta(days=day)
        chat = Dimensions(team="chat")
        said: dict[str, dict[str, Any]] = {
            "bob": {"identities": (("email", "bob@acme.example"),)},
            "chat": {"dimensions": chat, "provider_request_id": f"req_{day}"},
            "job": {"tags": (("job", "nightly"),)},
            "own": {"dimensions": chat, "model": "ours-7b"},
        }
        batch = [event(f"{name}-{day}", occurred_at=when, counts=million, **more) for name, more in said.items()]
        assert book.take(*batch) == [Status.CHARGED] * 4
        # The network was bad: the gateway sends it again, and the tool saw one of the calls too.
        assert book.take(*batch) == [Status.DUPLICATE] * 4
        seen = event(f"tool-{day}", occurred_at=when, provider_request_id=f"req_{day}")
        assert book.take(seen, source="tools") == [Status.SIGHTED]
        if day % 5 == 0:
            fold_all()
            settle_days(organization_id=acme)
    assert by_team(book) == {0: DAYS * CALL, cast.search.id: DAYS * CALL, cast.chat.id: DAYS * CALL}

    # Finance: half price was agreed for the whole month, and our own model has a price now.
    half = Agreed(provider="openai", effective_from=OCTOBER.start)
    set_discount(organization_id=acme, about=half, percent=Decimal(50), by=HOUSE, at=book.now())
    ours = Agreed(provider="openai", model="ours-7b", effective_from=OCTOBER.start)
    prices = [steps(input_uncached="2", requests="0")]
    add_custom_model(organization_id=acme, about=ours, steps=prices, by=HOUSE, at=book.now())
    assert rework(book, ingest.RERATE)["changed"] == 4 * DAYS
    assert by_team(book) == {0: DAYS * CALL / 2, cast.search.id: DAYS * CALL / 2, cast.chat.id: DAYS * (CALL / 2 + 2)}

    # The nightly job turns out to be Search's.
    rule(acme, draft(("tag:job", "is", ("nightly",)), team=cast.search.id), at=book.now())
    assert rework(book, ingest.REATTRIBUTE)["changed"] == DAYS
    assert by_team(book) == {cast.search.id: DAYS * CALL, cast.chat.id: DAYS * (CALL / 2 + 2)}

    # The support contract is nobody's, and everybody's.
    support = event(
        "support", occurred_at=THEN, provider="ops", model="", category="Purchase", counts=counts(),
        cost=GivenCost(100_000_000_000_000, "USD"),
    )  # fmt: skip
    assert book.take(support) == [Status.CHARGED]
    teams = (cast.search.id, cast.chat.id)
    shared_rule(acme, shared_draft(pool={"provider": ("ops",)}, method=Method.EVEN, targets=teams), at=book.now())
    before = book.total()
    job = ingest.open_allocation(organization_id=acme, month=OCTOBER.start, by=HOUSE, at=book.now())
    work(book, job)
    assert book.total() == before
    shared = {team: cost for team, cost in by_team(book).items() if cost}
    assert shared == {cast.search.id: DAYS * CALL + 50, cast.chat.id: DAYS * (CALL / 2 + 2) + 50}

    # Bob leaves and asks to be forgotten: the month is what it was.
    ingest.erase_person(organization_id=acme, person_id=cast.bob.id, by=HOUSE, at=book.now())
    assert rework(book, ingest.REATTRIBUTE)["changed"] == 0
    fold_all()
    settle_days(organization_id=acme)
    assert {team: cost for team, cost in by_team(book).items() if cost} == shared
    assert book.disagreements() == []
