"""Our own wire format: what a record says, and how one that says it wrongly is answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors.bodies import BodyMalformed, TooManyRecords
from finops.connectors.capstan.parse import parse, parse_many
from finops.connectors.types import Dimensions, GivenCost, Problem, UsageEvent, content_hash
from finops.core.tokens import MAX_COUNT, METER_INDEX


def call(**changes: Any) -> dict[str, Any]:
    """A plain call of Bob's; None takes a field away."""
    record: dict[str, Any] = {
        "id": "req_1",
        "occurred_at": "2026-11-20T10:15:00Z",
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "usage": {"input_uncached": 1200, "output_text": 340},
    } | changes
    return {name: value for name, value in record.items() if value is not None}


def read(record: Any) -> UsageEvent:
    received = parse(json.dumps(record).encode())
    assert received.event is not None, received.problem
    return received.event


def wrong(record: Any) -> Problem:
    received = parse(record if isinstance(record, bytes) else json.dumps(record).encode())
    assert received.event is None
    assert received.problem is not None
    return received.problem


def meters(event: UsageEvent) -> dict[str, int]:
    return {name: event.counts[place] for name, place in METER_INDEX.items() if event.counts[place]}


def test_a_call_says_what_it_used_and_counts_as_one_request() -> None:
    event = read(call())
    assert event.external_id == "req_1"
    assert event.occurred_at == datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
    assert meters(event) == {"input_uncached": 1200, "output_text": 340, "requests": 1}
    assert (event.category, event.evidence, event.dimensions) == ("Usage", "metered", Dimensions())


def test_everything_a_record_may_say_arrives() -> None:
    event = read(
        call(
            service_tier="batch", region="eu", host="together", provider_account="acct", provider_request_id="r-9",
            session="s1", task_type="summarize", evidence="reported", team="search", person="bob", project="indexer",
            agent="crawler", customer="initech", key="cap_ab12cd34",
            identities={"key_alias": "ci", "email": "bob@acme.example"},
            tags={"env": "prod", "a": "ü🚀"}, cost={"amount": "0.0123", "currency": "EUR"},
        )
    )  # fmt: skip
    assert event.dimensions == Dimensions("search", "bob", "indexer", "crawler", "initech")
    assert event.identities == (("email", "bob@acme.example"), ("key_alias", "ci"))
    assert event.tags == (("a", "ü🚀"), ("env", "prod"))
    assert event.cost == GivenCost(12_300_000_000, "EUR")
    assert (event.service_tier, event.host, event.key_prefix) == ("batch", "together", "cap_ab12cd34")


def test_the_order_of_fields_and_tags_and_the_time_zone_do_not_make_another_event() -> None:
    one = read(call(tags={"a": "1", "b": "2"}))
    other = read(dict(reversed(call(tags={"b": "2", "a": "1"}, occurred_at="2026-11-20T12:15:00+02:00").items())))
    assert content_hash(one) == content_hash(other)


def test_inclusive_totals_are_taken_apart() -> None:
    usage = {
        "convention": "inclusive", "input_tokens": 10_000, "cache_read_tokens": 6000, "cache_write_tokens": 1000,
        "cache_write_1h_tokens": 400, "input_audio_tokens": 500, "cache_read_audio_tokens": 200,
        "output_tokens": "900", "reasoning_tokens": 600, "requests": 2,
    }  # fmt: skip
    assert meters(read(call(usage=usage))) == {
        "cache_read": 5800, "cache_read_audio": 200, "input_audio": 300, "cache_write_5m": 600, "cache_write_1h": 400,
        "input_uncached": 2700, "output_text": 300, "output_reasoning": 600, "requests": 2,
    }  # fmt: skip


TOTAL = st.integers(0, 10**6)


@given(total=TOTAL, cached=TOTAL, audio=TOTAL, both=TOTAL, out=TOTAL, reasoning=TOTAL)
def test_inclusive_meters_sum_to_the_totals_or_the_total_is_named(
    total: int, cached: int, audio: int, both: int, out: int, reasoning: int
) -> None:
    usage = {
        "convention": "inclusive", "input_tokens": total, "cache_read_tokens": cached, "input_audio_tokens": audio,
        "cache_read_audio_tokens": both, "output_tokens": out, "reasoning_tokens": reasoning,
    }  # fmt: skip
    received = parse(json.dumps(call(usage=usage)).encode())
    fits = both <= min(cached, audio) and cached + audio - both <= total and reasoning <= out
    if not fits:
        assert received.problem is not None
        assert received.problem.code == "connectors.subset_exceeds_total"
        return
    assert received.event is not None
    made = meters(received.event)
    requests = made.pop("requests")
    assert (sum(made.values()), requests) == (total + out, 1)


