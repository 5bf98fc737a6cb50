"""Signals of other rooms become incidents: in order, once, and over when it is said."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from finops.alerts.models import AlertRule, Incident
from finops.alerts.selectors import stories
from finops.alerts.services.incidents import acknowledge, resolve_ended
from finops.alerts.services.signals import BATCH, take_signals
from finops.alerts.services.thresholds import evaluate_thresholds, watched
from finops.alerts.types import SIGNALLED
from finops.audit.models import Signal
from finops.budgets.rules import window
from finops.budgets.selectors import terms_of
from finops.budgets.services.accounts import open_accounts
from finops.budgets.services.budgets import change_budget
from finops.budgets.types import Account
from tests.factories.alerts import channel, deliveries, incidents, signal
from tests.factories.budgets import budget
from tests.factories.orgs import HOUSE, NOON, Cast


@pytest.mark.parametrize("kind", sorted(SIGNALLED))
def test_every_organization_hears_of_every_kind_from_the_first_day(cast: Cast, kind: str) -> None:
    signal(cast.acme.id, kind, at=NOON)
    assert take_signals(at=NOON) == 1
    assert incidents(cast.acme.id) == [(kind, "session:8f3a", "open", 0)]
    assert incidents(cast.globex.id) == []


def test_the_same_again_is_counted_and_told_once(cast: Cast) -> None:
    channel(cast.acme.id, at=NOON)
    for n in range(3):
        signal(cast.acme.id, at=NOON, reason=f"loop {n}")
    assert take_signals(at=NOON) == 3
    signal(cast.acme.id, at=NOON)
    take_signals(at=NOON + timedelta(seconds=1))
    row = Incident.objects.get()
    assert (row.count, row.last_seen_at, row.dimension, row.subject) == (
        4,
        NOON + timedelta(seconds=1),
        "session",
        "8f3a",
    )
    assert deliveries(cast.acme.id) == [("opened", "waiting")]
    assert take_signals(at=NOON) == 0


def test_the_end_of_it_comes_after_its_beginning(cast: Cast) -> None:
    channel(cast.acme.id, at=NOON)
    signal(cast.acme.id, "enforcement.blocked", "key:7", at=NOON)
    signal(cast.acme.id, "enforcement.unblocked", "key:7", at=NOON)
    signal(cast.acme.id, "enforcement.blocked", "key:7", at=NOON)
    take_signals(at=NOON)
    assert [one[2] for one in incidents(cast.acme.id)] == ["over", "open"]
    assert [event for event, _ in deliveries(cast.acme.id)] == ["opened", "resolved", "opened"]


def test_a_signal_may_say_when_it_is_over(cast: Cast) -> None:
    until = NOON + timedelta(minutes=10)
    signal(cast.acme.id, at=NOON, until=until.isoformat(), reason="50 identical calls")
    signal(cast.acme.id, "stop.made", "team:1", at=NOON)
    take_signals(at=NOON)
    assert resolve_ended(at=until - timedelta(seconds=1)) == 0
    assert resolve_ended(at=until) == 1
    # A stop lasts until it is lifted.
    assert resolve_ended(at=NOON + timedelta(days=400)) == 0
    signal(cast.acme.id, "stop.lifted", "team:1", at=NOON)
    take_signals(at=NOON)
    assert {one[2] for one in incidents(cast.acme.id)} == {"over"}


def test_what_comes_no_more_calms_down(cast: Cast) -> None:
    signal(cast.acme.id, "hold.exceeded", "call:1", at=NOON)
    take_signals(at=NOON)
    assert resolve_ended(at=NOON + timedelta(hours=23)) == 0
    assert resolve_ended(at=NOON + timedelta(hours=24)) == 1


def test_what_nobody_listens_for_is_taken_and_forgotten(cast: Cast) -> None:
    AlertRule.objects.filter(organization=cast.acme, kind="breaker.tripped").update(enabled=False)
    signal(cast.acme.id, at=NOON)
    signal(cast.acme.id, "somebody.sneezed", "x", at=NOON)
    assert take_signals(at=NOON) == 2
    assert incidents(cast.acme.id) == []
    assert not Signal.objects.filter(handled_at__isnull=True).exists()


@pytest.mark.parametrize(
    "details", [[], "text", {"until": 7, "budget_id": "x", "subject": {"a": 1}}, {"x" * 900: "y" * 9000}]
)
def test_a_signal_of_any_shape_holds_nobody_up(cast: Cast, details: object) -> None:
    Signal.objects.create(organization_id=cast.acme.id, kind="cap.tripped", key="k" * 300, details=details, at=NOON)
    assert take_signals(at=NOON) == 1
    assert len(str(Incident.objects.get().details)) < 2_000


def test_a_signal_without_django_is_heard_too(cast: Cast) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_signal (organization_id, kind, key) VALUES (%s, 'breaker.tripped', 'agent:3')",
            [cast.acme.id],
        )
    take_signals(at=NOON)
    assert (Incident.objects.get().dimension, Incident.objects.get().subject) == ("agent", "3")


def test_a_flood_is_taken_in_batches_with_a_bounded_number_of_statements(
    cast: Cast, django_assert_max_num_queries: object
) -> None:
    Signal.objects.bulk_create(
        Signal(organization_id=cast.acme.id, kind="authorization.expired", key=f"call:{n}", at=NOON)
        for n in range(BATCH + 1)
    )
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        assert take_signals(at=NOON) == BATCH
    assert take_signals(at=NOON) == 1
    assert Incident.objects.count() == BATCH + 1


def test_an_acknowledgement_stays_while_it_gets_no_worse(cast: Cast) -> None:
    signal(cast.acme.id, at=NOON)
    take_signals(at=NOON)
    row = acknowledge(organization_id=cast.acme.id, incident_id=Incident.objects.get().id, by=HOUSE, at=NOON)
    signal(cast.acme.id, at=NOON)
    take_signals(at=NOON)
    row.refresh_from_db()
    assert (row.acknowledged_by, row.count) == ("system:tests", 2)


def test_signals_are_read_as_their_rooms_write_them(cast: Cast) -> None:
    """The gateway, the guard, the blocks and the inbox each have their own words."""
    acme = cast.acme.id
    cap = budget(acme, name="Each person, a week", each="person", at=NOON)
    money = {"limit": "200", "spent": "199.98", "held": "0.01"}
    signal(acme, "cap.tripped", f"budget:{cap.id}:{cast.bob.id}:2026-10-01T00:00", at=NOON, budget_id=cap.id,
           subject=str(cast.bob.id), **money)  # fmt: skip
    signal(acme, "stop.made", "organization:", at=NOON, dimension="organization", subject="", until=None)
    signal(acme, "breaker.tripped", "session:s-1", at=NOON, dimension="session", subject="s-1", limit=20, reason="Loop")
    signal(acme, "enforcement.blocked", "key:7 account:9", at=NOON, budget=cap.id, enforceable=7, reason="Too quick",
           **money)  # fmt: skip
    signal(acme, "hold.exceeded", "authorization:1", at=NOON, spent="0.5", beyond="0.1", model="gpt")
    signal(acme, "inbox.stuck", "source:1", at=NOON, row=4, error="Malformed")
    signal(acme, "rollout.paused", "rule:3", at=NOON, rule="triage", reason="It seems worse")
    signal(acme, "rollout.rolled_back", "rule:4", at=NOON, rule="chat", reason="It is worse")
    signal(acme, "classifier.drifting", "classifier:3", at=NOON, version=3, reason="Of 90 calls, 60 were rightly named")
    signal(acme, "concentration.exceeded", "maker:openai", at=NOON, maker="openai", reason="It has 60 %")
    take_signals(at=NOON)
    told = stories(acme, [(one, "") for one in Incident.objects.order_by("id")])
    assert {one.kind: (one.title, " ".join(one.sentences)) for one in told} == {
        "cap.tripped": (
            "Each person, a week, Bob refuses calls", "Limit: 200.00 USD. Spent: 199.98 USD. Held: 0.010000 USD.",
        ),
        "stop.made": ("Stopped: everything", ""),
        "breaker.tripped": ("A breaker stopped session s-1", "Why: Loop."),
        "enforcement.blocked": (
            "A key is blocked at its provider, for Each person, a week",
            "Why: Too quick. Limit: 200.00 USD. Spent: 199.98 USD. Held: 0.010000 USD.",
        ),
        "hold.exceeded": (
            "A call cost more than was held for it", "Model: gpt. Spent: 0.500000 USD. Beyond its hold: 0.100000 USD.",
        ),
        "inbox.stuck": ("Calls of source #1 cannot be booked", "What went wrong: Malformed."),
        "rollout.paused": ("Routing rule triage is paused: its answers seem worse", "Why: It seems worse."),
        "rollout.rolled_back": ("Routing rule chat was rolled back", "Why: It is worse."),
        "classifier.drifting": (
            "Task types are guessed wrongly more often than was measured", "Why: Of 90 calls, 60 were rightly named.",
        ),
        "concentration.exceeded": ("openai has more of the spend than routing rules allow", "Why: It has 60 %."),
    }  # fmt: skip


@pytest.mark.parametrize("end", ["period", "limit"])
def test_a_cap_that_refused_is_over_when_it_has_room_again(cast: Cast, end: str) -> None:
    acme = cast.acme.id
    cap = budget(acme, "1", at=NOON)
    terms = terms_of(cap)
    october = window(terms, NOON)
    assert october is not None
    open_accounts(organization_id=acme, wanted=[(terms, Account(cap.id, "", october.start))], at=NOON)
    signal(acme, "cap.tripped", "budget", at=NOON, budget_id=cap.id, subject="", limit="1",
           period_starts_at=october.start.isoformat())  # fmt: skip
    take_signals(at=NOON)
    assert acme in watched()
    assert evaluate_thresholds(organization_id=acme, at=NOON) == 0
    later = NOON + timedelta(days=31)
    if end == "limit":
        change_budget(organization_id=acme, budget_id=cap.id, limit_amount=Decimal(2), by=HOUSE, at=NOON)
        later = NOON
    assert evaluate_thresholds(organization_id=acme, at=later) == 1
    assert [one[2] for one in incidents(acme)] == ["over"]
