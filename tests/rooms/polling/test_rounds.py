"""Rounds: what is read, what is read again, and what moves when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from finops.connectors.fetching import Window
from finops.ingest.models import QuarantinedRecord
from finops.ingest.services import discard
from finops.polling import rules, selectors, services
from finops.polling.models import PolledFeed
from finops.sources.models import Source
from tests.factories.ledger import rows
from tests.factories.orgs import HOUSE, Cast
from tests.factories.polling import AT, Clock, Connected, Provider, record

HOUR = timedelta(hours=1)


def test_pages_are_followed_and_the_watermark_is_when_the_round_began(anthropic: Connected) -> None:
    began = anthropic.clock.at
    row = anthropic.poll("anthropic-cost")
    asked = [one for one in anthropic.fake.asked if one.path.endswith("cost_report")]
    assert len(asked) > 1
    assert [bool(one.query.get("page")) for one in asked[:2]] == [False, True]
    assert row.state == "active"
    assert timedelta(0) < row.watermark - began < timedelta(seconds=1)
    assert row.last_success_at is not None
    assert row.next_at == row.watermark + timedelta(hours=1)
    assert (row.round_at, row.reached, row.lease) == (None, None, "")
    assert row.newest_at == AT.replace(hour=0, minute=0) - timedelta(days=1)
    assert row.rows == anthropic.fake.truth("anthropic-cost").rows


def test_a_feed_has_a_source_that_says_what_its_rows_are(anthropic: Connected) -> None:
    said = {
        feed.name: (feed.source.slug, feed.source.kind, feed.source.states, feed.source.level, feed.source.revises)
        for feed in PolledFeed.objects.select_related("source")
    }
    assert said["anthropic-usage"] == ("anthropic-usage", "account", "usage", Source.Level.METERED, True)
    assert said["anthropic-cost"] == ("anthropic-cost", "account", "money", Source.Level.BILLED, True)
    assert said["anthropic-claude-code"] == ("anthropic-claude-code", "account", "", Source.Level.METERED, True)


def test_nothing_is_asked_before_its_time(anthropic: Connected) -> None:
    row = anthropic.poll("anthropic-usage")
    many = len(anthropic.fake.asked)
    anthropic.clock.at = row.next_at - timedelta(seconds=1)
    assert not services.poll(row.id, anthropic.clock)
    assert len(anthropic.fake.asked) == many


def test_what_may_have_changed_is_read_again_and_is_no_second_charge(anthropic: Connected) -> None:
    before = anthropic.poll("anthropic-claude-code")
    anthropic.fake.revise()
    after = anthropic.later("anthropic-claude-code")
    assert (before.revised, after.revised, after.booked) == (0, 1, before.booked)
    assert after.duplicates > 0
    assert anthropic.kept("anthropic-claude-code") == anthropic.fake.truth("anthropic-claude-code")
    ((reasons,),) = rows(
        "SELECT count(*) FROM ledger_charge WHERE source_id = %s AND reverses IS NOT NULL", after.source_id
    )
    assert reasons == 1


def test_windows_are_aligned_and_the_last_one_is_open(cast: Cast, provider: Provider) -> None:
    row, clock = provider.connected(cast.acme), Clock()
    assert services.poll(row.id, clock)
    begun = AT.replace(minute=0) - timedelta(days=3)
    assert provider.asked == [
        Window(begun, begun + 24 * HOUR),
        Window(begun + 24 * HOUR, begun + 48 * HOUR),
        Window(begun + 48 * HOUR, begun + 72 * HOUR),
        Window(begun + 72 * HOUR, AT.replace(minute=0) + HOUR),
    ]
    provider.asked.clear()
    clock.moves(minutes=11)
    assert services.poll(row.id, clock)
    # The revision window, of the moment at which the last round began.
    assert provider.asked == [Window(AT.replace(minute=0) - 6 * HOUR, AT.replace(minute=0) + HOUR)]


def test_the_first_round_reads_a_month_and_never_what_is_told_no_more(cast: Cast, provider: Provider) -> None:
    unsaid = provider.connected(cast.acme, since=None)
    assert unsaid.begun_from == AT.replace(minute=0) - rules.FIRST
    ages_ago = provider.connected(cast.acme, since=AT - timedelta(days=4_000), credential="another")
    assert AT - ages_ago.begun_from <= provider.feed.history
    to_come = provider.connected(cast.acme, since=AT + timedelta(days=4_000), credential="a third")
    assert to_come.begun_from == AT.replace(minute=0)


def test_a_page_may_be_long_empty_or_hold_what_nobody_can_read(cast: Cast, provider: Provider) -> None:
    row = provider.connected(cast.acme, since=AT)
    provider.pages = [[], [record(n) for n in range(40)], [b"<no record>", record(41)], []]
    services.poll(row.id, Clock())
    row.refresh_from_db()
    assert (row.state, row.rows, row.booked, row.held) == ("active", 42, 41, 1)
    assert row.newest_at == AT - timedelta(hours=2)


def test_what_somebody_gave_up_stays_given_up_however_often_it_is_read(cast: Cast, provider: Provider) -> None:
    row, clock = provider.connected(cast.acme, since=AT), Clock()
    provider.pages = [[b"<no record>", b"<another>"]]
    services.poll(row.id, clock)
    first = QuarantinedRecord.objects.earliest("id")
    discard(organization_id=cast.acme.id, record_id=first.id, by=HOUSE, at=AT)
    clock.moves(minutes=11)
    services.poll(row.id, clock)
    assert set(QuarantinedRecord.objects.values_list("id", "state")) == {
        (first.id, "discarded"),
        (first.id + 1, "held"),
    }


@pytest.mark.parametrize("state", ["archived", "disconnected"])
def test_what_is_put_away_is_not_polled(cast: Cast, provider: Provider, state: str) -> None:
    row = provider.connected(cast.acme)
    if state == "archived":
        Source.objects.filter(id=row.source_id).update(archived_at=AT)
    else:
        services.disconnect(organization_id=cast.acme.id, account_id=row.account_id, by=HOUSE, at=AT)
    assert not services.poll(row.id, Clock())
    assert not provider.asked


def test_a_turn_is_over_after_a_while_and_the_next_goes_on_from_there(cast: Cast, provider: Provider) -> None:
    row, clock = provider.connected(cast.acme), Clock()

    def slow() -> list[bytes]:
        clock.moves(minutes=4)
        return [record(len(provider.asked))]

    provider.pages = [slow]
    services.poll(row.id, clock)
    row.refresh_from_db()
    assert (len(provider.asked), row.lease, row.state) == (2, "", "active")
    assert row.next_at <= clock.at
    assert selectors.feed(cast.acme.id, row.id).last_success_at is None
    services.poll(row.id, clock)
    row.refresh_from_db()
    assert [one.since for one in provider.asked[2:]] == [one.until for one in provider.asked[1:-1]]
    assert row.last_success_at is not None
    assert row.booked == 4
    # As of when the round began: what came to be while it went on is for the next one, which is due at once.
    assert row.watermark < AT + timedelta(seconds=1)
    assert row.next_at < clock.at
