"""One source and its account, as people see them: how it is doing in words, and every button."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finops.connectors.otlp import logs
from finops.connectors.types import Received
from finops.ingest.models import QuarantinedRecord
from finops.ingest.services import take
from finops.jobs.models import Job
from finops.polling import tasks
from finops.polling.models import ConnectedAccount, PolledFeed
from finops.sources.models import Source
from tests.factories.ledger import Book, event, small_book
from tests.factories.orgs import Cast
from tests.factories.polling import AT, calling, put
from tests.fakes.reports.anthropic import AnthropicReports
from tests.interfaces.conftest import BACKEND
from tests.interfaces.pages.conftest import at, text_of

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    """However late in a long run it is."""
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
def alice(cast: Cast) -> Client:
    small_book()
    client = Client()
    client.force_login(cast.alice_login, backend=BACKEND)
    return client


@pytest.fixture
def fake() -> Iterator[AnthropicReports]:
    one = AnthropicReports(until=AT)
    with calling(one):
        yield one


@pytest.fixture
def feed(cast: Cast) -> PolledFeed:
    row = put(cast.acme, at=NOW).feeds.get(name="anthropic-usage")
    PolledFeed.objects.filter(id=row.id).update(
        last_success_at=NOW, next_at=NOW + timedelta(minutes=10), newest_at=NOW - timedelta(hours=5), rows=12_345,
        booked=345, duplicates=12_000, revised=7,
    )  # fmt: skip
    row.refresh_from_db()
    return row


def words(client: Client, slug: str = "anthropic-usage") -> str:
    page = text_of(client.get(at("source", source=slug)))
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_one_source_says_how_far_it_is_and_what_is_read(alice: Client, feed: PolledFeed) -> None:
    page = words(alice)
    for said in (
        "Last success", "just now", "5 hours", "12.3k", "345 booked", "12.0k", "Told late by",
        "it bills nothing that is compared",
        "Asked every 10 minutes", "the last 2 days, which may still change", "the hour and every group",
        "input leaves out what was read from and written to a cache", "Claude Code by the day and person",
    ):  # fmt: skip
        assert said in page, said


@pytest.mark.parametrize(
    ("now", "says"),
    [
        ({"state": "refused", "troubled_since": NOW, "last_message": "It answered 401."}, "Set another credential"),
        ({"state": "limited", "troubled_since": NOW}, "limits how often it is asked, since"),
        ({"state": "failing", "troubled_since": NOW, "last_message": "It is HTML.", "failures": 3}, "It is HTML."),
        ({"state": "paused"}, "Somebody paused it."),
        ({"last_success_at": None}, "Its first round begins at"),
        ({"next_at": NOW - timedelta(hours=1)}, "nobody reads it: see whether the workers run"),
        ({"lease": "x", "leased_until": NOW + timedelta(minutes=5)}, "It is being read now"),
    ],
)
def test_it_says_what_is_wrong_since_when_and_what_to_do(
    alice: Client, feed: PolledFeed, now: dict[str, Any], says: str
) -> None:
    PolledFeed.objects.filter(id=feed.id).update(**now)
    assert says in words(alice)
    assert alice.get(at("sources")).status_code == 200


def test_an_account_is_connected_by_its_form_and_disconnected(
    alice: Client, cast: Cast, fake: AnthropicReports, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(tasks, "send", sent.extend)
    assert "An Admin key" in text_of(alice.get(at("account_add")))
    new = f"{at('account_add')}?account=anthropic"
    said = {"credential": "a-wrong-one", "address": fake.address, "since": "2026-10-20"}
    wrong = alice.post(new, said)
    assert (wrong.status_code, list(wrong.context["form"].errors)) == (422, ["credential"])
    assert "a-wrong-one" not in text_of(wrong)
    page = text_of(
        alice.post(new, {**said, "credential": fake.credential, "feeds": ["anthropic-claude-code"]}, follow=True)
    )
    assert "The account is connected." in page
    row = ConnectedAccount.objects.get()
    assert [one.name for one in row.feeds.order_by("id")] == [
        "anthropic-usage",
        "anthropic-cost",
        "anthropic-claude-code",
    ]
    assert sorted(sent) == sorted(row.feeds.values_list("id", flat=True))
    fake.credential = "a-new-one"
    alice.post(at("account_credential", account_id=row.id), {"credential": "a-new-one"})
    alice.post(at("account_disconnect", account_id=row.id))
    row.refresh_from_db()
    assert row.disconnected_at
    assert "disconnected since" in words(alice)
    assert "go on from where they stood" in text_of(alice.get(at("account_add")))
    assert alice.get(f"{at('account_add')}?account=nobody").status_code == 404


def test_what_has_no_address_of_its_own_is_asked_for_one(alice: Client) -> None:
    answer = alice.post(f"{at('account_add')}?account=litellm", {"credential": "sk-1"})
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["address"])


def test_an_optional_feed_is_switched_on(alice: Client, feed: PolledFeed) -> None:
    there = f"{at('account_feed', account_id=feed.account_id)}?feed=anthropic-claude-code"
    assert alice.get(there).status_code == 200
    alice.post(there)
    assert Source.objects.get(slug="anthropic-claude-code").feed.state == "active"
    assert alice.get(f"{at('account_feed', account_id=feed.account_id)}?feed=x").status_code == 404


def test_a_feed_is_paused_resumed_and_polled(alice: Client, feed: PolledFeed) -> None:
    for name, state in (("feed_pause", "paused"), ("feed_resume", "active"), ("feed_poll", "active")):
        answer = alice.post(at(name, feed_id=feed.id))
        assert answer["Location"] == at("source", source="anthropic-usage")
        feed.refresh_from_db()
        assert feed.state == state


def test_its_history_is_read_stopped_and_resumed(alice: Client, feed: PolledFeed) -> None:
    there = at("backfill_stop", feed_id=feed.id)
    assert alice.post(there).status_code == 404
    early = alice.post(at("feed_backfill", feed_id=feed.id), {"since": NOW.date().isoformat()})
    assert (early.status_code, list(early.context["form"].errors)) == (422, ["since"])
    since = (NOW - timedelta(days=100)).date().isoformat()
    alice.post(at("feed_backfill", feed_id=feed.id), {"since": since})
    job = Job.objects.get()
    Job.objects.filter(id=job.id).update(done=3, cursor={"message": "it answered 429"})
    page = words(alice)
    assert "3 of 10" in page
    assert "Waiting: it answered 429." in page
    alice.post(there)
    job.refresh_from_db()
    assert job.state == "stopped"
    alice.post(at("backfill_resume", feed_id=feed.id))
    job.refresh_from_db()
    assert job.state == "queued"
    assert "Reading history" in text_of(alice.get(at("jobs")))


def test_what_is_held_of_it_is_seen_and_replayed(alice: Client, cast: Cast, feed: PolledFeed) -> None:
    QuarantinedRecord.objects.create(
        organization=cast.acme, source=feed.source, digest=b"x" * 16, external_id="1", code="ingest.unreadable",
        message="no", raw=b"{}", parser="capstan", received_at=NOW,
    )  # fmt: skip
    assert "1 record of this source could not be booked, and is kept whole" in words(alice)
    page = text_of(alice.post(at("source_replay", source="anthropic-usage"), follow=True))
    assert "0 of 1 records are booked; 1 stay held." in page


def test_a_source_that_sends_by_itself_has_a_page_too(alice: Client, cast: Cast) -> None:
    Source.objects.create(organization=cast.acme, slug="proxy", name="Proxy", kind="litellm")
    assert "no: other content for a known id is a conflict" in words(alice, "proxy")
    assert alice.get(at("source", source="nothing")).status_code == 404


def test_calls_that_another_source_charged_are_counted(alice: Client, cast: Cast) -> None:
    book = Book(cast.acme)
    book.take(event("a", provider_request_id="req-a"), event("b", provider_request_id="req-b"))
    told = [event(f"t{n}", provider_request_id=f"another-{n}") for n in range(2)]
    take(
        organization_id=cast.acme.id, source_id=book.source("codex").id, parser=logs.PARSER,
        received=[Received(one.external_id.encode(), one) for one in told], at=NOW,
    )  # fmt: skip
    assert re.search(r"Matched by content 2\b", words(alice, "codex"))


def test_pages_cost_the_same_however_many_accounts_there_are(alice: Client, cast: Cast, feed: PolledFeed) -> None:
    def asked(path: str) -> int:
        with CaptureQueriesContext(connection) as found:
            assert alice.get(path).status_code == 200
        return len(found)

    paths = [at("sources"), at("source", source="anthropic-usage"), at("account_add")]
    alice.get(paths[0])
    before = [asked(path) for path in paths]
    for n in range(4):
        put(cast.acme, label=f"Account {n}", credential=f"secret-{n}", at=NOW)
    assert [asked(path) for path in paths] == before
    assert max(before) <= 16, before


def test_who_may_not_change_sources_sees_no_button(cast: Cast, feed: PolledFeed) -> None:
    client = Client()
    client.force_login(cast.dana_login, backend=BACKEND)
    page = text_of(client.get(at("source", source="anthropic-usage")))
    may = "Poll now" in page
    assert client.post(at("feed_pause", feed_id=feed.id)).status_code == (302 if may else 403)
