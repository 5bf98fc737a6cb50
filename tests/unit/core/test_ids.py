"""Version-7 UUIDs: valid, ascending within a batch, and never the same twice."""

from __future__ import annotations

from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.core.ids import uuid7_batch


@given(st.integers(0, 300), st.integers(0, 2**48 - 1))
def test_a_batch_is_valid_and_ascending(count: int, unix_ms: int) -> None:
    made = uuid7_batch(count, unix_ms=unix_ms)
    assert len(set(made)) == count
    assert made == sorted(made)
    for one in map(UUID, made):
        assert one.version == 7
        assert one.variant == RFC_4122
        assert one.int >> 80 == unix_ms


def test_a_later_batch_sorts_later() -> None:
    assert max(uuid7_batch(1_000, unix_ms=1)) < min(uuid7_batch(1_000, unix_ms=2))


def test_two_batches_of_one_millisecond_differ() -> None:
    assert not set(uuid7_batch(5_000, unix_ms=7)) & set(uuid7_batch(5_000, unix_ms=7))


def test_a_counter_that_starts_at_its_highest_still_counts_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", lambda length: b"\xff" * length)
    made = uuid7_batch(3, unix_ms=2**48 - 1)
    assert made == sorted(set(made))
    assert all(UUID(one).version == 7 for one in made)


@pytest.mark.parametrize("unix_ms", [-1, 2**48])
def test_a_time_that_does_not_fit_is_refused(unix_ms: int) -> None:
    with pytest.raises(ValueError, match="48 bits"):
        uuid7_batch(1, unix_ms=unix_ms)
