"""Where rules of routing send a call: what they see of it, the models that follow, and within what it stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property, partial
from typing import Final, NamedTuple

from finops.attribution.types import Owner
from finops.connectors.types import UsageEvent
from routing.classify.reading import Call as Read
from routing.classify.sensitivity import LABEL, judge
from routing.classify.types import UNKNOWN, Features
from routing.classify.words import Counts
from routing.configuration.wire import Key
from routing.gateway.asked import event_of
from routing.gateway.attributed import Attribution
from routing.gateway.dialects.texts import read_texts
from routing.gateway.dialects.types import ModelCall
from routing.gateway.house import House
from routing.gateway.proxy.candidates import Candidate, NoDeployment, Price, Wishes, is_called, ordered
from routing.gateway.proxy.health import Health
from routing.gateway.proxy.whereabouts import Whereabouts
from routing.gateway.requests import Authorize
from routing.rules.concentration import put_last, why_last
from routing.rules.hot import NOTHING, Decided, Subject
from routing.rules.types import Use, Within
from routing.tiers.types import Known

# What a key may that measures models.
MEASURES: Final = "calls.measure"
_MILLION: Final = 10**6
# Deployments of a rule's models that are tried beside the model that was asked for.
_BESIDE_ASKED: Final = 3
# Fields by which an upstream is told of other models that it may answer with (OpenRouter).
_OTHER_MODELS: Final = frozenset({"models", "fallbacks", "preset", "plugins"})
_NONE_LEFT: Final = "the rules of routing leave no deployment of the model for this call"


class Excluded(NoDeployment):
    """Somebody serves the model, and nobody whom the rules leave."""

    code = "rules.excluded"
    status = 403


class Route(NamedTuple):
    """`models` are tried in this order, but for those of makers that have too much of the spend. The rest is what rules
    saw of the call, where there are any: `confidence` is of a task type that was guessed, None where somebody said it.
    """

    models: tuple[str, ...]
    decided: Decided = NOTHING
    owner: Owner | None = None
    task_type: str = ""
    confidence: float | None = None
    tokens: int = 0
    # How a rule wants its models used, by their names.
    uses: Mapping[str, Use] = {}
    # Of a call that a rule decided, where anything was learned of what models do: that is told once the call is over,
    # for nothing is decided by it.
    known: Features | None = None
    # Within what the call stays at a model, by its name.
    limits: Callable[[str], Sequence[Within]] = lambda model: ()


class _Of(NamedTuple):
    """Where a model is had that clients call so."""

    model: str
    candidate: Candidate


class _Seen:
    """What rules ask about a call, worked out once, when the first of them asks."""

    def __init__(self, call: ModelCall, whose: Attribution) -> None:
        self._call = call
        self._whose = whose

    @cached_property
    def read(self) -> Read:
        return read_texts(self._call, depth=self._whose.depth, tags=dict(self._whose.tags))

    def words(self) -> Counts | None:
        found = self.read.known.words
        return dict(found) if found else None

    def sensitive(self) -> bool:
        return self._sensitive

    @cached_property
    def _sensitive(self) -> bool:
        """Nobody knowing is as if it were."""
        said = dict(self._whose.tags).get(LABEL, "")
        return judge(self.read.content, labels=[said] if said else []).stays_local


# Deployments, of the model that clients call so.
Order = Callable[[Sequence[Candidate], str], Sequence[Candidate]]


class Ways(NamedTuple):
    """Where a call may go: `order` puts other deployments of a model into the order in which this call would try them,
    without those that it may not use; it raises NoDeployment where that leaves none.
    """

    route: Route
    candidates: Sequence[Candidate]
    order: Order


class Router:
    """Used by the event loop alone."""

    def __init__(self, health: Health, whereabouts: Whereabouts) -> None:
        self._health = health
        self._whereabouts = whereabouts

    def ways(
        self, house: House, key: Key, family: str, call: ModelCall, whose: Attribution, wishes: Wishes, model: str,
        call_id: str, at: datetime,
    ) -> Ways:  # fmt: skip
        """Of a call of `model`, that wishes so. Raises NoDeployment where nobody serves it, or nobody may."""
        found = route(house, key, call, whose, model, call_id, at)
        order = partial(
            self._ordered,
            house,
            wishes,
            found.limits,
            at.date(),
            call,
            whose.session or call_id,
        )
        candidates, passed_over = candidates_of(house, family, found, at.date(), order)
        decided = found.decided._replace(passed_over=(*found.decided.passed_over, *passed_over))
        return Ways(found._replace(decided=decided), candidates, order)

    def _ordered(
        self,
        house: House,
        wishes: Wishes,
        limits_of: Callable[[str], Sequence[Within]],
        day: date,
        call: ModelCall,
        key: str,
        candidates: Sequence[Candidate],
        model: str,
    ) -> Sequence[Candidate]:
        health, limits, follows = self._health, limits_of(model), call.follows
        if any(limit.of_makers for limit in limits) and names_others(call):
            raise Excluded(
                f"this call lets its upstream choose among models ({', '.join(sorted(_OTHER_MODELS))}), and rules of "
                "routing say who may have made them",
                field="model",
            )

        def usable(one: Candidate) -> bool:
            return health.usable(one.name)

        def price(one: Candidate) -> Price | None:
            return house.price(one, day, call.service_tier or "")

        found = ordered(
            left(candidates, limits, price, house.known),
            bounded(wishes, limits),
            key=key,
            usable=usable,
            price=price,
            pace=lambda one: health.first_byte_s(one.name),
        )
        at = self._whereabouts.of(house.id, follows) if follows else 0
        return sorted(found, key=lambda one: one.upstream.upstream_id != at or not usable(one)) if at else found


def route(house: House, key: Key, call: ModelCall, whose: Attribution, model: str, call_id: str, at: datetime) -> Route:
    """By the rules of the house; as it is asked for where none says anything."""
    if not house.rules and house.classifier is None:
        return Route((model,))
    owner = owner_of(house, key, call, whose, model, call_id, at)
    seen = _Seen(call, whose)
    task_type, confidence = owner.task_type, None
    if not task_type and house.classifier is not None:
        # A guess that is not sure enough is none.
        guess = house.classifier.guess(seen.read.known)
        task_type, confidence = guess.task_type if guess.task_type != UNKNOWN else "", guess.confidence
    tokens = call.input.about
    subject = Subject(
        model=model,
        key=whose.session or call_id,
        sensitive=seen.sensitive,
        words=seen.words,
        task_type=task_type,
        team=owner.team_id,
        project=owner.project_id,
        agent=owner.agent_id,
        customer=owner.customer_id,
        key_prefix=key.prefix,
        tags=dict(whose.tags),
        tokens=tokens,
        tools=call.tools,
        depth=whose.depth,
        # Of what a session began with, as its words are, so that it goes one way for as long as it lasts.
        characters=seen.read.known.length if house.rules.learned else 0,
        measures=MEASURES in key.permissions,
    )
    decided = house.rules.decide(subject)
    # What was asked for is what is tried last, so that a rule never takes away what worked without it.
    uses = {one.model: one for one in decided.use if one.gate is None or not call.stream}
    models = dict.fromkeys([*uses, model])
    known = seen.read.known if decided.rule is not None and house.prospects is not None else None
    limits = partial(house.rules.limits, subject, decided)
    return Route(tuple(models), decided, owner, task_type, confidence, tokens, uses, known, limits)


def candidates_of(
    house: House,
    family: str,
    route: Route,
    day: date,
    order: Order,
) -> tuple[list[Candidate], list[tuple[str, str]]]:
    """Where these models are had, each in the order it is to be tried; and of those that limits pass over, or put
    behind others, why. One that nobody here serves is passed over. Raises NoDeployment where that is so of all of them.
    """
    found: list[_Of] = []
    passed_over: list[tuple[str, str]] = []
    missing: NoDeployment | None = None
    for model in route.models:
        use = route.uses.get(model)
        try:
            some = order(house.deployments.of(family, model, day), model)
            found += [_Of(model, one._replace(use=use)) for one in some]
        except NoDeployment as error:
            if isinstance(error, Excluded):
                passed_over.append((model, error.message))
            # What the caller asked for comes last, and is what it wants to hear of.
            missing = error
    if not found:
        assert missing is not None  # noqa: S101 - there is at least one model
        raise missing
    found, behind = _by_shares(house, route, found)
    # What the caller asked for is always tried, however many there are beside it.
    tried: list[Candidate] = []
    room = _BESIDE_ASKED
    for one in found:
        room -= one.model != route.models[-1]
        if room >= 0 or one.model == route.models[-1]:
            tried.append(one.candidate)
    return tried, [*passed_over, *behind]


def _by_shares(house: House, route: Route, found: list[_Of]) -> tuple[list[_Of], list[tuple[str, str]]]:
    """Of makers that have too much of the spend last, where a rule chose: nobody is moved from what was asked for, and
    what is left alone serves. And which models others now go before, and why.
    """
    if not house.shares or not route.uses:
        return found, []

    def why(one: _Of) -> str:
        return why_last((house.maker(one.candidate.model),), house.shares, route.limits(one.model))

    found, behind = put_last(found, why)
    return found, list(dict.fromkeys((one.model, reason) for one, reason in behind))


def names_others(call: ModelCall) -> bool:
    """Whether it leaves it to its upstream which model answers."""
    return any(name.casefold() in _OTHER_MODELS for name in call.body)


def bounded(wishes: Wishes, limits: Sequence[Within]) -> Wishes:
    """What a request wishes comes first; then what rules do."""
    for limit in limits:
        order = wishes.order if wishes.only else wishes.order + limit.order
        wishes = wishes._replace(sort=wishes.sort or limit.sort, order=order)
    return wishes


def left(
    candidates: Iterable[Candidate],
    limits: Sequence[Within],
    price: Callable[[Candidate], Price | None],
    known: Callable[[Candidate], Known],
) -> list[Candidate]:
    """Those that all limits leave. Raises Excluded where that is none."""
    every = list(candidates)
    if not limits:
        return every
    found = [one for one in every if all(leaves(limit, one, price, known) for limit in limits)]
    if not found:
        made = [why for one in every for limit in limits if (why := _why_not_made(limit, known(one)))]
        raise Excluded(": ".join([_NONE_LEFT, *made[:1]]), field="model")
    return found


def _why_not_made(limit: Within, known: Known) -> str:
    return limit.why_not_made(known.vendor, known.origin)


def leaves(
    limit: Within,
    one: Candidate,
    price: Callable[[Candidate], Price | None],
    known: Callable[[Candidate], Known],
) -> bool:
    """Whether a limit leaves a deployment."""
    upstream = one.upstream
    if limit.labels and upstream.labels.isdisjoint(limit.labels):
        return False
    if limit.regions and upstream.region not in limit.regions:
        return False
    if limit.only and not any(is_called(upstream, name) for name in limit.only):
        return False
    if any(is_called(upstream, name) for name in limit.never):
        return False
    if limit.of_makers and _why_not_made(limit, known(one)):
        return False
    if limit.most_per_million is None:
        return True
    found = price(one)
    return found is not None and found.dearest <= limit.most_per_million * _MILLION


def owner_of(
    house: House, key: Key, call: ModelCall, whose: Attribution, model: str, call_id: str, at: datetime
) -> Owner:
    """Whose a call is, as its charge will be attributed, and of which type by what somebody said."""
    return house.owner(_event(key, call, whose, model, call_id, at))


def _event(key: Key, call: ModelCall, whose: Attribution, model: str, call_id: str, at: datetime) -> UsageEvent:
    request = Authorize(
        id=call_id,
        model=model,
        input=call.input,
        dimensions=whose.dimensions,
        identities=whose.identities,
        tags=dict(whose.tags),
        session=whose.session,
        task_type=whose.task_type,
    )
    return event_of(request, key, at)
