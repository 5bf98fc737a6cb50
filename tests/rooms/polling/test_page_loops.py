"""Providers that answer with the first page for ever, whichever page is asked for: every feed that has pages, by its
fake. None asks on and on, none takes a page that comes again for more spend, and the feed says what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from finops.connectors.feeds import ACCOUNTS, FEEDS
from finops.ingest.models import QuarantinedRecord
from tests.factories.ledger import small_book
from tests.factories.orgs import Cast
from tests.factories.polling import AT, Connected, calling, connected
from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting
from tests.fakes.reports.registry import FAKES

# Asked for by one question that has one answer. Whatever is in the registry and not here has pages.
ONE_ANSWER: Final = {
    "copilot-credits-total", "copilot-seats", "devin-daily", "openrouter-activity", "portkey-logs", "windsurf-credits",
}  # fmt: skip
# What a page is asked for by: a token, or a number from 1 or 0 on.
TOKENS: Final = {"cursor", "marker", "continuation-token", "pageToken"}
# Windows before the one that has several pages are asked for too: most of them are hours here.
MOST_QUESTIONS: Final = 200


def first(name: str, value: Any) -> Any:
    """What asks for the first page instead; None for nothing."""
    if name == "offset":
        return 0
    if name == "page":
        return {str: "1", int: 1}[type(value)] if str(value).isdecimal() else None
    return None if name in TOKENS else value


@contextmanager
def first_page_for_ever(fake: Reporting) -> Iterator[None]:
    page = fake.page

    def stuck(asked: Asked) -> tuple[int, Any]:
        pairs = tuple((name, said) for name, value in asked.pairs if (said := first(name, value)) is not None)
        body = asked.body
        if isinstance(body, dict):
            body = {name: said for name, value in body.items() if (said := first(name, value)) is not None}
        return page(asked._replace(pairs=pairs, query=dict(pairs), body=body))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fake, "page", stuck)
        yield


@pytest.fixture(params=sorted({account.name for account in ACCOUNTS.values() for feed in account.feeds
                               if feed.name not in ONE_ANSWER}))  # fmt: skip
def account(request: pytest.FixtureRequest, cast: Cast) -> Iterator[Connected]:
    fake = FAKES[request.param](until=AT)
    with calling(fake):
        small_book()
        yield connected(cast.acme, fake)


def test_pages_that_lead_back_are_a_clear_state_and_no_spend(account: Connected) -> None:
    paged = [name for name in account.names() if name not in ONE_ANSWER]
    with first_page_for_ever(account.fake):
        for name in paged:
            begun = len(account.fake.asked)
            row = account.poll(name)
            assert (row.name, row.state, row.last_code) == (name, "failing", "connectors.pages_broken")
            assert "The report leads back" in row.last_message or "A page of the report says" in row.last_message
            # Windows that were whole before it, of which some had no pages, are read.
            assert row.watermark < AT
            assert row.last_success_at is None
            assert len(account.fake.asked) - begun < MOST_QUESTIONS
            kept, truth = account.kept(name), account.fake.truth(name)
            assert kept.rows < truth.rows
            assert all(pico <= truth.pico[currency] for currency, pico in kept.pico.items())
    for name in paged:
        assert account.later(name).state == "active"
        assert account.kept(name) == account.fake.truth(name)
    assert not QuarantinedRecord.objects.exists()


def test_a_loop_that_counts_its_pages_is_one_all_the_same(cast: Cast) -> None:
    """Cursor's pages say their number: one that is right about that, and gives the first events again."""
    fake = FAKES["cursor"](until=AT)
    page = fake.page

    def counts_on(asked: Asked) -> tuple[int, Any]:
        number = asked.body["page"] if isinstance(asked.body, dict) else 1
        status, answer = page(asked._replace(body={**asked.body, "page": 1}))
        if isinstance(answer, dict) and "pagination" in answer:
            answer = {**answer, "pagination": {**answer["pagination"], "currentPage": number}}
        return status, answer

    with calling(fake), pytest.MonkeyPatch.context() as patch:
        small_book()
        account = connected(cast.acme, fake)
        patch.setattr(fake, "page", counts_on)
        row = account.poll("cursor-events")
        assert (row.state, row.last_code) == ("failing", "connectors.pages_broken")
        assert account.kept("cursor-events").rows < fake.truth("cursor-events").rows


def test_what_has_one_answer_is_of_the_registry() -> None:
    assert set(FEEDS) >= ONE_ANSWER
