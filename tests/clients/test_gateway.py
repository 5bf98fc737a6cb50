"""The real clients, unmodified, through a gateway process: what they are told, and that it is charged as billed."""

from __future__ import annotations

import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from finops.core.money import from_pico
from tests.clients.conftest import PLAN
from tests.clients.running import aider, lite, node, sdks
from tests.clients.serving import Served
from tests.factories.batching import batch_book, followed
from tests.fakes.upstream import Plan, Script

CHATS = ("chat", "chat_tools", "chat_stream", "chat_stream_usage", "chat_stream_tools")
RESPONSES = ("response", "response_tools", "response_stream", "response_stream_tools")
MESSAGES = ("message", "message_tools", "message_stream", "message_stream_tools")
LISTS = ("openai_models", "openai_model", "anthropic_models", "anthropic_model")
REFUSED, BUSY = Plan(status=400, message="this is not how it is done"), Plan(status=529)
# In the form that Aider asks a model for whose name it does not know.
EDIT = 'greet.py\n```python\nprint("Hello, world")\n```\n'
BREAKS = Plan(fault="reset", after_events=6)


def test_the_providers_own_clients_are_answered_and_charged_as_billed(gateway: Served) -> None:
    told = sdks(
        *(gateway.address, gateway.bob, *CHATS, *RESPONSES, *MESSAGES, *LISTS),
        *("embedding", "count", "chat_raw", "message_raw"),
    )
    assert _errors(told) == {}
    # Its usage was asked for, and hidden again.
    assert (told["chat_stream"]["usage"], told["chat_stream"]["words"]) == (None, 10)
    assert {told[name]["usage"]["completion_tokens"] for name in CHATS if name != "chat_stream"} == {12}
    assert {told[name]["usage"]["output_tokens"] for name in (*RESPONSES, *MESSAGES)} == {12}
    assert json.loads(told["chat_stream_tools"]["arguments"])["text"].count("word") == 10
    assert told["message_stream_tools"]["inputs"][0]["text"].count("word") == 10
    assert [told[name] for name in LISTS] == [["embed", "gpt", "gpt-mini"], "gpt", ["claude"], "claude"]
    assert (told["embedding"]["vectors"], told["count"]) == ([8, 8], 100)

    billed = {line.answer_id: line for line in gateway.proven()}
    assert len(billed) == len(CHATS) + len(RESPONSES) + len(MESSAGES) + 3
    assert {said["id"] for said in told.values() if isinstance(said, dict) and "id" in said} < set(billed)
    for name, family in (("chat_raw", "openai"), ("message_raw", "anthropic")):
        line, headers = billed[told[name]["id"]], told[name]["headers"]
        assert Decimal(headers["x-capstan-cost"]) == from_pico(line.pico or 0)
        assert (headers["x-capstan-upstream"], told[name]["request"]) == (family, line.request_id)
    gateway.settled()


def test_errors_are_raised_as_their_clients_know_them_and_another_upstream_answers_where_one_may(
    gateway: Served,
) -> None:
    first = {
        "chat": REFUSED,
        "chat_stream": REFUSED,
        "response_stream": REFUSED,
        "message": REFUSED,
        "message_stream": REFUSED,
        "chat_tools": Plan(status=429),
        "message_tools": BUSY,
        "chat_stream_usage": BREAKS,
        "response_stream_tools": BREAKS,
        "message_stream_tools": BREAKS,
        "message_raw": BUSY,
        "chat_raw": Plan(status=500),
    }
    gateway.first.then(*first.values())
    gateway.standby.then(Plan(status=429), BUSY)
    told = sdks(gateway.address, gateway.bob, *first)

    refused = [told[name] for name, plan in first.items() if plan is REFUSED]
    assert {said["error"] for said in refused} == {"BadRequestError"}
    assert {"this is not how it is done" in str(said["body"]) for said in refused} == {True}
    assert (told["chat_tools"]["error"], told["chat_tools"]["body"]["code"]) == (
        "RateLimitError",
        "rate_limit_exceeded",
    )
    assert told["message_tools"]["error"] == "OverloadedError"
    broken = [told[name] for name, plan in first.items() if plan is BREAKS]
    assert {"broke off in the middle" in str(said) for said in broken} == {True}
    for name, upstream in (("message_raw", "standby-anthropic"), ("chat_raw", "standby")):
        headers = told[name]["headers"]
        assert (headers["x-capstan-upstream"], headers["x-capstan-tries"]) == (upstream, "2")

    assert [line.cancelled for line in gateway.proven()] == [True] * 3 + [False] * 2
    gateway.settled()


