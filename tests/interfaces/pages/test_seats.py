"""The page of seats: plans, what they cost, whose are idle; and its forms."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finops.orgs.models import Membership, User
from finops.seats.models import SeatBooks, SeatPlan
from tests.factories.company import Company
from tests.factories.ledger import Book
from tests.factories.seats import BOB, DANA, Seats, draft
from tests.interfaces.pages.conftest import at, text_of


@pytest.fixture
def seats(company: Company) -> Seats:
    return Seats(Book(company.cast.acme, at=company.at))


def described(company: Company, **given: Any) -> dict[str, Any]:
    start = company.at.date() - timedelta(days=9)
    return {
        "name": "Claude Team", "provider": "anthropic", "seats": "3", "price": "30", "currency": "usd",
        "term_months": "1", "start": start.isoformat(), "prorated": "on",
        "holders": "bob@acme.example\n\ngithub:dana-codes", **given,
    }  # fmt: skip


def test_without_a_plan_it_says_what_one_is_for(alice: Client) -> None:
    text = text_of(alice.get(at("seats")))
    assert "No plan of seats yet" in text
    assert at("seat_plan_add") in text


def test_a_plan_is_described_changed_ended_and_withdrawn(alice: Client, company: Company, seats: Seats) -> None:
    assert alice.post(at("seat_plan_add"), described(company)).status_code == 302
    [plan] = SeatPlan.objects.all()
    assert (plan.currency, plan.seats, plan.holders.count(), plan.anchor) == ("USD", 3, 2, plan.start)
    since = plan.start + timedelta(days=5)
    form = alice.get(at("seat_plan_change", seat_plan_id=plan.id))
    assert "bob@acme.example" in text_of(form)
    body = described(company, since=since.isoformat(), seats="5", price="40")
    assert alice.post(at("seat_plan_change", seat_plan_id=plan.id), body).status_code == 302
    [_, other] = SeatPlan.objects.order_by("id")
    assert (other.start, other.anchor, other.price, other.follows_id) == (since, plan.start, Decimal(40), plan.id)
    body = described(
        company, start=since.isoformat(), anchor=plan.start.isoformat(), seats="5", price="40",
        end=company.at.date().isoformat(), holders="bob@acme.example",
    )  # fmt: skip
    assert alice.post(at("seat_plan_correct", seat_plan_id=other.id), body).status_code == 302
    other.refresh_from_db()
    assert (other.end, other.holders.count()) == (company.at.date(), 1)
    seats.booked()
    assert seats.standing()
    for row in (plan, other):
        assert alice.post(at("seat_plan_withdraw", seat_plan_id=row.id)).status_code == 302
    seats.booked()
    assert not seats.standing()
    assert "No plan of seats yet" in text_of(alice.get(at("seats")))


def test_a_refusal_stands_beside_its_field(alice: Client, company: Company) -> None:
    answer = alice.post(at("seat_plan_add"), described(company, holders="bob@acme.example\nnobody", seats="2"))
    assert answer.status_code == 422
    assert "no e-mail address" in str(answer.context["form"].errors["holders"])
    answer = alice.post(at("seat_plan_add"), described(company, covers="nothing-there"))
    assert "covers" in answer.context["form"].errors
    assert not SeatPlan.objects.exists()


def test_idle_seats_are_named_and_what_they_cost(alice: Client, company: Company, seats: Seats) -> None:
    month = (company.at.date() - timedelta(days=40)).replace(day=1)
    never = company.cast.dana
    seats.begin(draft(start=month, holders=(BOB, DANA), provider="openai", price=Decimal(45)))
    found = alice.get(at("seats"))
    [row] = found.context["rows"]
    assert row.worth.idle == (never.email,)
    assert row.worth.month_equivalent >= 0
    [idle] = found.context["idle"]
    assert (idle.names, idle.cost) == ((never.email,), 45)
    assert never.email in text_of(found)


def test_new_seats_are_not_called_idle(alice: Client, company: Company, seats: Seats) -> None:
    today = company.at.date()
    seats.begin(start=today - timedelta(days=29), provider="cursor")
    assert not alice.get(at("seats")).context["idle"]
    old = seats.begin(start=today - timedelta(days=40), provider="cursor", name="Old")
    seats.change(old, today - timedelta(days=3), seats=9)
    assert [one.row.plan.name for one in alice.get(at("seats")).context["idle"]] == ["Old"]


def test_correcting_a_plan_keeps_what_it_covers_of_an_archived_source(
    alice: Client, company: Company, seats: Seats
) -> None:
    row = seats.book.source("coding")
    plan = seats.begin(covers=("coding",), start=company.at.date() - timedelta(days=9))
    row.archived_at = company.at
    row.save()
    path = at("seat_plan_correct", seat_plan_id=plan.id)
    assert ("coding", row.name) in alice.get(path).context["form"].fields["covers"].choices
    assert alice.post(path, described(company, price="31", covers=["coding"])).status_code == 302
    plan.refresh_from_db()
    assert (plan.price, plan.covers.count()) == (Decimal(31), 1)


def test_who_may_not_see_people_sees_no_names_and_no_use(
    company: Company, browser: Callable[[User], Client], seats: Seats
) -> None:
    seats.begin(start=company.at.date() - timedelta(days=3))
    client = browser(company.cast.bob_login)
    text = text_of(client.get(at("seats")))
    assert "Claude Team" in text
    assert "@acme.example" not in text.split('id="answer"')[1]
    assert "At list price" not in text.split("<table>")[1].split("</thead>")[0]
    assert at("seat_plan_add") not in text
    assert client.get(at("seat_plan_add")).status_code == 403
    Membership.objects.filter(user=company.cast.bob_login).update(role="finance")
    assert client.get(at("seat_plan_add")).status_code == 200


def test_what_does_not_go_on_says_why(alice: Client, company: Company, seats: Seats) -> None:
    seats.begin(start=company.at.date() - timedelta(days=400))
    assert "of 401 days" in text_of(alice.get(at("seats")))
    seats.booked()
    assert "are booked within" not in text_of(alice.get(at("seats")))
    SeatBooks.objects.update(made_until=date(2026, 1, 1), problem="no rate from EUR to USD")
    assert "no rate from EUR to USD" in text_of(alice.get(at("seats")))


def test_ten_plans_ask_as_much_as_one(alice: Client, company: Company, seats: Seats) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert alice.get(at("seats")).status_code == 200
        return len(queries)

    seats.begin(start=company.at.date())
    one = asked()
    for number in range(9):
        seats.begin(start=company.at.date(), name=f"Plan {number}", provider=f"provider-{number}")
    assert asked() == one <= 40
