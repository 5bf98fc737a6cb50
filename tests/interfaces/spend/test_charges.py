"""Charges, sessions and unpriced calls over REST, and the dimensions they are told in."""

from __future__ import annotations

from decimal import Decimal

from finops.connectors.types import UsageEvent
from tests.factories.company import Company, book, counts, event
from tests.factories.spend import on
from tests.interfaces.conftest import Api
from tests.interfaces.spend.conftest import CALL, OCTOBER, body, times


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
