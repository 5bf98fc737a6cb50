"""Langfuse's observations, fetched of a fake over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from finops.connectors.feeds import FEEDS
from finops.connectors.fetching import Refused
from tests.factories.feeds import PAGED, PROMISES, Promise, access, fetched, told, windows
from tests.fakes.reports.langfuse import LangfuseReports

NEWER, OLDER = "langfuse-observations", "langfuse-observations-older"


@pytest.fixture
def fake() -> Iterator[LangfuseReports]:
    made = LangfuseReports(until=datetime(2026, 11, 20, tzinfo=UTC), days=2)
    yield made
    made.close()


@pytest.mark.parametrize("feed", [NEWER, OLDER])
@pytest.mark.parametrize("promise", [*PROMISES, *PAGED])
def test_a_feed_keeps_its_promises(fake: LangfuseReports, promise: Promise, feed: str) -> None:
    promise(fake, feed)


def test_both_endpoints_tell_the_same_calls(fake: LangfuseReports) -> None:
    newer, older = fetched(fake, NEWER), fetched(fake, OLDER)
    assert newer.keys() == older.keys()
    assert told(newer) == told(older)


def test_a_project_whose_senders_leave_cached_tokens_in_the_input(fake: LangfuseReports) -> None:
    fake.observations = [one | {"usageDetails": {"input": 100, "input_cached_tokens": 60}} for one in fake.observations]
    plain = told(fetched(fake, NEWER)).counts["input_uncached"]
    assert told(fetched(fake, NEWER, settings={"inclusive": "yes"})).counts["input_uncached"] * 10 == plain * 4


def test_half_of_a_key_pair_is_refused_before_anybody_is_asked(fake: LangfuseReports) -> None:
    with pytest.raises(Refused):
        list(FEEDS[NEWER].pages(access(fake, credential="sk-lf-secret"), next(windows(FEEDS[NEWER], fake))))
    assert fake.asked == []
