"""What a rule saved, by the charges of its calls; and what is said where nothing can be."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from finops.audit.models import AuditEvent
from finops.connectors.types import UsageEvent
from finops.core.periods import DayRange
from finops.ingest import services as ingest
from finops.ingest.types import Status
from finops.jobs import services as jobs
from finops.pricing.services import Agreed, set_discount
from routing.rollouts import rules, selectors, services
from routing.rollouts.models import SavingsDay, SavingsMonth
from routing.rules.models import Decision, RoutingRule
from tests.factories.ledger import THEN, Book, event, small_book
from tests.factories.orgs import HOUSE, Cast, the_cast
from tests.factories.pricing import counts
from tests.factories.rollouts import HOUR, calls, rolling

OCTOBER = date(2026, 10, 1)
# In the small book a call as usual is 0.012 dollars of gpt, and a tenth of that of gpt-mini.
USUAL, CHEAP = Decimal("0.012"), Decimal("0.0012")


@pytest.fixture
def cast(db: None) -> Cast:
    small_book()
    return the_cast()


@pytest.fixture
def book(cast: Cast) -> Book:
    return Book(cast.acme)


@pytest.fixture
def half(cast: Cast) -> RoutingRule:
    """Half of the sessions are treated."""
    row = rolling(cast.acme.id, at=THEN - HOUR)
    RoutingRule.objects.filter(id=row.id).update(stage="ramp", share=0.5)
    return row


def charge(one: Decision, number: int = 1, **given: Any) -> UsageEvent:
    usual: dict[str, Any] = {
        "occurred_at": one.at, "model": "gpt-mini" if one.arm == "treated" else "gpt", "session": one.session,
    }  # fmt: skip
    return event(f"cap_ab12:{one.call_id}.{number}", **usual | given)


def charged(book: Book, decisions: Iterable[Decision], **given: Any) -> None:
    made = [charge(one, **given) for one in decisions]
    assert set(book.take(*made)) == {Status.CHARGED}


def measured(row: RoutingRule, *, at: datetime = THEN + HOUR) -> SavingsMonth:
    services.measure(organization_id=row.organization_id, by=HOUSE, at=at)
    return SavingsMonth.objects.get(rule=row, month=OCTOBER)


def test_what_was_saved_is_what_treated_calls_would_have_cost_less_what_they_did(half: RoutingRule, book: Book) -> None:
    made = calls(half, range(200), at=THEN, calls_each=2)
    charged(book, made)
    treated = sum(one.arm == "treated" for one in made)
    found = measured(half)
    assert (found.treated_calls, found.stayed_calls, found.currency) == (treated, 400 - treated, "USD")
    assert found.treated_sessions + found.stayed_sessions == 200
    assert (found.treated_cost, found.expected_cost) == (treated * CHEAP, treated * USUAL)
    assert found.saved == found.net == found.saved_lower == found.saved_upper == treated * (USUAL - CHEAP)
    assert (found.by, found.why, found.beside_cost) == ("calls", "", 0)
    # Again changes nothing.
    assert services.measure(organization_id=half.organization_id, by=HOUSE, at=THEN + 2 * HOUR) == 0
    assert SavingsMonth.objects.get().measured_at == THEN + HOUR


def test_failed_tries_and_what_is_spent_beside_are_taken_off(half: RoutingRule, book: Book) -> None:
    made = calls(half, range(200), at=THEN)
    treated = [one for one in made if one.arm == "treated"]
    charged(book, made)
    # Ten calls were answered by the dear model in the end, and a judge was paid twice.
    assert set(book.take(*(charge(one, 2, model="gpt") for one in treated[:10]))) == {Status.CHARGED}
    judged = [event(f"judge-{n}", occurred_at=THEN, tags=((rules.TAG, half.name), ("job", "judge"))) for n in range(2)]
    assert set(book.take(*judged)) == {Status.CHARGED}
    found = measured(half)
    assert (found.failed_cost, found.beside_cost) == (10 * CHEAP, 2 * USUAL)
    assert found.treated_cost == len(treated) * CHEAP + 10 * USUAL
    assert found.saved == len(treated) * (USUAL - CHEAP) - 10 * USUAL
    assert found.net == found.saved - 2 * USUAL


def test_what_checks_an_answer_is_beside_its_call_and_no_try_of_it(half: RoutingRule, book: Book) -> None:
    made = calls(half, range(200), at=THEN)
    treated = [one for one in made if one.arm == "treated"]
    charged(book, made)
    # As the gateway numbers them: the cheap answer is .1, its checker .2, and of five the dear model answered as .3.
    by_gateway = (rules.TAG, f"{half.name}#{half.id}")
    checks = [charge(one, 2, model="gpt", tags=(by_gateway,)) for one in treated[:20]]
    assert set(book.take(*checks)) == {Status.CHARGED}
    assert set(book.take(*(charge(one, 3, model="gpt") for one in treated[:5]))) == {Status.CHARGED}
    found = measured(half)
    assert (found.failed_cost, found.beside_cost) == (5 * CHEAP, 20 * USUAL)
    assert found.treated_cost == len(treated) * CHEAP + 5 * USUAL
    assert found.saved == len(treated) * (USUAL - CHEAP) - 5 * USUAL
    assert found.net == found.saved - 20 * USUAL
    # What a rule is called later changes nothing that it was charged for.
    RoutingRule.objects.filter(id=half.id).update(name="another")
    assert measured(half, at=THEN + 2 * HOUR).beside_cost == 20 * USUAL


def test_a_tag_that_names_no_rule_makes_an_ordinary_call(half: RoutingRule, book: Book) -> None:
    made = calls(half, range(100), at=THEN)
    treated = sum(one.arm == "treated" for one in made)
    said = ("nobody", f"{half.name}#{half.id + 1}", "#", f"{half.name}#99999999999")
    for place, one in enumerate(made):
        charged(book, [one], tags=((rules.TAG, said[place % len(said)]),))
    found = measured(half)
    assert (found.treated_calls, found.treated_cost, found.beside_cost) == (treated, treated * CHEAP, 0)


def test_long_calls_are_compared_with_long_calls(half: RoutingRule, book: Book) -> None:
    made = calls(half, range(300), at=THEN)
    for number, one in enumerate(made):
        one.tokens = (100, 1_000, 10_000)[number % 3]
    Decision.objects.bulk_update(made, ["tokens"])
    long = {one.call_id: counts(input_uncached=one.tokens, output_text=one.tokens // 10, requests=1) for one in made}
    assert set(book.take(*(charge(one, counts=long[one.call_id]) for one in made))) == {Status.CHARGED}
    found = measured(half)
    truth = sum((one.tokens * USUAL / 1_000 * Decimal("0.9") for one in made if one.arm == "treated"), Decimal(0))
    assert found.by == "tokens"
    assert found.saved == pytest.approx(truth)


def test_what_is_corrected_or_comes_late_is_in_it(half: RoutingRule, book: Book) -> None:
    made = calls(half, range(100), at=THEN)
    charged(book, made[:50])
    before = measured(half)
    charged(book, made[50:])
    again = measured(half, at=THEN + 3 * HOUR)
    assert again.treated_calls + again.stayed_calls == 100 > before.treated_calls + before.stayed_calls
    # Half price, for the whole month.
    half_price = Agreed(provider="openai", effective_from=OCTOBER)
    set_discount(organization_id=half.organization_id, about=half_price, percent=Decimal(50), by=HOUSE, at=book.now())
    job = ingest.open_rework(
        organization_id=half.organization_id, kind=ingest.RERATE, period=DayRange(OCTOBER, date(2026, 11, 1)), by=HOUSE,
        at=book.now(),
    )  # fmt: skip
    claimed = jobs.claim(job_id=job.id, at=book.now())
    assert claimed is not None
    ingest.run_rework(job=claimed, now=book.now)
    cheaper = measured(half, at=THEN + 4 * HOUR)
    assert (cheaper.treated_calls, cheaper.treated_cost) == (again.treated_calls, again.treated_cost / 2)
    assert cheaper.saved == (again.saved or 0) / 2


def test_a_month_is_the_sum_of_its_days(half: RoutingRule, book: Book) -> None:
    for day in range(3):
        at = THEN + timedelta(days=day)
        charged(book, calls(half, range(day * 100, day * 100 + 100), at=at))
        measured(half, at=at + HOUR)
    found = SavingsMonth.objects.get()
    assert SavingsDay.objects.count() == 3
    assert found.treated_sessions + found.stayed_sessions == 300
    # Decisions are forgotten; days that were measured stay.
    Decision.objects.all().delete()
    later = THEN + timedelta(days=40)
    services.measure(organization_id=half.organization_id, by=HOUSE, at=later)
    assert SavingsMonth.objects.get(month=OCTOBER).saved == found.saved


def test_a_closed_month_says_for_good_what_was_said_then(half: RoutingRule, book: Book) -> None:
    charged(book, calls(half, range(200), at=THEN))
    open_ = measured(half)
    assert open_.closed_at is None
    # Late in the month, and until what is booked late had its time, it is measured anew.
    late = datetime(2026, 11, 3, tzinfo=UTC)
    services.measure(organization_id=half.organization_id, by=HOUSE, at=late)
    assert SavingsMonth.objects.get().closed_at is None
    services.measure(organization_id=half.organization_id, by=HOUSE, at=late + timedelta(days=1))
    closed = SavingsMonth.objects.get()
    assert closed.closed_at == late + timedelta(days=1)
    [event_] = AuditEvent.objects.filter(verb="savings.closed")
    assert event_.details == {"month": "2026-10", "net": str(closed.net)}
    # Whatever becomes of its days and charges.
    SavingsDay.objects.update(day=date(2026, 10, 30))
    day = SavingsDay.objects.get()
    day.sums = selectors.written_sums(selectors.read_sums(day.sums)._replace(treated_cost=Decimal(0)))
    day.save()
    for later in range(2, 5):
        services.measure(organization_id=half.organization_id, by=HOUSE, at=late + timedelta(days=later))
    assert SavingsMonth.objects.get().net == closed.net
    assert AuditEvent.objects.filter(verb="savings.closed").count() == 1
    for change in (SavingsMonth.objects.filter(id=closed.id).delete, closed.save):
        with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
            change()


def test_a_month_that_was_measured_late_is_closed_with_all_its_days(half: RoutingRule, book: Book) -> None:
    charged(book, calls(half, range(100), at=THEN))
    measured(half)
    # Nobody measured for a fortnight: the days of October come first, then October is closed.
    charged(book, calls(half, range(100, 200), at=THEN + timedelta(days=10)))
    services.measure(organization_id=half.organization_id, by=HOUSE, at=datetime(2026, 11, 6, tzinfo=UTC))
    row = SavingsMonth.objects.get()
    assert row.treated_calls + row.stayed_calls == 200
    assert row.closed_at is not None


def test_no_hold_back_no_verified_saving(cast: Cast, book: Book) -> None:
    row = rolling(cast.acme.id, at=THEN - HOUR, stage="full", held_back=0.0)
    charged(book, calls(row, range(50), at=THEN))
    found = measured(row)
    assert (found.saved, found.net, found.expected_cost, found.by) == (None, None, None, "")
    assert found.why.startswith("No hold-back, no verified saving")
    assert found.treated_cost == 50 * CHEAP


def test_calls_that_nobody_was_charged_for_count_for_nothing(half: RoutingRule, book: Book) -> None:
    made = calls(half, range(100), at=THEN)
    charged(book, made[:90])
    found = measured(half)
    assert found.treated_calls + found.stayed_calls == 90


def test_sums_are_kept_exactly(half: RoutingRule, book: Book) -> None:
    charged(book, calls(half, range(30), at=THEN))
    sums = selectors.sums_of_day(half.organization_id, THEN.date())[half.id]
    assert selectors.read_sums(selectors.written_sums(sums)) == sums
