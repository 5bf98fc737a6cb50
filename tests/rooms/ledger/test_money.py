"""Money goes through the corridor and the database to the picodollar, in whatever currency it was spent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from finops.connectors.registry import reparse
from finops.connectors.types import GivenCost
from finops.core.periods import DayRange
from finops.ingest import services as ingest
from finops.ingest.models import QuarantinedRecord
from finops.ingest.types import Received, Status
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.ledger.selectors import spend
from finops.ledger.services import fold_all
from finops.ledger.types import SpendQuestion
from finops.pricing.rules.terms import GivenRate
from finops.pricing.services import Agreed, add_custom_model, add_exchange_rates, set_discount
from tests.factories.ledger import AT, THEN, Book, event, rows
from tests.factories.orgs import HOUSE
from tests.factories.pricing import counts, steps

OCTOBER = DayRange(date(2026, 10, 1), date(2026, 11, 1))
_DAY = THEN.date()
COSTS = "list_cost, contracted_cost, effective_cost, billed_cost, reporting_cost"


def rework(book: Book, kind: str) -> Job:
    job = ingest.open_rework(organization_id=book.organization.id, kind=kind, period=OCTOBER, by=HOUSE, at=book.now())
    claimed = jobs.claim(job_id=job.id, at=book.now())
    assert claimed is not None
    ingest.run_rework(job=claimed, now=book.now)
    return Job.objects.get(id=job.id)


def euro(book: Book, rate: str, day: date = _DAY) -> None:
    add_exchange_rates(
        organization_id=book.organization.id,
        rates=[GivenRate(day, "EUR", "USD", Decimal(rate))],
        by=HOUSE,
        at=book.now(),
    )


def test_one_token_is_not_rounded_away(book: Book) -> None:
    about = Agreed(provider="own", model="tiny", effective_from=date(2026, 1, 1))
    add_custom_model(
        organization_id=book.organization.id,
        about=about,
        steps=[steps(input_uncached="0.000001", requests="0")],
        by=HOUSE,
        at=book.now(),
    )
    book.take(*[event(f"n-{n}", provider="own", model="tiny", counts=counts(input_uncached=1)) for n in range(7)])
    assert book.charges(COSTS) == [(*[Decimal("0.000000000001")] * 3, None, Decimal("0.000000000001"))] * 7
    fold_all()
    (row,) = spend(SpendQuestion(book.organization.id, OCTOBER))
    assert row.effective_cost == Decimal("0.000000000007")
    assert book.disagreements() == []


def test_the_largest_charges_still_add_up(book: Book) -> None:
    most = GivenCost(10**24 - 1, "USD")
    assert book.take(*[event(f"n-{n}", cost=most) for n in range(5)]) == [Status.CHARGED] * 5
    (beyond,) = book.outcomes(event("beyond", cost=GivenCost(10**24, "USD")))
    assert beyond.problem is not None
    assert beyond.problem.code == "ingest.cost_out_of_range"
    fold_all()
    (row,) = spend(SpendQuestion(book.organization.id, OCTOBER))
    assert row.effective_cost == 5 * Decimal("999999999999.999999999999")
    assert book.disagreements() == []


def test_a_cost_too_large_in_the_reporting_currency_is_held_and_the_rest_booked(book: Book) -> None:
    euro(book, "150")
    statuses = book.take(event("large", cost=GivenCost(10**23, "EUR")), event("usual"))
    assert statuses == [Status.QUARANTINED, Status.CHARGED]


def test_a_credit_is_negative_and_no_call(book: Book) -> None:
    book.take(event("used"), event("credit", category="Credit", cost=GivenCost(-5_000_000_000_001, "USD")))
    ((_, calls, cost),) = [row for row in book.charges("external_id, calls, effective_cost") if row[0] == "credit"]
    assert (calls, cost) == (0, Decimal("-5.000000000001"))
    fold_all()
    assert book.disagreements() == []


def test_what_the_source_says_it_cost_is_what_it_cost(book: Book) -> None:
    book.take(event(cost=GivenCost(9_000_000_000, "USD")))
    list_cost, stated = Decimal("0.012"), Decimal("0.009")
    assert book.charges(COSTS) == [(list_cost, stated, stated, stated, stated)]


def test_euros_are_kept_and_reported_at_the_rate_of_their_day(book: Book) -> None:
    euro(book, "1.083712345678")
    euro(book, "2", day=THEN.date() + timedelta(days=1))
    book.take(event("eur", cost=GivenCost(3_333_333_333_333, "EUR")), event("usd"))
    ((currency, cost, reporting, rate, day),) = [
        row[1:]
        for row in book.charges("external_id, currency, effective_cost, reporting_cost, fx_rate, fx_date")
        if row[0] == "eur"
    ]
    assert (currency, cost, rate, day) == ("EUR", Decimal("3.333333333333"), Decimal("1.083712345678"), THEN.date())
    # 3.333333333333 x 1.083712345678, half-even at the twelfth place.
    assert reporting == Decimal("3.612374485593")
    assert sorted(row.currency for row in spend(SpendQuestion(book.organization.id, OCTOBER))) == ["EUR", "USD"]
    assert book.disagreements() == []


def test_a_charge_says_of_which_day_its_rate_is(book: Book) -> None:
    friday = _DAY - timedelta(days=3)
    euro(book, "1.10", day=friday)
    book.take(event("monday", cost=GivenCost(1_000_000_000_000, "EUR")))
    assert book.charges("reporting_cost, fx_rate, fx_date") == [(Decimal("1.1"), Decimal("1.1"), friday)]
    assert rework(book, ingest.RERATE).result["changed"] == 0


def test_a_re_rating_counts_what_it_passes_over_for_want_of_a_rate(book: Book) -> None:
    about = Agreed(provider="own", model="eu-7b", effective_from=date(2026, 1, 1))
    mine: dict[str, Any] = {"organization_id": book.organization.id, "by": HOUSE}
    book.take(event("eu", model="eu-7b", provider="own"), event("us"))
    rates = [steps(input_uncached="2", output_text="5", requests="0")]
    add_custom_model(about=about, steps=rates, currency="EUR", at=book.now(), **mine)
    result = rework(book, ingest.RERATE).result
    assert (result["seen"], result["changed"], result["passed_over"]) == (2, 0, 1)
    euro(book, "1.10")
    result = rework(book, ingest.RERATE).result
    assert (result["changed"], result["passed_over"]) == (1, 0)


def test_without_a_rate_a_record_waits_and_is_booked_once_there_is_one(book: Book) -> None:
    raw = (
        b'{"id":"eur-1","occurred_at":"2026-10-14T09:30:00Z","provider":"openai","model":"gpt",'
        b'"usage":{"input_uncached":10},"cost":{"amount":"2.50","currency":"EUR"}}'
    )
    source = book.source()
    mine: dict[str, Any] = {"organization_id": book.organization.id}
    received: list[Received] = [reparse("capstan", raw)]
    (outcome,) = ingest.take(source_id=source.id, parser="capstan", received=received, at=book.now(), **mine)
    assert outcome.status is Status.QUARANTINED
    held = QuarantinedRecord.objects.get()
    assert (held.code, held.field) == ("pricing.no_exchange_rate", "cost.currency")

    assert [one.status for one in ingest.replay(record_ids=[held.id], by=HOUSE, at=book.now(), **mine)] == [
        Status.QUARANTINED
    ]
    euro(book, "1.10")
    assert [one.status for one in ingest.replay(record_ids=[held.id], by=HOUSE, at=book.now(), **mine)] == [
        Status.CHARGED
    ]
    held.refresh_from_db()
    assert held.state == QuarantinedRecord.State.BOOKED
    assert book.charges("effective_cost, reporting_cost") == [(Decimal("2.5"), Decimal("2.75"))]
    assert ingest.replay(record_ids=[held.id], by=HOUSE, at=book.now(), **mine) == []


def test_an_unpriced_call_is_booked_and_rated_once_its_model_has_a_price(book: Book) -> None:
    book.take(event("new", model="ours-7b", provider_request_id="req_1"), event("known"))
    assert [row[0] for row in rows("SELECT effective_cost FROM ledger_charge ORDER BY external_id")] == [
        Decimal("0.012"),
        0,
    ]
    about = Agreed(provider="openai", model="ours-7b", effective_from=date(2026, 1, 1))
    add_custom_model(
        organization_id=book.organization.id,
        about=about,
        steps=[steps(input_uncached="2", output_text="5", requests="0")],
        by=HOUSE,
        at=book.now(),
    )
    result = rework(book, ingest.RERATE).result
    assert (result["seen"], result["changed"], result["before_pico"]) == (2, 1, 0)
    assert result["after_pico"] == 2_500_000_000
    lines = sorted(row for row in book.charges("external_id, reason, effective_cost") if row[0] == "new")
    assert lines == [
        ("new", "", 0),
        ("new", "rerate", Decimal("0.0025")),
        ("new", "reversal", 0),
    ]
    assert rework(book, ingest.RERATE).result["changed"] == 0
    assert book.take(event("new", model="ours-7b", provider_request_id="req_1")) == [Status.DUPLICATE]
    assert book.take(event("seen", provider_request_id="req_1"), source="tools") == [Status.SIGHTED]
    fold_all()
    assert book.disagreements() == []


def test_many_charges_of_one_instant_are_each_seen_once_by_a_re_rating(book: Book) -> None:
    """A daily report stamps them all alike; what a page corrected must not come by again on the next."""
    book.take(*[event(f"n-{n}", counts=counts(input_uncached=n + 1)) for n in range(2_500)])
    about = Agreed(provider="openai", effective_from=date(2026, 1, 1))
    set_discount(organization_id=book.organization.id, about=about, percent=Decimal(10), by=HOUSE, at=book.now())
    result = rework(book, ingest.RERATE).result
    assert (result["seen"], result["changed"]) == (2_500, 2_500)
    assert result["after_pico"] * 10 == result["before_pico"] * 9
    assert book.disagreements() == []


def test_usage_of_a_month_that_nobody_prepared_makes_its_partition(book: Book) -> None:
    edges = [
        datetime(2019, 1, 1, tzinfo=UTC),
        datetime(2020, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2023, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2024, 1, 1, tzinfo=UTC),
        AT + timedelta(hours=23),
    ]
    assert book.take(*[event(f"n-{n}", occurred_at=at) for n, at in enumerate(edges)]) == [Status.CHARGED] * 5
    assert [row[0] for row in rows("SELECT occurred_at FROM ledger_charge ORDER BY occurred_at")] == edges
    beyond = [datetime(2018, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)]
    assert book.take(*[event(f"m-{n}", occurred_at=at) for n, at in enumerate(beyond)]) == [Status.QUARANTINED] * 2
    fold_all()
    assert book.disagreements() == []
