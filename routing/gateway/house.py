"""One organization as decisions need it: made from what is published, immutable but for what it remembers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from finops.attribution.rules import attribute
from finops.budgets.rules.matching import Matcher
from finops.budgets.rules.periods import window
from finops.budgets.rules.worst import Unpriced, Worst, worst_case
from finops.budgets.types import Account, Call, Enforcement, Terms
from finops.connectors.types import UsageEvent
from finops.core.money import convert_pico
from finops.pricing.rules import Catalogue, Exchange, Found, Names, Overrides, Pricer, rate
from finops.pricing.types import Rated
from routing.configuration import wire
from routing.gateway.bounds import bounds_of
from routing.gateway.requests import Authorize, Deployment

# What is remembered of strangers' words is bounded.
_REMEMBERED: Final = 50_000
# Of the tiers a model is sold in, those that are only ever cheaper are not waited for.
_CHEAPER: Final = frozenset({"batch", "flex"})


class NoExchangeRate(Unpriced):
    """The call's currency cannot be told in the organization's."""

    code = "gateway.no_exchange_rate"


class Public(NamedTuple):
    """The public catalogue, with the context windows of its models."""

    catalogue: Catalogue
    windows: dict[tuple[str, str], int]


def public_of(published: wire.Catalogue) -> Public:
    catalogue = Catalogue(Names(published.providers), published.prices, published.aliases)
    return Public(catalogue, published.windows)


class Concern(NamedTuple):
    """A budget that a call is held against, and which account of it."""

    terms: Terms
    account: Account


class House:
    """One organization at one moment."""

    def __init__(self, published: wire.Organization, public: Public) -> None:
        self.id = published.organization_id
        self.currency = published.currency
        self.source_id = published.source_id
        self.token = published.token
        self.keys = {key.prefix: key for key in published.keys}
        self.names = {budget.budget_id: budget.name for budget in published.budgets}
        self.terms = {budget.budget_id: budget.terms(self.id) for budget in published.budgets}
        asked = [terms for terms in self.terms.values() if terms.enforcement is not Enforcement.ALERT]
        self.downgrades = any(terms.downgrade_to for terms in asked)
        self.limits_tokens = any(limit.tokens_per_minute is not None for limit in published.guard.limits)
        self._matcher = Matcher(asked, published.above)
        self._pricer = Pricer(public.catalogue, Overrides(published.contracts, published.aliases))
        self._public = public
        self._exchange = Exchange(published.currency, published.rates)
        self._snapshot = published.owners.snapshot()
        self._calls: dict[tuple[Any, ...], Call] = {}
        self._worst: dict[tuple[Any, ...], Worst] = {}
        self._ends: dict[Account, datetime | None] = {}

    def call_of(self, event: UsageEvent) -> Call:
        """Whom and what a call concerns, exactly as its charge will be attributed."""
        found = self._find(event.provider, event.model, event.service_tier, event.host, event.occurred_at.date())
        key = (self._snapshot.memo_key(event, self.source_id), found.provider, found.model, event.session)
        known = self._calls.get(key)
        if known is None:
            owner = attribute(self._snapshot, event, self.source_id)
            known = Call(*owner[:6], provider=found.provider, model=found.model, session=event.session)
            _bounded(self._calls)[key] = known
        return known

    def concerns(self, call: Call, at: datetime) -> list[Concern]:
        return [Concern(*pair) for pair in self._matcher.accounts(call, at)]

    def ends_at(self, concern: Concern) -> datetime | None:
        if concern.account not in self._ends:
            held = window(concern.terms, concern.account.start)
            _bounded(self._ends)[concern.account] = held.end if held else None
        return self._ends[concern.account]

    def worst(self, request: Authorize, day: date) -> Worst:
        """The most a call and all its tries can cost, in the reporting currency. Raises Unbounded and Unpriced."""
        deployments = (Deployment(request.model, request.provider, request.host), *request.fallbacks)
        key = (
            deployments, request.service_tier, request.input, request.max_output_tokens, request.choices,
            request.server_input, request.hosted_tools, request.tries, day,
        )  # fmt: skip
        known = self._worst.get(key)
        if known is None:
            known = _bounded(self._worst)[key] = self._worst_of(request, deployments, day)
        return known

    def cost(self, event: UsageEvent) -> Rated:
        """What a call cost, in the price's currency; not `priced` where nobody knows."""
        found = self._find(event.provider, event.model, event.service_tier, event.host, event.occurred_at.date())
        return rate(found, event.counts, event.occurred_at)

    def reporting(self, pico: int, currency: str, day: date) -> int:
        """An amount in the reporting currency, as the ledger converts it. Raises NoExchangeRate."""
        if currency == self.currency:
            return pico
        dated = self._exchange.rate(currency, day)
        if dated is None:
            raise NoExchangeRate(f"no rate from {currency} to {self.currency} is known for {day}", field="model")
        return convert_pico(pico, dated.rate)

    def _worst_of(self, request: Authorize, deployments: Sequence[Deployment], day: date) -> Worst:
        """At the dearest deployment, for the longest sequence of tries: each may be billed."""
        dearest: Worst | None = None
        for place, deployment in enumerate(deployments):
            found = self._may_serve(deployment, request.service_tier, day)
            bounds = bounds_of(request, self._window(found[0]))
            one = worst_case(found, bounds)
            dated = self._exchange.rate(one.currency, day)
            if dated is None:
                raise NoExchangeRate(
                    f"no rate from {one.currency} to {self.currency} is known for {day}",
                    field="model" if not place else f"fallbacks[{place - 1}].model",
                )
            one = one.converted(dated.rate)
            dearest = one if dearest is None else dearest.or_dearer(one)
        assert dearest is not None  # noqa: S101 - there is at least the call's own
        return dearest.times(request.tries)

    def _may_serve(self, deployment: Deployment, tier: str | None, day: date) -> list[Found]:
        """The prices a call may be given: of the tier asked for or the standard one; any, where none was asked for."""
        standard = self._find(deployment.provider, deployment.model, "", deployment.host, day)
        if tier is not None:
            return [standard, self._find(deployment.provider, deployment.model, tier, deployment.host, day)]
        tiers = self._public.catalogue.tiers(standard.provider, standard.model)
        others = [
            self._find(deployment.provider, deployment.model, one, deployment.host, day)
            for one in sorted(tiers - _CHEAPER - {""})
        ]
        # A tier that has no price today serves nobody today.
        return [standard, *(one for one in others if one.priced)]

    def _window(self, found: Found) -> int | None:
        return self._public.windows.get((found.provider, found.model))

    def _find(self, provider: str, model: str, tier: str, host: str, day: date) -> Found:
        return self._pricer.find(provider, model, tier, host, day)


def _bounded(memory: dict[Any, Any]) -> dict[Any, Any]:
    if len(memory) >= _REMEMBERED:
        memory.clear()
    return memory
