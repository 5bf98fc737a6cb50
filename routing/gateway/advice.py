"""Where rules send a call that another proxy makes: by which of its own names, in which order, and within what.

Decided from memory, by what decides the calls of this gateway. What a proxy cannot do is passed over: a model that it
does not offer, and one whose answers would have to pass a gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

from finops.attribution.types import Owner
from routing.configuration.wire import Key, Upstream
from routing.gateway.asked import event_of
from routing.gateway.house import House
from routing.gateway.proxy.candidates import Candidate, NoDeployment
from routing.gateway.requests import Authorize, Offer, Place, Route
from routing.gateway.routes import MEASURES, Excluded, leaves
from routing.rules.concentration import put_last, why_last
from routing.rules.hot import Decided, Subject
from routing.rules.shown import Shown, told
from routing.rules.store import Row
from routing.rules.types import Use, Within
from routing.upstreams.rules import AUTO

_NOT_OFFERED: Final = "the proxy does not offer it, or nothing but it under one name"
_GATED: Final = "its answers have to pass a gate, which only the gateway asks for"

Offers = Mapping[str, Offer]


class Advice(NamedTuple):
    """`said` is the answer; `row` is what is kept of it, None where no rule that chooses is for the call."""

    said: dict[str, Any]
    row: Row | None


def advise(house: House, key: Key, asked: Route, at: datetime) -> Advice:
    """Raises Excluded where limits leave none of what is offered, and NoDeployment for `auto` without a rule."""
    offers = {one.name: one for one in asked.offers}
    model = _known_as(house, asked.model, offers)
    owner = house.owner(_event(asked, model, offers, key, at))
    shown = Shown(asked.text, tools=asked.input.tools, depth=asked.depth, tags=asked.tags, whole=False)
    task_type, confidence = shown.task_type(owner.task_type, house.classifier)
    subject = Subject(
        model=model,
        key=asked.session or asked.id,
        sensitive=shown.sensitive,
        words=shown.words,
        task_type=task_type,
        team=owner.team_id,
        project=owner.project_id,
        agent=owner.agent_id,
        customer=owner.customer_id,
        key_prefix=key.prefix,
        tags=asked.tags,
        tokens=asked.input.about,
        tools=asked.input.tools,
        depth=asked.depth,
        characters=asked.characters,
        measures=MEASURES in key.permissions,
    )
    decided = house.rules.decide(subject)
    uses, passed_over = _offered(decided.use, offers, asked.model)

    @cache
    def within(of_model: str) -> Sequence[Within]:
        return house.rules.limits(subject, decided, of_model)

    @cache
    def limits(of_model: str) -> Sequence[Within]:
        return [one for one in within(of_model) if one.leaves_out]

    limited = any(limits(one) for one in _models(house, asked, offers))
    allowed = _allowed(house, limits, offers, at) if limited else None
    left_out = allowed is not None and asked.model not in allowed and (asked.model in offers or limits(model))
    names = _names(uses, asked.model, offers, allowed, left_out=bool(left_out))
    names, behind = _by_shares(house, within, names, offers) if uses else (names, [])
    decided = decided._replace(passed_over=(*decided.passed_over, *passed_over, *behind))
    said = told(decided) | {
        "id": asked.id,
        "models": names,
        "use": [_use(name, use) for name, use in uses.items() if name in names],
        "allowed": allowed,
        "task_type": task_type,
        "confidence": confidence,
        # An equal call of the same session is answered so too, however large it is, until a rule changes.
        "steady": bool(asked.session) and not house.rules.sized,
    }
    row = _row(house, asked, at, decided, owner, model, _model_of(names[0], offers))
    return Advice(said, None if row is None else row._replace(task_type=task_type, confidence=confidence))


def _known_as(house: House, model: str, offers: Offers) -> str:
    """A name goes by the model that all its deployments are of, unless a rule names it itself."""
    return model if model in house.rules.names else _model_of(model, offers)


def _models(house: House, asked: Route, offers: Offers) -> set[str]:
    """By whose names a limit may be written that concerns the call, or where it may go."""
    found = {_known_as(house, name, offers) for name in (asked.model, *offers)}
    return found | {place.model for one in asked.offers for place in one.places}


def _model_of(name: str, offers: Offers) -> str:
    models = {place.model for place in offers[name].places} if name in offers else set()
    return models.pop() if len(models) == 1 else name


def _event(asked: Route, model: str, offers: Offers, key: Key, at: datetime) -> Any:
    """The call as its charge will be attributed."""
    places = offers[asked.model].places if asked.model in offers else ()
    request = Authorize(
        id=asked.id, model=model, provider=places[0].provider if places else "", input=asked.input,
        dimensions=asked.dimensions, identities=asked.identities, tags=asked.tags, session=asked.session,
        task_type=asked.task_type,
    )  # fmt: skip
    return event_of(request, key, at)


def _offered(use: Sequence[Use], offers: Offers, asked: str) -> tuple[dict[str, Use], list[tuple[str, str]]]:
    """The models of a rule under the proxy's names, and of the others why not."""
    found: dict[str, Use] = {}
    passed_over: list[tuple[str, str]] = []
    for one in use:
        name = _name_of(one.model, offers, asked)
        if one.gate is not None:
            passed_over.append((one.model, _GATED))
        elif name is None:
            passed_over.append((one.model, _NOT_OFFERED))
        else:
            found.setdefault(name, one)
    return found, passed_over


