"""Anthropic's analytics of usage and of cost, grouped by up to five things."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops.connectors.anthropic.analytics import cut, parse
from finops.connectors.pages import BodyUnreadable
from finops.connectors.types import NO_COUNTS, GivenCost
from tests.factories.examples import example
from tests.factories.reports import changed, meters, read, wrong

TIMES = {"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z"}
USAGE: dict[str, Any] = {
    **TIMES,
    "group": {"workspace_id": "wrkspc_01Example", "session_id": "sesn_01Example", "agent_id": "agent_01Example"},
    "usage": {
        "uncached_input_tokens": 120_000,
        "cache_read_input_tokens": 900_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 8_000, "ephemeral_1h_input_tokens": 2_000},
        "output_tokens": 41_000,
        "server_tool_use": {"web_search_requests": 4},
        "requests": 210,
        "total_tokens": 1_071_000,
    },
}
DEV = {"type": "user_actor", "user_id": "user_01", "email_address": "dev@example.com", "name": "Dev", "deleted": False}
COST: dict[str, Any] = {
    **TIMES,
    "group": {"actor": DEV, "model": "claude-opus-5-5", "product": "claude_code"},
    "cost": {"amount": "1234.5600", "list_amount": "1500.0000", "currency": "USD", "requests": 210},
}


def row(value: Any) -> bytes:
    return json.dumps({"row": value}).encode()


def page(*rows: Any, **more: Any) -> bytes:
    return json.dumps({"data": list(rows), "has_more": False, "next_page": None} | more).encode()


def test_the_example_of_usage() -> None:
    found = read(parse, b'{"row":' + example("anthropic_analytics_usage_item") + b"}")
    assert meters(found) == {
        "input_uncached": 120_000,
        "cache_read": 900_000,
        "cache_write_5m": 8_000,
        "cache_write_1h": 2_000,
        "output_text": 41_000,
        "requests": 210,
        "web_searches": 4,
    }
    assert (found.evidence, found.cost, found.session) == ("metered", None, "sesn_01Example")
    assert dict(found.tags) == {"agent_id": "agent_01Example", "bucket": "1d"}
    assert found == read(parse, row(USAGE))


def test_the_example_of_cost() -> None:
    found = read(parse, b'{"row":' + example("anthropic_analytics_cost_item") + b"}")
    assert (found.evidence, found.counts, found.cost) == (
        "billed", NO_COUNTS, GivenCost(12_345_600_000_000, "USD"),
    )  # fmt: skip
    assert found.identities == (("email", "dev@example.com"), ("provider_user", "user_01Example"))
    assert dict(found.tags) == {
        "bucket": "1d", "list_amount_cents": "1500.0000", "product": "claude_code", "requests": "210",
    }  # fmt: skip


def test_requests_are_null_in_some_groupings() -> None:
    cost = changed(changed(COST, ("cost", "requests"), None), ("group", "token_type"), "output_tokens")
    found = read(parse, row(cost))
    assert "requests" not in dict(found.tags)
    assert dict(found.tags)["token_type"] == "output_tokens"
    usage = read(
        parse, row(changed(changed(USAGE, ("usage", "requests"), None), ("group", "context_window"), "0-200k"))
    )
    assert meters(usage)["requests"] == 6
    assert dict(usage.tags)["requests"] == "at least"


def test_groups_that_overlap_are_never_added_up() -> None:
    overlapping = changed(USAGE, ("group", "rbac_group_id"), "rbac_group_01")
    assert wrong(parse, {"row": overlapping}).code == "connectors.rows_overlap"
    with pytest.raises(BodyUnreadable, match="rbac_group_id"):
        cut(page(USAGE, overlapping))


def test_a_total_is_not_less_than_its_parts() -> None:
    found = wrong(parse, {"row": changed(USAGE, ("usage", "total_tokens"), 1_070_999)})
    assert found.code == "connectors.subset_exceeds_total"


def test_a_range_of_no_buckets_is_refused_for_its_end_moves_on() -> None:
    found = wrong(parse, {"row": USAGE | {"ending_at": "2026-12-10T13:00:00Z"}})
    assert found.code == "connectors.no_bucket"


def test_actors_who_cannot_be_shown_are_each_a_charge() -> None:
    """The report gives each a row of its own, all of them with a null actor."""
    hidden = changed(COST, ("group",), {"model": "claude-opus-5-5"})
    told: dict[str, int] = {}
    rows = cut(page(hidden, hidden, COST), told=told).rows + cut(page(hidden), told=told).rows
    ids = [read(parse, one).external_id for one in rows]
    assert len(set(ids)) == 4
    assert ids[1].removesuffix("#2") == ids[3].removesuffix("#3") == ids[0]
    again = cut(page(hidden, hidden, COST)).rows + cut(page(hidden), told={ids[0]: 2}).rows
    assert [read(parse, one).external_id for one in again] == ids, "told again they have the ids they had"


@pytest.mark.parametrize(
    ("actor", "identities", "named"),
    [
        (DEV | {"email_address": None, "deleted": True}, (("provider_user", "user_01"),), "user_actor:user_01"),
        (
            {"type": "service_account_actor", "service_account_id": "svac_01"},
            (("provider_user", "svac_01"),),
            "service_account_actor:svac_01",
        ),
        ({"type": "api_actor", "api_key_id": "apikey_01"}, (("key_alias", "apikey_01"),), "api_actor:apikey_01"),
        (
            {"type": "federated_actor", "provider": {"type": "aws", "account_id": "1234"}, "subject": "arn:aws:iam::x"},
            (("provider_user", "arn:aws:iam::x"),),
            "federated_actor:aws:1234:arn:aws:iam::x",
        ),
        (
            {"type": "federated_actor", "provider": {"type": "oidc", "issuer": "https://id.example"}, "subject": None},
            (),
            "federated_actor:oidc:https:%2F%2Fid.example",
        ),
        ({"type": "robot_actor"}, (), "robot_actor"),
    ],
)
def test_who_it_is_of(actor: Any, identities: Any, named: str) -> None:
    found = read(parse, row(changed(COST, ("group", "actor"), actor)))
    assert found.identities == identities
    assert f"/actor={named}/" in found.external_id


def test_usage_and_cost_of_one_group_do_not_share_an_id() -> None:
    group = {"model": "claude-opus-5-5"}
    usage, cost = read(parse, row(USAGE | {"group": group})), read(parse, row(COST | {"group": group}))
    assert usage.external_id == "analytics_usage/2026-11-20T00:00:00Z/model=claude-opus-5-5"
    assert cost.external_id == "analytics_cost/2026-11-20T00:00:00Z/model=claude-opus-5-5"


def test_a_page_leads_to_the_next() -> None:
    assert cut(page(USAGE, has_more=True, next_page="page_2")).next == "page_2"
    assert [parse(one).problem is None for one in cut(page(USAGE, 5)).rows] == [True, False]


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("usage",), None, "row.usage"),
        (("usage",), {}, "row.usage.uncached_input_tokens"),
        (("usage", "requests"), -1, "row.usage.requests"),
        (("group",), [], "row.group"),
        (("group", "actor"), "dev", "row.group.actor"),
        (("starting_at",), None, "row.starting_at"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str | int, ...], value: Any, field: str) -> None:
    assert wrong(parse, {"row": changed(USAGE, path, value)}).field == field
