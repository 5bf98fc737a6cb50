"""Experiments as the database has them: capped from their first moment, begun once, ended for good."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from finops.audit.models import AuditEvent
from finops.budgets.models import Budget
from finops.core.errors import NotFound
from finops.jobs.models import Job
from finops.jobs.services import JobNotStoppable, claim, request_stop
from finops.orgs.models import VirtualKey
from finops.orgs.services import issue_key
from routing.configuration.services import publish_changes
from routing.evidence.models import Evaluation, Outcome
from routing.evidence.services import withdraw_evaluation
from routing.experiments import rules, selectors, services
from routing.experiments.estimating import estimate
from routing.experiments.models import Experiment, Item
from routing.experiments.rules import CapturesOff, TooMany, WrongState
from routing.experiments.services.common import sealer
from routing.experiments.tasks import follow
from routing.experiments.types import ItemState, Mode, Scoring
from routing.rules.types import Gate, GateKind
from tests.factories.captures import captured, capturing
from tests.factories.experiments import draft, drafted, started, turn
from tests.factories.ledger import Book, event, small_book
from tests.factories.orgs import HOUSE, Cast
from tests.factories.relaying import deployed

GATED: dict[str, Any] = {"scoring": Scoring.GATE, "judge": "", "gate": Gate(kind=GateKind.PATTERN, pattern="North")}


class Somewhere:
    address = "http://127.0.0.1:9"


class Says(httpx2.BaseTransport):
    """A gateway that answers everything so."""

    def __init__(self, status: int = 200, text: str = "North", code: str = "", budget: int = 0) -> None:
        self.seen: list[dict[str, Any]] = []
        self.status, self.text, self.code, self.budget = status, text, code, budget

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(json.loads(request.read()))
        said: dict[str, Any] = {"choices": [{"message": {"content": self.text}, "finish_reason": "stop"}]}
        if self.status != 200:
            said = {"error": {"code": self.code, "budgets": [{"budget_id": self.budget}]}}
        told = {"x-capstan-cost": "0.001", "x-capstan-currency": "USD", "x-capstan-upstream": "openai"}
        return httpx2.Response(self.status, headers=told, stream=httpx2.ByteStream(json.dumps(said).encode()))


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def ready(cast: Cast, settings: Any, now: datetime) -> Cast:
    """Ten calls of triage are captured, and gateways know of everything."""
    settings.GATEWAY_URL = "http://gateway.invalid"
    settings.INTERNAL_HOSTS = {"127.0.0.1"}
    small_book()
    deployed(cast.acme.id, Somewhere(), at=now)
    capturing(cast.acme.id, at=now)
    key = issue_key(
        organization_id=cast.acme.id, name="App", permissions=("calls.make",), by=HOUSE, at=now - timedelta(hours=1)
    ).key
    for number in range(10):
        asked = {"model": "gpt", "messages": [{"role": "user", "content": f"Ticket {number}"}]}
        said = {"choices": [{"message": {"content": "North" if number % 2 else "South"}, "finish_reason": "stop"}]}
        captured(
            cast.acme.id, f"{number:024x}", at=now - timedelta(minutes=1 + number), task_type="triage", tags={},
            body=json.dumps(asked).encode(), answer=json.dumps(said).encode(), charge=f"{key.prefix}:{number}.1",
            session=f"s-{number // 2}",
        )  # fmt: skip
    publish_changes(now)
    return cast


def codes(row: Experiment) -> dict[str, int]:
    return dict(selectors.progress(row, timezone.now()).codes)


def fresh(row: Experiment) -> Experiment:
    return Experiment.objects.get(id=row.id)


def test_it_is_capped_from_its_first_moment(ready: Cast, now: datetime) -> None:
    row = started(ready.acme.id, at=now, most_cost=Decimal("2.5"), **GATED)
    key, budget = VirtualKey.objects.get(id=row.key_id or 0), Budget.objects.get(id=row.budget_id or 0)
    assert sorted(key.permissions) == ["calls.make", "calls.measure"]
    assert (budget.scope, budget.limit_amount) == ({"key": [str(key.id)]}, Decimal("2.5"))
    assert (budget.enforcement, budget.period, budget.thresholds) == ("hard", "total", [])
    assert sealer(ready.acme.id).open(row.sealed).startswith(key.prefix)
    assert key.prefix.encode() not in bytes(row.sealed)
    # Started again, it is as it is.
    again = services.start(organization_id=ready.acme.id, experiment_id=row.id, by=HOUSE, at=now)
    assert again.key_id == row.key_id
    assert Job.objects.count() == 1
    trail = AuditEvent.objects.filter(subject_kind="experiment").order_by("id").values_list("verb", flat=True)
    assert list(trail) == ["experiment.created", "experiment.started"]


def test_what_there_is_nothing_to_measure_of_is_refused_and_says_what_to_switch_on(ready: Cast, now: datetime) -> None:
    row = drafted(ready.acme.id, at=now, task_type="chat", **GATED)
    with pytest.raises(CapturesOff, match="No call of 'chat' that gpt answered is captured"):
        services.start(organization_id=ready.acme.id, experiment_id=row.id, by=HOUSE, at=now)
    capturing(ready.acme.id, is_on=False, at=now)
    shadow = drafted(ready.acme.id, at=now, mode=Mode.SHADOW, **GATED)
    with pytest.raises(CapturesOff, match="switch captures on"):
        services.start(organization_id=ready.acme.id, experiment_id=shadow.id, by=HOUSE, at=now)
    assert not VirtualKey.objects.filter(name__startswith="Experiment").exists()


def test_too_many_at_once_are_refused(ready: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_UNDER_WAY", 1)
    started(ready.acme.id, at=now, **GATED)
    with pytest.raises(TooMany):
        started(ready.acme.id, at=now, **GATED)
    monkeypatch.setattr(rules, "MOST_KEPT", 2)
    with pytest.raises(TooMany):
        drafted(ready.acme.id, at=now, **GATED)


def test_a_turn_measures_records_and_ends(ready: Cast, now: datetime) -> None:
    row, gateway = started(ready.acme.id, at=now, tasks=8, **GATED), Says()
    assert not turn(row, gateway)
    row = fresh(row)
    assert (row.state, row.code, len(gateway.seen)) == ("done", "measured", 8)
    assert {one["model"] for one in gateway.seen} == {"gpt-mini"}
    evaluation = Evaluation.objects.get()
    assert (evaluation.name, evaluation.margin, evaluation.randomised) == (
        f"Experiment {row.id}",
        Decimal("0.05"),
        True,
    )
    assert evaluation.evaluator.startswith("gate pattern ")
    ours = {one.item: one for one in Outcome.objects.filter(model="gpt")}
    theirs = {one.item: one for one in Outcome.objects.filter(model="gpt-mini")}
    assert len(ours) == len(theirs) == 8
    for call_id, one in ours.items():
        assert one.score == int(call_id, 16) % 2
        assert theirs[call_id].score == 1.0
        assert (one.cost, theirs[call_id].cost) == (Decimal("0.00015"), Decimal("0.001"))
        assert one.cluster == f"s-{int(call_id, 16) // 2}"
        assert one.fingerprint == theirs[call_id].fingerprint != ""
    assert row.sealed == b""
    assert VirtualKey.objects.get(id=row.key_id or 0).revoked_at is not None
    assert (Job.objects.get().state, Job.objects.get().result["measured"]) == ("done", 8)
    with pytest.raises(WrongState):
        services.start(organization_id=ready.acme.id, experiment_id=row.id, by=HOUSE, at=now)
    # Its cap is put away once nothing can be under way any more.
    assert services.put_away(at=timezone.now()) == 0
    assert services.put_away(at=timezone.now() + timedelta(hours=2)) == 1
    assert services.put_away(at=timezone.now() + timedelta(hours=2)) == 0
    assert Budget.objects.get(id=row.budget_id or 0).archived_at is not None


def test_what_a_worker_left_is_closed_and_never_asked_for_again(ready: Cast, now: datetime) -> None:
    row = started(ready.acme.id, at=now, **GATED)
    left = f"{3:024x}"
    Item.objects.create(organization=ready.acme, experiment=row, call_id=left, state=ItemState.ASKED, at=now)
    gateway = Says()
    assert not turn(row, gateway)
    assert codes(row) == {"interrupted": 1}
    assert (fresh(row).code, len(gateway.seen)) == ("used_up", 9)
    assert "Ticket 3" not in str(gateway.seen)


@pytest.mark.parametrize(
    ("gateway", "code"),
    [
        (Says(401, code="orgs.key_refused"), "gateway_not_told"),
        (Says(429, code="budgets.exceeded", budget=0), "refused"),
        (Says(429, code="budgets.stopped"), "refused"),
    ],
)
def test_what_may_pass_pauses_it_and_it_goes_on_by_itself(ready: Cast, now: datetime, gateway: Says, code: str) -> None:
    row = started(ready.acme.id, at=now, **GATED)
    assert not turn(row, gateway)
    paused = fresh(row)
    assert (paused.state, paused.code, paused.reason) == ("paused", code, rules.WHY[code])
    # Nothing was asked, so that nothing is lost.
    assert not Item.objects.filter(experiment=row).exists()
    assert selectors.due(timezone.now()) == []
    assert selectors.due(timezone.now() + timedelta(minutes=6)) == [row.job_id]
    assert not turn(row, Says(), later=timedelta(minutes=6))
    assert (fresh(row).state, fresh(row).code) == ("done", "used_up")


def test_its_own_cap_ends_it_and_keeps_what_was_measured(ready: Cast, now: datetime) -> None:
    row = started(ready.acme.id, at=now, **GATED)
    gateway = Says(429, code="budgets.exceeded", budget=row.budget_id or 0)
    assert not turn(row, gateway)
    assert (fresh(row).state, fresh(row).code) == ("done", "cap_reached")


def test_without_a_gateway_it_waits(ready: Cast, now: datetime, settings: Any) -> None:
    settings.GATEWAY_URL = ""
    row = started(ready.acme.id, at=now, **GATED)
    assert not turn(row, Says())
    assert (fresh(row).state, fresh(row).code) == ("paused", "gateway_unknown")


def test_calls_that_cannot_be_made_again_are_skipped_and_say_why(ready: Cast, now: datetime) -> None:
    said: dict[str, Any] = {"at": now - timedelta(hours=2), "task_type": "triage"}
    captured(ready.acme.id, "a" * 24, tags=None, **said)
    captured(ready.acme.id, "b" * 24, tags={}, charge="cap_00000000:b.1", **said)
    captured(ready.acme.id, "c" * 24, tags={}, upstream_model="gpt-mini", **said)
    captured(ready.acme.id, "d" * 24, tags={}, whole=False, **said)
    captured(ready.acme.id, "e" * 24, tags={}, secret="another secret that nobody knows any more", **said)
    row, gateway = started(ready.acme.id, at=now, tasks=20, **GATED), Says()
    assert not turn(row, gateway)
    assert codes(row) == {
        "tags_not_kept": 1, "key_gone": 1, "not_the_incumbent": 1, "answer_not_whole": 1, "cannot_be_opened": 1,
    }  # fmt: skip
    assert len(gateway.seen) == 10


def test_the_same_request_is_measured_once(ready: Cast, now: datetime) -> None:
    first = json.dumps({"model": "gpt", "messages": [{"role": "user", "content": "Ticket 0"}]}).encode()
    prefix = VirtualKey.objects.get(name="App").prefix
    captured(
        ready.acme.id, "f" * 24, at=now - timedelta(hours=2), task_type="triage", tags={}, body=first,
        charge=f"{prefix}:f.1",
    )  # fmt: skip
    row, gateway = started(ready.acme.id, at=now, tasks=20, **GATED), Says()
    assert not turn(row, gateway)
    assert (codes(row), len(gateway.seen)) == ({"same_content": 1}, 10)


def test_whose_evaluation_was_withdrawn_has_failed(ready: Cast, now: datetime) -> None:
    row = started(ready.acme.id, at=now, tasks=20, mode=Mode.SHADOW, **GATED)
    Experiment.objects.filter(id=row.id).update(started_at=now - timedelta(days=1))
    assert not turn(fresh(row), Says())
    evaluation = Evaluation.objects.get()
    withdraw_evaluation(
        organization_id=ready.acme.id, evaluation_id=evaluation.id, because="A bad gate.", by=HOUSE, at=now
    )
    asked = json.dumps({"model": "gpt", "messages": [{"role": "user", "content": "One more"}]}).encode()
    prefix = VirtualKey.objects.get(name="App").prefix
    captured(ready.acme.id, "9" * 24, at=now, task_type="triage", tags={}, body=asked, charge=f"{prefix}:9.1")
    assert not turn(row, Says(), later=timedelta(minutes=1))
    assert (fresh(row).state, fresh(row).code) == ("failed", "evidence_withdrawn")


def test_what_breaks_ends_it_and_ends_its_key(ready: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    row = started(ready.acme.id, at=now, **GATED)

    def breaks(**_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("routing.experiments.services.working.record", breaks)
    with pytest.raises(RuntimeError, match="a bug"):
        turn(row, Says())
    assert (fresh(row).state, fresh(row).code) == ("failed", "broke")
    assert VirtualKey.objects.get(id=row.key_id or 0).revoked_at is not None


def test_stop_and_resume_are_of_the_experiment_and_not_of_its_job(ready: Cast, now: datetime) -> None:
    row = started(ready.acme.id, at=now, **GATED)
    who: dict[str, Any] = {"organization_id": ready.acme.id, "by": HOUSE, "at": now}
    with pytest.raises(JobNotStoppable, match="experiments"):
        request_stop(job_id=row.job_id or 0, **who)
    stopped = services.stop(experiment_id=row.id, **who)
    assert (stopped.state, Job.objects.get().state) == ("stopped", "stopped")
    assert services.stop(experiment_id=row.id, **who).state == "stopped"
    assert claim(job_id=row.job_id or 0, at=now) is None
    assert selectors.due(now) == []
    resumed = services.resume(experiment_id=row.id, **who)
    assert (resumed.state, selectors.due(timezone.now())) == ("running", [row.job_id])
    with pytest.raises(WrongState):
        services.stop(experiment_id=drafted(ready.acme.id, at=now, **GATED).id, **who)


def test_it_is_followed_by_the_schedule(ready: Cast, now: datetime, settings: Any, monkeypatch: Any) -> None:
    settings.CELERY_TASK_ALWAYS_EAGER = True
    row, sent = started(ready.acme.id, at=now, **GATED), []
    monkeypatch.setattr("routing.experiments.tasks.run_experiment.apply_async", lambda **said: sent.append(said))
    follow()
    assert [one["kwargs"] for one in sent] == [{"job_id": row.job_id}]


def test_an_item_is_of_an_experiment_of_its_organization(ready: Cast, now: datetime) -> None:
    row = drafted(ready.acme.id, at=now, **GATED)
    with pytest.raises(IntegrityError, match="experiment_item_same_organization"), transaction.atomic():
        Item.objects.create(organization=ready.globex, experiment=row, call_id="c", state="asked", at=now)
    Item.objects.create(organization=ready.acme, experiment=row, call_id="c", state="asked", at=now)
    with pytest.raises(IntegrityError, match="experiment_item_once"), transaction.atomic():
        Item.objects.create(organization=ready.acme, experiment=row, call_id="c", state="asked", at=now)
    with pytest.raises(IntegrityError, match="experiment_capped"), transaction.atomic():
        Experiment.objects.filter(id=row.id).update(state="running")
    with pytest.raises(NotFound):
        selectors.experiment(ready.globex.id, row.id)
    with pytest.raises(rules.ExperimentInvalid, match="project"):
        services.create(organization_id=ready.acme.id, draft=draft(project_id=1), by=HOUSE, at=now)


def test_what_it_is_likely_to_cost_is_told_by_calls_as_they_were(ready: Cast, now: datetime) -> None:
    book = Book(ready.acme, now - timedelta(hours=1))
    book.take(*[event(f"call-{n}", occurred_at=now - timedelta(hours=2), task_type="triage") for n in range(4)])
    found = estimate(ready.acme.id, draft(tasks=100, candidates=("gpt-mini", "unheard-of")), now)
    # A thousand tokens in and a hundred out, at 1 and 2 dollars a million.
    assert found.candidates == (("gpt-mini", Decimal("0.12")), ("unheard-of", None))
    # A judge reads what was asked and both answers, twice for each candidate: 3 and 15 dollars a million.
    assert found.judge == pytest.approx(400 * Decimal((1_000 + 200 + 350) * 3 + 120 * 15) / 10**6)
    assert (found.total, found.captured) == (None, 10)
    alone = estimate(ready.acme.id, draft(tasks=100, most_cost=Decimal("0.2")), now)
    assert alone.total == pytest.approx(Decimal("0.12") + 200 * Decimal(6_450) / 10**6)
    assert any("more than its cap" in one for one in alone.warnings)
    gated = estimate(ready.acme.id, draft(tasks=100, **GATED), now)
    assert (gated.judge, gated.total) == (Decimal(0), Decimal("0.12"))


def test_a_shadow_takes_its_share_of_what_comes(ready: Cast, now: datetime) -> None:
    said: dict[str, Any] = {"mode": Mode.SHADOW, "share": Decimal("0.3"), "tasks": 500} | GATED
    row = started(ready.acme.id, at=now - timedelta(days=1), **said)
    for number in range(100, 300):
        captured(ready.acme.id, f"{number:024x}", at=now - timedelta(minutes=5), task_type="triage", tags={})
    drawn = set(selectors.next_calls(row, now, limit=500))
    assert 35 <= len(drawn) <= 90
    # The same calls whenever one looks, and others for another experiment.
    assert set(selectors.next_calls(row, now, limit=500)) == drawn
    other = started(ready.acme.id, at=now - timedelta(days=1), **said)
    assert set(selectors.next_calls(other, now, limit=500)) != drawn
    later = started(ready.acme.id, at=now, **said)
    assert selectors.next_calls(later, now, limit=500) == []
