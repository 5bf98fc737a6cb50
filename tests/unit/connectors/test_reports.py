"""What all reports have in common: buckets, ids, money as it is written, and pages cut into rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.connectors import cutting, reports
from finops.connectors.pages import BodyUnreadable
from finops.connectors.paging import UNSAID
from finops.connectors.reports import Row, Wrong
from finops.connectors.types import GivenCost, Received

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("starts", "hours", "width"),
    [(0, 24, "1d"), (0, 1, "1h"), (13, 1, "1h"), (13, 1 / 60, "1m"), (0, 10.5, "1d"), (13, 0.5, "1h")],
)
def test_a_bucket_is_as_wide_as_it_will_be_when_it_is_over(starts: float, hours: float, width: str) -> None:
    start = MIDNIGHT + timedelta(hours=starts)
    assert reports.bucket(start, start + timedelta(hours=hours), "end") == (start, width)


@pytest.mark.parametrize(
    ("starts", "hours"),
    [(10, 14), (0, 25), (0, 31 * 24), (0, 0), (0, -1), (0.001, 1), (0.5, 1)],
)
def test_a_piece_of_a_bucket_is_refused_because_it_is_counted_beside_the_whole(starts: float, hours: float) -> None:
    start = MIDNIGHT + timedelta(hours=starts)
    with pytest.raises(Wrong, match="no whole bucket"):
        reports.bucket(start, start + timedelta(hours=hours), "end")


def test_a_report_of_days_has_no_buckets_of_hours() -> None:
    hour = timedelta(hours=1)
    assert reports.bucket(MIDNIGHT, MIDNIGHT + hour, "end", days=True).width == "1d"
    with pytest.raises(Wrong):
        reports.bucket(MIDNIGHT + hour, MIDNIGHT + 2 * hour, "end", days=True)


VALUE = st.text(st.sampled_from("a/=%#~ é"), max_size=4)
GROUPS = st.lists(st.tuples(st.sampled_from(["model", "key"]), VALUE), max_size=3, unique_by=lambda pair: pair[0])


@given(GROUPS, GROUPS, st.integers(1, 3), st.integers(1, 3))
def test_ids_are_equal_exactly_where_groups_are(
    one: list[tuple[str, str]], other: list[tuple[str, str]], first: int, second: int
) -> None:
    same = [pair for pair in one if pair[1]] == [pair for pair in other if pair[1]] and first == second
    assert (reports.key("usage", MIDNIGHT, one, first) == reports.key("usage", MIDNIGHT, other, second)) is same


def test_an_id_can_be_read_and_is_never_too_long() -> None:
    groups = [("workspace_id", ""), ("model", "claude-opus-5-5")]
    assert reports.key("usage", MIDNIGHT, groups) == "usage/2026-11-20T00:00:00Z/model=claude-opus-5-5"
    long = [reports.key("usage", MIDNIGHT, [("description", "d" * 400 + end)]) for end in ("", "x", "y")]
    assert {len(one) for one in long} == {300}
    assert len(set(long)) == 3


@pytest.mark.parametrize(
    ("written", "places", "pico"),
    [
        ("0.06", 0, 60_000_000_000),
        ("0.1", 0, 100_000_000_000),
        ("1.2e-05", 0, 12_000_000),
        ("123.4500", 2, 1_234_500_000_000),
        ("1025", 2, 10_250_000_000_000),
        ("0.00000000000049", 0, 0),
        ("0.0000000000025", 0, 2),
        ("-4.5", 0, -4_500_000_000_000),
        ("0e900", 0, 0),
        ("999999999999.999999999999", 0, 10**24 - 1),
    ],
)
def test_money_is_the_decimal_that_is_written(written: str, places: int, pico: int) -> None:
    for text in (written, f'"{written}"'):
        said = reports._decode(f'{{"amount": {text}}}'.encode())
        assert reports.cost(Row(said), "amount", "usd", places=places) == GivenCost(pico, "USD")


@pytest.mark.parametrize(
    "value", ["", "abc", "NaN", "Infinity", "1,5", "1" * 40, "1e13", "1e999", True, [], {}, 10**13, 10**50, None]
)
def test_what_is_no_money_is_refused(value: Any) -> None:
    with pytest.raises(Wrong):
        reports.cost(Row({"amount": value}), "amount", "USD")


@pytest.mark.parametrize("text", ["1e400", "1e99999999999999999999", "-1E1000000", "1e-99999999999999999999"])
def test_numbers_beyond_reason_do_no_harm(text: str) -> None:
    said = reports._decode(f'{{"amount": {text}}}'.encode())
    with pytest.raises(Wrong):
        reports.cost(Row(said), "amount", "USD")
    with pytest.raises(Wrong):
        Row(said).count("amount")


@pytest.mark.parametrize("currency", ["", "US", "dollars", "12$", "US\n"])
def test_a_currency_is_three_letters(currency: str) -> None:
    with pytest.raises(Wrong, match="three letters"):
        reports.money(Decimal(1), currency, "amount")


@pytest.mark.parametrize(
    ("pico", "usual", "becomes"),
    [
        (1, "Usage", "Usage"),
        (-1, "Usage", "Credit"),
        (-1, "Tax", "Adjustment"),
        (-1, "Credit", "Credit"),
        (0, "Tax", "Tax"),
    ],
)
def test_what_is_less_than_nothing_is_no_usage(pico: int, usual: str, becomes: str) -> None:
    assert reports.category(GivenCost(pico, "USD"), usual) == becomes


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2026-11-20T00:00:00Z", MIDNIGHT),
        ("2026-11-20T00:00Z", MIDNIGHT),
        ("2026-11-20 00:00:00 UTC", MIDNIGHT),
        ("2026-11-20 00:00:00.000000 UTC", MIDNIGHT),
        ("2026-11-20T01:00:00+01:00", MIDNIGHT),
    ],
)
def test_times_are_read_as_vendors_write_them(written: str, at: datetime) -> None:
    assert Row({"at": written}).instant("at") == at


@pytest.mark.parametrize(
    "written", [None, "", "today", "2026-11-20", "2026-11-20T00:00:00", 5, "0001-01-01T00:00:00+14:00"]
)
def test_a_time_without_its_offset_is_none(written: Any) -> None:
    with pytest.raises(Wrong):
        Row({"at": written}).instant("at")


def test_labels_give_way_to_what_we_say_and_are_bounded() -> None:
    made = reports.tags({"sku": "Gemini", "none": ""}, {"sku": "theirs", "team": "search", "": "x", "a\x00": "\ud800"})
    assert made == (("a\ufffd", "?"), ("label.sku", "theirs"), ("sku", "Gemini"), ("team", "search"))
    many = reports.tags({"sku": "Gemini"}, {f"label{number:03}" * 20: "v" * 900 for number in range(200)})
    assert ("sku", "Gemini") in many
    assert len(many) == 50
    assert max(len(text) for pair in many for text in pair) == 200


def test_a_page_is_cut_and_its_bytes_stay_as_they_came() -> None:
    body = b'{"data": [{"starting_at": 1, "more": 2, "results": [{"amount": 0.10}, {"b":1}]}, {"results": []}]}'
    page = cutting.buckets(body)
    assert page.rows == (
        b'{"bucket":{"starting_at":1},"row":{"amount": 0.10}}',
        b'{"bucket":{"starting_at":1},"row":{"b":1}}',
    )
    assert page.next == ""


def test_one_bad_bucket_costs_its_neighbours_nothing() -> None:
    body = b'\xef\xbb\xbf{"data": [7, {"results": 5}, {"start_time": 1, "results": [{}]}], "has_more": true}'
    page = cutting.buckets(body)
    assert page.rows == (
        b'{"row":null,"bucket":7}', b'{"row":null,"bucket":{"results": 5}}', b'{"bucket":{"start_time":1},"row":{}}',
    )  # fmt: skip
    assert page.next == UNSAID


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!DOCTYPE html><html><body>Sign in</body></html>",
        b'{"data": [{"results": [',
        b'{"error": {"message": "no"}}',
        b'{"data": {}}',
        b'{"data": null}',
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"data": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_page_is_no_empty_page(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        cutting.buckets(body)


def test_rows_of_one_id_are_numbered_from_page_to_page() -> None:
    def parse(raw: bytes) -> Received:
        row = json.loads(raw)["row"]
        return Received(raw, None, None, row if isinstance(row, str) else "")

    told: dict[str, int] = {}
    rows = [{"row": text} for text in (b'"a"', b'"b"', b'"a"', b"1", b"1")]
    assert cutting.numbered(rows, parse, told) == (
        b'{"row":"a"}', b'{"row":"b"}', b'{"row":"a","ordinal":2}', b'{"row":1}', b'{"row":1}',
    )  # fmt: skip
    assert cutting.numbered(rows[:1], parse, told) == (b'{"row":"a","ordinal":3}',)
