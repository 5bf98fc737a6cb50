"""What plans of seats cost stands in the ledger as they say, whatever they were before."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finops.audit.models import AuditEvent
from finops.core.errors import NotFound
from finops.ingest.models import QuarantinedRecord
from finops.ingest.services import erase_person, take
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.pricing.rules.terms import GivenRate
from finops.pricing.services import add_exchange_rates
from finops.seats import rules, selectors, services
from finops.seats.models import SeatBooks, SeatHolder, SeatPlan
from finops.seats.rules import PlanInvalid
from finops.seats.services import booking
from finops.seats.services.plans import NameTaken
from finops.seats.types import HolderName, PlanDraft
from tests.factories.ledger import AT, Book, rows
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.factories.seats import BOB, DANA, Seats, by_holder, draft, worked_out

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
TOMORROW = date(2026, 11, 2)


@pytest.fixture
def seats(book: Book) -> Seats:
    return Seats(book)


def test_a_term_comes_to_its_price_and_each_holder_has_their_own(seats: Seats, cast: Cast) -> None:
    seats.begin(price=Decimal("29.99"), end=NOVEMBER)
    seats.booked()
    assert by_holder(seats.standing()) == dict.fromkeys(("", BOB.value, DANA.value), Decimal("29.99"))
    assert seats.book.total() == Decimal("29.99") * 3
    people = rows("SELECT person_id, team_id, sum(effective_cost) FROM ledger_charge GROUP BY 1, 2 ORDER BY 1")
    assert people == [
        (0, 0, Decimal("29.99")),
        (cast.bob.id, cast.search.id, Decimal("29.99")),
        (cast.dana.id, 0, Decimal("29.99")),
    ]
    assert seats.book.disagreements() == []


def test_nothing_is_booked_ahead_and_each_day_adds_itself_once(seats: Seats) -> None:
    plan = seats.begin()
    seats.booked()
    assert max(day for day, _, _ in seats.standing()) == NOVEMBER
    lines = len(seats.book.charges())
    seats.booked()
    assert len(seats.book.charges()) == lines == 32 * 3
    seats.book.at += timedelta(days=1)
    seats.booked()
    assert seats.standing() == worked_out([selectors.drafted(plan)], TOMORROW + timedelta(days=1))


def test_a_change_from_a_day_ends_one_plan_and_begins_another(seats: Seats) -> None:
    plan = seats.begin()
    seats.booked()
    other = seats.change(plan, date(2026, 10, 17), price=Decimal(60), seats=2)
    seats.booked()
    plan.refresh_from_db()
    assert (plan.end, other.start, other.follows_id, other.anchor) == (
        date(2026, 10, 17), date(2026, 10, 17), plan.id, OCTOBER,
    )  # fmt: skip
    assert seats.standing() == worked_out([draft(end=other.start), selectors.drafted(other)], TOMORROW)
    ((october,),) = rows("SELECT sum(effective_cost) FROM ledger_charge WHERE occurred_at < '2026-11-01Z'")
    # 16 of 31 days at 30 dollars for three, and 15 at 60 for two: by largest remainder, to the last digit.
    assert abs(october - (Decimal(90) * 16 / 31 + Decimal(120) * 15 / 31)) < Decimal("0.000000000010")
    assert seats.book.disagreements() == []


def test_a_correction_revises_what_was_booked_and_a_withdrawal_takes_it_back(seats: Seats) -> None:
    plan = seats.begin()
    seats.booked()
    seats.correct(plan, price=Decimal(20), holders=(DANA,), start=date(2026, 10, 11))
    seats.booked()
    assert seats.standing() == worked_out(
        [draft(price=Decimal(20), holders=(DANA,), start=date(2026, 10, 11))], TOMORROW
    )
    seats.withdraw(plan)
    seats.booked()
    assert not seats.standing()
    assert seats.book.total() == 0
    assert seats.book.disagreements() == []
    with pytest.raises(NotFound):
        seats.correct(plan, seats=5)
    verbs = list(AuditEvent.objects.filter(subject_kind="seat_plan").order_by("id").values_list("verb", flat=True))
    assert verbs == ["seat_plan.begun", "seat_plan.corrected", "seat_plan.withdrawn"]
    assert BOB.value not in str(list(AuditEvent.objects.values_list("details", flat=True)))


def test_an_end_in_the_past_takes_back_the_days_after_it(seats: Seats) -> None:
    plan = seats.begin()
    seats.booked()
    before = len(seats.book.charges())
    seats.correct(plan, end=date(2026, 10, 30))
    assert seats_made_until(seats) == date(2026, 10, 30)
    seats.booked()
    assert seats.standing() == worked_out([draft(end=date(2026, 10, 30))], TOMORROW)
    # Three days of three: reversed, and a line of nothing each.
    assert len(seats.book.charges()) == before + 2 * 9


def seats_made_until(seats: Seats) -> date:
    return SeatBooks.objects.get(organization=seats.organization).made_until


def test_a_plan_that_begins_later_costs_nothing_until_then(seats: Seats) -> None:
    seats.begin(start=date(2026, 12, 1))
    seats.booked()
    assert seats.standing() == {}
    seats.book.at = datetime.combine(date(2026, 12, 1), AT.timetz())
    seats.booked()
    assert {day for day, _, _ in seats.standing()} == {date(2026, 12, 1)}


def test_a_long_way_back_is_a_job_that_says_how_far_it_is(seats: Seats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(booking, "MOST_A_STEP", 300)
    seats.begin(start=date(2026, 1, 1))
    [job] = Job.objects.filter(kind="seats")
    assert (job.state, job.total) == ("queued", (NOVEMBER - date(2026, 1, 1)).days + 1)
    # It alone makes days, and stops when somebody says so: after one step.
    assert services.book(organization_id=seats.organization.id, now=seats.book.now) is False
    assert seats_made_until(seats) == date(2026, 1, 1)
    claimed = jobs.claim(job_id=job.id, at=seats.book.now())
    assert claimed is not None
    Job.objects.filter(id=job.id).update(stop_requested=True)
    services.run_job(job=claimed, now=seats.book.now)
    job.refresh_from_db()
    assert (job.state, job.done) == ("stopped", 100)
    assert seats_made_until(seats) == date(2026, 4, 11)
    jobs.resume(organization_id=seats.organization.id, job_id=job.id, by=HOUSE, at=seats.book.now())
    seats.booked()
    job.refresh_from_db()
    assert (job.state, job.done) == ("done", job.total)
    assert seats.standing() == worked_out([draft(start=date(2026, 1, 1))], TOMORROW)


def test_a_worker_that_dies_in_the_middle_is_followed_by_another(seats: Seats, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = seats.begin()

    def dies(**_: Any) -> int:
        raise KeyboardInterrupt

    seats.booked()
    seats.correct(plan, price=Decimal(45))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(booking, "withdraw", dies)
        seats.booked()
    assert seats_made_until(seats) == OCTOBER
    seats.booked()
    assert seats.standing() == worked_out([draft(price=Decimal(45))], TOMORROW)


def test_a_plan_that_changes_while_its_days_are_made_is_made_again(
    seats: Seats, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = seats.begin()
    real = take

    def meanwhile(**given: Any) -> Any:
        monkeypatch.setattr(booking, "take", real)
        answer = real(**given)
        seats.correct(plan, seats=2)
        return answer

    monkeypatch.setattr(booking, "take", meanwhile)
    seats.booked()
    assert seats.standing() == worked_out([draft(seats=2)], TOMORROW)


def test_without_an_exchange_rate_it_waits_and_says_so_and_nothing_is_held(seats: Seats) -> None:
    seats.begin(currency="EUR")
    seats.booked()
    books = SeatBooks.objects.get()
    assert (books.made_until, "no rate from EUR to USD" in books.problem) == (OCTOBER, True)
    assert (seats.book.charges(), QuarantinedRecord.objects.count()) == ([], 0)
    rates = [GivenRate(day, "EUR", "USD", Decimal("1.1"), "test") for day in (OCTOBER, date(2026, 10, 9))]
    rates += [GivenRate(date(2026, 10, day), "EUR", "USD", Decimal("1.1"), "test") for day in (17, 25)]
    add_exchange_rates(rates=rates, **seats.who)
    seats.booked()
    books.refresh_from_db()
    assert (books.problem, books.made_until) == ("", TOMORROW)
    assert seats.standing() == worked_out([draft()], TOMORROW)


def test_two_plans_of_one_name_on_one_day_are_refused(seats: Seats) -> None:
    seats.begin(end=NOVEMBER)
    with pytest.raises(NameTaken):
        seats.begin(name="claude team")
    seats.begin(start=NOVEMBER)
    seats.begin(name="Cursor", provider="cursor")


def test_terms_that_are_paid_whole_are_changed_between_two(seats: Seats) -> None:
    plan = seats.begin(prorated=False)
    with pytest.raises(PlanInvalid, match="2026-11-01") as refused:
        seats.change(plan, date(2026, 10, 17), seats=5)
    assert refused.value.field == "since"
    seats.change(plan, NOVEMBER, seats=5)
    seats.booked()
    ((october,),) = rows("SELECT sum(effective_cost) FROM ledger_charge WHERE occurred_at < '2026-11-01Z'")
    assert october == 90


def test_a_change_is_of_a_day_within_and_of_something(seats: Seats) -> None:
    plan = seats.begin(end=NOVEMBER)
    for since, changes in ((OCTOBER, {"seats": 5}), (NOVEMBER, {"seats": 5}), (date(2026, 10, 9), {"seats": 3})):
        with pytest.raises(PlanInvalid) as refused:
            seats.change(plan, since, **changes)
        assert refused.value.field == "since"


def test_a_source_of_that_name_is_no_hindrance(seats: Seats) -> None:
    seats.book.source("seats")
    seats.begin()
    assert SeatBooks.objects.get().source.slug == "capstan-seats"


def test_an_erased_holder_keeps_the_seat_and_loses_the_name(seats: Seats, cast: Cast) -> None:
    plan = seats.begin()
    seats.booked()
    erase_person(organization_id=cast.acme.id, person_id=cast.bob.id, by=HOUSE, at=seats.book.now())
    row = SeatHolder.objects.get(person=cast.bob)
    assert row.value == f"erased:{row.id}"
    seats.correct(plan, price=Decimal(33))
    seats.booked()
    spent = rows("SELECT person_id, sum(effective_cost) FROM ledger_charge WHERE person_id > 0 GROUP BY 1 ORDER BY 1")
    assert [person for person, _ in spent] == [cast.bob.id, cast.dana.id]
    assert spent[0][1] == spent[1][1]
    assert "bob@" not in str(rows("SELECT body FROM ledger_interned")) + str(rows("SELECT value FROM seats_seatholder"))


def test_an_erased_holder_keeps_the_seat_when_the_plan_changes(seats: Seats, cast: Cast) -> None:
    plan = seats.begin()
    erase_person(organization_id=cast.acme.id, person_id=cast.bob.id, by=HOUSE, at=seats.book.now())
    other = seats.change(plan, date(2026, 10, 17), price=Decimal(60))
    assert [one.person_id for one in other.holders.order_by("kind", "value")] == [None, cast.bob.id]
    seats.booked()
    days = rows("SELECT count(*) FROM ledger_charge WHERE person_id = %s", cast.bob.id)
    assert days == [(32,)]
    with pytest.raises(PlanInvalid, match="nobody of this plan") as refused:
        seats.begin(name="Other", holders=(HolderName("email", "erased:1"),))
    assert refused.value.field == "holders"


def test_a_change_that_is_withdrawn_leaves_no_hole(seats: Seats) -> None:
    plan = seats.begin()
    other = seats.change(plan, date(2026, 10, 17), price=Decimal(60))
    third = seats.change(other, date(2026, 10, 25), seats=5)
    seats.withdraw(other)
    seats.booked()
    assert seats.standing() == worked_out([draft(end=third.start), selectors.drafted(third)], TOMORROW)
    seats.withdraw(third)
    seats.booked()
    assert seats.standing() == worked_out([draft()], TOMORROW)


def test_the_same_holders_in_another_order_are_no_change(seats: Seats) -> None:
    plan = seats.begin(holders=(DANA, BOB))
    with pytest.raises(PlanInvalid, match="nothing would change"):
        seats.change(plan, date(2026, 10, 17), holders=(DANA, BOB))


def test_an_organization_has_so_many_plans_and_no_more(seats: Seats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_PLANS", 2)
    first = seats.begin()
    seats.begin(name="Cursor")
    with pytest.raises(PlanInvalid, match="2 plans at most"):
        seats.begin(name="Copilot")
    seats.withdraw(first)
    seats.begin(name="Copilot")


def test_nobody_erased_meanwhile_is_named_by_a_charge(
    seats: Seats, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    seats.begin()

    def meanwhile(**given: Any) -> Any:
        monkeypatch.setattr(booking, "take", take)
        erase_person(organization_id=cast.acme.id, person_id=cast.bob.id, by=HOUSE, at=seats.book.now())
        return take(**given)

    monkeypatch.setattr(booking, "take", meanwhile)
    seats.booked()
    said = "SELECT o.body::text FROM ledger_charge AS c JOIN ledger_interned AS o ON o.id = c.origin_id"
    assert "bob@" not in str(rows(said))
    assert rows("SELECT count(*) FROM ledger_charge WHERE person_id = %s", cast.bob.id) == [(32,)]


def test_one_organizations_plans_are_no_business_of_anothers(seats: Seats, cast: Cast) -> None:
    plan = seats.begin()
    for act in (
        lambda who: services.correct(plan_id=plan.id, changes={"seats": 9}, **who),
        lambda who: services.change(plan_id=plan.id, since=date(2026, 10, 9), changes={"seats": 9}, **who),
        lambda who: services.withdraw(plan_id=plan.id, **who),
    ):
        with pytest.raises(NotFound):
            act({"organization_id": cast.globex.id, "by": HOUSE, "at": NOON})


PRICES = st.sampled_from([Decimal("9.99"), Decimal(30), Decimal(0)])
DAYS = st.integers(0, 40).map(lambda number: date(2026, 9, 25) + timedelta(days=number))
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), DAYS, PRICES, st.booleans()),
        st.tuples(st.just("change"), st.integers(0, 5), DAYS, PRICES),
        st.tuples(st.just("end"), st.integers(0, 5), DAYS),
        st.tuples(st.just("correct"), st.integers(0, 5), PRICES, st.sampled_from([(), (BOB,), (DANA, BOB)])),
        st.tuples(st.just("withdraw"), st.integers(0, 5)),
        st.tuples(st.just("book")),
        st.tuples(st.just("wait")),
    ),
    min_size=3, max_size=8,
)  # fmt: skip


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_whatever_became_of_plans_the_ledger_is_what_they_come_to(acts: list[Any], book: Book) -> None:
    organization = book.organization
    wipe(organization.id)
    book.at, seats = AT, Seats(book)
    told: dict[int, PlanDraft] = {}
    for number, act in enumerate(acts):
        _act(seats, told, act, number)
    if told or SeatBooks.objects.exists():
        seats.booked()
        assert seats.standing() == worked_out(told.values(), book.at.date() + timedelta(days=1))


def _act(seats: Seats, told: dict[int, PlanDraft], act: Any, number: int) -> None:
    """Done to the house, and to a model of it that knows agreements alone. What is refused is done to neither."""
    which = sorted(told)[act[1] % len(told)] if told and act[0] in {"change", "end", "correct", "withdraw"} else 0
    if act[0] == "book":
        seats.booked() if SeatBooks.objects.exists() else None
    elif act[0] == "wait":
        seats.book.at += timedelta(days=3)
    elif act[0] == "begin":
        made = draft(name=f"Plan {number}", start=act[1], price=act[2], prorated=act[3])
        told[seats.begin(made).id] = made
    elif which:
        plan, was = SeatPlan.objects.get(id=which), told[which]
        try:
            if act[0] == "withdraw":
                seats.withdraw(plan)
                gone, first = told.pop(which), plan.follows_id
                if first in told and told[first].end == gone.start:
                    told[first] = replace(told[first], end=gone.end)
            elif act[0] == "end":
                seats.correct(plan, end=act[2])
                told[which] = replace(was, end=act[2])
            elif act[0] == "correct":
                seats.correct(plan, price=act[2], holders=act[3])
                told[which] = replace(was, price=act[2], holders=act[3])
            else:
                other = seats.change(plan, act[2], price=act[3])
                told[which] = replace(was, end=act[2])
                told[other.id] = replace(was, start=act[2], anchor=was.anchor or was.start, price=act[3])
        except (PlanInvalid, NameTaken):
            return


def wipe(organization_id: int) -> None:
    """What an example before this one left of plans: they never were."""
    seats_source = SeatBooks.objects.filter(organization_id=organization_id).first()
    if seats_source is None:
        return
    Job.objects.filter(organization_id=organization_id).update(state="done")
    for plan in selectors.plans(organization_id):
        services.withdraw(organization_id=organization_id, plan_id=plan.id, by=HOUSE, at=AT + timedelta(days=30))
    seats_source.refresh_from_db()
    Job.objects.filter(organization_id=organization_id).update(state="done")
    services.book(organization_id=organization_id, now=lambda: AT + timedelta(days=30))
    SeatBooks.objects.filter(organization_id=organization_id).update(made_until=TOMORROW)
