"""One of everything in globex, whose every text bears the marker, made when it is first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.utils import timezone

from finops.alerts.models import AlertRule, Channel, Incident
from finops.alerts.services.signals import take_signals
from finops.attribution.models import AttributionRule, PromotedTag, SharedCostRule
from finops.budgets.models import Block, BreakerRule, Budget, BudgetException, Enforceable, Increase, Limit, Stop
from finops.budgets.rules.limits import BreakerDraft, LimitDraft
from finops.budgets.services.budgets import set_exception
from finops.budgets.services.enforceables import add_enforceable
from finops.budgets.services.increases import ask_increase
from finops.budgets.services.limits import set_breaker, set_limit
from finops.budgets.services.stops import stop_now
from finops.connectors.types import NO_COUNTS, Dimensions, UsageEvent
from finops.energy.models import GridMix, ModelEnergy
from finops.ingest.models import QuarantinedRecord, SignedWebhook
from finops.ingest.services import set_webhook, take
from finops.ingest.types import Received
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.orgs import services
from finops.orgs.models import Agent, Customer, Identity, Organization, Person, Project, Team, VirtualKey
from finops.polling.models import PolledFeed
from finops.pricing import services as pricing
from finops.pricing.models import Contract, ModelAlias
from finops.reconciliation.models import CountingRule
from finops.seats.models import SeatPlan
from finops.seats.services import begin
from finops.seats.types import HolderName
from finops.sources import services as sources
from finops.sources.models import Source
from routing.captures.models import Capture
from routing.evidence.models import Evaluation
from routing.experiments.models import Experiment
from routing.recommend.models import Recommendation
from routing.recommend.services import recompute
from routing.rollouts.models import Rollout
from routing.rules.models import RoutingRule
from routing.rules.types import When
from routing.tiers.models import ModelTier
from routing.tiers.services import set_entry
from routing.tiers.types import Entry, Tier
from routing.upstreams.models import Deployment, Upstream
from tests.factories import (
    alerts,
    attribution,
    captures,
    energy,
    evidence,
    experiments,
    polling,
    recommend,
    rollouts,
    seats,
    upstreams,
)
from tests.factories import rules as routing_rules
from tests.factories.budgets import budget
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.factories.pricing import steps

MARKER: Final = "Zzyzx-Secret"
WHO: Final[dict[str, Any]] = {"by": HOUSE, "at": NOON}


@dataclass(frozen=True)
class World:
    """Acme, where Alice is the owner, and globex, every name of which holds MARKER."""

    cast: Cast

    @property
    def globex(self) -> Organization:
        return self.cast.globex

    @cached_property
    def team(self) -> Team:
        return services.add_team(
            organization_id=self.globex.id, name=f"{MARKER} team", slug="their-team", cost_centre=MARKER, **WHO
        )

    @cached_property
    def person(self) -> Person:
        return services.add_person(
            organization_id=self.globex.id,
            name=f"{MARKER} person",
            slug="their-person",
            email=f"{MARKER}@globex.example",
            team_id=self.team.id,
            identities=[("github", f"{MARKER}-codes")],
            **WHO,
        )

    @cached_property
    def identity(self) -> Identity:
        return Identity.objects.filter(person=self.person).earliest("id")

    @cached_property
    def project(self) -> Project:
        return services.add_project(
            organization_id=self.globex.id, name=f"{MARKER} project", slug="their-project", **WHO
        )

    @cached_property
    def agent(self) -> Agent:
        return services.add_agent(organization_id=self.globex.id, name=f"{MARKER} agent", slug="their-agent", **WHO)

    @cached_property
    def customer(self) -> Customer:
        return services.add_customer(
            organization_id=self.globex.id, name=f"{MARKER} customer", slug="their-customer", **WHO
        )

    @cached_property
    def key(self) -> VirtualKey:
        return services.issue_key(organization_id=self.globex.id, name=f"{MARKER} key", **WHO).key

    @cached_property
    def wishing(self) -> VirtualKey:
        upstreams.wishes(self.key, order=(MARKER,), only=True, at=NOON)
        return self.key

    @cached_property
    def source(self) -> Source:
        return sources.add_source(organization_id=self.globex.id, slug="their-source", name=f"{MARKER} source", **WHO)

    @cached_property
    def webhook(self) -> SignedWebhook:
        return set_webhook(source=self.source, sender="helicone", secret=MARKER, **WHO)

    @cached_property
    def feed(self) -> PolledFeed:
        """Of an account of theirs; it failed."""
        row = polling.put(self.globex, label=f"{MARKER} account", credential=f"{MARKER}-credential", at=NOON)
        row.feeds.update(last_message=MARKER, state=PolledFeed.State.FAILING)
        return row.feeds.earliest("id")

    @cached_property
    def job(self) -> Job:
        return jobs.open_job(organization_id=self.globex.id, kind="rerate", parameters={"note": MARKER}, **WHO)

    @cached_property
    def quarantined(self) -> QuarantinedRecord:
        return QuarantinedRecord.objects.create(
            organization_id=self.globex.id,
            source=self.source,
            digest=b"0" * 16,
            external_id=MARKER,
            code="connectors.malformed",
            raw=MARKER.encode(),
            parser="capstan",
            received_at=NOON,
        )

    @cached_property
    def rule(self) -> AttributionRule:
        says = attribution.draft(("model", "starts_with", (MARKER,)), team=self.team.id)
        return attribution.rule(self.globex.id, says, name=f"{MARKER} rule")

    @cached_property
    def shared_cost(self) -> SharedCostRule:
        return attribution.shared_rule(self.globex.id, attribution.shared_draft(), name=f"{MARKER} shared")

    @cached_property
    def tag(self) -> PromotedTag:
        return attribution.promoted(self.globex.id, MARKER)

    @cached_property
    def budget(self) -> Budget:
        scope = {"team": (str(self.team.id),)}
        return budget(self.globex.id, name=f"{MARKER} budget", scope=scope, each="person", at=timezone.now())

    @cached_property
    def increase(self) -> Increase:
        return ask_increase(
            organization_id=self.globex.id,
            budget_id=self.budget.id,
            subject=str(self.person.id),
            amount=Decimal(1),
            reason=MARKER,
            by=HOUSE,
            at=timezone.now(),
        )

    @cached_property
    def limit(self) -> Limit:
        says = LimitDraft(dimension="person", subject=str(self.person.id), allowed_models=(MARKER,))
        return set_limit(organization_id=self.globex.id, draft=says, **WHO)

    @cached_property
    def breaker(self) -> BreakerRule:
        says = BreakerDraft(dimension="agent", subject=str(self.agent.id), measure="calls_per_minute")
        return set_breaker(organization_id=self.globex.id, draft=says, **WHO)

    @cached_property
    def stop(self) -> Stop:
        return stop_now(organization_id=self.globex.id, dimension="session", subject=MARKER, reason=MARKER, **WHO)

    @cached_property
    def contract(self) -> Contract:
        about = pricing.Agreed(
            provider=MARKER, model=f"{MARKER} model", effective_from=NOON.date(), note=f"{MARKER} contract"
        )
        return pricing.add_custom_model(
            organization_id=self.globex.id, about=about, steps=[steps(output_text="1")], **WHO
        )

    @cached_property
    def alias(self) -> ModelAlias:
        return pricing.set_alias(
            organization_id=self.globex.id,
            pattern=f"{MARKER} alias",
            target_provider=self.contract.provider,
            target_model=self.contract.model,
            **WHO,
        )

    @cached_property
    def model_tier(self) -> ModelTier:
        entry = Entry(model=f"{MARKER}-model", tier=Tier.MID, vendor=MARKER)
        return set_entry(organization_id=self.globex.id, entry=entry, **WHO)

    @cached_property
    def model_energy(self) -> ModelEnergy:
        return energy.figure(self.globex.id, provider=MARKER, model=f"{MARKER} model", source=f"{MARKER} meter")

    @cached_property
    def grid_mix(self) -> GridMix:
        return energy.grid(self.globex.id, provider=MARKER, zone="SWE", source=f"{MARKER} meter")

    @cached_property
    def counting_rule(self) -> CountingRule:
        return CountingRule.objects.create(
            organization=self.globex, provider=MARKER, source=self.source, since=NOON.date(), set_at=NOON
        )

    @cached_property
    def seat_plan(self) -> SeatPlan:
        held = HolderName("email", f"{MARKER}-seat@globex.example")
        plan = seats.draft(name=f"{MARKER} plan", provider=MARKER, account=MARKER, holders=(held,))
        return begin(organization_id=self.globex.id, draft=plan, **WHO)

    @cached_property
    def exception(self) -> BudgetException:
        mine: dict[str, Any] = {"organization_id": self.globex.id, "budget_id": self.budget.id, **WHO}
        return set_exception(subject=str(self.person.id), limit_amount=Decimal(5), note=f"{MARKER} note", **mine)

    @cached_property
    def alert_rule(self) -> AlertRule:
        return alerts.rule(self.globex.id, "spend.unpriced", name=f"{MARKER} alert rule", at=NOON)

    @cached_property
    def channel(self) -> Channel:
        address = f"https://{MARKER.lower()}.example/{MARKER}"
        return alerts.channel(self.globex.id, name=f"{MARKER} channel", address=address, at=NOON)

    @cached_property
    def incident(self) -> Incident:
        """With a delivery to the channel, which is there before."""
        _ = self.channel
        alerts.signal(self.globex.id, key=f"session:{MARKER}", reason=MARKER, at=NOON)
        take_signals(at=NOON)
        return Incident.objects.get(organization=self.globex, kind="breaker.tripped")

    @cached_property
    def enforceable(self) -> Enforceable:
        """A key of theirs that is blocked for their budget."""
        mine: dict[str, Any] = {"organization_id": self.globex.id, "source": self.source, **WHO}
        given = {"source_id": self.source.id, "connector": "anthropic", "credential": f"{MARKER} credential", **WHO}
        sources.set_access(organization_id=self.globex.id, **given)
        key = add_enforceable(
            external_id="apikey_01Theirs", label=f"{MARKER} label", dimension="person", owner_id=self.person.id, **mine
        )
        Block.objects.create(
            organization_id=self.globex.id, budget_id=self.budget.id, account_id=1, subject=str(self.person.id),
            enforceable=key, reason=MARKER, limit_amount=1, spent=1, likely=1, most=1, wanted_at=NOON, next_try_at=NOON,
        )  # fmt: skip
        return key

    @cached_property
    def upstream(self) -> Upstream:
        name = f"{MARKER.lower()}-upstream"
        return upstreams.upstream(
            self.globex.id, name=name, base_url=f"https://{name}.example/v1", credential=f"{MARKER}-credential", at=NOON
        )

    @cached_property
    def deployment(self) -> Deployment:
        return upstreams.deployment(self.upstream, f"{MARKER}-model", at=NOON)

    @cached_property
    def evaluation(self) -> Evaluation:
        said = evidence.outcome(MARKER, MARKER, task_type="their-type", provider=MARKER, cluster=MARKER)
        run = evidence.recorded(self.globex.id, [said], name=f"{MARKER} run", evaluator=MARKER, at=NOON)
        return Evaluation.objects.get(id=run.evaluation_id)

    @cached_property
    def capture(self) -> Capture:
        said: dict[str, Any] = {"body": MARKER.encode(), "answer": MARKER.encode(), "task_type": MARKER}
        return captures.captured(
            self.globex.id, "ca11" * 6, model=f"{MARKER}-model", session=MARKER, at=timezone.now(), **said
        )

    @cached_property
    def routing_rule(self) -> RoutingRule:
        """With a version of theirs, and a call that went by it."""
        says = routing_rules.triage(name=f"{MARKER.lower()}-rule", when=When(task_types=(MARKER,)))
        row = routing_rules.saved(self.globex.id, says, at=timezone.now()).row
        routing_rules.decision(self.globex.id, f"{MARKER}-call", rule_id=row.id, session=MARKER, at=timezone.now())
        return row

    @cached_property
    def rollout(self) -> Rollout:
        """Of a rule of theirs that is a canary."""
        at = timezone.now()
        says = routing_rules.triage(name=f"{MARKER.lower()}-canary", when=When(task_types=(MARKER,)))
        return rollouts.followed(rollouts.rolling(self.globex.id, rule=says, at=at), at=at)

    @cached_property
    def recommendation(self) -> Recommendation:
        """An experiment that is worth it, by thirty tasks of theirs."""
        models = {f"{MARKER}-strong": 0.9, f"{MARKER}-cheap": 0.9}
        costs = dict(zip(models, (0.02, 0.002), strict=True))
        at = timezone.now()
        recommend.known(self.globex, models, at=at, number=30, task_type=f"{MARKER}-type", name=MARKER, costs=costs)
        recompute(organization_id=self.globex.id, by=HOUSE, at=at)
        return Recommendation.objects.get(organization=self.globex)

    @cached_property
    def experiment(self) -> Experiment:
        said = {"task_type": f"{MARKER}-type", "incumbent": f"{MARKER}-strong", "candidates": (f"{MARKER}-cheap",)}
        return experiments.drafted(self.globex.id, question=MARKER, at=NOON, **said)

    @cached_property
    def charge_id(self) -> UUID:
        """A charge of today, as words go: whatever a source says may name its organization."""
        at = timezone.now()
        said = UsageEvent(
            external_id=f"{MARKER}-1",
            occurred_at=at - timedelta(minutes=5),
            provider="openai",
            model=f"{MARKER}-model",
            counts=(1000, *NO_COUNTS[1:]),
            host=f"{MARKER}.internal",
            region=MARKER,
            provider_account=MARKER,
            session=MARKER,
            task_type=MARKER,
            dimensions=Dimensions(team=self.team.slug, person=self.person.slug, project=self.project.slug),
            tags=((MARKER, MARKER),),
        )
        received = [Received(b"{}", said)]
        take(organization_id=self.globex.id, source_id=self.source.id, parser="capstan", received=received, at=at)
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM ledger_charge WHERE organization_id = %s", [self.globex.id])
            [found] = cursor.fetchone()
        return UUID(str(found))