@pytest.mark.parametrize(
    ("record", "code", "field"),
    [
        (call(id=None), "field_missing", "id"),
        (call(id=""), "field_invalid", "id"),
        (call(id=7), "field_invalid", "id"),
        (call(id="x" * 301), "field_invalid", "id"),
        (call(occurred_at=None), "field_missing", "occurred_at"),
        (call(occurred_at="yesterday"), "field_invalid", "occurred_at"),
        (call(occurred_at="2026-11-20T10:15:00"), "field_invalid", "occurred_at"),
        (call(occurred_at=1700000000), "field_invalid", "occurred_at"),
        (call(occurred_at="0001-01-01T00:00:00+05:00"), "field_invalid", "occurred_at"),
        (call(model=None), "field_missing", "model"),
        (call(usage=None), "field_missing", "usage"),
        (call(usage={}), "field_missing", "usage"),
        (call(usage=[1]), "field_invalid", "usage"),
        (call(modle="gpt"), "field_unknown", "modle"),
        (call(usage={"input_uncached": 1, "ouput_text": 2}), "field_unknown", "usage.ouput_text"),
        (call(usage={"input_tokens": 5}), "field_unknown", "usage.input_tokens"),
        (call(usage={"convention": "inclusive", "output_text": 5}), "field_unknown", "usage.output_text"),
        (call(usage={"convention": "mine", "output_text": 5}), "field_invalid", "usage.convention"),
        (call(usage={"requests": 1, "output_text": -1}), "field_invalid", "usage.output_text"),
        (call(usage={"requests": 1, "output_text": 1.0}), "field_invalid", "usage.output_text"),
        (call(usage={"requests": 1, "output_text": True}), "field_invalid", "usage.output_text"),
        (call(usage={"requests": 1, "output_text": None}), "field_invalid", "usage.output_text"),
        (call(usage={"requests": 1, "output_text": MAX_COUNT + 1}), "field_invalid", "usage.output_text"),
        (call(usage={"requests": 1, "output_text": 10**40}), "field_invalid", "usage.output_text"),
        (call(usage={"requests": 1, "output_text": "1e3"}), "field_invalid", "usage.output_text"),
        (call(usage={"requests": 1, "output_text": "٣"}), "field_invalid", "usage.output_text"),
        (call(tags={"ok": "1", "n": 1}), "field_invalid", "tags.n"),
        (call(tags={"ok": "1", "k" * 61: "1"}), "field_invalid", "tags." + "k" * 61),
        (call(tags={"ok": "1", "": "1"}), "field_invalid", "tags."),
        (call(tags={"ok": "1", "v": "x" * 201}), "field_invalid", "tags.v"),
        (call(tags={str(n): "x" for n in range(51)}), "field_invalid", "tags"),
        (call(identities={"mail": "b@x"}), "field_unknown", "identities.mail"),
        (call(cost={"amount": 1.5, "currency": "USD"}), "field_invalid", "cost.amount"),
        (call(cost={"amount": "1.5\n", "currency": "USD"}), "field_invalid", "cost.amount"),
        (call(cost={"amount": "1", "currency": "usd"}), "field_invalid", "cost.currency"),
        (call(cost={"amount": "1"}), "field_missing", "cost.currency"),
        (call(category="usage"), "field_invalid", "category"),
        (call(evidence="allocated"), "field_invalid", "evidence"),
        (call(session="a\x00b"), "nul", "session"),
        (call(tags={"a\x00": "b"}), "nul", "tags.a\ufffd"),
        (call(session="\ud800"), "not_utf8", "session"),
        ([], "field_invalid", "$"),
        (None, "field_invalid", "$"),
        (b"{", "malformed", "$"),
        (b"[" * 100_000, "field_invalid", "$"),
        (b'{"usage":' + b"[" * 100_000, "field_invalid", "usage"),
        (b'{"a":' * 100_000, "field_unknown", "a"),
        (b'{"id":"a","model":"\xff"}', "not_utf8", "model"),
        (b'{"id":"a","id":"b","occurred_at":"2026-11-20T10:15:00Z","model":"m","usage":{"requests":1}}',
         "field_repeated", "id"),
        (b'{"id" :"a","occurred_at":"2026-11-20T10:15:00Z","model":"m","usage":{"requests":1,"requests" : 2}}',
         "field_repeated", "usage.requests"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(record: Any, code: str, field: str) -> None:
    found = wrong(record)
    assert (found.code, found.field) == (f"connectors.{code}", field)
    assert found.message


def test_a_misspelt_field_is_told_what_it_may_have_meant() -> None:
    assert "'model'" in wrong(call(modle="gpt")).message


def test_totals_without_their_convention_are_told_of_it() -> None:
    assert '"convention": "inclusive"' in wrong(call(usage={"input_tokens": 5})).message


def test_a_refused_record_keeps_its_id_and_its_text() -> None:
    raw = json.dumps(call(usage={"output_text": -1})).encode()
    received = parse(raw)
    assert (received.external_id, received.raw) == ("req_1", raw)


def test_a_purchase_is_no_call_and_needs_no_model() -> None:
    event = read(call(category="Purchase", model=None, usage=None, cost={"amount": "-12.5", "currency": "USD"}))
    assert (meters(event), event.cost) == ({}, GivenCost(-12_500_000_000_000, "USD"))


def test_a_stated_cost_with_float_noise_is_rounded_once() -> None:
    event = read(call(cost={"amount": "0.000001234567499999999", "currency": "USD"}))
    assert event.cost == GivenCost(1_234_567, "USD")


def test_one_bad_line_spoils_only_itself() -> None:
    good = json.dumps(call()).encode()
    body = b"\xef\xbb\xbf" + good + b"\r\n\n  \n{oops\n" + json.dumps(call(id="req_2")).encode()
    received = parse_many(body, "application/x-ndjson")
    assert [bool(one.event) for one in received] == [True, False, True]
    assert received[1].raw == b"{oops"


def test_one_bad_element_spoils_only_itself() -> None:
    body = json.dumps([call(), 7, call(id="req_2", usage={"output_text": "x"}), call(id="req_3")]).encode()
    assert [bool(one.event) for one in parse_many(body)] == [True, False, False, True]


def test_a_pretty_printed_body_is_read() -> None:
    body = json.dumps([call(), call(id="req_2")], indent=2).encode()
    assert all(one.event for one in parse_many(body))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b'[{"a": 1},\n {"a": }]', "line 2, column 8"),
        (b"[1,2", "ends at byte 4"),
        (b"[] x", "line 1, column 5"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_body_that_is_no_list_says_where(body: bytes, says: str) -> None:
    with pytest.raises(BodyMalformed, match=says):
        parse_many(body)


def test_ten_thousand_records_are_the_most() -> None:
    record = json.dumps(call()).encode()
    assert len(parse_many(b"[" + b",".join([record] * 10_000) + b"]")) == 10_000
    with pytest.raises(TooManyRecords):
        parse_many(b"[" + b",".join([b"1"] * 10_001) + b"]")
    with pytest.raises(TooManyRecords):
        parse_many(b"1\n" * 10_001, "application/x-ndjson")


def test_a_flood_of_tiny_elements_is_counted_before_it_is_made() -> None:
    with pytest.raises(TooManyRecords):
        parse_many(b"[" + b"0," * 5_000_000 + b"0]")
    with pytest.raises(TooManyRecords):
        parse_many(b"[" + b"{}," * 1_000_000 + b"{}]")


def test_commas_inside_records_are_not_records() -> None:
    wide = json.dumps(call(tags={"csv": "," * 200})).encode()
    received = parse_many(b"[" + b",".join([wide] * 5000) + b"]")
    assert len(received) == 5000
    inner = b'{"id":[' + b"0," * 600_000 + b"0]}"
    assert len(parse_many(b"[" + inner + b"," + inner + b"]")) == 2


# --- Any bytes, any JSON, any field -----------------------------------------------------------------------------------
TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from('\x00🚀é\n\t"\\'), max_size=20)
ODD = st.sampled_from(
    ["\x00", "🚀" * 200, "0001-01-01T00:00:00Z", "2999-12-31T23:59:59+14:00", "9999-12-31T23:59:59.9999999-12:00", "-1",
     "", "1e999", "999999999999999999999", 10**30, -(10**30), 2**63, 1e308, -0.0, True, None]
)  # fmt: skip
JSON = st.recursive(
    ODD | TEXT | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
FIELD = st.sampled_from([*call(), "usage", "tags", "identities", "cost", "session", "category", "evidence", "team"])


def checked(body: bytes, media_type: str) -> None:
    try:
        received = parse_many(body, media_type)
    except BodyMalformed:
        return
    for one in received:
        assert (one.event is None) != (one.problem is None)
        if one.problem is not None:
            assert one.problem.field
            assert one.problem.code.startswith("connectors.")
            assert "\x00" not in "".join(one.problem)
            "".join(one.problem).encode()


@given(st.binary(max_size=200), st.sampled_from(["application/json", "application/x-ndjson"]))
def test_any_bytes_are_answered(body: bytes, media_type: str) -> None:
    checked(body, media_type)


@given(JSON, st.booleans())
def test_any_json_is_answered(value: Any, lines: bool) -> None:
    checked(json.dumps(value).encode(), "application/x-ndjson" if lines else "application/json")


@given(FIELD, JSON)
def test_any_value_in_any_field_is_answered(field: str, value: Any) -> None:
    record = call() | {field: value}
    checked(json.dumps([record]).encode(), "application/json")
    checked(json.dumps([record], ensure_ascii=False).encode("utf-8", "surrogatepass"), "application/json")


@given(st.dictionaries(st.sampled_from([*METER_INDEX, "convention", "input_tokens"]) | TEXT, JSON, max_size=5))
def test_any_usage_is_answered(usage: Any) -> None:
    checked(json.dumps([call(usage=usage)]).encode(), "application/json")


@given(
    st.lists(st.tuples(st.sampled_from(["id", "model", "usage", "x"]), JSON), max_size=5),
    st.sampled_from(["", " ", "\n"]),
)
def test_repeated_names_never_pass(pairs: list[tuple[str, Any]], space: str) -> None:
    inside = ",".join(f"{json.dumps(name)}{space}:{json.dumps(value)}" for name, value in pairs)
    received = parse(("{" + inside + "}").encode())
    if received.event is not None:
        assert len({name for name, _ in pairs}) == len(pairs)
