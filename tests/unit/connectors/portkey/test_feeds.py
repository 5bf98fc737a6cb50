"""Portkey's log exports, fetched of a fake over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from finops.connectors.fetching import Away, Limited, RequestRefused
from finops.connectors.pages import BodyUnreadable
from finops.connectors.portkey import feeds
from tests.factories.feeds import PROMISES, Promise, fetched, first, told
from tests.fakes.reports.portkey import PortkeyReports

FEED = "portkey-logs"


@pytest.fixture
def fake() -> Iterator[PortkeyReports]:
    made = PortkeyReports(until=datetime(2026, 11, 20, tzinfo=UTC), days=2)
    yield made
    made.close()


@pytest.mark.parametrize("promise", PROMISES)
def test_a_feed_keeps_its_promises(fake: PortkeyReports, promise: Promise) -> None:
    promise(fake, FEED)


def test_an_export_is_waited_for_and_whoever_reads_hears_of_it(
    fake: PortkeyReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "_PAUSE_S", 0.0)
    fake.pauses = 3
    assert [len(rows) for rows in first(fake, FEED)] == [0, 0, 0, 145]


def test_an_export_that_never_comes_is_given_up(fake: PortkeyReports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "_PAUSE_S", 0.0)
    monkeypatch.setattr(feeds, "_MOST_PAUSES", 4)
    fake.pauses = 100
    with pytest.raises(Away):
        first(fake, FEED)


@pytest.mark.parametrize("says_totals", [True, False])
def test_more_calls_than_an_export_holds_are_read_in_halves(
    fake: PortkeyReports, monkeypatch: pytest.MonkeyPatch, says_totals: bool
) -> None:
    """145 of a day with its end, 73 of a half: none is lost, whether or not it says beforehand how many there are."""
    monkeypatch.setattr(feeds, "_MOST_LINES", 100)
    fake.says_totals = says_totals
    assert told(fetched(fake, FEED)) == fake.truth(FEED)
    assert len(fake.exports) == 6


@pytest.mark.parametrize(
    ("status", "body", "raised"),
    [
        (401, b"", Away),
        (403, b"<Error><Code>AccessDenied</Code></Error>", Away),
        (429, b"", Limited),
        (200, b"<!doctype html>\n<title>Sign in</title>\n", BodyUnreadable),
        # 145 calls were said to be in it.
        (200, b"", BodyUnreadable),
    ],
)
def test_what_is_downloaded_instead_of_an_export_is_no_day_without_calls(
    fake: PortkeyReports, status: int, body: bytes, raised: type[Exception]
) -> None:
    answer = fake.answer
    with pytest.MonkeyPatch.context() as patch, pytest.raises(raised):
        patch.setattr(fake, "answer", lambda each: (status, body) if each.path.startswith("/store/") else answer(each))
        fetched(fake, FEED)


@pytest.mark.parametrize("says_totals", [True, False])
def test_an_export_without_calls_is_empty(fake: PortkeyReports, says_totals: bool) -> None:
    fake.calls, fake.says_totals = [], says_totals
    assert fetched(fake, FEED) == {}


def test_more_than_can_be_told_apart_is_no_silent_loss(fake: PortkeyReports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "_MOST_LINES", 0)
    with pytest.raises(RequestRefused, match="more than"):
        fetched(fake, FEED)


def test_the_file_is_asked_for_without_the_key(fake: PortkeyReports) -> None:
    fetched(fake, FEED)
    files = [one for one in fake.asked if one.path.startswith("/store/")]
    assert len(files) == 2
    assert all("x-portkey-api-key" not in one.headers for one in files)
