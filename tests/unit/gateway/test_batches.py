"""Files of requests and batches as clients ask for them: what can be metered is read, all else is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops.core.errors import FinopsError
from routing.gateway.batches import reading
from routing.gateway.batches.errors import PurposeRefused
from routing.gateway.dialects import multipart
from routing.gateway.requests import FieldInvalid, Malformed
from tests.factories.batching import CHAT, FORM, content_of, form, line


def test_a_file_is_sent_on_as_it_was_read_in_a_form_of_our_own() -> None:
    content = content_of(line("one"), b"", line("two", model="gpt-mini"), b"  ") + b"\r\n"
    said = reading.upload(form(content, **{"expires_after[seconds]": "3600"}), FORM)
    assert (said.endpoint, said.models, said.requests) == (CHAT, ["gpt", "gpt-mini"], 2)
    boundary = said.media_type.partition("boundary=")[2]
    assert said.form.startswith(f"--{boundary}\r\n".encode())
    read = multipart.read(said.form)
    assert {name: read.text(said.form, name) for name in read.texts} == {
        "purpose": "batch",
        "expires_after[seconds]": "3600",
    }
    (file,) = read.each
    assert (file.field, file.name) == ("file", "mine.jsonl")
    assert said.form[file.start : file.end] == content


REFUSED: dict[str, tuple[list[Any], str]] = {
    "nothing": ([], "no requests"),
    "no JSON": ([line("one"), b"not JSON"], "line 2"),
    "no object": ([b"[1]"], "line 1"),
    "no text": ([b'{"custom_id": "\xff"}'], "line 1"),
    "deep": ([b"[" * 100_000], "line 1"),
    "an id twice": ([line("one"), line("one")], "twice"),
    "no id": ([line("")], "line 1"),
    "two endpoints": ([line("one"), line("two", url="/v1/embeddings")], "one url"),
    "another endpoint": ([line("one", url="/v1/moderations")], "url is one of"),
    "a number as model": ([line("one", model=7)], "line 1"),
    "a search": ([line("one", web_search_options={})], "metered"),
    "another method": ([line("one") | {"method": "GET"}], "line 1"),
    "many models": ([line(f"{n}", model=f"model-{n}") for n in range(reading.MOST_MODELS + 1)], "at most"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_cannot_be_metered_is_refused(what: str) -> None:
    lines, said = REFUSED[what]
    with pytest.raises(FieldInvalid, match=said) as refused:
        reading.upload(form(content_of(*lines)), FORM)
    assert refused.value.field == "file"


def test_other_forms_are_refused() -> None:
    content = content_of(line("one"))
    with pytest.raises(PurposeRefused):
        reading.upload(form(content, purpose="fine-tune"), FORM)
    with pytest.raises(Malformed):
        reading.upload(form(content), "application/json")
    with pytest.raises(FieldInvalid, match="one file"):
        reading.upload(form(content).replace(b'name="file"', b'name="document"'), FORM)
    whole = form(content)
    one, two = whole.partition(b'Content-Disposition: form-data; name="purpose"')[::2]
    boundary = whole.partition(b"\r\n")[0]
    second = boundary + b'\r\nContent-Disposition: form-data; name="file"; filename="b"\r\n\r\n{}\r\n'
    with pytest.raises(FieldInvalid, match="one file"):
        reading.upload(second + one + b'Content-Disposition: form-data; name="purpose"' + two, FORM)
    with pytest.raises(FinopsError):
        reading.upload(b"", FORM)


def _body(**given: Any) -> bytes:
    usual = {"input_file_id": "file-1", "endpoint": CHAT, "completion_window": "24h"}
    return json.dumps(usual | given).encode()


def test_a_batch_passes_as_it_came_but_for_our_id_in_its_metadata() -> None:
    said = reading.asked(_body(metadata={"job": "nightly", "capstan_call": "a former one"}, beta={"deep": [1, 2.50]}))
    assert (said.input_file_id, said.endpoint) == ("file-1", CHAT)
    assert said.told.metadata["job"] == "nightly"
    body = said.body("call-1")
    assert json.loads(body)["metadata"] == {"job": "nightly", "capstan_call": "call-1"}
    assert json.loads(body)["beta"] == {"deep": [1, 2.5]}
    assert json.loads(reading.asked(_body()).body("call-1"))["metadata"] == {"capstan_call": "call-1"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"endpoint": "/v1/moderations"}, "endpoint"),
        ({"endpoint": None}, "endpoint"),
        ({"metadata": "nightly"}, "metadata"),
        ({"metadata": {f"name-{n}": "x" for n in range(16)}}, "metadata"),
        ({"input_file_id": "../models"}, "input_file_id"),
        ({"Endpoint": "/v1/embeddings"}, "Endpoint"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_by_its_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        reading.asked(_body(**given))
    assert refused.value.field == field


@pytest.mark.parametrize("query", ["limit=0", "limit=many", "limit=101", "limit=-1", "after=a%20b", "limit=%C2%B2"])
def test_a_page_that_cannot_be_is_refused(query: str) -> None:
    with pytest.raises(FieldInvalid):
        reading.page(query)


def test_a_page_has_twenty_at_most() -> None:
    assert reading.page("") == (20, "")
    assert reading.page("limit=100&after=batch_1") == (20, "batch_1")
    assert reading.page("limit=3").limit == 3