def test_an_empty_budget_is_told_once_and_a_wrong_key_is_refused(gateway: Served) -> None:
    paid = ("chat_patient", "chat_stream", "response_stream", "embedding", "message_patient", "message_stream")
    wrong = ("chat_wrong_key", "message_wrong_key")
    told = sdks(gateway.address, gateway.alice, *paid, *LISTS, "count", *wrong)
    # They try again on their own, unless they are told that it is no use.
    assert {(told[name]["error"], told[name]["status"], told[name]["retries"]) for name in paid} == {
        ("RateLimitError", 429, "0")
    }
    for name in paid:
        body = told[name]["body"]
        said = body["error"] if "message" in name else body
        assert (said["code"], said["budgets"][0]["budget"]) == ("budgets.exceeded", "Alice a month")
        assert said["type"] == ("rate_limit_error" if "message" in name else "insufficient_quota")
    # What costs nothing is hers.
    assert (_errors({name: told[name] for name in LISTS}), told["count"]) == ({}, 100)
    assert {told[name]["error"] for name in wrong} == {"AuthenticationError"}
    assert gateway.proven() == []
    gateway.settled()


def test_openais_client_for_node_too(gateway: Served) -> None:
    told = node(gateway.address, gateway.bob)
    assert _errors(told) == {}
    assert told["chat_stream"]["usage"] is None
    assert told["chat_stream_usage"]["usage"]["completion_tokens"] == 12
    assert json.loads(told["chat_stream_tools"]["call"]["arguments"])["text"].count("word") == 10
    assert told["response_stream"]["usage"]["output_tokens"] == 12
    assert len(gateway.proven()) == len(told)

    told = node(gateway.address, gateway.alice)
    assert {(said["error"], said["status"]) for said in told.values()} == {("RateLimitError", 429)}
    assert {said["body"]["code"] for said in told.values()} == {"budgets.exceeded"}
    assert len(gateway.proven()) == len(told)
    gateway.settled()


def test_a_batch_by_openais_own_client_is_charged_as_billed(gateway: Served) -> None:
    batch_book()
    gateway.first.script(Script(usual=PLAN, batch_looks=2))
    told, of_bob = (sdks(gateway.address, who, "batch")["batch"] for who in (gateway.charlie, gateway.bob))
    assert (told["listed"], told["file"]) == ([told["id"]], "calls.jsonl")
    assert told["counts"] == {"total": 3, "completed": 2, "failed": 1}
    assert (told["early"]["error"], told["early"]["body"]["code"]) == ("ConflictError", "gateway.batch_not_booked")
    assert told["cancelled"] == "completed"
    # Hard budgets concern his.
    assert (of_bob["error"], of_bob["body"]["code"]) == ("UnprocessableEntityError", "budgets.unbounded_request")

    assert followed() == 1
    assert [line.answer_id for line in gateway.proven()] == list(told["answers"].values())


def test_litellm_as_a_library(gateway: Served) -> None:
    told, of_alice = lite(gateway.address, gateway.bob, gateway.alice)
    assert _errors(told) == {}
    assert {said["usage"]["completion_tokens"] for said in told.values() if said.get("usage")} == {12}
    for family in ("openai", "anthropic"):
        assert told[f"{family}_stream"]["words"] == 10
        for name in (f"{family}_tools", f"{family}_stream_tools"):
            assert json.loads(told[name]["arguments"][0])["text"].count("word") == 10

    assert {(said["error"], said["status"]) for said in of_alice.values()} == {("RateLimitError", 429)}
    assert {"Alice a month" in said["message"] for said in of_alice.values()} == {True}
    assert len(gateway.proven()) == len(told)
    gateway.settled()


@pytest.mark.soak
@pytest.mark.parametrize("model", ["openai/gpt", "anthropic/claude"])
def test_aider_edits_a_repository(gateway: Served, model: str, tmp_path: Path) -> None:
    (tmp_path / "greet.py").write_text('print("Hello")\n')
    who = ("-c", "user.name=Bob", "-c", "user.email=bob@acme.example")
    for command in (("init", "-q"), ("add", "greet.py"), (*who, "commit", "-qm", "Greet")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    # What it is told to do, and then the words of its commit.
    edit, words = Plan(text=EDIT, output_tokens=20), Plan(text="feat: greet the world", output_tokens=5)
    gateway.first.then(edit, words)
    ended = aider(gateway.address, gateway.bob, model, "greet the world", tmp_path, "greet.py")
    assert (tmp_path / "greet.py").read_text() == 'print("Hello, world")\n', ended.output
    assert ended.status == 0
    log = subprocess.run(["git", "log", "--format=%s"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "feat: greet the world" in log, ended.output
    assert [line.meters["output_text"] for line in gateway.proven()] == [20, 5]
    gateway.settled()


def _errors(told: dict[str, Any]) -> dict[str, Any]:
    return {name: said for name, said in told.items() if "error" in str(said)}
