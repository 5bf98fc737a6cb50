"""Budgets from first to last, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from finops.audit.models import AuditEvent
from finops.budgets.models import Budget
from tests.factories.ledger import Book
from tests.factories.orgs import Cast
from tests.interfaces.budgets.conftest import PER_PERSON, SEARCH, made
from tests.interfaces.conftest import Api, refused, told

TWELVE = "0" * 12


def test_a_budget_from_first_to_last(cast: Cast, alice: Api) -> None:
    scope = {"team": ["search", None], "provider": ["openai"]}
    budget = made(alice, SEARCH | {"scope": scope, "enforcement": "alert", "thresholds": [50, 90]})
    assert {name: sorted(values, key=str) for name, values in budget["scope"].items()} == {
        "team": [None, "search"],
        "provider": ["openai"],
    }
    assert (budget["limit"], budget["each"], budget["by_lead"]) == (f"100.{TWELVE}", None, False)
    assert (budget["starts_at"], budget["timezone"]) == ("2026-11-01T00:00:00Z", "UTC")
    address = f"budgets/{budget['id']}"

    changed = told(alice.patch(address, {"limit": "150.5", "enforcement": "hard", "ends_at": "2026-12-24T00:00:00Z"}))
    assert (changed["limit"], changed["enforcement"], changed["thresholds"]) == ("150.500000000000", "hard", [50, 90])
    assert told(alice.get(address)) == changed

    archived = told(alice.post(f"{address}/archive"))
    assert archived["archived_at"] is not None
    assert refused(alice.patch(address, {"limit": "1"}))[:2] == (409, "budgets.archived")
    assert told(alice.get("budgets"))["items"] == []
    assert len(told(alice.get("budgets?archived=true"))["items"]) == 1
    verbs = AuditEvent.objects.filter(subject_kind="budget").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["budget.created", "budget.changed", "budget.archived"]


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"name": " "}, 400, "name"),
        ({"limit": "-1"}, 400, "limit"),
        ({"limit": "NaN"}, 400, "limit"),
        ({"period": "fortnight"}, 400, "period"),
        ({"period": "session"}, 422, "period"),
        ({"each": "shoe"}, 400, "each"),
        ({"scope": {"shoe": ["x"]}}, 422, "scope.shoe"),
        ({"scope": {"team": []}}, 422, "scope.team"),
        ({"scope": {"team": ["nobody-here"]}}, 422, "scope.team"),
        ({"scope": {"person": ["charlie"]}}, 422, "scope.person"),
        ({"scope": {"model": [None]}}, 422, "scope.model"),
        ({"timezone": "Mars/Olympus"}, 422, "timezone"),
        ({"thresholds": [0]}, 400, "thresholds[0]"),
        ({"thresholds": [50, 50]}, 422, "thresholds"),
        ({"period": "total", "rollover": "1"}, 422, "rollover"),
        ({"starts_at": "2026-10-01T00:00:00Z"}, 422, "starts_at"),
        ({"starts_at": "9999-12-31T00:00:00Z"}, 422, "starts_at"),
        ({"ends_at": "2026-10-31T00:00:00Z"}, 422, "ends_at"),
        ({"shoe": 1}, 400, "shoe"),
    ],
)
def test_a_bad_budget_is_a_problem_that_names_its_field(
    alice: Api, changes: dict[str, Any], status: int, field: str
) -> None:
    for address in ("budgets", "budgets/try"):
        answer = refused(alice.post(address, SEARCH | changes))
        assert (answer[0], answer[2]) == (status, field)
    assert not Budget.objects.exists()


def test_a_repeat_with_the_same_key_makes_one_budget(alice: Api) -> None:
    answers = [told(alice.post("budgets", SEARCH, Idempotency_Key="once"), 201) for _ in range(2)]
    assert answers[0] == answers[1]
    assert Budget.objects.count() == 1


def test_exceptions_are_of_subjects_by_slug(alice: Api, book: Book) -> None:
    address = f"budgets/{made(alice, PER_PERSON)['id']}/exceptions"
    told(alice.post(address, {"subject": "bob", "limit": "500", "note": "On call"}))
    budget = told(alice.post(address, {"subject": None, "limit": None}))
    assert budget["exceptions"] == [
        {"subject": "bob", "subject_name": "Bob", "limit": f"500.{TWELVE}", "note": "On call"},
        {"subject": None, "subject_name": "Nobody", "limit": None, "note": ""},
    ]
    assert [one["subject"] for one in told(alice.post(f"{address}/remove", {"subject": None}))["exceptions"]] == ["bob"]
    assert refused(alice.post(address, {"limit": "1"})) == (422, "budgets.invalid", "subject")
    assert refused(alice.post(address, {"subject": "charlie", "limit": "1"}))[2] == "subject"
    assert refused(alice.post(address, {"subject": "bob"}))[2] == "limit"
    one_for_all = made(alice, SEARCH)["id"]
    assert refused(alice.post(f"budgets/{one_for_all}/exceptions", {"subject": "bob", "limit": "1"}))[0] == 422


def test_a_list_costs_the_same_however_long(
    cast: Cast, by_key: Callable[..., Api], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    script = by_key("budgets.read", "budgets.team", "budgets.manage")
    script.get("budgets")  # the first call notes that the key was used

    def queries(wanted: int) -> None:
        # The key, the budgets, and the slugs of teams and of people.
        with django_assert_num_queries(4):
            assert len(told(script.get("budgets"))["items"]) == wanted

    made(script, SEARCH | {"scope": {"team": ["search"], "person": ["bob"]}})
    queries(1)
    for _ in range(5):
        made(script, SEARCH | {"scope": {"team": ["chat"], "person": ["alice"]}})
    queries(6)
    page = told(script.get("budgets?limit=4"))
    rest = told(script.get(f"budgets?limit=4&cursor={page['next']}"))
    assert [len(page["items"]), len(rest["items"]), rest["next"]] == [4, 2, None]


def test_a_trial_tells_who_would_have_been_stopped_and_saves_nothing(alice: Api, book: Book) -> None:
    found = told(alice.post("budgets/try", {"limit": "0.013", "period": "day", "each": "person"}))
    assert (found["stops"], found["calls"]) == (1, 1)
    [stop] = found["dearest"]
    assert (stop["subject"], stop["stopped_at"], stop["beyond"]) == ("bob", "2026-11-01T12:01:00Z", "0.012000000000")
    total = told(alice.post("budgets/try", {"limit": "0.02", "period": "total", "days": 7}))
    assert (total["stops"], total["dearest"][0]["subject"]) == (1, None)
    for days in (0, 91):
        assert refused(alice.post("budgets/try", SEARCH | {"days": days}))[2] == "days"
    assert not Budget.objects.exists()


def test_a_trial_tells_nobody_more_than_they_may_see(
    alice: Api, lead: Api, bob: Api, by_key: Callable[..., Api], book: Book
) -> None:
    mine = {"limit": "0.013", "period": "day", "scope": {"team": ["search"]}}
    assert told(lead.post("budgets/try", mine | {"each": "person"}))["stops"] == 1
    for scope in ({}, {"team": ["chat"]}, {"team": ["search", "chat"]}):
        assert refused(lead.post("budgets/try", mine | {"scope": scope}))[:2] == (403, "orgs.out_of_reach")
    assert refused(bob.post("budgets/try", mine))[:2] == (403, "orgs.permission_missing")
    script = by_key("budgets.team", "budgets.manage", "spend.read")
    assert told(script.post("budgets/try", mine))["stops"] == 1
    assert refused(script.post("budgets/try", mine | {"each": "person"}))[:2] == (403, "orgs.out_of_reach")
    blind = by_key("budgets.team", "budgets.manage")
    assert refused(blind.post("budgets/try", mine))[:2] == (403, "orgs.permission_missing")


def test_a_downgrade_says_which_cheaper_models_its_calls_go_to(alice: Api, book: Book) -> None:
    steps = [{"provider": "openai", "model": "gpt-mini"}]
    body = {"name": "Down", "limit": "5", "period": "day", "enforcement": "downgrade"}
    assert refused(alice.post("budgets", body)) == (422, "budgets.invalid", "downgrade_to")
    shown = made(alice, body | {"downgrade_to": steps})
    assert (shown["downgrade_to"], shown["downgrade_at"]) == (steps, 80)
    dearer = [*steps, {"provider": "openai", "model": "gpt"}]
    said = refused(alice.patch(f"budgets/{shown['id']}", {"downgrade_to": dearer}))
    assert said == (422, "budgets.invalid", "downgrade_to[1]")
    assert told(alice.patch(f"budgets/{shown['id']}", {"downgrade_at": 50}))["downgrade_at"] == 50
