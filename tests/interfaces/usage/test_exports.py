"""What a tool keeps and nothing fetches, sent by whoever asked for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from finops.ingest.models import QuarantinedRecord
from tests.factories.ledger import rows, small_book
from tests.factories.orgs import Cast
from tests.factories.otlp import chat, span, traces
from tests.factories.pricing import provider, seed
from tests.interfaces.conftest import Api, refused
from tests.interfaces.usage.conftest import Send, said

METER, GENERATION, SESSIONS = "openmeter/events", "openrouter/generations", "managed-agents/sessions"
GEMINI = "google/answers"


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


def gemini(number: int, *, ended: bool = True, **usage: int) -> dict[str, Any]:
    candidate = {"content": {"parts": [{"text": "a secret answer"}]}} | ({"finishReason": "STOP"} if ended else {})
    counts = {"promptTokenCount": 100, "candidatesTokenCount": 10, "thoughtsTokenCount": 5, "totalTokenCount": 115}
    return {
        "candidates": [candidate], "usageMetadata": counts | usage, "modelVersion": "gpt", "responseId": f"r-{number}",
    }  # fmt: skip


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


def test_geminis_answers_one_many_or_the_pieces_of_a_stream(cast: Cast, send: Send) -> None:
    assert statuses(send(GEMINI, gemini(1))) == [(0, "charged")]
    # It says no time, so it was charged when it came; sent again it is the same all the same.
    assert statuses(send(GEMINI, [gemini(1), gemini(2)])) == [(0, "duplicate"), (1, "charged")]
    begun = gemini(3, ended=False, candidatesTokenCount=1, thoughtsTokenCount=0, totalTokenCount=101)
    answer = send(GEMINI, [begun, gemini(3)])
    assert statuses(answer) == [(1, "charged")]
    assert said(answer)["ignored"] == 1
    sums = "SELECT sum(input_uncached), sum(output_text), sum(output_reasoning) FROM ledger_charge"
    assert rows(sums) == [(300, 30, 15)]


def test_an_answer_of_geminis_that_says_no_usage_is_held_without_its_words(cast: Cast, send: Send) -> None:
    answer = send(GEMINI, [gemini(1) | {"usageMetadata": None}, gemini(2)])
    assert statuses(answer) == [(0, "quarantined"), (1, "charged")]
    assert said(answer)["outcomes"][0]["field"] == "usageMetadata"
    assert b"secret" not in bytes(QuarantinedRecord.objects.get().raw)


def test_an_answer_of_geminis_that_telemetry_tells_of_too_is_one_charge(cast: Cast, send: Send) -> None:
    seed([provider("google", {"gemini": {"input_mtok": "2", "output_mtok": "12"}})])
    call = chat(input_tokens=100, output_tokens=15) | {
        "gen_ai.provider.name": "gcp.gemini", "gen_ai.response.model": "gemini", "gen_ai.response.id": "r-1",
    }  # fmt: skip
    assert send("otlp/v1/traces", traces(span(call))).status_code == 200
    told = {"modelVersion": "gemini", "createTime": "2025-11-20T08:00:02Z"}
    assert statuses(send(GEMINI, gemini(1) | told)) == [(0, "sighted")]
    assert rows("SELECT count(*), sum(effective_cost) FROM ledger_charge") == [(1, Decimal("0.00038"))]


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


@pytest.mark.parametrize("door", [METER, GENERATION, GEMINI, SESSIONS])
def test_a_body_that_is_none_and_a_key_that_may_not(
    cast: Cast, send: Send, by_key: Callable[..., Api], door: str
) -> None:
    assert send(door, b"<html>", "application/json").status_code == 422
    assert send(door, json.dumps([]).encode(), "text/html").status_code == 415
    assert refused(by_key("spend.read").post(door, []))[0] == 403
