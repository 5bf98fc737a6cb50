"""Rows of files, read by a mapping of columns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finops.connectors.files.mapping import ColumnMissing, FileMap, MapInvalid, check_columns, file_map
from finops.connectors.files.parse import amount, count, instant, parse, read
from finops.connectors.types import Received
from finops.core.tokens import METER_INDEX

AZURE = file_map(
    columns={
        "occurred_at": "TIMESTAMP",
        "usage.input_uncached": "ContextTokens",
        "usage.output_text": "GeneratedTokens",
    },
    constants={"provider": "openai", "model": "gpt-4o", "project": "code"},
)


def row(mapping: FileMap = AZURE, **values: Any) -> Received:
    return read(mapping, row_id="f:1", number=1, row=values)


def test_a_row_of_the_azure_trace() -> None:
    received = row(TIMESTAMP="2023-11-16 18:17:03.9799600", ContextTokens="4808", GeneratedTokens="10")
    event = received.event
    assert event is not None
    assert (event.external_id, event.model, event.dimensions.project) == ("f:1", "gpt-4o", "code")
    assert event.occurred_at == datetime(2023, 11, 16, 18, 17, 3, 979960, tzinfo=UTC)
    assert (event.counts[0], event.counts[METER_INDEX["output_text"]], event.counts[METER_INDEX["requests"]]) == (
        4808,
        10,
        1,
    )


def test_a_held_row_is_read_again_with_the_mapping_it_came_with() -> None:
    good = row(TIMESTAMP="2023-11-16 18:17:03", ContextTokens="4808", GeneratedTokens="10")
    assert parse(good.raw).event == good.event
    bad = row(TIMESTAMP="soon", ContextTokens="1", GeneratedTokens="1")
    assert parse(bad.raw) == bad


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"TIMESTAMP": "soon"}, "occurred_at"),
        ({"TIMESTAMP": ""}, "occurred_at"),
        ({"TIMESTAMP": None}, "occurred_at"),
        ({"TIMESTAMP": True}, "occurred_at"),
        ({"TIMESTAMP": "9" * 400}, "occurred_at"),
        ({"ContextTokens": "many"}, "usage.input_uncached"),
        ({"ContextTokens": -4}, "usage.input_uncached"),
        ({"ContextTokens": "4.5"}, "usage.input_uncached"),
        ({"ContextTokens": float("nan")}, "usage.input_uncached"),
        ({"ContextTokens": [4]}, "usage.input_uncached"),
    ],
)
def test_a_bad_cell_is_named_with_its_row_and_column(values: dict[str, Any], field: str) -> None:
    received = row(**{"TIMESTAMP": "2023-11-16 18:17:03", "ContextTokens": "1", "GeneratedTokens": "1"} | values)
    assert received.problem is not None
    assert received.problem.field == field
    assert received.problem.message.startswith("row 1, column '")
    assert received.external_id == "f:1"


def test_an_empty_count_is_not_said() -> None:
    received = row(TIMESTAMP="2023-11-16 18:17:03", ContextTokens="12.0", GeneratedTokens="")
    assert received.event is not None
    assert received.event.counts[0] == 12


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-03-29T10:00:00Z", datetime(2026, 3, 29, 10, tzinfo=UTC)),
        ("2026-03-29 10:00:00+02:00", datetime(2026, 3, 29, 8, tzinfo=UTC)),
        ("2026-03-29 10:00:00 UTC", datetime(2026, 3, 29, 10, tzinfo=UTC)),
        ("2026-03-28 10:00:00", datetime(2026, 3, 28, 9, tzinfo=UTC)),
        ("2026-06-28", datetime(2026, 6, 27, 22, tzinfo=UTC)),
        ("1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (1700000000.25, datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=UTC)),
        (1700000000123, datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC)),
        (1700000000123456, datetime(2023, 11, 14, 22, 13, 20, 123_456, tzinfo=UTC)),
        ("1700000000123456789", datetime(2023, 11, 14, 22, 13, 20, 123_456, tzinfo=UTC)),
    ],
)
def test_times_as_files_write_them(said: Any, meant: datetime) -> None:
    assert instant(said, ZoneInfo("Europe/Vienna")) == meant


def test_counts_and_amounts_as_files_write_them() -> None:
    assert [count(value) for value in ("17", " 17 ", "17.0", 17.0, 17, "17.5", 17.5)] == [
        "17",
        "17",
        "17",
        17,
        17,
        "17.5",
        17.5,
    ]
    assert [amount(value) for value in ("1.2e-05", 0.1, "-3", 5)] == ["0.000012", "0.1", "-3", "5"]
    for value in ("NaN", "Infinity", "1e999", "", True, [1]):
        with pytest.raises(ValueError, match="is no amount"):
            amount(value)


def test_totals_named_as_totals_are_taken_as_totals() -> None:
    mapping = file_map(
        columns={"occurred_at": "t", "model": "m", "usage.input_tokens": "u.in", "usage.cache_read_tokens": "u.cached"}
    )
    received = row(mapping, t="2026-01-01", m="gpt", u={"in": 10, "cached": 4})
    assert received.event is not None
    assert received.event.counts[:2] == (6, 4)


@pytest.mark.parametrize(
    ("columns", "constants", "says"),
    [
        ({"model": "m", "usage.requests": "r"}, {}, "occurred_at"),
        ({"occurred_at": "t", "model": "m"}, {}, "at least one count"),
        ({"occurred_at": "t", "usage.requests": "r"}, {}, "model must be"),
        ({"occurred_at": "t", "model": "m", "usage.requests": "r"}, {"model": "x"}, "both a column and set"),
        ({"occurred_at": "t", "modle": "m", "usage.requests": "r"}, {}, "did you mean 'model'"),
        ({"occurred_at": "t", "model": "m", "cost.amount": "c"}, {}, "needs cost.currency"),
        ({"occurred_at": "t", "model": "m", "usage.input_tokens": "a", "usage.cache_read": "b"}, {}, "use one kind"),
        ({"occurred_at": "", "model": "m", "usage.requests": "r"}, {}, "names no column"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_at_once(
    columns: dict[str, str], constants: dict[str, str], says: str
) -> None:
    with pytest.raises(MapInvalid, match=says):
        file_map(columns=columns, constants=constants)


def test_a_zone_there_is_not() -> None:
    with pytest.raises(MapInvalid, match="Europe/Vienna"):
        file_map(columns=dict(AZURE.columns), constants=dict(AZURE.constants), zone="Mars/Olympus")


def test_the_wrong_columns_are_named_with_what_there_is() -> None:
    with pytest.raises(
        ColumnMissing, match=r"'ContextTokens'.*did you mean 'context_tokens'.*It has: TIMESTAMP, context"
    ):
        check_columns(AZURE, ["TIMESTAMP", "context_tokens", "GeneratedTokens"])


VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["\x00", "\udc80", "1e9999"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
EVERYTHING = file_map(
    columns={
        "occurred_at": "t", "model": "m", "usage.input_uncached": "u", "cost.amount": "c", "tags.a": "a", "id": "i",
        "identities.email": "e", "category": "k",
    },
    constants={"cost.currency": "USD"},
)  # fmt: skip


@given(st.dictionaries(st.sampled_from("tmucaiek"), VALUE), st.booleans())
@example(values={"m": [["\udc80"]]}, mostly_good=True)
def test_any_row_is_answered(values: dict[str, Any], mostly_good: bool) -> None:
    good = {"t": "2026-01-01", "m": "gpt", "u": 1, "c": "1"} if mostly_good else {}
    received = row(EVERYTHING, **good | values)
    assert (received.event is None) != (received.problem is None)
    if received.problem is not None:
        assert received.problem.field
        "".join(received.problem).encode()
    received.external_id.encode()
    again = parse(received.raw)
    assert (again.event is None) == (received.event is None)
    assert again.event == received.event
