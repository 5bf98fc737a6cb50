"""Cursors: what went in comes out, and nothing else gets in."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.api import paging

values = st.lists(
    st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=80)
    | st.datetimes(timezones=st.just(UTC))
    | st.dates(),
    max_size=4,
)


@given(values)
def test_a_cursor_gives_back_what_it_was_made_of(made_of: list[Any]) -> None:
    assert paging.decode(paging.encode(made_of), count=len(made_of)) == made_of


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_rubbish_is_refused_as_rubbish(cursor: str) -> None:
    # Anything but CursorInvalid fails the test; what happens to decode is two values of ours.
    with suppress(paging.CursorInvalid):
        assert len(paging.decode(cursor, count=2)) == 2


@pytest.mark.parametrize(
    "inside",
    [
        [["s", "a\x00b"], ["i", 1]],
        [["i", 2**63], ["i", 1]],
        [["i", True], ["i", 1]],
        [["i", "1"], ["i", 1]],
        [["t", "2026-10-01T00:00:00"], ["i", 1]],
        [["x", 1], ["i", 1]],
        [["i", 1]],
        {"i": 1},
        [["s", "\ud800"], ["i", 1]],
    ],
)
def test_well_formed_json_that_no_list_made_is_refused(inside: Any) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(inside).encode()).decode().rstrip("=")
    with pytest.raises(paging.CursorInvalid):
        paging.decode(cursor, count=2)


def test_an_endless_cursor_is_refused_before_it_is_read() -> None:
    with pytest.raises(paging.CursorInvalid):
        paging.decode("A" * 100_000, count=1)


def test_kinds_are_kept_apart() -> None:
    cursor = paging.encode([date(2026, 10, 1), "2026-10-01", datetime(2026, 10, 1, tzinfo=UTC)])
    assert paging.decode(cursor, count=3) == [date(2026, 10, 1), "2026-10-01", datetime(2026, 10, 1, tzinfo=UTC)]
