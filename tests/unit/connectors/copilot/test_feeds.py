"""What GitHub bills of Copilot, fetched of a fake over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from finops.connectors.feeds import FEEDS
from finops.connectors.fetching import Limited, RequestRefused, Window
from tests.factories.feeds import PROMISES, Promise, access, fetched, told, windows
from tests.fakes.reports.copilot import CopilotReports

BY_PERSON = "copilot-credits"


@pytest.fixture
def fake() -> Iterator[CopilotReports]:
    made = CopilotReports(until=datetime(2026, 11, 20, tzinfo=UTC))
    yield made
    made.close()


@pytest.mark.parametrize("feed", [BY_PERSON, "copilot-credits-total", "copilot-seats"])
@pytest.mark.parametrize("promise", PROMISES)
def test_a_feed_keeps_its_promises(fake: CopilotReports, promise: Promise, feed: str) -> None:
    promise(fake, feed)


def test_people_and_what_is_nobodys_are_the_organizations_exactly(fake: CopilotReports) -> None:
    by_person, in_all = fetched(fake, BY_PERSON), fetched(fake, "copilot-credits-total")
    assert told(by_person).pico == told(in_all).pico
    assert {dict(event.identities).get("github", "") for event in by_person.values()} == {"ann", "bob-acme", "cy", ""}


def test_what_was_nobodys_and_is_somebodys_now_is_told_as_nothing(fake: CopilotReports) -> None:
    """Or else it would stay in the books beside the person's."""
    day = fake.days_told[-1]
    before = fetched(fake, BY_PERSON)
    for (when, login, model), used in list(fake.credits.items()):
        if when == day and login == "dee":
            del fake.credits[when, login, model]
            fake.credits[when, "ann", model] = fake.credits.get((when, "ann", model), 0) + used
    after = fetched(fake, BY_PERSON)
    assert before.keys() <= after.keys()
    assert told(after).pico == fake.truth(BY_PERSON).pico


def test_seats_are_followed_to_the_last_page(fake: CopilotReports) -> None:
    fetched(fake, BY_PERSON)
    assert {one.query["page"] for one in fake.asked if one.path.endswith("/seats")} == {"1", "2"}


@pytest.mark.parametrize("headers", [{"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999"}])
def test_a_limit_that_github_says_by_403_is_no_bad_token(fake: CopilotReports, headers: dict[str, str]) -> None:
    fake.fail(403, headers=headers)
    with pytest.raises(Limited) as found:
        fetched(fake, BY_PERSON)
    assert found.value.after_s == 86_400


@pytest.mark.parametrize("settings", [{}, {"organization": " "}, {"organization": "acme/../x"}])
def test_an_organization_is_needed(fake: CopilotReports, settings: dict[str, str]) -> None:
    with pytest.raises(RequestRefused, match="organization"):
        list(FEEDS[BY_PERSON].pages(access(fake, settings=settings), next(windows(FEEDS[BY_PERSON], fake))))
    assert fake.asked == []


def test_an_enterprise_is_asked_by_its_own_paths(fake: CopilotReports) -> None:
    window = Window(fake.until, fake.until.replace(hour=5))
    with pytest.raises(RequestRefused, match="404"):
        list(FEEDS["copilot-seats"].pages(access(fake, settings={"enterprise": "acme-corp"}), window))
    assert [one.path for one in fake.asked] == ["/enterprises/acme-corp/settings/billing/usage"]
