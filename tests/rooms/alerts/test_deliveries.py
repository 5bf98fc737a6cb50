"""News on its way to real servers: once, again when it failed, later in quiet hours, together when many."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime, time, timedelta
from typing import Any

import pytest

from finops.alerts import selectors
from finops.alerts.models import Delivery, Incident
from finops.alerts.rules.timing import BACKOFF_S, MOST_TRIES
from finops.alerts.services.channels import archive_channel
from finops.alerts.services.deliveries import LEASE, claim, deliver_to, finish, test_channel
from finops.alerts.services.incidents import resolve
from finops.alerts.services.rules import change_rule
from finops.alerts.services.signals import take_signals
from finops.alerts.types import Outcome
from tests.factories.alerts import channel, channel_and_secret, deliveries, rule, signal
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.fakes.sinks import MailSink, WebSink


def deliver(at: datetime) -> int:
    return sum(deliver_to(channel_id=one, now=lambda: at) for one in selectors.due_channels(at))


def trip(cast: Cast, at: datetime = NOON, *, key: str = "session:8f3a", **details: Any) -> None:
    signal(cast.acme.id, key=key, at=at, **details)
    take_signals(at=at)


def test_a_letter_arrives_once_although_it_is_sent_twice(cast: Cast, mail: MailSink) -> None:
    channel(cast.acme.id, "email", address="alice@acme.example, ops@acme.example", at=NOON)
    trip(cast, reason="50 identical calls in a row")
    assert (deliver(NOON), deliver(NOON)) == (1, 0)
    [letter] = mail.letters
    assert letter["Subject"] == "[Acme] A breaker stopped session 8f3a"
    assert letter["From"] == "Capstan <capstan@acme.example>"
    assert "Why: 50 identical calls in a row." in letter.get_content()
    # In blind copy: nobody reads who else is told.
    assert mail.recipients == [["alice@acme.example", "ops@acme.example"]]
    assert "ops@" not in letter.as_string()
    assert deliveries(cast.acme.id) == [("opened", "delivered")]


def test_a_webhook_can_be_told_from_a_forged_one(cast: Cast, web: WebSink) -> None:
    _, secret = channel_and_secret(cast.acme.id, address=f"{web.address}?room=1", at=NOON)
    trip(cast)
    deliver(NOON)
    [post] = web.posts
    assert post.path == "/hooks/capstan?room=1"
    stamp, signed = (part.partition("=")[2] for part in post.headers["Capstan-Signature"].split(","))
    assert hmac.compare_digest(
        signed, hmac.new(secret.encode(), f"{stamp}.".encode() + post.body, hashlib.sha256).hexdigest()
    )
    said = json.loads(post.body)
    assert said["id"] == post.headers["Capstan-Delivery"]
    [told] = said["incidents"]
    assert (told["event"], told["kind"], told["severity"]) == ("opened", "breaker.tripped", "critical")


def test_what_failed_is_tried_again_later_and_later_and_given_up(cast: Cast, web: WebSink) -> None:
    channel(cast.acme.id, address=web.address, at=NOON)
    web.answers = [503] * MOST_TRIES
    trip(cast)
    at = NOON
    for wait in BACKOFF_S:
        assert deliver(at) == 1
        row = Delivery.objects.get()
        assert (row.state, row.last_error) == ("waiting", "It answered 503.")
        assert deliver(at + timedelta(seconds=wait - 1)) == 0
        at += timedelta(seconds=wait)
    assert deliver(at) == 1
    assert deliveries(cast.acme.id) == [("opened", "failed")]
    assert deliver(at + timedelta(days=9)) == 0
    # Each try had the same id.
    assert len({post.headers["Capstan-Delivery"] for post in web.posts}) == 1


@pytest.mark.parametrize(("status", "state"), [(404, "failed"), (302, "failed"), (429, "waiting"), (500, "waiting")])
def test_a_refusal_is_final_and_being_busy_is_not(cast: Cast, web: WebSink, status: int, state: str) -> None:
    channel(cast.acme.id, address=web.address, at=NOON)
    web.answers, web.headers = [status], {"Location": f"http://127.0.0.1:{web.port}/elsewhere"}
    trip(cast)
    deliver(NOON)
    assert deliveries(cast.acme.id) == [("opened", state)]
    # A redirect is not followed.
    assert [post.path for post in web.posts] == ["/hooks/capstan"]


@pytest.mark.parametrize(("code", "state"), [(451, "waiting"), (550, "failed")])
def test_a_mail_server_may_refuse_for_now_or_for_good(cast: Cast, mail: MailSink, code: int, state: str) -> None:
    channel(cast.acme.id, "email", at=NOON)
    mail.answers = [code]
    trip(cast)
    deliver(NOON)
    assert deliveries(cast.acme.id) == [("opened", state)]


def test_without_a_mail_server_it_is_said(cast: Cast, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    channel(cast.acme.id, "email", at=NOON)
    trip(cast)
    deliver(NOON)
    row = Delivery.objects.get()
    assert (row.state, row.last_error) == ("failed", "No mail server is set (CAPSTAN_SMTP_HOST).")


def test_quiet_hours_hold_until_they_end_but_not_what_is_critical(cast: Cast, web: WebSink) -> None:
    hours: dict[str, Any] = {"timezone": "Europe/Berlin", "quiet_from": time(22), "quiet_until": time(7)}
    always = channel(cast.acme.id, address=web.address, at=NOON, **hours)
    never = channel(cast.acme.id, address=web.address, critical_always=False, at=NOON, **hours)
    night = datetime(2026, 10, 1, 21, 30, tzinfo=NOON.tzinfo)  # 23:30 in Berlin
    trip(cast, night)
    signal(cast.acme.id, "stop.made", "team:1", at=night)
    take_signals(at=night)
    deliver(night)
    states = {(one.channel_id, one.event, one.incident and one.incident.kind): one for one in Delivery.objects.all()}
    assert states[always.id, "opened", "breaker.tripped"].state == "delivered"
    morning = datetime(2026, 10, 2, 5, tzinfo=NOON.tzinfo)  # 7:00 in Berlin
    held = [one for one in states.values() if one.state == "waiting"]
    assert {one.next_try_at for one in held} == {morning}
    assert sorted(one.channel_id for one in held) == sorted([always.id, never.id, never.id])
    assert deliver(morning - timedelta(seconds=1)) == 0
    deliver(morning)
    assert {state for _, state in deliveries(cast.acme.id)} == {"delivered"}


def test_a_digest_gathers_and_goes_out_as_one_letter(cast: Cast, mail: MailSink) -> None:
    channel(cast.acme.id, "email", digest_minutes=30, at=NOON)
    breakers = selectors.rules(cast.acme.id).get(kind="breaker.tripped")
    change_rule(organization_id=cast.acme.id, rule_id=breakers.id, changes={"digest": True}, by=HOUSE, at=NOON)
    trip(cast, NOON + timedelta(minutes=1), key="session:a")
    trip(cast, NOON + timedelta(minutes=29), key="session:b")
    assert deliver(NOON + timedelta(minutes=29)) == 0
    assert deliver(NOON + timedelta(minutes=30)) == 1
    [letter] = mail.letters
    assert letter["Subject"] == "[Acme] 2 alerts"
    assert "session a" in letter.get_content()
    assert "session b" in letter.get_content()


def test_a_flood_is_one_letter_that_tells_the_first_and_counts_the_rest(cast: Cast, mail: MailSink) -> None:
    channel(cast.acme.id, "email", at=NOON)
    for n in range(60):
        signal(cast.acme.id, key=f"session:{n}", at=NOON)
    take_signals(at=NOON)
    assert deliver(NOON) == 1
    [letter] = mail.letters
    assert letter["Subject"] == "[Acme] 60 alerts"
    assert "And 40 more." in letter.get_content()
    assert deliveries(cast.acme.id) == [("opened", "delivered")] * 60


def test_whoever_dies_while_sending_is_followed_by_another(cast: Cast, web: WebSink) -> None:
    row = channel(cast.acme.id, address=web.address, at=NOON)
    trip(cast)
    [dead] = claim(channel_id=row.id, at=NOON)
    assert deliver(NOON + LEASE - timedelta(seconds=1)) == 0
    later = NOON + LEASE
    assert deliver(later) == 1
    [post] = web.posts
    assert post.headers["Capstan-Delivery"] == str(dead.id)
    # Should the first come back after all, it changes nothing any more.
    finish(bundle=dead, outcome=Outcome("It took too long."), at=later)
    assert deliveries(cast.acme.id) == [("opened", "delivered")]


def test_an_end_is_told_where_the_beginning_was(cast: Cast, web: WebSink) -> None:
    channel(cast.acme.id, address=web.address, at=NOON)
    trip(cast)
    deliver(NOON)
    channel(cast.acme.id, address=f"{web.address}/new", at=NOON)
    resolve(organization_id=cast.acme.id, incident_id=Incident.objects.get().id, note="Was a test", by=HOUSE, at=NOON)
    deliver(NOON)
    assert [post.path for post in web.posts] == ["/hooks/capstan"] * 2
    told = json.loads(web.posts[1].body)["incidents"][0]
    assert (told["event"], told["title"]) == ("resolved", "Over: A breaker stopped session 8f3a")
    assert told["text"].endswith("Was a test")


def test_a_rule_of_its_own_tells_its_own_channels_and_two_rules_tell_once(cast: Cast, web: WebSink) -> None:
    chosen = channel(cast.acme.id, address=f"{web.address}/chosen", at=NOON)
    rule(cast.acme.id, "breaker.tripped", channel_ids=(chosen.id,), every_channel=False, at=NOON)
    trip(cast)
    deliver(NOON)
    assert [post.path for post in web.posts] == ["/hooks/capstan/chosen"]


def test_an_archived_channel_hears_nothing_more(cast: Cast, web: WebSink) -> None:
    row = channel(cast.acme.id, address=web.address, at=NOON)
    trip(cast)
    archive_channel(organization_id=cast.acme.id, channel_id=row.id, by=HOUSE, at=NOON)
    assert deliver(NOON) == 0
    assert web.posts == []
    assert deliveries(cast.acme.id) == [("opened", "failed")]


def test_a_test_says_at_once_what_became_of_it(cast: Cast, web: WebSink) -> None:
    row = channel(cast.acme.id, address=web.address, at=NOON)
    mine: dict[str, Any] = {"organization_id": cast.acme.id, "channel_id": row.id, "by": HOUSE, "now": lambda: NOON}
    assert test_channel(**mine).state == "delivered"
    assert json.loads(web.posts[0].body)["event"] == "test"
    web.answers = [500]
    failed = test_channel(**mine)
    assert (failed.state, failed.last_error) == ("failed", "It answered 500.")
    # Nobody tries it again: who asked has seen it.
    assert deliver(NOON + timedelta(days=1)) == 0
    with pytest.raises(Exception, match="at most 10 times"):
        for _ in range(10):
            test_channel(**mine)


test_channel.__test__ = False  # type: ignore[attr-defined]  # a service, not a test


def test_a_name_on_two_lines_is_a_subject_on_one(cast: Cast, mail: MailSink) -> None:
    channel(cast.acme.id, "email", at=NOON)
    trip(cast, key="session:a\r\nBcc: mallory@evil.example")
    deliver(NOON)
    [letter] = mail.letters
    assert letter["Subject"] == "[Acme] A breaker stopped session a Bcc: mallory@evil.example"
    assert mail.recipients == [["alice@acme.example"]]


def test_a_letter_that_cannot_be_made_holds_up_no_other(
    cast: Cast, web: WebSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel(cast.acme.id, address=web.address, at=NOON)
    for key in ("session:bad", "session:good"):
        trip(cast, key=key)
    real = selectors.stories

    def stories(organization_id: int, told_of: Any) -> Any:
        rows = list(told_of)
        if any(incident.key == "session:bad" for incident, _ in rows):
            raise ValueError("no words for it")
        return real(organization_id, rows)

    monkeypatch.setattr(selectors, "stories", stories)
    deliver(NOON)
    assert deliveries(cast.acme.id) == [("opened", "waiting"), ("opened", "delivered")]


def test_in_quiet_hours_a_letter_that_was_begun_waits_as_a_whole(cast: Cast, web: WebSink) -> None:
    hours: dict[str, Any] = {"quiet_from": time(13), "quiet_until": time(14)}
    channel(cast.acme.id, address=web.address, **hours, at=NOON)
    for n in range(7):
        signal(cast.acme.id, "stop.made", f"team:{n}", at=NOON)
    take_signals(at=NOON)
    web.answers = [500]
    deliver(NOON)
    quiet = NOON + timedelta(hours=1)
    assert deliver(quiet) == 0
    assert deliver(NOON + timedelta(hours=2)) == 1
    assert [len(json.loads(post.body)["incidents"]) for post in web.posts] == [7, 7]
