"""Jobs over history and the preview of a rule, over REST: opened, worked to the end, and refused to who may not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from finops.config.celery import app
from finops.connectors.types import Dimensions
from finops.jobs.models import Job
from finops.orgs import services as orgs
from finops.orgs.models import User
from finops.pricing.services import Agreed, set_discount
from tests.factories.attribution import shared_draft, shared_rule
from tests.factories.company import Company, book, empty_company, event
from tests.factories.orgs import HOUSE, NOON
from tests.interfaces.conftest import Api, refused

AT = datetime(2026, 10, 20, 12, tzinfo=UTC)
OCTOBER = {"from": "2026-10-01", "to": "2026-11-01"}
CALL = Decimal("0.0045")
CHAT_RULE = {
    "conditions": [{"field": "model", "operator": "starts_with", "values": ["gpt-"]}],
    "assignment": {"team": "chat"},
}
WRITES = ("rerates", "reattributions", "allocations", "attribution-rules/preview")


def on(day: int) -> datetime:
    return datetime(2026, 10, day, 10, tzinfo=UTC)


@pytest.fixture
def company(db: None) -> Company:
    """October: Bob of Search 2 calls, nobody 2."""
    made = empty_company(AT)
    bob = Dimensions(person="bob", team="search")
    book(made, [event(1, on(5), dimensions=bob), event(2, on(6), dimensions=bob), event(3, on(7)), event(4, on(8))])
    return made


@pytest.fixture
def dana(company: Company, login: Callable[[User], Api]) -> Api:
    """Finance."""
    return login(company.cast.dana_login)


@pytest.fixture
def eager() -> Iterator[None]:
    app.conf.update(task_always_eager=True)
    yield
    app.conf.update(task_always_eager=False)


@pytest.fixture
def worker(eager: None, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Callable[..., Any]:
    """Posts, commits, and works the job that was sent, here and now."""

    def post(api: Api, path: str, body: dict[str, Any], **headers: str) -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            answer = api.post(path, body, **headers)
        assert answer.status_code == 202, answer.content
        return told_by(answer)

    return post


def with_key(company: Company, *permissions: str, team_id: int | None = None) -> Api:
    issued = orgs.issue_key(
        organization_id=company.cast.acme.id, name="Script", permissions=permissions, team_id=team_id, by=HOUSE, at=NOON
    )
    return Api(Client(), Authorization=f"Bearer {issued.secret}")


def costs(api: Api) -> dict[str, str]:
    """By team."""
    told = told_by(api.get("spend?period=2026-10&group_by=team"))
    return {row["group"]["team"]["value"]: row["reporting_cost"] for row in told["rows"]}


def times(many: int | Decimal) -> str:
    return f"{CALL * many:.12f}"


def told_by(answer: HttpResponse) -> Any:
    return json.loads(answer.content)


# --- The jobs ---------------------------------------------------------------------------------------------------------
def test_a_discount_and_the_month_is_rated_again(company: Company, dana: Api, worker: Callable[..., Any]) -> None:
    about = Agreed(provider="openai", model="", effective_from=NOON.date().replace(month=1), note="deal")
    set_discount(organization_id=company.cast.acme.id, about=about, percent=Decimal(50), by=HOUSE, at=AT)
    opened = worker(dana, "rerates", OCTOBER | {"filters": {"team": ["search"]}})
    assert (opened["kind"], opened["state"], opened["parameters"]["start"]) == ("rerate", "queued", "2026-10-01")
    job = told_by(dana.get(f"jobs/{opened['id']}"))
    assert (job["state"], job["result"]["seen"], job["result"]["changed"]) == ("done", 2, 2)
    assert costs(dana) == {"search": times(1), "(none)": times(2)}
    # The old charge, its reversal and the new one lead to each other.
    page = told_by(dana.get("charges?period=2026-10&filter.team=search"))["items"]
    [reversal, *_] = [one for one in page if one["reverses"] and one["external_id"].endswith("1")] or [
        one for one in page if one["reverses"]
    ]
    first = told_by(dana.get(f"charges/{reversal['reverses']}"))
    assert first["corrections"]["reversed_by"] == reversal["id"]
    new = told_by(dana.get(f"charges/{first['corrections']['replaced_by']}"))
    assert new["pricing"]["contract_id"] is not None
    assert [line["contracted_rate"] for line in new["pricing"]["lines"]][:2] == ["1.25", "5"]
    told = told_by(dana.get(f"charges/{reversal['id']}"))
    assert told["usage"]["output_text"] == -200
    assert sum(Decimal(line["contracted_cost"]) for line in told["pricing"]["lines"]) == -CALL


def test_a_rule_and_the_month_is_attributed_again(dana: Api, worker: Callable[..., Any]) -> None:
    assert dana.post("attribution-rules", CHAT_RULE | {"name": "Rest"}).status_code == 201
    opened = worker(dana, "reattributions", OCTOBER)
    job = told_by(dana.get(f"jobs/{opened['id']}"))
    assert (job["state"], job["result"]["changed"]) == ("done", 2)
    assert costs(dana) == {"search": times(2), "chat": times(2)}


def test_shared_costs_are_split(company: Company, dana: Api, worker: Callable[..., Any]) -> None:
    draft = shared_draft(pool={"provider": ("openai",)}, targets=(company.cast.search.id, company.cast.chat.id))
    shared_rule(company.cast.acme.id, draft)
    opened = worker(dana, "allocations", {"month": "2026-10"})
    job = told_by(dana.get(f"jobs/{opened['id']}"))
    assert job["state"] == "done", job
    assert costs(dana) == {"search": times(2), "chat": times(2), "(none)": times(0)}
    [line] = [
        one
        for one in told_by(dana.get("charges?period=2026-10&filter.team=chat"))["items"]
        if one["reason"] == "allocation"
    ]
    assert told_by(dana.get(f"charges/{line['id']}"))["pricing"]["state"] == "allocated"


def test_a_repeat_with_the_same_key_opens_no_second_job(dana: Api, worker: Callable[..., Any]) -> None:
    first = worker(dana, "rerates", OCTOBER, **{"Idempotency-Key": "once"})
    again = worker(dana, "rerates", OCTOBER, **{"Idempotency-Key": "once"})
    assert (again["id"], again["state"]) == (first["id"], "queued")
    assert Job.objects.count() == 1
    other = dana.post("rerates", OCTOBER | {"to": "2026-10-02"}, **{"Idempotency-Key": "once"})
    assert refused(other) == (409, "api.idempotency_conflict", None)


@pytest.fixture
def no_broker() -> Iterator[None]:
    """Port 1 of this machine: nobody is there."""
    kept = app.conf.broker_write_url
    app.conf.update(broker_write_url="redis://127.0.0.1:1/0")
    _forget_connections()
    yield
    app.conf.update(broker_write_url=kept)
    _forget_connections()


def _forget_connections() -> None:
    for holder, name in ((app.amqp, "_producer_pool"), (app, "_pool")):
        setattr(holder, name, None)


def test_no_broker_is_no_failure(
    dana: Api, no_broker: None, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = dana.post("rerates", OCTOBER)
    assert answer.status_code == 202
    # The schedule's task finds it.
    assert Job.objects.get().state == Job.State.QUEUED


# --- The preview ------------------------------------------------------------------------------------------------------
def test_a_rule_is_tried_before_it_is_saved(dana: Api) -> None:
    answer = dana.post("attribution-rules/preview", CHAT_RULE | OCTOBER)
    assert answer.status_code == 200, answer.content
    told = told_by(answer)
    assert (told["charges_seen"], told["charges_moved"], told["more"]) == (4, 2, 0)
    assert told["amounts"] == [{"currency": "USD", "amount": times(2)}]
    [move] = told["moves"]
    assert move["charges"] == 2
    [change] = move["changes"]
    assert (change["dimension"], change["before"], change["after"]["value"]) == ("team", None, "chat")
    assert told_by(dana.get("attribution-rules"))["items"] == []
    assert costs(dana) == {"search": times(2), "(none)": times(2)}


def test_a_change_of_a_rule_is_tried(dana: Api) -> None:
    rule_id = told_by(dana.post("attribution-rules", CHAT_RULE | {"name": "Rest"}))["id"]
    told = told_by(
        dana.post("attribution-rules/preview", OCTOBER | {"rule_id": rule_id, "assignment": {"team": "search"}})
    )
    assert [move["changes"][0]["after"]["value"] for move in told["moves"]] == ["search"]
    missing = dana.post("attribution-rules/preview", OCTOBER | {"rule_id": 2**31 - 1})
    assert refused(missing)[:2] == (404, "core.not_found")


def test_who_may_not_see_people_is_not_told_of_people(company: Company) -> None:
    by_person = {
        "conditions": [{"field": "provider", "operator": "is", "values": ["openai"]}],
        "assignment": {"person": "alice", "team": "chat"},
        "override": True,
    }
    may = with_key(company, "attribution.manage", "spend.read", "spend.read_people")
    told = told_by(may.post("attribution-rules/preview", by_person | OCTOBER))
    assert {one["dimension"] for move in told["moves"] for one in move["changes"]} == {"team", "person"}
    may_not = with_key(company, "attribution.manage", "spend.read")
    answer = may_not.post("attribution-rules/preview", by_person | OCTOBER)
    assert {one["dimension"] for move in told_by(answer)["moves"] for one in move["changes"]} == {"team"}
    assert "Alice" not in answer.content.decode()
    assert told_by(answer)["amounts"] == told["amounts"]


# --- What is refused --------------------------------------------------------------------------------------------------
WRONG: tuple[tuple[str, dict[str, Any], int, str, str | None], ...] = (
    ("rerates", {}, 400, "api.invalid", "from"),
    ("rerates", OCTOBER | {"until": "2026-10-01"}, 400, "api.invalid", "until"),
    ("rerates", {"from": "2026-10-01", "to": "2026-10-01"}, 400, "ledger.period_unclear", "to"),
    ("rerates", {"from": "0001-01-01", "to": "2026-10-01"}, 400, "ledger.period_unclear", "from"),
    ("rerates", OCTOBER | {"filters": {"shoe": ["x"]}}, 400, "ledger.question_unclear", "filters.shoe"),
    ("rerates", OCTOBER | {"filters": {"id) OR (1": ["x"]}}, 400, "ledger.question_unclear", "filters.id) OR (1"),
    ("rerates", OCTOBER | {"filters": {"\ud800": ["x"]}}, 400, "ledger.question_unclear", "filters.\\ud800"),
    ("rerates", OCTOBER | {"filters": {"team": ["globex"]}}, 400, "ledger.value_unknown", "filters.team"),
    ("rerates", OCTOBER | {"filters": {"model": ["never"]}}, 400, "ledger.value_unknown", "filters.model"),
    ("rerates", OCTOBER | {"filters": {"team": "search"}}, 400, "api.invalid", "filters.team"),
    ("rerates", OCTOBER | {"filters": {"team": []}}, 400, "api.invalid", "filters.team"),
    ("rerates", OCTOBER | {"filters": {"team": [""]}}, 400, "api.invalid", "filters.team[0]"),
    ("reattributions", {"from": "2026-10-01"}, 400, "api.invalid", "to"),
    ("allocations", {}, 400, "api.invalid", "month"),
    ("allocations", {"month": "2026-13"}, 400, "ledger.question_unclear", "month"),
    ("allocations", {"month": "October"}, 400, "api.invalid", "month"),
    ("attribution-rules/preview", CHAT_RULE, 400, "api.invalid", "from"),
    ("attribution-rules/preview", OCTOBER, 422, "attribution.bad_condition", "assignment"),
    (
        "attribution-rules/preview",
        CHAT_RULE | {"from": "2026-01-01", "to": "2026-11-01"},
        400,
        "ledger.period_unclear",
        "to",
    ),
    (
        "attribution-rules/preview",
        CHAT_RULE | OCTOBER | {"assignment": {"team": "globex"}},
        422,
        "attribution.owner_unknown",
        "assignment.team",
    ),
)


def test_what_is_wrong_is_named_and_nothing_is_opened(dana: Api) -> None:
    told = [(path, body, *refused(dana.post(path, body))) for path, body, *_ in WRONG]
    assert told == list(WRONG)
    assert not Job.objects.exists()


def test_an_engineer_works_nothing_over(company: Company, login: Callable[[User], Api]) -> None:
    bob = login(company.cast.bob_login)
    for path in WRITES:
        assert refused(bob.post(path, OCTOBER))[:2] == (403, "orgs.permission_missing")


def test_a_bound_key_works_over_its_own_and_nothing_of_the_whole(company: Company) -> None:
    key = with_key(company, "jobs.run", "attribution.manage", "spend.read", team_id=company.cast.search.id)
    opened = told_by(key.post("rerates", OCTOBER))
    assert opened["parameters"]["filters"] == {"team": [company.cast.search.id]}
    assert refused(key.post("rerates", OCTOBER | {"filters": {"team": ["chat"]}})) == (403, "orgs.out_of_reach", "team")
    # A job's result tells what a person cost.
    assert refused(key.post("reattributions", OCTOBER | {"filters": {"person": ["bob"]}})) == (
        403,
        "orgs.out_of_reach",
        "person",
    )
    assert refused(key.post("allocations", {"month": "2026-10"})) == (403, "orgs.out_of_reach", "team")
    assert refused(key.post("attribution-rules/preview", CHAT_RULE | OCTOBER)) == (403, "orgs.out_of_reach", "team")
    blind = with_key(company, "jobs.run")
    assert refused(blind.post("rerates", OCTOBER))[:2] == (403, "orgs.permission_missing")
