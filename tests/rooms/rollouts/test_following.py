"""A rule under way: begun, watched, stepped, paused, and rolled back or let go on."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from finops.alerts.models import Incident
from finops.alerts.services.signals import take_signals
from finops.audit.models import AuditEvent, Signal
from routing.evidence.services import record_outcomes
from routing.evidence.types import Kind
from routing.rollouts import services
from routing.rollouts.models import Rollout, ScoredSession
from routing.rollouts.rules import PaceInvalid, read
from routing.rules import services as routing
from routing.rules.models import RoutingRule
from routing.rules.types import Rule
from tests.factories.evidence import draft, heard, outcome
from tests.factories.orgs import HOUSE, NOON, Cast, the_cast
from tests.factories.rollouts import HOUR, calls, followed, hurried, known_well, rolling, scored
from tests.factories.rules import CHEAP, INCUMBENT, local_only, saved, triage


@pytest.fixture
def cast(db: None) -> Cast:
    return the_cast()


@pytest.fixture
def full(cast: Cast) -> RoutingRule:
    """Triage holds for all but those that are held back, and the incumbent is right on 80 %."""
    known_well(cast.acme.id, at=NOON)
    row = rolling(cast.acme.id, at=NOON, stage="full")
    followed(row, at=NOON)
    return row


def paused(row: RoutingRule) -> RoutingRule:
    """After 300 calls of which the treated ones were wrong half of the time."""
    scored(calls(row, range(300), at=NOON + HOUR), at=NOON + HOUR, treated=0.5)
    assert followed(row, at=NOON + HOUR).state == "paused"
    return row


def test_a_rule_goes_up_step_by_step_while_scores_are_as_good(cast: Cast) -> None:
    known_well(cast.acme.id, at=NOON)
    row = rolling(cast.acme.id, at=NOON, stage="shadow")
    begun = followed(row, at=NOON)
    assert (begun.state, begun.stage, begun.why) == ("watching", "shadow", "It stays for 60 minutes at least.")
    [known] = read(begun.seen).known
    assert (known.task_type, known.model, known.items, known.mean) == ("triage", INCUMBENT, 400, 0.8)
    hurried(row, at=NOON)
    assert followed(row, at=NOON).why == "0 of 10 calls were seen."
    seen = []
    for step in range(1, 6):
        at = NOON + step * HOUR
        scored(calls(row, range(step * 1_000, step * 1_000 + 400), at=at), at=at, seed=step)
        followed(row, at=at)
        seen.append((row.stage, row.share))
    assert seen == [("canary", 0.05), ("ramp", 0.25), ("ramp", 0.5), ("full", 1.0), ("full", 1.0)]
    last = followed(row, at=NOON + 6 * HOUR)
    assert last.why == "It holds for all but those that are held back."
    assert (last.state, last.scored_here > 300, last.stayed_scored > 300) == ("watching", True, True)
    assert AuditEvent.objects.filter(verb="rollout.stepped", actor="system:rollouts").count() == 4
    assert not Signal.objects.exists()


def test_without_scores_or_before_its_time_it_stays_where_it_is(cast: Cast) -> None:
    known_well(cast.acme.id, at=NOON)
    row = rolling(cast.acme.id, at=NOON)
    made = calls(row, range(2_000), at=NOON)
    assert followed(row, at=NOON + 59 * HOUR / 60).why == "It stays for 60 minutes at least."
    assert followed(row, at=NOON + HOUR).why == "0 of 50 treated sessions were scored."
    scored(made, at=NOON + HOUR)
    services.change_pace(
        organization_id=cast.acme.id, rule_id=row.id, changes={"by_itself": False}, by=HOUSE, at=NOON + HOUR
    )
    assert followed(row, at=NOON + HOUR).why == "It goes on when somebody says so."
    assert row.stage == "canary"
    services.change_pace(
        organization_id=cast.acme.id, rule_id=row.id, changes={"by_itself": True}, by=HOUSE, at=NOON + HOUR
    )
    followed(row, at=NOON + HOUR)
    assert (row.stage, row.share) == ("ramp", 0.25)


def test_a_drop_pauses_is_decided_half_against_half_and_rolled_back_with_an_alert(full: RoutingRule) -> None:
    at = NOON + HOUR
    scored(calls(full, range(400), at=at), at=at)
    assert followed(full, at=at).state == "watching"
    # From now on the small model is worse by 15 points.
    for batch in range(1, 20):
        at += HOUR
        scored(calls(full, range(batch * 1_000, batch * 1_000 + 50), at=at), at=at, treated=0.65, seed=batch)
        if followed(full, at=at).state == "paused":
            break
    assert (full.stage, full.share) == ("paused", 0.5)
    assert batch * 50 <= 400
    take_signals(at=at)
    pause = Incident.objects.get(kind="rollout.paused", resolved_at__isnull=True)
    assert (pause.key, pause.severity, pause.details["rule"]) == (f"rule:{full.id}", "warning", "triage")
    for batch in range(20, 60):
        at += HOUR
        scored(calls(full, range(batch * 1_000, batch * 1_000 + 100), at=at), at=at, treated=0.65, seed=batch)
        if followed(full, at=at).state != "paused":
            break
    last = Rollout.objects.get()
    assert (last.state, full.stage, full.share) == ("rolled_back", "rolled_back", 0.0)
    assert "points worse than the incumbent" in last.why
    assert batch - 19 <= 12
    take_signals(at=at)
    pause.refresh_from_db()
    assert pause.resolved_at is not None
    told = Incident.objects.get(kind="rollout.rolled_back")
    assert (told.severity, told.details["reason"]) == ("critical", last.why)
    verbs = AuditEvent.objects.filter(verb__startswith="rollout.").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["rollout.begun", "rollout.paused", "rollout.rolled_back"]
    # It stays so until somebody begins anew.
    at += HOUR
    assert followed(full, at=at).id == last.id
    routing.start_rollout(organization_id=full.organization_id, rule_id=full.id, stage="canary", by=HOUSE, at=at)
    again = followed(full, at=at)
    assert (again.state, again.treated_scored, again.id > last.id) == ("watching", 0, True)


def test_where_both_halves_are_as_good_it_goes_on_and_is_held_against_what_stayed(full: RoutingRule) -> None:
    paused(full)
    # What seemed a drop is how calls are scored here: those that stay are no better.
    at = NOON + HOUR
    for batch in range(2, 40):
        at += HOUR
        scored(
            calls(full, range(batch * 1_000, batch * 1_000 + 100), at=at), at=at, treated=0.5, stayed=0.5, seed=batch
        )
        if followed(full, at=at).state != "paused":
            break
    last = Rollout.objects.get()
    assert (last.state, full.stage, full.share) == ("watching", "ramp", 0.5)
    [known] = read(last.seen).known
    assert (known.by, known.items > 100) == ("rollout", True)
    assert known.mean == pytest.approx(0.5, abs=0.1)
    assert list(Signal.objects.order_by("id").values_list("kind", flat=True)) == ["rollout.paused", "rollout.resumed"]
    scored(calls(full, range(90_000, 90_400), at=at), at=at, treated=0.5, stayed=0.5, seed=99)
    assert followed(full, at=at).state == "watching"


def test_looking_again_hears_nothing_twice(full: RoutingRule) -> None:
    at = NOON + HOUR
    made = calls(full, range(30), at=at, calls_each=2)
    scored(made, at=at)
    once = followed(full, at=at)
    assert once.treated_scored + once.stayed_scored == 30 == ScoredSession.objects.count()
    for later in (at, at + timedelta(minutes=30), at + timedelta(minutes=31)):
        again = followed(full, at=later)
        assert (again.seen, again.treated_scored) == (once.seen, once.treated_scored)
    # More of a session that was heard says nothing new, and neither does what is no call of the rule's.
    record_outcomes(
        organization_id=full.organization_id,
        source=draft("others", kind=Kind.FEEDBACK),
        outcomes=[outcome(made[0].call_id, CHEAP, 0.0)],
        by=HOUSE,
        at=at,
    )
    heard(full.organization_id, [outcome("call-x", CHEAP, 0.0)], at=at)
    assert followed(full, at=at + HOUR).seen == once.seen


def test_what_is_stored_late_is_heard_all_the_same(full: RoutingRule) -> None:
    at = NOON + HOUR
    late = [outcome(f"call-{number}-0", CHEAP, 1.0) for number in range(5)]
    heard(full.organization_id, late, at=at)
    assert followed(full, at=at).treated_scored == 0
    # Decisions come a moment after what was said of their calls.
    made = calls(full, range(5), at=at)
    treated = sum(one.arm == "treated" for one in made)
    assert followed(full, at=at + timedelta(minutes=1)).treated_scored == treated > 0


def test_where_no_run_had_the_incumbent_calls_that_stayed_say_how_good_it_is(cast: Cast) -> None:
    row = rolling(cast.acme.id, at=NOON)
    followed(row, at=NOON)
    hurried(row, at=NOON)
    at = NOON + HOUR
    scored(calls(row, range(90), at=at), at=at, treated=0.8, stayed=0.8)
    assert [known.items for known in read(followed(row, at=at).seen).known] == [0]
    scored(calls(row, range(1_000, 1_400), at=at), at=at, treated=0.8, stayed=0.8)
    [known] = read(followed(row, at=at).seen).known
    assert (known.by, known.items) == ("rollout", 100)
    assert row.stage == "ramp"


@pytest.mark.parametrize(
    ("rule", "given"),
    [(triage(), {"stage": "full", "held_back": 0.0}), (local_only(), {})],
    ids=["holds for all", "a limit"],
)
def test_what_holds_for_all_is_not_under_way(cast: Cast, rule: Rule, given: dict[str, object]) -> None:
    saved(cast.acme.id, rule, at=NOON, **given)
    found = services.follow(organization_id=cast.acme.id, by=HOUSE, at=NOON)
    assert (found.begun, Rollout.objects.count()) == ((), 0)


def test_people_come_first(full: RoutingRule) -> None:
    acme, at = full.organization_id, NOON + HOUR
    routing.pause(organization_id=acme, rule_id=full.id, by=HOUSE, at=at)
    last = followed(full, at=at)
    assert (last.state, last.paused_at) == ("paused", at)
    routing.advance(organization_id=acme, rule_id=full.id, by=HOUSE, at=at)
    last = followed(full, at=at)
    assert (last.state, last.stage, last.paused_at) == ("watching", "ramp", None)
    saved(acme, triage(when=triage().when.__class__(task_types=("triage",))), at=at, rule_id=full.id)
    services.follow(organization_id=acme, by=HOUSE, at=at)
    first, second = Rollout.objects.order_by("id")
    assert (first.state, first.why, second.version) == ("finished", "It says something else: version 2.", 2)
    assert (second.least_scored, second.stage) == (first.least_scored, "ramp")
    routing.roll_back(organization_id=acme, rule_id=full.id, by=HOUSE, at=at)
    assert (followed(full, at=at).state, Rollout.objects.count()) == ("rolled_back", 2)
    routing.retire(organization_id=acme, rule_id=full.id, by=HOUSE, at=at)
    assert services.follow(organization_id=acme, by=HOUSE, at=at) == ((), ())


def test_a_rule_that_is_switched_off_takes_no_step(cast: Cast) -> None:
    known_well(cast.acme.id, at=NOON)
    row = rolling(cast.acme.id, at=NOON)
    followed(row, at=NOON)
    hurried(row, at=NOON)
    scored(calls(row, range(500), at=NOON), at=NOON)
    routing.switch_off(organization_id=cast.acme.id, rule_id=row.id, by=HOUSE, at=NOON)
    followed(row, at=NOON + HOUR)
    assert (row.stage, row.state) == ("canary", "switched_off")


def test_how_often_it_looks_costs_no_more_with_more_calls(
    full: RoutingRule, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    scored(calls(full, range(2_000), at=NOON), at=NOON)
    with django_assert_max_num_queries(16):
        assert followed(full, at=NOON).treated_scored > 1_500


def test_a_pace_that_cannot_be_is_refused(full: RoutingRule) -> None:
    with pytest.raises(PaceInvalid) as wrong:
        services.change_pace(
            organization_id=full.organization_id, rule_id=full.id, changes={"least_scored": -1}, by=HOUSE, at=NOON
        )
    assert wrong.value.field == "least_scored"


def test_sessions_are_forgotten_once_nothing_new_can_be_heard_of_them(full: RoutingRule) -> None:
    scored(calls(full, range(10), at=NOON), at=NOON)
    followed(full, at=NOON)
    assert services.forget_sessions(at=NOON + services.KEPT - HOUR) == 0
    assert services.forget_sessions(at=NOON + services.KEPT) == 10


def test_other_organizations_rules_are_their_own(cast: Cast, full: RoutingRule) -> None:
    theirs: datetime = NOON
    assert services.follow(organization_id=cast.globex.id, by=HOUSE, at=theirs) == ((), ())
