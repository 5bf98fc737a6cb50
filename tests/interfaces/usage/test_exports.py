"""What a tool keeps and nothing fetches, sent by whoever asked for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.factories.ledger import rows, small_book
from tests.factories.orgs import Cast
from tests.interfaces.conftest import Api, refused
from tests.interfaces.usage.conftest import Send, said

METER, GENERATION, SESSIONS = "openmeter/events", "openrouter/generations", "managed-agents/sessions"


@pytest.fixture(autouse=True)
def _prices(db: None) -> None:
    small_book()


def statuses(answer: Any) -> list[tuple[int, str]]:
    assert answer.status_code == 200, answer.content
    return [(one["index"], one["status"]) for one in said(answer)["outcomes"]]


def metered(number: int, kind: str = "prompt") -> dict[str, Any]:
    data = {"model": "gpt", "provider": "openai", "input_tokens": 100, "output_tokens": 10}
    event = {
        "id": f"event-{number}", "source": "app", "type": kind, "specversion": "1.0", "subject": "u-7",
        "time": "2026-11-20T10:15:00Z", "data": data,
    }  # fmt: skip
    return {"event": event, "ingestedAt": "2026-11-20T10:15:01Z"}


def generation(number: int) -> dict[str, Any]:
    call = {
        "id": f"gen-{number}", "model": "gpt", "created_at": "2026-11-20T10:15:00Z", "total_cost": 0.25,
        "native_tokens_prompt": 100, "native_tokens_completion": 10, "tokens_prompt": 100, "tokens_completion": 10,
    }  # fmt: skip
    return {"data": call}


def session(number: int, **changes: Any) -> dict[str, Any]:
    told = {"kind": "claude-session", "session": f"s-{number}", "started_at": "2026-11-20T10:15:00Z"}
    return told | {"quantity": "1800", "rate": "0.08", "account": "workspace-1"} | changes


def test_a_page_of_openmeters_and_its_items(cast: Cast, send: Send) -> None:
    page = {"items": [metered(1), metered(2, "parking"), metered(3)], "nextCursor": "more"}
    assert statuses(send(f"{METER}?types=prompt,llm.request", page)) == [(0, "charged"), (0, "charged")]
    assert statuses(send(METER, [metered(1), metered(4)])) == [(0, "duplicate"), (1, "charged")]
    assert rows("SELECT sum(input_uncached), sum(output_text) FROM ledger_charge") == [(300, 30)]


def test_one_of_openmeters_that_is_no_call_is_held_where_no_type_is_named(cast: Cast, send: Send) -> None:
    parking = metered(1, "parking")
    parking["event"]["data"] = {"minutes": 5}
    assert statuses(send(METER, [parking, metered(2)])) == [(0, "quarantined"), (1, "charged")]


def test_generations_one_or_many(cast: Cast, send: Send) -> None:
    assert statuses(send(GENERATION, generation(1))) == [(0, "charged")]
    assert statuses(send(GENERATION, [generation(1), generation(2)])) == [(0, "duplicate"), (1, "charged")]
    assert rows("SELECT sum(effective_cost) FROM ledger_charge") == [(Decimal("0.5"),)]


def test_sessions_of_managed_agents_are_money_beside_the_tokens(cast: Cast, send: Send) -> None:
    sandbox = session(2, kind="openai-sandbox", quantity="2", rate="0.03")
    assert statuses(send(SESSIONS, [session(1), sandbox])) == [(0, "charged"), (1, "charged")]
    assert statuses(send(SESSIONS, session(1))) == [(0, "duplicate")]
    costs = "SELECT effective_cost, c.input_uncached FROM ledger_charge c ORDER BY effective_cost"
    assert rows(costs) == [(Decimal("0.04"), None), (Decimal("0.06"), None)]


@pytest.mark.parametrize(
    ("bent", "field"), [({"kind": "robot"}, "kind"), ({"quantity": "-1"}, "quantity"), ({"rate": None}, "rate")]
)
def test_a_bent_session_is_held_by_its_field(cast: Cast, send: Send, bent: dict[str, Any], field: str) -> None:
    answer = send(SESSIONS, [session(1, **bent), session(2)])
    assert statuses(answer) == [(0, "quarantined"), (1, "charged")]
    assert said(answer)["outcomes"][0]["field"] == field


@pytest.mark.parametrize("door", [METER, GENERATION, SESSIONS])
def test_a_body_that_is_none_and_a_key_that_may_not(
    cast: Cast, send: Send, by_key: Callable[..., Api], door: str
) -> None:
    assert send(door, b"<html>", "application/json").status_code == 422
    assert send(door, json.dumps([]).encode(), "text/html").status_code == 415
    assert refused(by_key("spend.read").post(door, []))[0] == 403
