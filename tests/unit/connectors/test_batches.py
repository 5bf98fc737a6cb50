"""What OpenAI's batches say: of themselves, and line by line of what their requests used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops.connectors.openai.batches import result_of, told_of
from finops.connectors.unpacking import LONGEST_LINE, lines

CHAT = "/v1/chat/completions"
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
ID = "chatcmpl-0123456789abcdef"


def _line(**given: Any) -> bytes:
    body = {"id": ID, "model": "gpt", "usage": USAGE, "choices": []} | given.pop("body", {})
    response = {"status_code": 200, "request_id": "req_1", "body": body} | given.pop("response", {})
    return json.dumps({"id": "batch_req_1", "custom_id": "one", "response": response, "error": None} | given).encode()


def test_an_answer_says_its_model_and_its_usage() -> None:
    found = result_of(_line(), CHAT)
    assert (found.custom_id, found.answered, found.model, found.request_id) == ("one", True, "gpt", ID)
    assert found.usage == {"input_uncached": 10, "output_text": 5, "requests": 1}
    assert found.problem is None


def test_searches_of_a_response_are_counted_in_what_it_put_out() -> None:
    usage = {"input_tokens": 10, "output_tokens": 5}
    output = [{"type": "web_search_call", "action": {"type": "search"}}, {"type": "message"}]
    found = result_of(_line(body={"usage": usage, "output": output}), "/v1/responses")
    assert found.usage is not None
    assert found.usage["web_searches"] == 1


@pytest.mark.parametrize(
    "line",
    [
        {"response": None, "error": {"code": "batch_expired"}},
        {"response": {"status_code": 429, "body": {"error": {"message": "slow down"}}}},
        {"response": {"status_code": 500, "body": None}},
    ],
)
def test_what_was_not_answered_is_not_billed(line: dict[str, Any]) -> None:
    found = result_of(json.dumps({"custom_id": "one", "error": None} | line).encode(), CHAT)
    assert found == ("one", False, "", "", None, None)


@pytest.mark.parametrize(
    ("raw", "custom_id"),
    [
        (_line(body={"usage": None}), "one"),
        (_line(body={"usage": {"prompt_tokens": "many"}}), "one"),
        (_line(response={"body": None}), "one"),
        (_line()[:-40], "one"),
        (b"\xff" + _line(), "one"),
        (b"[]", ""),
        (b"", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_an_answer_that_cannot_be_read_says_whose_it_is_and_why(raw: bytes, custom_id: str) -> None:
    found = result_of(raw, CHAT)
    assert found.usage is None
    assert found.problem is not None
    assert (found.custom_id, found.problem.code) == (custom_id, "connectors.usage_unreadable")


def test_no_text_of_it_breaks_what_keeps_it() -> None:
    found = result_of(_line(custom_id="a\x00b", body={"model": "m" * 1_000, "id": "short"}), CHAT)
    assert "\x00" not in found.custom_id
    assert (len(found.model), found.request_id) == (300, "")


def test_a_batch_says_where_its_results_are() -> None:
    said = {
        "id": "batch_1",
        "status": "expired",
        "output_file_id": "file-2",
        "error_file_id": None,
        "request_counts": {"total": 3, "completed": 2, "failed": 1},
        "metadata": {"capstan_call": "call-1"},
        "completed_at": None,
        "expired_at": 1_790_000_000,
    }
    assert told_of(said) == ("batch_1", "expired", "file-2", "", 2, 1_790_000_000, "call-1")
    bare = told_of({"id": "batch_1", "status": "failed", "metadata": None, "request_counts": None})
    assert bare == ("batch_1", "failed", "", "", 0, None, "")


@pytest.mark.parametrize("said", [None, [], "batch", {}, {"id": "../x", "status": "failed"}, {"id": "batch_1"}])
def test_what_is_no_batch_is_none(said: Any) -> None:
    assert told_of(said) is None


def test_lines_come_whole_however_they_are_cut() -> None:
    text = b"one\ntwo\n\nthree"
    for size in (1, 2, 5, 100):
        pieces = iter([text[at : at + size] for at in range(0, len(text), size)])
        assert list(lines(pieces)) == [b"one", b"two", b"", b"three"]


def test_of_a_line_without_end_only_the_beginning_is_kept() -> None:
    pieces = iter([b"x" * 2**20] * 20 + [b"\nnext"])
    long, after = lines(pieces)
    assert (len(long), after) == (LONGEST_LINE, b"next")
