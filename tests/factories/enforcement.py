"""A source whose keys can be blocked, and what they spend, as it is reported."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from finops.budgets.models import Block, Budget, Enforceable
from finops.budgets.services.acting import act
from finops.budgets.services.enforceables import add_enforceable
from finops.budgets.services.planning import plan
from finops.connectors.types import Dimensions, GivenCost, UsageEvent
from finops.core.money import to_pico
from finops.ingest.services import take
from finops.ingest.types import Received
from finops.orgs.models import Agent, Organization
from finops.orgs.services import add_agent
from finops.sources.models import Source
from finops.sources.services import set_access
from tests.factories.ledger import event
from tests.factories.orgs import HOUSE, NOON
from tests.fakes.litellm_keys import MASTER, LiteLLMKeys

HOUR = timedelta(hours=1)


def key_name(number: int) -> str:
    """What LiteLLM calls a key: the hash of it."""
    return f"{number:064x}"


def reach(source: Source, address: str, *, delay: timedelta = HOUR, effect: timedelta = timedelta(seconds=10)) -> None:
    """Access to a LiteLLM proxy. Its host has to be among the INTERNAL_HOSTS."""
    set_access(
        organization_id=source.organization_id,
        source_id=source.id,
        connector="litellm",
        address=address,
        credential=MASTER,
        reporting_delay=delay,
        takes_effect=effect,
        by=HOUSE,
        at=NOON,
    )


def agent(organization: Organization, name: str) -> Agent:
    return add_agent(organization_id=organization.id, name=name, slug=name, by=HOUSE, at=NOON)


def key_of(source: Source, number: int, dimension: str, owner_id: int) -> Enforceable:
    return add_enforceable(
        organization_id=source.organization_id,
        source=source,
        external_id=key_name(number),
        dimension=dimension,
        owner_id=owner_id,
        by=HOUSE,
        at=NOON,
    )


def paid(external_id: str, dollars: float | Decimal, at: datetime, dimensions: Dimensions) -> UsageEvent:
    """A call of so many dollars, as the source says itself."""
    cost = GivenCost(to_pico(Decimal(str(dollars)).quantize(Decimal("1e-12"))), "USD")
    return event(external_id, occurred_at=at, cost=cost, dimensions=dimensions)


def blocked(budget: Budget, subject: str, key: Enforceable, at: datetime, **given: Any) -> Block:
    """A key that was blocked for a subject of a budget with a tenth of the limit left, all of it known by now."""
    limit = budget.limit_amount
    usual: dict[str, Any] = {
        "organization_id": budget.organization_id,
        "budget": budget,
        "account_id": 1_000_000 + key.id,
        "subject": subject,
        "enforceable": key,
        "state": Block.State.BLOCKED,
        "reason": f"{limit * 8 / 10:.2f} of {limit:.2f} is reported; until a block holds it is at most {limit:.2f}.",
        "limit_amount": limit,
        "spent": limit * 8 / 10,
        "likely": limit * 9 / 10,
        "most": limit,
        "wanted_at": at - 3 * HOUR,
        "next_try_at": at,
        "blocked_at": at - 3 * HOUR,
        "settled_at": at,
        "overshoot": 0,
        "unused": limit / 10,
    }
    return Block.objects.create(**usual | given)


@dataclass
class Spender:
    """An agent with a key at a proxy, spending steadily while that lets it."""

    agent: Agent
    key: Enforceable
    dollars_an_hour: float
    spent: float = 0.0


@dataclass
class Proxy:
    """A source that reports an hour late what its keys spend, and looks every five minutes at what is to be done."""

    source: Source
    fake: LiteLLMKeys
    now: datetime
    delay: timedelta = HOUR
    spenders: list[Spender] = field(default_factory=list)
    _waiting: list[UsageEvent] = field(default_factory=list)

    def spender(self, name: str, dollars_an_hour: float) -> Spender:
        number = len(self.spenders) + 1
        self.fake.set(key_name(number), blocked=False)
        one = agent(self.source.organization, name)
        self.spenders.append(Spender(one, key_of(self.source, number, "agent", one.id), dollars_an_hour))
        return self.spenders[-1]

    def go_on(self, hours: float) -> None:
        until = self.now + timedelta(hours=hours)
        while self.now < until:
            for one in self.spenders:
                if not self.fake.blocked[one.key.external_id]:
                    one.spent += one.dollars_an_hour / 12
                    name = f"{one.agent.slug} {self.now.isoformat()}"
                    dollars = one.dollars_an_hour / 12
                    self._waiting.append(paid(name, dollars, self.now, Dimensions(agent=one.agent.slug)))
            self.now += timedelta(minutes=5)
            self.report()
            self.look()

    def report(self) -> None:
        told = [one for one in self._waiting if one.occurred_at <= self.now - self.delay]
        self._waiting = self._waiting[len(told) :]
        if told:
            take(
                organization_id=self.source.organization_id,
                source_id=self.source.id,
                parser="capstan",
                received=[Received(one.external_id.encode(), one) for one in told],
                at=self.now,
            )

    def look(self) -> None:
        plan(every=timedelta(minutes=5), at=self.now)
        act(now=lambda: self.now)

    def blocked(self, one: Spender) -> bool:
        return self.fake.blocked[one.key.external_id]
