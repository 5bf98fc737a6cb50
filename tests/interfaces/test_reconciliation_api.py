"""What was billed, seen and tied over REST, and the rules it is counted by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from finops.audit.models import AuditEvent
from finops.orgs.models import Membership, User
from finops.reconciliation import tasks
from finops.reconciliation.models import CountingRule
from tests.factories.ledger import Book, event, small_book
from tests.factories.orgs import Cast
from tests.factories.statements import MIDNIGHT, Stated
from tests.interfaces.conftest import Api, refused, told

OCTOBER = "period=2026-10"


@pytest.fixture
def book(cast: Cast) -> Book:
    small_book()
    return Book(cast.acme)


@pytest.fixture
def stated(book: Book) -> Stated:
    """One call seen of two that were billed."""
    made = Stated(book)
    book.take(event("a"))
    made.billed("0.036", "input_uncached")
    made.reported(input_uncached=2_000, output_text=200)
    made.reconciled()
    return made


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What workers are asked for."""
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.reconcile_one, "apply_async", lambda **given: asked.append(given["kwargs"]))
    return asked


def test_a_period_is_told_by_provider_and_adds_up(alice: Api, stated: Stated) -> None:
    found = told(alice.get(f"reconciliation/totals?{OCTOBER}"))
    assert found["period"] == {"from": "2026-10-01", "to": "2026-11-01"}
    assert found["totals"] == [
        {
            "provider": "openai",
            "currency": "USD",
            "billed": "0.036000000000",
            "seen": "0.012000000000",
            "corrected": "0.006000000000",
            "unseen": "0.018000000000",
            "unattributed": "0.018000000000",
            "calls": 1,
            "days_tied": 1,
            "days_compared": 0,
            "days_in_other_currencies": 0,
            "days_waiting": 0,
            "drift": pytest.approx(-2 / 3),
        }
    ]
    assert told(alice.get("reconciliation/totals?from=2026-09-01&to=2026-10-01"))["totals"] == []


def test_days_are_told_newest_first_by_page(alice: Api, stated: Stated) -> None:
    for number in (1, 2):
        stated.billed("1", occurred_at=MIDNIGHT + timedelta(days=number))
    stated.reconciled()
    path = f"reconciliation/days?{OCTOBER}&provider=openai"
    first = told(alice.get(f"{path}&limit=2"))
    assert [one["day"] for one in first["items"]] == ["2026-10-16", "2026-10-15"]
    [last] = told(alice.get(f"{path}&limit=2&cursor={first['next']}"))["items"]
    assert (last["day"], last["state"], last["corrected"]) == ("2026-10-14", "tied", "0.006000000000")
    assert told(alice.get(f"reconciliation/days?{OCTOBER}&provider=mistral"))["items"] == []


def test_a_rule_is_read_changed_and_its_days_made_anew(
    alice: Api, stated: Stated, sent: list[dict[str, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    [rule] = told(alice.get("counting-rules"))["items"]
    assert (rule["provider"], rule["source"], rule["level"]) == ("openai", "openai-money", "billed")
    path = f"counting-rules/{rule['id']}"
    with django_capture_on_commit_callbacks(execute=True):
        changed = told(alice.patch(path, {"level": "metered", "after_hours": 24}))
    assert sent == [{"organization_id": stated.book.organization.id}]
    assert changed == rule | {"level": "metered", "after_hours": 24, "set_at": changed["set_at"]}
    assert told(alice.get(path)) == changed
    stated.reconciled()
    [total] = told(alice.get(f"reconciliation/totals?{OCTOBER}"))["totals"]
    assert (total["days_tied"], total["days_compared"], total["unseen"]) == (0, 1, "0.000000000000")


def test_asking_again_costs_nothing(
    alice: Api, stated: Stated, sent: list[dict[str, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        first = told(alice.post("reconciliation/run", Idempotency_Key="k"), 202)
        again = told(alice.post("reconciliation/run", Idempotency_Key="k"), 202)
    assert first == again
    assert sent == [{"organization_id": stated.book.organization.id}]
    tasks.reconcile_one(organization_id=stated.book.organization.id)
    assert stated.reconciled() == 0


def test_finance_reads_and_runs_and_admins_change(
    cast: Cast, stated: Stated, login: Callable[[User], Api], by_key: Callable[..., Api]
) -> None:
    bob = login(cast.bob_login)
    reads = ("counting-rules", f"reconciliation/days?{OCTOBER}", f"reconciliation/totals?{OCTOBER}")
    path = f"counting-rules/{CountingRule.objects.get().id}"
    for read in (*reads, path):
        assert refused(bob.get(read))[:2] == (403, "orgs.permission_missing")
    Membership.objects.filter(user=cast.bob_login).update(role="finance")
    for read in (*reads, path):
        told(bob.get(read))
    told(bob.post("reconciliation/run"), 202)
    assert refused(bob.patch(path, {"level": "metered"}))[:2] == (403, "orgs.permission_missing")
    # The money of all is for who may ask about all.
    assert refused(by_key("audit.read").get(reads[2]))[:2] == (403, "orgs.permission_missing")
    told(by_key("audit.read", "spend.read").get(reads[2]))


def test_another_organizations_are_not_there(cast: Cast, stated: Stated, login: Callable[[User], Api]) -> None:
    charlie = login(cast.charlie_login)
    path = f"counting-rules/{CountingRule.objects.get().id}"
    assert refused(charlie.get(path))[0] == refused(charlie.patch(path, {"level": "metered"}))[0] == 404
    assert told(charlie.get("counting-rules"))["items"] == []
    assert told(charlie.get(f"reconciliation/days?{OCTOBER}"))["items"] == []
    assert told(charlie.get(f"reconciliation/totals?{OCTOBER}"))["totals"] == []
    assert not AuditEvent.objects.filter(verb="counting_rule.changed").exists()


@pytest.mark.parametrize(
    ("wrong", "status", "field"),
    [
        ({"level": "guessed"}, 400, "level"),
        ({"until": "2001-01-01"}, 422, "until"),
        ({"since": "1999-01-01"}, 422, "since"),
        ({"since": "soon"}, 400, "since"),
        ({"after_hours": -1}, 400, "after_hours"),
        ({"after_hours": 337}, 400, "after_hours"),
        ({"whole": "perhaps"}, 400, "whole"),
        ({"provider": "mistral"}, 400, "provider"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(
    alice: Api, stated: Stated, wrong: dict[str, Any], status: int, field: str
) -> None:
    path = f"counting-rules/{CountingRule.objects.get().id}"
    assert refused(alice.patch(path, wrong))[::2] == (status, field)


@pytest.mark.parametrize("query", ["team=1", "filter.team=search", "period=nonsense", "from=2026-10-01"])
def test_a_question_that_is_unclear_is_refused(alice: Api, stated: Stated, query: str) -> None:
    for path in ("days", "totals"):
        assert refused(alice.get(f"reconciliation/{path}?{query}"))[0] == 400


def test_more_days_ask_no_more_questions(alice: Api, stated: Stated) -> None:
    def asked(path: str) -> int:
        told(alice.get(path))
        with CaptureQueriesContext(connection) as queries:
            told(alice.get(path))
        return len(queries)

    paths = [f"reconciliation/{name}?{OCTOBER}" for name in ("totals", "days")] + ["counting-rules"]
    before = [asked(path) for path in paths]
    for number in range(1, 9):
        stated.billed("1", occurred_at=MIDNIGHT + timedelta(days=number))
    stated.reconciled()
    assert [asked(path) for path in paths] == before
    assert max(before) <= 18
