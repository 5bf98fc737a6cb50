"""A company that routes: evidence of several kinds of work, what follows from it, rules at every stage, and savings."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from finops.connectors.types import Dimensions
from routing.classify import services as classifying
from routing.recommend import services as recommending
from routing.recommend.models import Recommendation
from routing.rollouts import rules as courses
from routing.rollouts.models import Rollout, SavingsMonth
from routing.rollouts.watching import Detector, Known
from routing.rules import services as routing
from routing.rules.models import RoutingRule
from routing.rules.types import Rule, Use, When
from tests.factories.classify import labelled, labels
from tests.factories.company import Company, book, counts, event
from tests.factories.orgs import HOUSE, actor
from tests.factories.recommend import known
from tests.factories.rules import decision, local_only

STRONG: Final = "claude-sonnet-4-5"
CHEAP: Final = "claude-haiku-4-5"
COSTS: Final = {STRONG: 0.021, "gpt-4o": 0.016, CHEAP: 0.006, "gpt-4o-mini": 0.0011, "gemini-2.5-flash": 0.0019}
# Of each kind of work, how large a share of tasks a model does.
QUALITY: Final = {
    "triage": {STRONG: 0.93, "gpt-4o": 0.91, CHEAP: 0.93, "gpt-4o-mini": 0.84, "gemini-2.5-flash": 0.9},
    "summary": {STRONG: 0.9, CHEAP: 0.9},
    "code-review": {STRONG: 0.8, CHEAP: 0.62},
    "translate": {STRONG: 0.9, "gpt-4o-mini": 0.0},
}
_TASKS: Final = {"triage": 1_100, "summary": 60, "code-review": 300, "translate": 120}


def routed(company: Company) -> None:
    """Recommendations of each kind but the rare ones; a rule under way, one that was learned to be no good, a limit."""
    acme, at = company.cast.acme, company.at
    _spent(company)
    for name, shares in QUALITY.items():
        known(acme, shares, at=at, number=_TASKS[name], task_type=name, name=f"{name}-suite", costs=COSTS)
    labelled(acme.id, labels(40), at=at)
    classifying.train(organization_id=acme.id, by=HOUSE, at=at)
    _rules(company)
    recommending.recompute(organization_id=acme.id, by=HOUSE, at=at)
    trial = Recommendation.objects.filter(organization=acme, kind="keep").first()
    if trial is not None:
        recommending.dismiss(
            organization_id=acme.id, recommendation_id=trial.id, reason="We know.", by=HOUSE, at=at
        )  # fmt: skip


def _spent(company: Company) -> None:
    """So that a saving is of something."""
    book(
        company,
        [
            event(
                900_000 + number, company.at - timedelta(hours=1 + number % 400), provider="anthropic", model=STRONG,
                counts=counts(input_uncached=40_000, output_text=3_000, requests=1),
                dimensions=Dimensions(agent=company.agent.slug), task_type=tuple(QUALITY)[number % 3],
            )
            for number in range(120)
        ],
    )  # fmt: skip


def _rules(company: Company) -> None:
    acme, at = company.cast.acme.id, company.at
    said: dict[str, Any] = {"organization_id": acme, "by": actor(company.cast.alice_login), "at": at}
    support = Rule(
        name="support-to-haiku",
        when=When(task_types=("support",), models=(STRONG,), projects=("assistant",)),
        use=(Use(model=CHEAP), Use(model=STRONG)),
    )
    under_way = routing.create_rule(
        rule=support, why="As good on 900 tickets.", stage="canary", held_back=None, **said
    ).row
    routing.save_rule(rule=local_only(), why="The contract says so.", **said)
    gone = Rule(name="drafts-to-flash", when=When(task_types=("drafts",)), use=(Use(model="gemini-2.5-flash"),))
    gone_row = routing.create_rule(rule=gone, why="Cheapest.", stage="canary", **said).row
    routing.roll_back(rule_id=gone_row.id, organization_id=acme, by=HOUSE, at=at)
    routing.propose_version(
        rule_id=under_way.id, rule=Rule(name=support.name, when=support.when, use=(Use(model="gpt-4o-mini"),)),
        why="It is cheaper still, and as good in our trial.", **said,
    )  # fmt: skip
    for number, arm in enumerate(("treated", "treated", "held_back", "control")):
        chosen = CHEAP if arm == "treated" else STRONG
        decision(
            acme, f"{number:024x}", at=at - timedelta(minutes=number), rule_id=under_way.id, arm=arm, asked=STRONG,
            chosen=chosen, would=CHEAP, task_type="support", propensity=0.05 if arm == "treated" else 0.95,
            why=f"rule {support.name}, {arm}", passed_over=[],
        )  # fmt: skip
    _courses(company, under_way, gone_row)


def _courses(company: Company, under_way: RoutingRule, gone: RoutingRule) -> None:
    frozen = Known(task_type="support", model=STRONG, items=900, mean=0.91, deviation=0.28)
    calm = courses.Course(known=(frozen,), detector=Detector(worth=-0.4, seen=312, mean=-0.004))
    worse = courses.Course(known=(frozen,), detector=Detector(worth=3.1, seen=121, mean=0.16))
    for row, state, seen, why in (
        (gone, "rolled_back", worse, "Half against half decided after 214 pairs: it is worse."),
        (under_way, "watching", calm, ""),
    ):
        Rollout.objects.create(
            organization_id=row.organization_id, rule=row, version=1, state=state, since=company.at,
            started_at=company.at - timedelta(days=9), stepped_at=company.at, stage=row.stage, share=row.share, why=why,
            ended_at=company.at if state == "rolled_back" else None, changed_at=company.at, seen=courses.said(seen),
            treated_scored=seen.detector.seen, stayed_scored=40,
        )  # fmt: skip
    month = company.at.date().replace(day=1)
    for saved in (412, 388, 95):
        net = Decimal(saved) - 6
        SavingsMonth.objects.create(
            organization_id=under_way.organization_id, rule=under_way, month=month, currency="USD",
            treated_calls=9_500, treated_sessions=950, stayed_calls=510, stayed_sessions=52, treated_cost=Decimal(131),
            failed_cost=Decimal("2.4"), beside_cost=Decimal(6), expected_cost=Decimal(131 + saved),
            saved=Decimal(saved), saved_lower=Decimal(saved - 60), saved_upper=Decimal(saved + 70), net=net,
            net_lower=net - 60, net_upper=net + 70, by="calls", measured_at=company.at,
        )  # fmt: skip
        month = (month - timedelta(days=1)).replace(day=1)
    SavingsMonth.objects.create(
        organization_id=gone.organization_id, rule=gone, month=month, currency="USD", treated_calls=80,
        treated_sessions=9, stayed_calls=0, stayed_sessions=0, treated_cost=Decimal(1), failed_cost=Decimal(0),
        beside_cost=Decimal(0), why="No hold-back, no verified saving: no call was drawn to stay as it was.",
        measured_at=company.at,
    )  # fmt: skip
