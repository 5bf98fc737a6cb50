"""Errors in the words of each family, with what we know besides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops.budgets.rules.worst import Unbounded
from finops.core.errors import FinopsError, Forbidden, NotFound
from routing.gateway.answers import Unexpected
from routing.gateway.dialects.errors import model_answer, models_answer, wording
from routing.gateway.dialects.sse import data_of
from routing.gateway.keys import KeyRefused, NotReady
from routing.gateway.refusals import Exceeded, IsStopped, TooMany
from routing.gateway.requests import FieldInvalid, Malformed

ERRORS: list[tuple[FinopsError, str, str]] = [
    (Malformed("no"), "invalid_request_error", "invalid_request_error"),
    (FieldInvalid("no", field="model"), "invalid_request_error", "invalid_request_error"),
    (Unbounded("no", field="tools"), "invalid_request_error", "invalid_request_error"),
    (KeyRefused("no"), "authentication_error", "authentication_error"),
    (Forbidden("no"), "permission_error", "permission_error"),
    (NotFound("no"), "not_found_error", "not_found_error"),
    (Exceeded("no", [{"budget": "October"}], 60), "insufficient_quota", "rate_limit_error"),
    (IsStopped("no"), "insufficient_quota", "rate_limit_error"),
    (TooMany("no"), "rate_limit_error", "rate_limit_error"),
    (NotReady("no"), "server_error", "overloaded_error"),
    (Unexpected("no"), "server_error", "api_error"),
]


@pytest.mark.parametrize(("error", "openai", "anthropic"), ERRORS)
def test_an_error_in_each_familys_words(error: FinopsError, openai: str, anthropic: str) -> None:
    said = json.loads(wording("openai").error(error))["error"]
    assert (said["message"], said["type"], said["code"], said["param"]) == ("no", openai, error.code, error.field)
    whole = json.loads(wording("anthropic").error(error))
    assert (whole["type"], whole["error"]["type"], whole["error"]["message"]) == ("error", anthropic, "no")
    assert whole["error"]["code"] == error.code
    assert whole["error"].get("param") == error.field


def test_a_refusal_says_how_the_budgets_stand_and_where_to_ask_for_more() -> None:
    refused = Exceeded("October has 0.10 USD left.", [{"budget": "October", "left": "0.10"}], 60)
    for family in ("openai", "anthropic"):
        said = json.loads(wording(family).error(refused))["error"]
        assert (said["budgets"], said["ask"]) == ([{"budget": "October", "left": "0.10"}], "/api/v1/increases")


def events(error: FinopsError) -> dict[str, bytes]:
    return {
        "openai.chat": wording("openai", "openai.chat").event(error),
        "openai.responses": wording("openai", "openai.responses").event(error),
        "anthropic.messages": wording("anthropic", "anthropic.messages").event(error),
    }


def test_an_error_in_a_stream_that_has_begun() -> None:
    said = events(Unexpected("it broke\n\nin two"))
    assert all(raw.endswith(b"\n\n") and raw.count(b"\n\n") == 1 for raw in said.values())
    assert said["openai.chat"].startswith(b'data: {"error":')
    assert said["openai.responses"].startswith(b"event: error\ndata: ")
    assert said["anthropic.messages"].startswith(b"event: error\ndata: ")
    data: dict[str, Any] = json.loads(data_of(said["openai.responses"]))
    assert (data["type"], data["message"], data["code"]) == ("error", "it broke\n\nin two", "api.unexpected")
    assert data["error"]["message"] == data["message"]


def test_lists_of_models() -> None:
    listed = json.loads(models_answer("openai", ["a", "b"]))
    assert [model["id"] for model in listed["data"]] == ["a", "b"]
    assert {model["object"] for model in listed["data"]} == {"model"}
    listed = json.loads(models_answer("anthropic", ["a", "b"]))
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("a", "b", False)
    assert json.loads(models_answer("anthropic", []))["first_id"] is None
    alone = json.loads(model_answer("anthropic", "a"))
    assert (alone["type"], alone["lifecycle"]) == ("model", "active")
    assert json.loads(model_answer("openai", "a"))["object"] == "model"
