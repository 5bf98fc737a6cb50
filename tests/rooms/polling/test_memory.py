"""A long history read as a stream: memory does not grow with its length."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from finops.connectors.fetching import Access, Window
from finops.connectors.types import Received
from finops.ingest.services import take as real
from finops.polling import services
from finops.polling.services import reading
from tests.factories.orgs import Cast
from tests.factories.polling import AT, Clock, Provider, record

DAYS = 30


def read(
    cast: Cast, provider: Provider, monkeypatch: pytest.MonkeyPatch, *, pages_a_day: int, rows: int, booked: bool
) -> int:
    """Polls 30 days of so many rows; the peak of memory over what there was before, in bytes."""
    numbers = 0

    def pages(_: Access, window: Window) -> Iterator[Sequence[bytes]]:
        nonlocal numbers
        for _day in range((window.until - window.since) // timedelta(days=1)):
            for _page in range(pages_a_day):
                yield [record(n, at=window.since) for n in range(numbers, numbers + rows)]
                numbers += rows

    def nothing(*, received: Sequence[Received], within: Any, **_: Any) -> None:
        """Reading alone: the ledger's own memory is its own story."""
        within([], [])

    row = provider.connected(cast.acme, since=AT - timedelta(days=DAYS), credential=f"{pages_a_day} {rows}")
    with provider.replaced(pages), monkeypatch.context() as patch:
        patch.setattr(reading, "take", real if booked else nothing)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        services.poll(row.id, Clock())
        peak = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
    row.refresh_from_db()
    assert row.last_success_at is not None, row.last_message
    assert numbers == DAYS * pages_a_day * rows
    if booked:
        assert row.booked == numbers
    return peak


def test_three_times_the_pages_need_no_more_memory(
    cast: Cast, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = read(cast, provider, monkeypatch, pages_a_day=1, rows=80, booked=False)
    many = read(cast, provider, monkeypatch, pages_a_day=3, rows=80, booked=False)
    assert many < few * 1.25 + 300_000


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_ten_million_rows_of_thirty_days_are_read_as_a_stream(
    cast: Cast, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = read(cast, provider, monkeypatch, pages_a_day=1, rows=5_000, booked=False)
    many = read(cast, provider, monkeypatch, pages_a_day=67, rows=5_000, booked=False)
    assert many < few * 1.25 + 300_000


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_what_is_booked_needs_no_more_memory_either(
    cast: Cast, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = read(cast, provider, monkeypatch, pages_a_day=1, rows=1_000, booked=True)
    many = read(cast, provider, monkeypatch, pages_a_day=5, rows=1_000, booked=True)
    assert many < few * 1.5 + 2_000_000
