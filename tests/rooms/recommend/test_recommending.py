"""Recommendations as evidence comes, changes and goes; applied, dismissed, withdrawn, and what the trail has of it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from finops.audit.models import AuditEvent
from finops.core.errors import NotFound
from finops.pricing.services import Agreed, add_custom_model
from routing.evidence.models import Evaluation
from routing.evidence.services import withdraw_evaluation
from routing.recommend import rules, selectors, services, tasks
from routing.recommend.models import Examination, Recommendation
from routing.recommend.services.common import hold
from routing.rules import services as routing
from routing.rules.models import RoutingRule
from routing.rules.selectors import document_of
from routing.tiers.services import set_entry
from routing.tiers.types import Entry, Tier
from tests.factories.evidence import heard, outcome
from tests.factories.ledger import AT, Book, event
from tests.factories.orgs import HOUSE, Cast
from tests.factories.pricing import steps
from tests.factories.recommend import OF_BOOK, known, measured, rows, spend, worked
from tests.factories.upstreams import deployment, upstream


def verbs() -> list[str]:
    return list(AuditEvent.objects.filter(subject_kind="recommendation").order_by("id").values_list("verb", flat=True))


def test_evidence_and_spend_become_a_recommendation_with_a_saving(cast: Cast, book: Book) -> None:
    spend(book)
    measured(cast)
    assert worked(cast) == services.Recomputed(examined=1, opened=1, renewed=0, withdrawn=0)
    [row] = rows(cast)
    assert (row.kind, row.task_type, row.incumbent, row.candidate, row.state) == (
        "switch", "triage", "gpt", "gpt-mini", "open",
    )  # fmt: skip
    advice = selectors.advice_of(row)
    assert (advice.volume.calls, advice.volume.spend, advice.volume.currency) == (100, Decimal("1.2"), "USD")
    assert row.saving == advice.saving.amount == pytest.approx(Decimal("1.08"), abs=Decimal("0.02"))
    assert row.saving_millionths == int(row.saving * 10**6)
    assert row.expires_at == AT + rules.VALID_FOR
    assert verbs() == ["recommendation.opened"]


def test_again_changes_nothing_and_reads_no_outcome(cast: Cast, book: Book) -> None:
    spend(book)
    measured(cast)
    worked(cast)
    before = list(Recommendation.objects.values())
    later = AT + timedelta(hours=1)
    assert services.waiting(cast.acme.id) == 0
    assert worked(cast, later) == services.Recomputed(0, 0, 0, 0)
    assert list(Recommendation.objects.values()) == before
    assert verbs() == ["recommendation.opened"]


def test_the_incumbent_is_whoever_most_is_spent_on_and_else_the_dearest(cast: Cast, book: Book) -> None:
    measured(cast)
    worked(cast)
    [row] = rows(cast, state="open")
    assert (row.incumbent, row.saving, row.document["volume"]["calls"]) == ("gpt", Decimal(0), 0)
    # Most is spent on the cheap one: nothing is cheaper than that, and what was advised is about another incumbent.
    spend(book, model="gpt-mini")
    worked(cast, AT + timedelta(hours=1))
    [row] = rows(cast, state="open")
    assert (row.kind, row.incumbent) == ("keep", "gpt-mini")
    [gone] = rows(cast, state="withdrawn")
    assert gone.reason == "gpt-mini is what is used for 'triage' now, and not gpt."


def test_a_deployment_says_what_the_ledger_calls_a_model(cast: Cast, book: Book) -> None:
    deployment(upstream(cast.acme.id, at=AT), "smart", upstream_model="gpt", at=AT)
    spend(book)
    known(cast.acme, {"smart": 0.9, "gpt-mini": 0.9}, at=AT, costs={"smart": 0.02, "gpt-mini": 0.002})
    worked(cast)
    [row] = rows(cast)
    assert (row.incumbent, row.document["volume"]["calls"]) == ("smart", 100)
    assert sorted(row.document["rule"]["when"]["models"]) == ["gpt", "smart"]


def test_more_volume_renews_what_is_saved_and_a_little_more_does_not(cast: Cast, book: Book) -> None:
    spend(book)
    measured(cast)
    worked(cast)
    [before] = rows(cast)
    spend(book, calls=2, first=100)
    assert worked(cast, AT + timedelta(hours=1)).renewed == 0
    spend(book, calls=98, first=102)
    assert worked(cast, AT + timedelta(hours=2)) == services.Recomputed(0, 0, 1, 0)
    [after] = rows(cast)
    assert after.id == before.id
    assert after.saving == pytest.approx(before.saving * 2)
    # The evidence is as old as it was.
    assert after.expires_at == before.expires_at


def test_a_contradicted_one_withdraws_itself_and_says_why(cast: Cast, book: Book) -> None:
    spend(book)
    measured(cast)
    worked(cast)
    # The candidate is worse by far on twice as many fresh tasks.
    known(cast.acme, {"gpt": 0.9, "gpt-mini": 0.6}, at=AT, number=1_500, seed=5, name="later", costs=OF_BOOK)
    told = worked(cast, AT + timedelta(days=1))
    assert (told.examined, told.withdrawn) == (1, 1)
    [gone] = rows(cast, state="withdrawn")
    assert gone.reason
    assert gone.decided_by == HOUSE.reference
    [noted] = AuditEvent.objects.filter(verb="recommendation.withdrawn")
    assert noted.details == {"kind": "switch", "because": gone.reason}
    assert [row.kind for row in rows(cast, state="open")] in (["keep"], ["experiment"])


def test_withdrawn_evidence_takes_its_recommendation_along(cast: Cast, book: Book) -> None:
    measured(cast)
    worked(cast)
    run = Evaluation.objects.get()
    withdraw_evaluation(
        organization_id=cast.acme.id, evaluation_id=run.id, because="the suite was wrong", by=HOUSE, at=AT
    )
    assert worked(cast, AT + timedelta(hours=1)).withdrawn == 1
    [gone] = rows(cast)
    assert (gone.state, gone.reason) == ("withdrawn", "Nothing is known of 'triage' any more.")


def test_what_was_dismissed_comes_back_only_with_other_evidence(cast: Cast, book: Book) -> None:
    spend(book)
    measured(cast)
    worked(cast)
    [row] = rows(cast)
    gone = services.dismiss(
        organization_id=cast.acme.id, recommendation_id=row.id, reason=" The contract forbids it. ", by=HOUSE, at=AT
    )
    assert (gone.state, gone.reason) == ("dismissed", "The contract forbids it.")
    assert worked(cast, AT + timedelta(hours=1)).opened == 0
    # Twice the volume is no other evidence.
    spend(book, first=100)
    assert worked(cast, AT + timedelta(hours=2)).opened == 0
    measured(cast, name="more 500", number=500)
    assert worked(cast, AT + timedelta(hours=3)).opened == 1
    assert [one.state for one in rows(cast, kind="switch")] == ["open", "dismissed"]
    assert "contract" not in str(list(AuditEvent.objects.values()))


def test_what_nobody_acts_on_runs_out_and_stays_so_by_the_same_evidence(cast: Cast, book: Book) -> None:
    spend(book)
    measured(cast)
    worked(cast)
    then = AT + rules.VALID_FOR
    assert services.expire(by=HOUSE, at=then - timedelta(seconds=1)) == 0
    assert services.expire(by=HOUSE, at=then) == 1
    assert services.expire(by=HOUSE, at=then) == 0
    assert worked(cast, then).opened == 0 or [row.kind for row in rows(cast, state="open")] != ["switch"]
    [row] = rows(cast, kind="switch", state="expired")
    with pytest.raises(rules.NotOpen):
        services.apply(organization_id=cast.acme.id, recommendation_id=row.id, by=HOUSE, at=then)


def test_applied_it_is_a_canary_of_the_very_rule(cast: Cast, book: Book) -> None:
    spend(book)
    measured(cast)
    worked(cast)
    [row] = rows(cast)
    done = services.apply(organization_id=cast.acme.id, recommendation_id=row.id, by=HOUSE, at=AT)
    rule = RoutingRule.objects.get()
    assert (done.state, done.rule_id, rule.stage, rule.share, rule.held_back) == (
        "applied",
        rule.id,
        "canary",
        0.05,
        0.05,
    )
    assert rule.version is not None
    said = document_of(rule.version)
    assert selectors.plain(said) == row.document["rule"]
    assert rule.version.why.startswith(f"Recommendation {row.id}: Switch 'triage' from gpt to gpt-mini")
    # Once more gives the same; and while the rule lives nothing of it is said again, whatever the evidence.
    assert services.apply(organization_id=cast.acme.id, recommendation_id=row.id, by=HOUSE, at=AT).rule_id == rule.id
    assert RoutingRule.objects.count() == 1
    measured(cast, name="more 500", number=500)
    assert worked(cast, AT + timedelta(hours=1)).opened == 0
    # Rolled back, by the same evidence it is not said again; by other it is, and its rule begins anew.
    routing.roll_back(organization_id=cast.acme.id, rule_id=rule.id, by=HOUSE, at=AT)
    measured(cast, name="more 600", number=600)
    assert worked(cast, AT + timedelta(hours=2)).opened == 1
    [fresh] = rows(cast, state="open")
    again = services.apply(
        organization_id=cast.acme.id, recommendation_id=fresh.id, stage="shadow", why="Try again", by=HOUSE, at=AT
    )
    rule.refresh_from_db()
    assert (again.rule_id, rule.stage) == (rule.id, "shadow")
    assert verbs().count("recommendation.applied") == 2


def test_what_is_contradicted_meanwhile_cannot_be_applied(cast: Cast, book: Book) -> None:
    spend(book)
    measured(cast)
    worked(cast)
    [row] = rows(cast)
    known(cast.acme, {"gpt": 0.9, "gpt-mini": 0.5}, at=AT, number=1_500, seed=5, name="later", costs=OF_BOOK)
    with pytest.raises(rules.NotOpen):
        services.apply(organization_id=cast.acme.id, recommendation_id=row.id, by=HOUSE, at=AT)
    assert not RoutingRule.objects.exists()


def test_what_makes_no_rule_cannot_be_applied(cast: Cast, book: Book) -> None:
    measured(cast, number=60)
    worked(cast)
    [row] = rows(cast)
    assert row.kind == "experiment"
    with pytest.raises(rules.NothingToApply):
        services.apply(organization_id=cast.acme.id, recommendation_id=row.id, by=HOUSE, at=AT)
    with pytest.raises(rules.RecommendationInvalid):
        services.dismiss(organization_id=cast.acme.id, recommendation_id=row.id, reason=" ", by=HOUSE, at=AT)
    with pytest.raises(NotFound):
        services.dismiss(organization_id=cast.globex.id, recommendation_id=row.id, reason="no", by=HOUSE, at=AT)


def test_a_confounded_log_never_gives_more_than_an_experiment(cast: Cast, book: Book) -> None:
    spend(book)
    logged = [
        outcome(f"call-{n}", "gpt" if n % 2 else "gpt-mini", 0.5 if n % 2 else 0.95,
                cost=Decimal("0.02") if n % 2 else Decimal("0.002"))
        for n in range(900)
    ]  # fmt: skip
    heard(cast.acme.id, logged, at=AT)
    worked(cast)
    [row] = rows(cast)
    assert (row.kind, row.candidate, row.pairs, row.document["rule"]) == ("experiment", "gpt-mini", 0, None)


def test_the_margin_is_fixed_before_more_is_looked_at(cast: Cast, book: Book) -> None:
    measured(cast)
    worked(cast)
    first = selectors.examined(cast.acme.id)["triage"]
    assert first.margin_from == "incumbent"
    assert first.margin == pytest.approx(0.045, abs=0.003)
    # What comes later makes the incumbent look worse; what is as good stays what it was.
    known(cast.acme, {"gpt": 0.5, "gpt-mini": 0.5}, at=AT, number=900, name="later", costs=OF_BOOK, seed=3)
    worked(cast, AT + timedelta(hours=1))
    assert selectors.examined(cast.acme.id)["triage"].margin == first.margin
    known(cast.acme, {"gpt": 0.9, "gpt-mini": 0.9}, at=AT, name="told", costs=OF_BOOK, margin=Decimal("0.02"))
    worked(cast, AT + timedelta(hours=2))
    told = selectors.examined(cast.acme.id)["triage"]
    assert (told.margin, told.margin_from) == (0.02, "evaluation")


def test_the_same_model_for_less_is_a_matter_of_price(cast: Cast, book: Book) -> None:
    spend(book, task_type="")
    first = upstream(cast.acme.id, at=AT)
    other = upstream(cast.acme.id, name="resold", provider="anthropic", base_url="https://b.example/v1", at=AT)
    deployment(first, "gpt", at=AT)
    deployment(other, "gpt", upstream_model="maker/GPT", rank=1, at=AT)
    # Nobody knows what it costs there.
    assert worked(cast).opened == 0
    agreed = Agreed(provider="anthropic", model="maker/GPT", effective_from=AT.date() - timedelta(days=10))
    add_custom_model(
        organization_id=cast.acme.id, about=agreed, steps=[steps(input_uncached="4", output_text="8")], by=HOUSE, at=AT
    )
    assert worked(cast, AT + timedelta(hours=1)).opened == 1
    [row] = rows(cast)
    assert (row.kind, row.task_type, row.incumbent, row.candidate, row.verdict) == (
        "host",
        "",
        "gpt",
        "resold",
        "price",
    )
    # 4 and 8 dollars a million instead of 10 and 20.
    assert row.saving == Decimal("0.72")
    done = services.apply(organization_id=cast.acme.id, recommendation_id=row.id, by=HOUSE, at=AT + timedelta(hours=1))
    rule = RoutingRule.objects.get(id=done.rule_id or 0)
    assert (rule.stage, rule.version and document_of(rule.version).within.order) == ("canary", ("resold",))


def test_one_at_a_time(cast: Cast) -> None:
    settings = connection.settings_dict
    with psycopg.connect(
        host=settings["HOST"], port=settings["PORT"] or None, user=settings["USER"], dbname=settings["NAME"],
        password=settings["PASSWORD"] or None,
    ) as other:  # fmt: skip
        other.execute("SELECT pg_advisory_xact_lock(%s, %s)", [0x7EC0, cast.acme.id])
        with pytest.raises(rules.Busy):
            worked(cast)
        other.rollback()
    worked(cast)
    with transaction.atomic():
        hold(cast.globex.id)


def test_the_database_keeps_one_open_and_whole(cast: Cast, book: Book) -> None:
    measured(cast)
    worked(cast)
    [row] = rows(cast)
    for broken in ({"state": "dismissed"}, {"rule_id": 5}, {"kind": "guess"}, {"pairs": -1}, {"verdict": "maybe"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Recommendation.objects.filter(id=row.id).update(**broken)
    row.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_who_is_due(cast: Cast, book: Book) -> None:
    assert selectors.due(AT) == []
    measured(cast)
    assert selectors.due(AT) == [cast.acme.id]
    worked(cast)
    assert selectors.due(AT + timedelta(hours=1)) == []
    measured(cast, name="more 450", number=450)
    assert selectors.due(AT + timedelta(minutes=1)) == []
    assert selectors.due(AT + timedelta(minutes=5)) == [cast.acme.id]
    worked(cast, AT + timedelta(minutes=5))
    # Volumes and prices change without any evidence.
    assert selectors.due(AT + timedelta(hours=23)) == []
    assert selectors.due(AT + timedelta(hours=25)) == [cast.acme.id]


def test_small_types_are_moved_together_and_learned_from_once(cast: Cast, book: Book) -> None:
    names = [f"type-{number}" for number in range(8)]
    for place, name in enumerate(names):
        spend(book, calls=3, task_type=name)
        measured(cast, cheap=0.95, number=60, task_type=name, name=name, seed=place)
    worked(cast)
    [route] = rows(cast, kind="route")
    assert (route.task_type, route.incumbent, route.candidate) == ("", "gpt", "gpt-mini")
    assert set(route.document["task_types"]) <= set(names)
    assert route.evidence_version == len(names)
    [learned] = Examination.objects.filter(subject="route")
    assert worked(cast, AT + timedelta(hours=1)) == services.Recomputed(0, 0, 0, 0)
    assert Examination.objects.get(subject="route").changed_at == learned.changed_at
    # One type more is known of: it is learned again, from those that were not read this time too.
    measured(cast, cheap=0.95, number=60, task_type="type-0", name="more", seed=90)
    assert worked(cast, AT + timedelta(hours=2)).examined == 1
    assert Examination.objects.get(subject="route").changed_at > learned.changed_at
    done = services.apply(
        organization_id=cast.acme.id,
        recommendation_id=rows(cast, kind="route", state="open")[0].id,
        by=HOUSE,
        at=AT + timedelta(hours=2),
    )
    rule = RoutingRule.objects.get(id=done.rule_id or 0)
    assert rule.version is not None
    assert document_of(rule.version).policy is not None


def test_the_schedule_queues_who_is_due(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    at = timezone.now()
    measured(cast, at=at)
    queued: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.recompute, "apply_async", lambda **given: queued.append(given))
    tasks.follow()
    assert [(one["kwargs"], one["queue"]) for one in queued] == [({"organization_id": cast.acme.id}, "routing")]
    tasks.recompute(**queued[0]["kwargs"])
    tasks.follow()
    assert len(queued) == 1
    assert [row.kind for row in rows(cast)] == ["switch"]


def test_where_nobody_said_what_tasks_cost_prices_say_it_and_leave_room(cast: Cast, book: Book) -> None:
    spend(book)
    known(cast.acme, {"gpt": 0.9, "gpt-mini": 0.9}, at=AT, costs={})
    worked(cast)
    [row] = rows(cast)
    # The candidate is deployed nowhere: nobody knows its price.
    assert (row.kind, row.document["considered"][0]["why"]) == ("keep", "it is as good, and not shown to be cheaper")
    place = upstream(cast.acme.id, at=AT)
    for model in ("gpt", "gpt-mini"):
        deployment(place, model, at=AT)
    known(cast.acme, {"gpt": 0.9, "gpt-mini": 0.9}, at=AT, costs={}, name="more", number=100, seed=4)
    worked(cast, AT + timedelta(hours=1))
    [row] = rows(cast, state="open")
    ratio = row.document["cost"]["ratio"]
    # A tenth of the price; a fifth, should it use twice the tokens.
    assert (row.kind, row.document["cost"]["by_prices"]) == ("switch", True)
    assert ratio["value"] == pytest.approx(0.1, abs=0.01)
    assert (ratio["lower"], ratio["upper"]) == (ratio["value"] / 2, ratio["value"] * 2)
    assert any("Nobody said what its tasks cost" in reason for reason in row.document["reasons"])


def test_sub_agents_are_pinned_to_a_class_until_it_has_a_model_that_nobody_measured(cast: Cast, book: Book) -> None:
    place = upstream(cast.acme.id, at=AT)
    for name, tier in (("gpt", Tier.FRONTIER), ("gpt-mini", Tier.LIGHT)):
        deployment(place, name, at=AT)
        set_entry(organization_id=cast.acme.id, entry=Entry(model=name, tier=tier), by=HOUSE, at=AT)
    said: dict[str, Any] = {"model": "gpt", "task_type": "triage", "occurred_at": AT - timedelta(days=3)}
    book.take(*[
        event(f"call-{number}", tags=(("agent_id", f"sub-{number % 7}"),) if number % 4 else (), **said)
        for number in range(200)
    ])  # fmt: skip
    measured(cast)
    worked(cast)
    switch, pin = rows(cast, state="open")
    assert (switch.kind, pin.kind, pin.candidate) == ("switch", "pin", "tier:light")
    advice = selectors.advice_of(pin)
    assert (advice.volume.calls, advice.volume.spend) == (150, Decimal("1.8"))
    # Another light model comes to be served: of the class nobody can say any more that it is as good.
    deployment(place, "embed", at=AT)
    set_entry(organization_id=cast.acme.id, entry=Entry(model="embed", tier=Tier.LIGHT), by=HOUSE, at=AT)
    worked(cast, AT + timedelta(hours=1))
    assert [row.kind for row in rows(cast, state="open")] == ["switch"]
    [gone] = rows(cast, state="withdrawn")
    assert gone.reason.startswith("Not every model that tier:light stands for is as good by now")
    set_entry(organization_id=cast.acme.id, entry=Entry(model="embed", tier=Tier.MID), by=HOUSE, at=AT)
    worked(cast, AT + timedelta(hours=2))
    [again] = rows(cast, state="open", kind="pin")
    then = AT + timedelta(hours=3)
    services.apply(organization_id=cast.acme.id, recommendation_id=again.id, by=HOUSE, at=then)
    version = RoutingRule.objects.get().version
    assert version is not None
    made = document_of(version)
    assert (made.when.subagent, made.use[0].model) == (True, "tier:light")
