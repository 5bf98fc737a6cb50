"""Spend over REST: totals, groups, trends and filters."""

from __future__ import annotations

from finops.ledger.services.fold import fold_all
from tests.factories.company import Company
from tests.interfaces.conftest import Api
from tests.interfaces.spend.conftest import OCTOBER, body, by_value, times


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
