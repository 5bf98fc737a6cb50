"""One organization as decisions need it: made from what is published, immutable but for what it remembers."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final, NamedTuple

from finops.attribution.rules import attribute
from finops.attribution.types import Owner
from finops.budgets.rules.matching import Matcher
from finops.budgets.rules.periods import window
from finops.budgets.rules.worst import Prices, Unpriced, Worst
from finops.budgets.types import Account, Call, Enforcement, Terms
from finops.connectors.types import UsageEvent
from finops.core.money import convert_pico
from finops.core.tokens import METERS
from finops.pricing.rules import Catalogue, Exchange, Found, Names, Overrides, Pricer, rate
from finops.pricing.rules.outputs import LARGEST_OUTPUTS
from finops.pricing.types import Rated
from routing.classify.hot import Classifier, Prospects
from routing.configuration import wire
from routing.gateway.bounds import bounds_of
from routing.gateway.proxy.candidates import Candidate, Deployments, Price, wishes_of_key
from routing.gateway.requests import Authorize, Deployment
from routing.rules.hot import Rules
from routing.tiers.hot import Register
from routing.tiers.types import Known

# What is remembered of strangers' words is bounded.
_REMEMBERED: Final = 50_000
# Of the tiers a model is sold in, those that are only ever cheaper are not waited for.
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_CHEAPER: Final = frozenset({"batch", "flex"})


def _tokens(**counts: int) -> tuple[int, ...]:
    return tuple(counts.get(name, 0) for name in METERS)


# What prices of tokens are compared by: as calls usually mix them, and each kind.
_MIXES: Final = (
    _tokens(input_uncached=3_000, output_text=1_000), _tokens(input_uncached=1_000), _tokens(output_text=1_000),
)  # fmt: skip


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


class _Served(NamedTuple):
    """What a deployment may cost, in the reporting currency at this rate; the model's context window and its largest
    answer, if known.
    """

    prices: Prices
    rate: Decimal
    window: int | None
    largest: int | None


class Concerned:
    """Whom a call concerns, for calls in `[since, until)`; with the ids of its accounts, once they are known."""

    __slots__ = ("accounts", "call", "concerns", "since", "until")

    def __init__(self, call: Call, concerns: tuple[Concern, ...], since: datetime, until: datetime) -> None:
        self.call = call
        self.concerns = concerns
        self.since = since
        self.until = until
        self.accounts: tuple[int, ...] | None = None


class House:
    """One organization at one moment."""

    def __init__(self, published: wire.Organization, public: Public) -> None:
        self.id = published.organization_id
        self.currency = published.currency
        self.source_id = published.source_id
        self.token = published.token
        self.keys = {key.prefix: key for key in published.keys}
        # Of keys that wish anything.
        self.wishes = {key.prefix: wishes_of_key(key.wishes) for key in published.keys if key.wishes is not None}
        self.names = {budget.budget_id: budget.name for budget in published.budgets}
        self.terms = {budget.budget_id: budget.terms(self.id) for budget in published.budgets}
        asked = [terms for terms in self.terms.values() if terms.enforcement is not Enforcement.ALERT]
        self.downgrades = any(terms.downgrade_to for terms in asked)
        self.limits_tokens = any(limit.tokens_per_minute is not None for limit in published.guard.limits)
        self.limits_models = any(limit.models is not None for limit in published.guard.limits)
        self.captures = published.captures
        self.rules = Rules(published.rules)
        # What makers have of the spend, in percent, where a rule says how much one may have.
        self.shares = published.shares
        self.classifier = Classifier.of(published.classifier) if published.classifier is not None else None
        self.sampled = published.sampled
        self.prospects = Prospects(published.prospects) if published.prospects is not None else None
        self.deployments = Deployments(published.upstreams, published.deployments, self._is_priced)
        self._register = Register(published.models)
        self._matcher = Matcher(asked, published.above)
        self._pricer = Pricer(public.catalogue, Overrides(published.contracts, published.aliases))
        self._public = public
        self._exchange = Exchange(published.currency, published.rates)
        self._snapshot = published.owners.snapshot()
        self._begin = sorted({terms.starts_at for terms in asked})
        self._calls: dict[tuple[Any, ...], Concerned] = {}
        self._prices: dict[tuple[Any, ...], list[_Served]] = {}
        self._ends: dict[Account, datetime | None] = {}
        self._tokens: dict[tuple[str, str, str, str, date], Price | None] = {}

    def whose(self, event: UsageEvent) -> Concerned:
        """Whom and what a call concerns, exactly as its charge will be attributed, and against which accounts it is
        held. What is worked out is kept until a budget's period begins or ends.
        """
        at = event.occurred_at
        found = self._find(event.provider, event.model, event.service_tier, event.host, at.date())
        key = (self._snapshot.memo_key(event, self.source_id), found.provider, found.model, event.session)
        known = self._calls.get(key)
        if known is None or not known.since <= at < known.until:
            known = _bounded(self._calls)[key] = self._concerned(self.call(event), at)
        return known

    def call(self, event: UsageEvent) -> Call:
        """Whom and what it concerns, worked out anew."""
        found = self._find(event.provider, event.model, event.service_tier, event.host, event.occurred_at.date())
        return Call(*self.owner(event)[:6], provider=found.provider, model=found.model, session=event.session)

    def owner(self, event: UsageEvent) -> Owner:
        """Whose a call is, as its charge will be attributed."""
        return attribute(self._snapshot, event, self.source_id)

    def _concerned(self, call: Call, at: datetime) -> Concerned:
        concerns = tuple([Concern(*pair) for pair in self._matcher.accounts(call, at)])
        turns = [end for concern in concerns if (end := self.ends_at(concern)) is not None]
        until = min([*turns, *(begin for begin in self._begin if begin > at)], default=_NEVER)
        return Concerned(call, concerns, at, until)

    def ends_at(self, concern: Concern) -> datetime | None:
        if concern.account not in self._ends:
            held = window(concern.terms, concern.account.start)
            _bounded(self._ends)[concern.account] = held.end if held else None
        return self._ends[concern.account]

    def worst(self, request: Authorize, day: date) -> Worst:
        """The most a call and all its tries can cost, in the reporting currency, at the dearest deployment: each may be
        billed. Raises Unbounded and Unpriced.
        """
        key = (request.model, request.provider, request.host, request.fallbacks, request.service_tier, day)
        served = self._prices.get(key)
        if served is None:
            served = _bounded(self._prices)[key] = self._served(request, day)
        worst: Worst | None = None
        for prices, rate_, window_, largest in served:
            one = prices.worst(bounds_of(request, window_, largest))
            if rate_ != 1:
                one = one.converted(rate_)
            worst = one if worst is None else worst.or_dearer(one)
        assert worst is not None  # noqa: S101 - there is at least the call's own deployment
        return worst if request.tries == 1 else worst.times(request.tries)

    def price(self, candidate: Candidate, day: date, tier: str = "") -> Price | None:
        """Of a token at a deployment; None where nobody knows. Of a tier, the standard one may serve instead."""
        upstream = candidate.upstream
        key = (candidate.model, upstream.provider, upstream.host, tier, day)
        if key not in self._tokens:
            price = self._price(upstream.provider, candidate.model, "", upstream.host, day)
            if tier and price is not None:
                asked = self._price(upstream.provider, candidate.model, tier, upstream.host, day)
                price = None if asked is None else Price(asked.usual, max(asked.dearest, price.dearest))
            _bounded(self._tokens)[key] = price
        return self._tokens[key]

    def known(self, candidate: Candidate) -> Known:
        """Who made a model, by the name that its upstream has for it: a client's name for it may be any."""
        return self._register.of(candidate.model)

    def maker(self, model: str) -> str:
        """Who made what an upstream calls so; '' where nobody knows."""
        return self._register.of(model).vendor

    def provider(self, word: str) -> str:
        """The catalogue's id of a provider; the word itself, where it knows none by it."""
        return self._public.catalogue.names.provider(word) or word

    def models(self, family: str, day: date) -> list[str]:
        """What may be asked for, as far as names are known."""
        found = set(self.deployments.names(family))
        for provider, model in self._public.catalogue.models(self.deployments.providers(family)):
            if self._find(provider, model, "", "", day).priced:
                found.add(model)
        return sorted(found)

    def cost(self, event: UsageEvent) -> Rated:
        """What a call cost, in the price's currency; not `priced` where nobody knows."""
        found = self._find(event.provider, event.model, event.service_tier, event.host, event.occurred_at.date())
        return rate(found, event.counts, event.occurred_at)

    def named(self, event: UsageEvent) -> tuple[str, str] | None:
        """Provider and model of a call as the catalogue or a contract has them; None where neither does."""
        found = self._find(event.provider, event.model, event.service_tier, event.host, event.occurred_at.date())
        return (found.provider, found.model) if found.priced else None

    def reporting(self, pico: int, currency: str, day: date) -> int:
        """An amount in the reporting currency, as the ledger converts it. Raises NoExchangeRate."""
        if currency == self.currency:
            return pico
        dated = self._exchange.rate(currency, day)
        if dated is None:
            raise NoExchangeRate(f"no rate from {currency} to {self.currency} is known for {day}", field="model")
        return convert_pico(pico, dated.rate)

    def _is_priced(self, provider: str, model: str, day: date) -> bool:
        return self._find(provider, model, "", "", day).priced

    def _price(self, provider: str, model: str, tier: str, host: str, day: date) -> Price | None:
        found = self._find(provider, model, tier, host, day)
        dated = self._exchange.rate(found.cards[0].currency, day) if found.priced else None
        if dated is None:
            return None
        at = datetime.combine(day, time(), UTC)
        usual, *each = (float(rate(found, counts, at).effective_pico * dated.rate) / sum(counts) for counts in _MIXES)
        return Price(usual, max(each))

    def _served(self, request: Authorize, day: date) -> list[_Served]:
        """For each deployment that a try may land on."""
        served = []
        for place, deployment in enumerate(
            (Deployment(request.model, request.provider, request.host), *request.fallbacks)
        ):
            found = self._may_serve(deployment, request.service_tier, day)
            prices = Prices(found)
            dated = self._exchange.rate(prices.currency, day)
            if dated is None:
                raise NoExchangeRate(
                    f"no rate from {prices.currency} to {self.currency} is known for {day}",
                    field="model" if not place else f"fallbacks[{place - 1}].model",
                )
            name = found[0].provider, found[0].model
            served.append(_Served(prices, dated.rate, self._public.windows.get(name), LARGEST_OUTPUTS.get(name)))
        return served

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

    def _find(self, provider: str, model: str, tier: str, host: str, day: date) -> Found:
        return self._pricer.find(provider, model, tier, host, day)


def _bounded(memory: dict[Any, Any]) -> dict[Any, Any]:
    if len(memory) >= _REMEMBERED:
        memory.clear()
    return memory