def _name_of(model: str, offers: Offers, asked: str) -> str | None:
    """Of that very name, or else one that has nothing but this model: the one that was asked for, or the first."""
    if model in offers:
        return model
    names = sorted(offers, key=lambda name: (name != asked, name))
    return next((name for name in names if _is_only(model, offers[name].places)), None)


def _is_only(model: str, places: Sequence[Place]) -> bool:
    return bool(places) and all(model in (one.model, f"{one.provider}/{one.model}") for one in places)


def _allowed(house: House, limits: Callable[[str], Sequence[Within]], offers: Offers, at: datetime) -> list[str]:
    """Names of which all limits leave every deployment: the proxy takes any of them. Of one whose deployments nobody
    tells nobody can know, where there is a limit for it.
    """
    day = at.date()

    def stays(place: Place, within: Sequence[Within]) -> bool:
        # A limit may name a provider by the proxy's word for it, or by the catalogue's.
        upstream = Upstream(
            upstream_id=0, name=place.upstream or place.provider, dialect="", base_url="",
            provider=house.provider(place.provider), host=place.host, region=place.region,
            labels=frozenset(place.labels),
        )  # fmt: skip
        one = Candidate(upstream, place.model)
        return all(leaves(limit, one, lambda it: house.price(it, day), house.known) for limit in within)

    def leaves_it(one: Offer) -> bool:
        within = limits(_known_as(house, one.name, offers))
        if not one.places:
            return not within
        return all(stays(place, [*within, *limits(place.model)]) for place in one.places)

    return [one.name for one in offers.values() if leaves_it(one)]


def _names(
    uses: Mapping[str, Use], asked: str, offers: Offers, allowed: list[str] | None, *, left_out: bool
) -> list[str]:
    """In the order they are tried; what was asked for comes last, unless limits leave it out."""
    found = list(dict.fromkeys([*uses, asked]))
    if asked == AUTO and AUTO not in offers:
        found.remove(AUTO)
        if not found:
            raise NoDeployment(f"{AUTO!r} leaves the choice of a model to routing, and no rule makes it", field="model")
    if allowed is not None:
        found = [one for one in found if one in allowed or (one == asked and not left_out)]
    if not found:
        raise Excluded("the rules of routing leave none of the proxy's models for this call", field="model")
    return found


def _by_shares(
    house: House, within: Callable[[str], Sequence[Within]], names: list[str], offers: Offers
) -> tuple[list[str], list[tuple[str, str]]]:
    """Names of makers that have too much of the spend last, and which names others now go before, and why."""

    def why(name: str) -> str:
        known_as = _known_as(house, name, offers)
        models = {place.model for place in offers[name].places} if name in offers else set()
        limits = [limit for model in {known_as, *models} for limit in within(model)]
        return why_last({house.maker(model) for model in models or {known_as}}, house.shares, limits)

    return put_last(names, why) if house.shares else (names, [])


def _use(name: str, use: Use) -> dict[str, Any]:
    return {"model": name, "effort": use.effort, "most_output_tokens": use.most_output_tokens}


def _row(
    house: House, asked: Route, at: datetime, decided: Decided, owner: Owner, model: str, chosen: str
) -> Row | None:
    rule, followed = decided.rule, asked.followed
    if rule is None:
        return None
    if followed is not None and (followed.rule_id, followed.version, followed.arm) != (
        rule.rule_id, rule.version, decided.arm,
    ):  # fmt: skip
        # It went another way than it would by now: that it went this one would be untrue.
        return None
    return Row(
        organization_id=house.id,
        call_id=asked.id,
        at=at,
        rule_id=rule.rule_id,
        rule_version=rule.version,
        arm=decided.arm,
        propensity=decided.propensity,
        asked=model,
        chosen=chosen,
        would=decided.would,
        session=asked.session,
        team_id=owner.team_id,
        project_id=owner.project_id,
        agent_id=owner.agent_id,
        customer_id=owner.customer_id,
        tokens=asked.input.about,
        why=decided.why,
        passed_over=decided.passed_over,
    )
