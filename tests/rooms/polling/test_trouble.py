"""What goes wrong at a provider: nothing is lost, nothing is double, and the feed says plainly how it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from finops.alerts.models import Incident
from finops.alerts.selectors import stories
from finops.alerts.services.signals import take_signals
from finops.audit.models import AuditEvent
from finops.connectors.fetching import Limited
from finops.polling import rules, services
from finops.polling.models import PolledFeed
from finops.polling.services.common import CredentialRefused, access_of
from tests.factories.orgs import HOUSE, Cast
from tests.factories.polling import AT, Clock, Connected, Provider, record

USAGE, COST = "anthropic-usage", "anthropic-cost"


def open_incidents(connected: Connected) -> list[str]:
    take_signals(at=connected.clock())
    rows = Incident.objects.filter(organization=connected.organization, resolved_at__isnull=True)
    return [story.title for story in stories(connected.organization.id, [(row, "") for row in rows.order_by("id")])]


def test_a_limit_is_waited_for_as_long_as_it_says(anthropic: Connected) -> None:
    anthropic.fake.fail(429, headers={"retry-after": "90"})
    row = anthropic.poll(COST)
    assert (row.state, row.last_code, row.booked) == ("limited", "connectors.rate_limited", 0)
    assert timedelta(seconds=90) <= row.next_at - anthropic.clock.at + timedelta(seconds=1) < timedelta(seconds=92)
    anthropic.clock.moves(seconds=80)
    assert not services.poll(row.id, anthropic.clock)
    row = anthropic.later(COST)
    assert (row.state, row.troubled_since, row.failures, row.last_code) == ("active", None, 0, "")
    assert anthropic.kept(COST) == anthropic.fake.truth(COST)


def test_limited_for_ever_it_says_since_when_and_somebody_is_told_after_a_day(anthropic: Connected) -> None:
    anthropic.fake.fail(*[429] * 300, headers={"retry-after": "1800"})
    began, told = anthropic.poll(COST).troubled_since, []
    assert began is not None
    while anthropic.clock.at < began + timedelta(hours=26):
        row = anthropic.later(COST)
        assert (row.state, row.troubled_since) == ("limited", began)
        told.append((row.last_tried_at, len(open_incidents(anthropic))))
    assert [many for at, many in told if at and at < began + rules.PATIENCE][-1] == 0
    assert told[-1][1] == 1
    assert open_incidents(anthropic) == ["Anthropic: Cost by the day cannot be read at its provider"]
    assert Incident.objects.get().count == 1
    anthropic.fake.forgive()
    assert anthropic.later(COST).state == "active"
    assert open_incidents(anthropic) == []
    assert anthropic.kept(COST) == anthropic.fake.truth(COST)


def test_a_limit_of_a_second_again_and_again_is_not_asked_each_second(anthropic: Connected) -> None:
    anthropic.fake.fail(*[429] * 12, headers={"retry-after": "1"})
    waits = []
    for _ in range(12):
        row = anthropic.later(COST)
        waits.append(row.next_at - anthropic.clock.at)
    assert waits[0] < timedelta(seconds=2)
    assert waits[-1] > timedelta(minutes=59)
    # No longer than its rhythm: a limit is nobody's outage.
    assert max(waits) <= timedelta(hours=1)


def test_a_limit_in_the_middle_of_a_window_makes_windows_shorter_until_one_is_whole(
    cast: Cast, provider: Provider
) -> None:
    """A provider that lets three pages through and then has enough: an hour is a page, and each window is whole."""
    row, clock = provider.connected(cast.acme, since=AT - timedelta(days=1)), Clock()
    let_in = 3

    def pages(_: Any, window: Any) -> Any:
        provider.asked.append(window)
        at = window.since
        allowed = let_in
        while at < window.until:
            if not allowed:
                raise Limited("it answered 429", after_s=60)
            allowed -= 1
            hour = int(at.timestamp()) // 3600
            yield [record(hour, at=at)] if at < AT else []
            at += timedelta(hours=1)

    with provider.replaced(pages):
        for _ in range(60):
            clock.at = max(clock.at, PolledFeed.objects.get(id=row.id).next_at)
            services.poll(row.id, clock)
            row.refresh_from_db()
            if row.last_success_at:
                break
    assert row.last_success_at is not None
    assert row.booked == 24 + 1
    whole = [one for one in provider.asked if one.until - one.since <= timedelta(hours=3)]
    assert whole
    assert clock.at - AT < timedelta(hours=2)


def test_a_revoked_key_stops_is_told_and_another_goes_on_from_there(anthropic: Connected) -> None:
    assert anthropic.poll(USAGE).state == "active"
    anthropic.fake.revoke()
    row = anthropic.later(USAGE)
    assert (row.state, row.last_code) == ("refused", "connectors.credential_refused")
    assert row.last_message == "The provider refuses the credential: it answered 401."
    assert open_incidents(anthropic) == ["Anthropic: Usage by the hour cannot be read at its provider"]
    many = len(anthropic.fake.asked)
    anthropic.clock.moves(days=3)
    assert not services.poll(row.id, anthropic.clock)
    assert len(anthropic.fake.asked) == many
    # The new one is tried first; what is refused changes nothing.
    with pytest.raises(CredentialRefused):
        rotated(anthropic, "a-wrong-one")
    assert anthropic.feed(USAGE).state == "refused"
    anthropic.fake.is_revoked, anthropic.fake.credential = False, "a-good-one"
    rotated(anthropic, "a-good-one")
    row = anthropic.poll(USAGE)
    assert (row.state, row.troubled_since, row.told_at) == ("active", None, None)
    assert open_incidents(anthropic) == []
    assert anthropic.kept(USAGE) == anthropic.fake.truth(USAGE)


def rotated(connected: Connected, credential: str) -> None:
    services.rotate(
        organization_id=connected.organization.id,
        account_id=connected.row.id,
        credential=credential,
        by=HOUSE,
        at=connected.clock(),
    )


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"<!doctype html><title>Sign in</title>", "connectors.body_unreadable"),
        (200, b"", "connectors.body_unreadable"),
        (503, b"gone fishing", "connectors.unreachable"),
        (302, b"", "connectors.request_refused"),
        (404, b"{}", "connectors.request_refused"),
    ],
)
def test_what_is_no_report_is_tried_again_later_each_time(
    anthropic: Connected, status: int, body: bytes, code: str
) -> None:
    anthropic.fake.fail(*[status] * 4, body=body, headers={"Content-Type": "text/html"})
    waits = []
    for _ in range(4):
        row = anthropic.later(COST)
        assert (row.state, row.last_code, row.watermark) == ("failing", code, row.begun_from)
        waits.append((row.next_at - anthropic.clock.at).total_seconds())
    for wait, usual in zip(waits, (60, 120, 240, 480), strict=True):
        assert usual - 1 < wait <= usual * 1.1 + 1
    assert anthropic.later(COST).state == "active"
    assert anthropic.kept(COST) == anthropic.fake.truth(COST)


def test_failing_for_a_day_is_told_once_and_over_with_the_first_success(anthropic: Connected) -> None:
    anthropic.fake.fail(*[500] * 100)
    began = anthropic.poll(COST).troubled_since
    assert began is not None
    while anthropic.later(COST).told_at is None:
        assert open_incidents(anthropic) == []
    assert anthropic.clock.at - began >= timedelta(hours=24)
    assert len(open_incidents(anthropic)) == 1
    anthropic.later(COST)
    assert Incident.objects.get().count == 1
    services.pause(organization_id=anthropic.organization.id, feed_id=anthropic.feed(COST).id, by=HOUSE, at=AT)
    assert open_incidents(anthropic) == []


def test_pages_that_lead_back_are_given_up_and_what_came_before_is_kept_once(
    anthropic: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = anthropic.fake.answer
    stuck: dict[str, Any] = {}

    def looping(asked: Any) -> Any:
        if not asked.path.endswith("cost_report"):
            return answer(asked)
        return stuck.setdefault(asked.path, answer(asked))

    with monkeypatch.context() as patch:
        patch.setattr(anthropic.fake, "answer", looping)
        tried = [anthropic.later(COST) for _ in range(3)]
        assert {(row.state, row.last_code) for row in tried} == {("failing", "connectors.pages_broken")}
        row = tried[-1]
        assert row.last_message == "A page of the report says what the page before it said."
        assert 0 < row.booked < anthropic.fake.truth(COST).rows
        assert row.watermark == row.begun_from
    row = anthropic.later(COST)
    assert row.state == "active"
    assert anthropic.kept(COST) == anthropic.fake.truth(COST)


def test_what_nobody_foresaw_is_a_failure_and_its_words_stay_here(
    cast: Cast, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    row = provider.connected(cast.acme, credential="sk-very-secret")

    def broken() -> list[bytes]:
        raise RuntimeError("sk very secret".replace(" ", "-"))

    provider.pages = [[record(1)], broken]
    services.poll(row.id, Clock())
    row.refresh_from_db()
    assert (row.state, row.last_code, row.booked) == ("failing", "polling.unexpected", 1)
    assert row.last_message == "RuntimeError stopped it; the worker's log says where."
    assert "broken" in caplog.text
    assert "sk-very-secret" not in caplog.text


def test_without_the_database_nothing_is_said_of_the_provider(cast: Cast, provider: Provider) -> None:
    row = provider.connected(cast.acme)

    def away() -> list[bytes]:
        raise OperationalError("the server closed the connection")

    provider.pages = [away]
    with pytest.raises(OperationalError):
        services.poll(row.id, Clock())
    row.refresh_from_db()
    assert (row.state, row.failures) == ("active", 0)


def test_a_credential_is_in_no_answer_trail_or_log(anthropic: Connected, caplog: pytest.LogCaptureFixture) -> None:
    secret = anthropic.fake.credential
    anthropic.poll(COST)
    anthropic.fake.fail(500, 429)
    anthropic.later(COST)
    anthropic.later(COST)
    anthropic.fake.revoke()
    anthropic.later(COST)
    row = anthropic.feed(COST)
    told = [str(one.__dict__) for one in (*AuditEvent.objects.all(), *Incident.objects.all(), row)]
    assert told
    assert secret not in "\n".join(told) + caplog.text
    anthropic.row.refresh_from_db()
    assert secret.encode() not in bytes(anthropic.row.sealed)
    assert secret not in repr(access_of(anthropic.row))
