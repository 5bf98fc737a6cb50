"""Records sent to the doors, one or many: what each is answered, and what is charged after."""

from __future__ import annotations

import gzip
import json

import pytest

from finops.ingest.models import QuarantinedRecord
from finops.sources import services as sources
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.interfaces.usage.conftest import Send, call, charged, is_problem, said


def test_one_call_is_charged_once_however_often_it_is_sent(send: Send, cast: Cast) -> None:
    first, again = send("usage", call()), send("usage", call(), Idempotency_Key="abc")
    assert (first.status_code, said(first)) == (200, {"id": "req_1", "outcome": "charged"})
    assert (again.status_code, said(again)) == (200, {"id": "req_1", "outcome": "duplicate"})
    assert charged(cast.acme) == 1


def test_the_same_id_with_other_content_is_a_conflict(send: Send, cast: Cast) -> None:
    send("usage", call())
    is_problem(send("usage", call(model="gpt-4o")), 409, "ingest.conflict", "id")
    assert charged(cast.acme) == 1


def test_what_is_not_understood_names_its_field_and_is_kept(send: Send, cast: Cast) -> None:
    body = is_problem(
        send("usage", call(usage={"output_text": -1})), 422, "connectors.field_invalid", "usage.output_text"
    )
    assert "quarantine" in body["detail"]
    held = QuarantinedRecord.objects.get(organization=cast.acme)
    assert (held.external_id, held.parser, held.field) == ("req_1", "capstan", "usage.output_text")
    assert json.loads(bytes(held.raw)) == call(usage={"output_text": -1})
    assert charged(cast.acme) == 0


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
def test_an_absurd_time_is_held(send: Send, when: str) -> None:
    is_problem(send("usage", call(occurred_at=when)), 422, "ingest.time_out_of_range", "occurred_at")


def test_a_source_that_revises_answers_so(send: Send, cast: Cast) -> None:
    sources.add_source(organization_id=cast.acme.id, slug="report", revises=True, by=HOUSE, at=NOON)
    send("usage?source=report", call())
    assert said(send("usage?source=report", call(usage={"output_text": 1})))["outcome"] == "revised"


def test_the_same_provider_request_by_another_source_is_a_sighting(send: Send, cast: Cast) -> None:
    sources.add_source(organization_id=cast.acme.id, slug="gateway", by=HOUSE, at=NOON)
    send("usage", call(provider_request_id="r-1"))
    answer = send("usage?source=gateway", call(7, provider_request_id="r-1"))
    assert said(answer) == {"id": "req_7", "outcome": "sighted"}
    assert charged(cast.acme) == 1


def test_a_batch_keeps_its_good_records_and_says_what_became_of_each(send: Send, cast: Cast) -> None:
    send("usage", call(1))
    answer = send("usage", [call(1), call(2), call(2, model="gpt-4o"), call(3, usage={}), 7, call(4)])
    assert answer.status_code == 200
    body = said(answer)
    assert [(one["index"], one["id"], one["status"]) for one in body["outcomes"]] == [
        (0, "req_1", "duplicate"),
        (1, "req_2", "charged"),
        (2, "req_2", "conflict"),
        (3, "req_3", "quarantined"),
        (4, "", "quarantined"),
        (5, "req_4", "charged"),
    ]
    assert body["outcomes"][3]["field"] == "usage"
    assert body["outcomes"][4]["field"] == "$"
    counts = {"charged": 2, "duplicate": 1, "conflict": 1, "revised": 0, "sighted": 0, "quarantined": 2}
    assert body["counts"] == counts
    assert charged(cast.acme) == 3


def test_lines(send: Send, cast: Cast) -> None:
    body = b"\n".join([json.dumps(call(1)).encode(), b"", b"{oops", "\ufeff{}".encode(), json.dumps(call(2)).encode()])
    answer = send("usage", body, "application/x-ndjson")
    assert [one["status"] for one in said(answer)["outcomes"]] == ["charged", "quarantined", "quarantined", "charged"]


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
def test_gzip(send: Send, cast: Cast, kind: str) -> None:
    text = json.dumps([call(1)]) if kind == "application/json" else json.dumps(call(1)) + "\n"
    answer = send("usage", gzip.compress(text.encode(), mtime=0), kind, Content_Encoding="gzip")
    assert said(answer)["counts"]["charged"] == 1


def test_gzip_of_several_members_is_one_body(send: Send) -> None:
    lines = [gzip.compress(json.dumps(call(n)).encode() + b"\n") for n in range(3)]
    answer = send("usage", b"".join(lines), "application/x-ndjson", Content_Encoding="gzip")
    assert said(answer)["counts"]["charged"] == 3


def test_ten_thousand_at_once_and_no_more(send: Send, cast: Cast) -> None:
    answer = send("usage", [call(n) for n in range(10_000)])
    assert said(answer)["counts"]["charged"] == 10_000
    is_problem(send("usage", [call(n) for n in range(10_001)]), 413, "connectors.too_many_records")
    assert charged(cast.acme) == 10_000


def test_an_empty_array_is_nothing_to_do(send: Send) -> None:
    assert said(send("usage", []))["outcomes"] == []


def test_emoji_everywhere(send: Send) -> None:
    odd = "🚀\u202e\t\n\\N'\"%s{}\x7f"
    names = ["id", "model", "provider", "service_tier", "region", "host", "provider_account", "provider_request_id",
             "session", "task_type", "team", "person", "project", "agent", "customer", "key"]  # fmt: skip
    record = call() | dict.fromkeys(names, odd) | {"tags": {odd: odd}, "identities": {"email": odd}}
    assert said(send("usage", [record]))["outcomes"][0]["status"] == "charged"
    assert said(send("usage", [record]))["outcomes"][0]["status"] == "duplicate"
