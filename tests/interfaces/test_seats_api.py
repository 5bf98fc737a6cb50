"""Plans of seats over REST."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from finops.orgs import services as orgs
from finops.orgs.models import Membership, User
from finops.seats import tasks
from finops.seats.models import SeatPlan
from tests.factories.ledger import Book, event, small_book
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.factories.seats import Seats
from tests.interfaces.conftest import Api, refused, told

TODAY = datetime.now(UTC).date()
PLAN: dict[str, Any] = {
    "name": "Claude Team", "provider": "anthropic", "price": "30", "seats": 3, "start": str(TODAY - timedelta(days=9)),
    "holders": ["bob@acme.example", "github:dana-codes"],
}  # fmt: skip


@pytest.fixture
def seats(cast: Cast) -> Seats:
    small_book()
    return Seats(Book(cast.acme, at=datetime.now(UTC)))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any) -> list[dict[str, Any]]:
    """What workers are asked for."""
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.book, "apply_async", lambda **given: asked.append(given["kwargs"]))
    monkeypatch.setattr(tasks.run_job, "apply_async", lambda **given: asked.append(given["kwargs"]))
    return asked


def test_a_plan_is_described_and_told(alice: Api, seats: Seats, cast: Cast) -> None:
    made = told(alice.post("seat-plans", PLAN, Idempotency_Key="one"), 201)
    assert made | {"id": 0, "made_at": "", "booked_until": ""} == {
        "id": 0, "name": "Claude Team", "provider": "anthropic", "account": "", "price": "30.000000000000",
        "currency": "USD", "seats": 3, "start": PLAN["start"], "end": None, "anchor": PLAN["start"], "term_months": 1,
        "prorated": True, "included": None, "holders": ["bob@acme.example", "github:dana-codes"], "holder_count": 2,
        "covers": [], "follows": None, "made_at": "", "booked_until": "", "problem": "",
    }  # fmt: skip
    assert made["booked_until"] == PLAN["start"]
    assert told(alice.post("seat-plans", PLAN, Idempotency_Key="one"), 201)["id"] == made["id"]
    assert refused(alice.post("seat-plans", PLAN)) == (409, "seats.name_taken", "name")
    seats.booked()
    assert told(alice.get(f"seat-plans/{made['id']}"))["booked_until"] == str(TODAY + timedelta(days=1))
    assert [one["id"] for one in told(alice.get("seat-plans"))["items"]] == [made["id"]]


def test_a_worker_is_asked_once_it_is_committed(
    alice: Api, seats: Seats, sent: list[dict[str, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        alice.post("seat-plans", PLAN)
    assert sent == [{"organization_id": seats.organization.id}]
    with django_capture_on_commit_callbacks(execute=True):
        alice.post("seat-plans", PLAN | {"name": "Old", "start": str(TODAY - timedelta(days=400))})
    assert list(sent[1]) == ["job_id"]


def test_it_is_changed_ended_corrected_and_withdrawn(alice: Api, seats: Seats) -> None:
    first = told(alice.post("seat-plans", PLAN), 201)
    since = str(TODAY - timedelta(days=4))
    path = f"seat-plans/{first['id']}"
    assert refused(alice.post(f"{path}/changes", {"seats": 5})) == (400, "api.invalid", "since")
    other = told(alice.post(f"{path}/changes", {"since": since, "seats": 5, "price": "40"}), 201)
    assert (other["start"], other["seats"], other["follows"], other["holder_count"]) == (since, 5, first["id"], 2)
    assert told(alice.get(path))["end"] == since
    seats.booked()
    assert round(seats.book.total(), 2) < 30 * 3 + 40 * 5
    ended = told(alice.patch(f"seat-plans/{other['id']}", {"end": str(TODAY), "holders": []}))
    assert (ended["end"], ended["holders"], ended["seats"]) == (str(TODAY), [], 5)
    for plan in (first, other):
        assert alice.delete(f"seat-plans/{plan['id']}").status_code == 204
    assert refused(alice.delete(path))[:2] == (404, "core.not_found")
    seats.booked()
    assert seats.book.total() == 0
    assert told(alice.get("seat-plans"))["items"] == []


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"seats": 1}, "holders"),
        ({"holders": ["bob@acme.example", "BOB@acme.example"]}, "holders"),
        ({"holders": ["bob"]}, "holders"),
        ({"holders": ["two words@acme.example"]}, "holders"),
        ({"start": "2019-01-01"}, "start"),
        ({"end": PLAN["start"]}, "end"),
        ({"anchor": str(TODAY)}, "anchor"),
        ({"currency": "E1R"}, "currency"),
        ({"name": " "}, "name"),
        ({"covers": ["nothing"]}, "covers"),
        ({"price": "-1"}, "price"),
        ({"price": "1e99"}, "price"),
        ({"price": "NaN"}, "price"),
        ({"seats": 0}, "seats"),
        ({"term_months": 61}, "term_months"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_no_plan_is_refused_with_its_field(alice: Api, bad: dict[str, Any], field: str) -> None:
    status, _, named = refused(alice.post("seat-plans", PLAN | bad))
    assert (status in (400, 422), named) == (True, field)
    assert not SeatPlan.objects.exists()


def test_finance_writes_and_others_read_without_names(
    cast: Cast, seats: Seats, login: Callable[[User], Api], by_key: Callable[..., Api]
) -> None:
    dana, bob = login(cast.dana_login), login(cast.bob_login)
    made = told(dana.post("seat-plans", PLAN), 201)
    path = f"seat-plans/{made['id']}"
    seen = told(bob.get(path))
    assert (seen["holders"], seen["holder_count"], seen["price"]) == (None, 2, "30.000000000000")
    for answer in (
        bob.post("seat-plans", PLAN), bob.patch(path, {"seats": 9}), bob.delete(path),
        bob.post(f"{path}/changes", {"since": str(TODAY), "seats": 9}), bob.get(f"{path}/worth"),
    ):  # fmt: skip
        assert refused(answer)[:2] == (403, "orgs.permission_missing")
    Membership.objects.filter(user=cast.bob_login).update(role="team_lead")
    assert told(bob.get(path))["holders"] is None
    assert refused(bob.get(f"{path}/worth"))[:2] == (403, "orgs.out_of_reach")
    assert told(by_key("pricing.read").get(path))["holders"] is None


def test_what_a_plan_is_worth(alice: Api, seats: Seats, cast: Cast) -> None:
    orgs.add_identity(
        organization_id=cast.acme.id, person_id=cast.dana.id, kind="github", value="Dana-Codes", by=HOUSE, at=NOON
    )
    seats.book.source("coding")
    month = TODAY.replace(day=1)
    plan = PLAN | {"seats": 5, "holders": [*PLAN["holders"], "stranger@acme.example"], "covers": ["coding"]}
    made = told(alice.post("seat-plans", plan | {"start": str(month - timedelta(days=40))}), 201)
    call = {"provider": "anthropic", "model": "claude", "identities": (("email", "bob@acme.example"),)}
    today = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC)
    seats.book.take(event("a", occurred_at=today, **call), source="coding")
    seats.book.take(event("b", occurred_at=today, **call))
    seats.booked()
    with CaptureQueriesContext(connection) as asked:
        found = told(alice.get(f"seat-plans/{made['id']}/worth"))
    assert found | {"cost": ""} == {
        "currency": "USD", "cost": "", "equivalent": [{"currency": "USD", "amount": "0.004500000000"}], "calls": 1,
        "unassigned_seats": 2, "idle": ["github:dana-codes"], "unknown": ["stranger@acme.example"],
    }  # fmt: skip
    booked = seats.book.charges("external_id, effective_cost, occurred_at")
    costs = {name: cost for name, cost, at in booked if at.date() >= month}
    assert costs["a"] == 0
    assert found["cost"] == f"{sum(cost for name, cost in costs.items() if name != 'b'):.12f}"
    assert len(asked) <= 30


def test_a_list_of_plans_asks_as_much_as_one(alice: Api, seats: Seats) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            told(alice.get("seat-plans"))
        return len(queries)

    told(alice.post("seat-plans", PLAN), 201)
    one = asked()
    for number in range(4):
        told(alice.post("seat-plans", PLAN | {"name": f"Plan {number}"}), 201)
    assert asked() == one <= 16
