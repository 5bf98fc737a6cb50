"""Spend, charges, sessions and unpriced calls over REST: what is answered, to whom, and how many queries it takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finops.connectors.types import UsageEvent
from finops.ledger.services.fold import fold_all
from finops.orgs import services as orgs
from finops.orgs.models import User
from tests.factories.company import Company, book, counts, event
from tests.factories.orgs import HOUSE, NOON, member
from tests.factories.spend import AT, on, spending_company
from tests.interfaces.conftest import Api

OCTOBER = "period=2026-10"
# 1,000 tokens in and 200 out of gpt-4o at 2.50 and 10.00 a million.
CALL = Decimal("0.0045")
PEOPLE = "orgs.out_of_reach"


def times(many: int) -> str:
    return f"{CALL * many:.12f}"


@pytest.fixture
def company(db: None) -> Company:
    return spending_company()


@pytest.fixture
def alice(company: Company, login: Callable[[User], Api]) -> Api:
    return login(company.cast.alice_login)


@pytest.fixture
def bob(company: Company, login: Callable[[User], Api]) -> Api:
    """An engineer of Search."""
    return login(company.cast.bob_login)


@pytest.fixture
def lead(company: Company, login: Callable[[User], Api]) -> Api:
    """Leads Search."""
    lena = member(company.cast.acme, "Lena", "viewer")
    assert lena.user_id is not None
    orgs.change_role(
        organization_id=company.cast.acme.id,
        user_id=lena.user_id,
        role="team_lead",
        team_ids=[company.cast.search.id],
        by=HOUSE,
        at=NOON,
    )
    assert lena.user is not None
    return login(lena.user)


@pytest.fixture
def viewer(company: Company, login: Callable[[User], Api]) -> Api:
    vera = member(company.cast.acme, "Vera", "viewer")
    assert vera.user is not None
    return login(vera.user)


def with_key(company: Company, *permissions: str, team_id: int | None = None) -> Api:
    issued = orgs.issue_key(
        organization_id=company.cast.acme.id, name="Script", permissions=permissions, team_id=team_id, by=HOUSE, at=NOON
    )
    return Api(Client(), Authorization=f"Bearer {issued.secret}")


@pytest.fixture
def search_key(company: Company) -> Callable[..., Api]:
    """A key bound to Search that carries these permissions."""
    return lambda *permissions: with_key(company, *permissions, team_id=company.cast.search.id)


def body(api: Api, path: str) -> Any:
    answer = api.get(path)
    assert answer.status_code == 200, answer.content
    return json.loads(answer.content)


def refused(api: Api, path: str) -> tuple[int, str, str | None]:
    said = json.loads(api.get(path).content)
    return said["status"], said["code"], said.get("field")


def by_value(answer: Any, dimension: str, measure: str = "reporting_cost") -> dict[str, Any]:
    return {row["group"][dimension]["value"]: row[measure] for row in answer["rows"]}


# --- Totals, groups, trends -------------------------------------------------------------------------------------------
def test_a_month_in_one_figure(alice: Api) -> None:
    told = body(alice, f"spend?{OCTOBER}")
    assert told["period"] == {"from": "2026-10-01", "to": "2026-11-01"}
    assert told["totals"]["reporting_cost"] == times(8)
    assert told["totals"]["calls"] == 9
    assert told["reporting_currency"] == "USD"
    assert told["fresh_as_of"] == "2026-10-10T10:00:00Z"
    [row] = told["rows"]
    assert (row["group"], row["bucket"], row["currency"], row["effective_cost"]) == ({}, None, "USD", times(8))
    assert told["rest"] == {
        "calls": 0, "input_tokens": 0, "cached_tokens": 0, "output_tokens": 0, "reporting_cost": times(0),
    }  # fmt: skip


def test_groups_have_names_and_come_dearest_first(alice: Api, company: Company) -> None:
    told = body(alice, f"spend?{OCTOBER}&group_by=team")
    assert [row["group"]["team"]["name"] for row in told["rows"]] == ["Search", "Chat", "(none)"]
    assert by_value(told, "team") == {"search": times(4), "chat": times(3), "(none)": times(1)}
    assert told["rows"][0]["group"]["team"]["id"] == company.cast.search.id
    # Folding the deltas into cubes changes nothing.
    fold_all()
    assert body(alice, f"spend?{OCTOBER}&group_by=team") == told


def test_two_dimensions_and_a_promoted_tag(alice: Api) -> None:
    told = body(alice, f"spend?{OCTOBER}&group_by=team,person")
    pairs = {(row["group"]["team"]["value"], row["group"]["person"]["value"]): row["calls"] for row in told["rows"]}
    assert pairs[("search", "bob")] == 2
    tags = body(alice, f"spend?{OCTOBER}&group_by=tag:app/env")
    assert by_value(tags, "tag:app/env")["prod, eu"] == times(1)


def test_limit_says_what_it_left_out(alice: Api) -> None:
    told = body(alice, f"spend?{OCTOBER}&group_by=team&limit=1")
    assert by_value(told, "team") == {"search": times(4)}
    assert told["totals"]["reporting_cost"] == times(8)
    assert (told["rest"]["calls"], told["rest"]["reporting_cost"]) == (5, times(4))


def test_a_trend_by_day(alice: Api) -> None:
    told = body(alice, f"spend?{OCTOBER}&grain=day")
    assert [(row["bucket"], row["calls"]) for row in told["rows"]] == [
        ("2026-10-05", 2), ("2026-10-06", 1), ("2026-10-07", 3),
        ("2026-10-08", 1), ("2026-10-09", 1), ("2026-10-10", 1),
    ]  # fmt: skip
    assert told["totals"]["calls"] == 9


def test_the_period_before(alice: Api) -> None:
    told = body(alice, "spend?from=2026-10-01&to=2026-11-01&group_by=team&compare=previous")
    assert told["previous_period"] == {"from": "2026-08-31", "to": "2026-10-01"}
    assert told["previous_totals"]["reporting_cost"] == times(1)
    before = by_value(told, "team", "previous")
    assert before["search"]["reporting_cost"] == times(1)
    assert before["chat"] is None


FILTERS = (
    ("filter.team=search", 4),
    ("filter.team=search,chat", 8),
    ("filter.team=(none)", 1),
    ("filter.team=search&filter.agent=night-indexer", 1),
    ("filter.person=bob", 2),
    ("filter.model=gpt-4o", 8),
    ("filter.model=never-called", 0),
    ("filter.state=unpriced", 1),
    # A word with a comma in it is understood when it is told whole.
    ("filter.tag:app/env=prod, eu", 1),
    ("filter.source=gateway&filter.provider=openai,anthropic", 9),
)


def test_filters_take_slugs_ids_and_words(alice: Api) -> None:
    told = {filters: body(alice, f"spend?{OCTOBER}&{filters}")["totals"]["calls"] for filters, _ in FILTERS}
    assert told == dict(FILTERS)


def test_filters_take_ids(alice: Api, company: Company) -> None:
    cast = company.cast
    told = body(alice, f"spend?{OCTOBER}&filter.team={cast.search.id},{cast.chat.id}")
    assert told["totals"]["calls"] == 8


WRONG = (
    ("spend?team=search", "ledger.question_unclear", "team"),
    ("spend?filter.shoe=1", "ledger.question_unclear", "filter.shoe"),
    ("spend?filter.tag:shoe=1", "ledger.question_unclear", "filter.tag:shoe"),
    ("spend?filter.team=nobody", "ledger.value_unknown", "filter.team"),
    ("spend?filter.team=", "ledger.question_unclear", "filter.team"),
    ("spend?filter.model=a%00b", "ledger.question_unclear", "filter.model"),
    ("spend?filter.team=99999999999999999999", "ledger.value_unknown", "filter.team"),
    ("spend?group_by=shoe", "ledger.question_unclear", "group_by"),
    ("spend?group_by=tag1", "ledger.question_unclear", "group_by"),
    ("spend?group_by=team,model,agent", "ledger.question_unclear", "group_by"),
    ("spend?period=October", "ledger.period_unclear", "period"),
    ("spend?period=2026-10&from=2026-10-01&to=2026-10-02", "ledger.question_unclear", "period"),
    ("spend?from=2026-10-01", "ledger.question_unclear", "to"),
    ("spend?from=2026-10-01&to=2026-10-01", "ledger.period_unclear", "to"),
    ("spend?from=0001-01-01&to=9999-12-31", "ledger.period_unclear", "from"),
    ("spend?from=2026-1-1&to=2026-10-02", "ledger.question_unclear", "from"),
    ("spend?grain=hour", "ledger.question_unclear", "grain"),
    ("spend?limit=0", "ledger.question_unclear", "limit"),
    ("spend?limit=٣", "ledger.question_unclear", "limit"),
    ("spend?compare=yes", "ledger.question_unclear", "compare"),
    ("spend?period=2026&group_by=model&grain=day&limit=1000", "ledger.question_unclear", "limit"),
    ("charges?session=a%00b", "ledger.question_unclear", "session"),
    ("charges?cursor=nonsense", "ledger.cursor_invalid", "cursor"),
    ("charges?limit=501", "api.limit_invalid", "limit"),
    ("sessions?filter.team=search", "ledger.question_unclear", "filter.team"),
    ("dimensions/shoe/values", "ledger.question_unclear", "dimension"),
    ("dimensions/team/values?find=x", "ledger.question_unclear", "find"),
    ("dimensions/team/values?search=%00", "ledger.question_unclear", "search"),
    ("unpriced?limit=5", "ledger.question_unclear", "limit"),
)


def test_what_is_wrong_is_named(alice: Api) -> None:
    told = {question: refused(alice, question) for question, _, _ in WRONG}
    assert told == {question: (400, code, field) for question, code, field in WRONG}


# --- Who may ask what -------------------------------------------------------------------------------------------------
def test_a_team_lead_reaches_the_teams_they_lead(lead: Api) -> None:
    assert body(lead, f"spend?{OCTOBER}")["totals"]["calls"] == 4
    assert by_value(body(lead, f"spend?{OCTOBER}&group_by=person"), "person")["bob"] == times(2)
    assert refused(lead, f"spend?{OCTOBER}&filter.team=chat") == (403, "orgs.out_of_reach", "team")
    both = body(lead, f"spend?{OCTOBER}&filter.team=search,chat")
    assert both["totals"]["calls"] == 4
    assert [one["value"] for one in body(lead, "dimensions/team/values")["items"]] == ["search"]
    assert {charge["external_id"] for charge in body(lead, f"charges?{OCTOBER}")["items"]} == {
        "call-1", "call-2", "call-3", "call-7",
    }  # fmt: skip
    assert body(lead, f"unpriced?{OCTOBER}")["rows"] == []
    # Sessions know no team, so a part of one cannot be told from the rest.
    assert refused(lead, f"sessions?{OCTOBER}") == (403, "orgs.out_of_reach", "team")


def test_an_engineer_sees_their_teams_totals_and_their_own_calls(bob: Api) -> None:
    assert body(bob, f"spend?{OCTOBER}")["totals"]["calls"] == 4
    assert body(bob, f"spend?{OCTOBER}&filter.person=bob&group_by=person")["totals"]["calls"] == 2
    for question in (
        "filter.person=alice",
        "filter.person=bob,alice",
        "filter.person=nobody-at-all",
        "group_by=person",
    ):
        assert refused(bob, f"spend?{OCTOBER}&{question}") == (403, PEOPLE, "person")
    assert refused(bob, "dimensions/person/values") == (403, PEOPLE, "person")
    assert "person" not in {one["name"] for one in body(bob, "dimensions")["items"]}
    assert {charge["external_id"] for charge in body(bob, f"charges?{OCTOBER}")["items"]} == {"call-1", "call-2"}
    assert refused(bob, f"charges?{OCTOBER}&filter.person=alice") == (403, PEOPLE, "person")
    assert [row["session"] for row in body(bob, f"sessions?{OCTOBER}")["rows"]] == ["run-1"]


def test_a_charge_of_somebody_else_is_not_there(alice: Api, bob: Api) -> None:
    every = {charge["external_id"]: charge["id"] for charge in body(alice, f"charges?{OCTOBER}")["items"]}
    assert body(bob, f"charges/{every['call-1']}")["dimensions"]["person"]["value"] == "bob"
    assert refused(bob, f"charges/{every['call-3']}") == (404, "core.not_found", None)
    missing = "0199a000-0000-7000-8000-000000000000"
    assert refused(bob, f"charges/{missing}") == (404, "core.not_found", None)


def test_a_viewer_sees_every_total_and_no_person(viewer: Api) -> None:
    assert body(viewer, f"spend?{OCTOBER}")["totals"]["calls"] == 9
    assert len(body(viewer, f"unpriced?{OCTOBER}")["rows"]) == 1
    assert {one["value"] for one in body(viewer, "dimensions/team/values")["items"]} == {"search", "chat"}
    for question in ("group_by=person", "group_by=team,key", "filter.person=bob", "filter.key=cap_none"):
        status, code, _ = refused(viewer, f"spend?{OCTOBER}&{question}")
        assert (status, code) == (403, PEOPLE)
    for question in ("charges", "sessions"):
        assert refused(viewer, f"{question}?{OCTOBER}")[:2] == (403, "orgs.permission_missing")


def test_a_key_bound_to_search_reads_search(search_key: Callable[..., Api], company: Company) -> None:
    key = search_key("spend.read")
    assert body(key, f"spend?{OCTOBER}")["totals"]["calls"] == 4
    assert refused(key, f"spend?{OCTOBER}&filter.team=chat") == (403, "orgs.out_of_reach", "team")
    assert refused(key, f"spend?{OCTOBER}&group_by=person") == (403, PEOPLE, "person")
    # Nor does it learn the names of what Search never used.
    orgs.add_project(organization_id=company.cast.acme.id, name="Secret merger", by=HOUSE, at=AT)
    projects = {one["value"] for one in body(key, "dimensions/project/values")["items"]}
    assert "secret-merger" not in projects
    assert body(key, "dimensions/team/values?search=ch")["items"][0]["value"] == "search"
    assert refused(key, f"charges?{OCTOBER}")[:2] == (403, "orgs.permission_missing")
    # Who may list charges and not people has only their own, and a key is nobody.
    assert body(search_key("charges.read"), f"charges?{OCTOBER}")["items"] == []
    people = search_key("spend.read", "charges.read", "spend.read_people")
    assert len(body(people, f"charges?{OCTOBER}")["items"]) == 4


def test_a_key_without_spend_asks_in_vain(company: Company) -> None:
    key = with_key(company, "usage.write")
    for path in ("spend", "dimensions", "dimensions/team/values", "charges", "sessions", "unpriced"):
        assert refused(key, path)[:2] == (403, "orgs.permission_missing")


# --- Dimensions, charges, sessions, unpriced --------------------------------------------------------------------------
def test_the_dimensions_there_are(alice: Api) -> None:
    told = {one["name"]: one["kind"] for one in body(alice, "dimensions")["items"]}
    assert (told["team"], told["model"], told["tag:app/env"]) == ("owner", "word", "tag")
    assert "tag1" not in told
    assert [one["name"] for one in body(alice, "dimensions/model/values?search=GPT-4")["items"]] == ["gpt-4o"]
    assert body(alice, "dimensions/tag:app/env/values")["items"][0]["value"] == "prod, eu"
    assert len(body(alice, "dimensions/person/values?limit=2")["items"]) == 2


def test_charges_by_pages(alice: Api) -> None:
    seen: list[str] = []
    path = f"charges?{OCTOBER}&limit=4"
    page = body(alice, path)
    while True:
        seen += [charge["external_id"] for charge in page["items"]]
        if page["next"] is None:
            break
        page = body(alice, f"{path}&cursor={page['next']}")
    assert seen[0] == "call-9"
    assert sorted(seen, key=lambda name: int(name[5:])) == [f"call-{number}" for number in range(1, 10)]
    assert [one["external_id"] for one in body(alice, f"charges?{OCTOBER}&session=run-3")["items"]] == ["call-7"]
    assert body(alice, f"charges?{OCTOBER}&filter.model=never-called")["items"] == []


def test_one_charge_says_how_it_came_about(alice: Api) -> None:
    page = body(alice, f"charges?{OCTOBER}&filter.person=bob&filter.tag:app/env=prod, eu")
    [listed] = page["items"]
    told = body(alice, f"charges/{listed['id']}")
    assert {name: told[name] for name in listed} == listed
    assert told["usage"] == {"input_uncached": 1000, "output_text": 200, "requests": 1}
    assert told["dimensions"]["tag:app/env"]["name"] == "prod, eu"
    lines = {line["meter"]: line for line in told["pricing"]["lines"]}
    assert told["pricing"]["state"] == "priced"
    assert (lines["input_uncached"]["list_rate"], lines["input_uncached"]["per"]) == ("2.5", 1_000_000)
    assert lines["output_text"]["list_cost"] == "0.002000000000"
    assert sum(Decimal(line["contracted_cost"]) for line in lines.values()) == Decimal(told["effective_cost"]) == CALL
    steps = {step["dimension"]: step for step in told["attribution"]}
    assert (steps["person"]["by"], steps["person"]["value"]["value"]) == ("explicit", "bob")
    assert told["corrections"] == {"reverses": None, "reversed_by": None, "replaced_by": None}
    assert told["sightings"] == []


def test_an_unpriced_charge_says_what_is_missing(alice: Api) -> None:
    [listed] = body(alice, f"charges?{OCTOBER}&filter.state=unpriced")["items"]
    told = body(alice, f"charges/{listed['id']}")["pricing"]
    assert (told["state"], told["reason"], told["lines"]) == ("unpriced", "model_unknown", [])


def test_sessions_dearest_first(alice: Api) -> None:
    rows = body(alice, f"sessions?{OCTOBER}")["rows"]
    assert rows[0]["session"] == "run-1"
    assert (rows[0]["person"]["name"], rows[0]["agent"], rows[0]["calls"]) == ("Bob", None, 2)
    assert rows[0]["reporting_cost"] == times(2)
    by_agent = body(alice, f"sessions?{OCTOBER}&filter.agent=night-indexer")["rows"]
    assert [row["session"] for row in by_agent] == ["run-3"]
    assert body(alice, f"sessions?{OCTOBER}&session=run-2")["rows"][0]["person"]["value"] == "alice"


def test_unpriced_calls_by_provider_and_model(alice: Api, company: Company) -> None:
    model = "gpt-99-unheard-of"
    more: list[UsageEvent] = [
        event(20, on(12), model=model),
        event(21, on(13), model=model, provider="azure"),
        event(22, on(13), model="mystery", counts=counts(input_uncached=5)),
    ]
    book(company, more)
    told = body(alice, f"unpriced?{OCTOBER}")["rows"]
    assert [(row["provider"]["name"], row["model"]["name"], row["calls"]) for row in told] == [
        ("openai", model, 2),
        ("azure", model, 1),
        ("openai", "mystery", 1),
    ]
    assert (told[0]["first_day"], told[0]["last_day"]) == ("2026-10-09", "2026-10-12")
    assert (told[2]["input_tokens"], told[2]["output_tokens"]) == (5, 0)
    assert len(body(alice, f"unpriced?{OCTOBER}&filter.team=chat")["rows"]) == 1
    assert body(alice, f"unpriced?{OCTOBER}&filter.state=attributed")["rows"] == []


# --- How many queries -------------------------------------------------------------------------------------------------
# The most an answer may take: who asks, what they mean, the ledger, and names by kind.
QUERIES = {
    f"spend?{OCTOBER}": 7,
    f"spend?{OCTOBER}&group_by=team,model": 18,
    f"spend?{OCTOBER}&group_by=team&compare=previous&filter.model=gpt-4o": 22,
    "dimensions": 3,
    "dimensions/team/values": 4,
    f"charges?{OCTOBER}": 11,
    f"sessions?{OCTOBER}": 8,
    f"unpriced?{OCTOBER}": 10,
}


def test_how_many_queries_an_answer_takes(company: Company) -> None:
    key = with_key(company, "spend.read", "spend.read_people", "charges.read")

    def asked() -> dict[str, int]:
        counted = {}
        for question in QUERIES:
            with CaptureQueriesContext(connection) as captured:
                body(key, question)
            counted[question] = len(captured)
        return counted

    asked()
    counted = asked()
    assert {question: many for question, many in counted.items() if many > QUERIES[question]} == {}
    # More charges, the same number.
    book(company, [event(number, on(5), session=f"s-{number}") for number in range(100, 140)])
    assert asked() == counted
