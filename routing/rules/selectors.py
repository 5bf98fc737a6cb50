"""Reads of rules, of their versions and of decisions. Organization first; lists have a total order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from threading import Lock
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from django.db.models import Case, Count, QuerySet
from django.db.models import When as Where

from finops.core.errors import NotFound
from finops.orgs.models import Agent, Customer, Organization, Project, Team, VirtualKey
from finops.orgs.rules import Permission, below
from finops.orgs.selectors import team_parents
from finops.pricing.selectors import load_pricer, price_state
from routing.classify import selectors as classify
from routing.classify.hot import Classifier, Prospects
from routing.prospects import selectors as prospects
from routing.rules import pins
from routing.rules.hot import OWNERS, Published, Rules
from routing.rules.litellm import Served, Standing
from routing.rules.models import Concentration, Decision, RoutingRule, RuleVersion
from routing.rules.rollout import Stage, State
from routing.rules.types import Rule, When, Within
from routing.tiers import selectors as tiers
from routing.tiers.hot import Register
from routing.tiers.types import Tier
from routing.upstreams.models import Upstream
from routing.upstreams.rules import AUTO
from routing.upstreams.selectors import deployments_in_use, upstreams

# Rules made ready, of the organizations that this process was asked about last.
_KEPT: Final = 8
_kept: OrderedDict[int, tuple[_Token, Ready]] = OrderedDict()
_lock = Lock()
# Conditions that name owners, and what a call calls them.
_OWNERS: Final[Mapping[str, tuple[str, type[Team | Project | Agent | Customer]]]] = {
    "teams": ("team", Team),
    "projects": ("project", Project),
    "agents": ("agent", Agent),
    "customers": ("customer", Customer),
}


class Ready(NamedTuple):
    """What decides calls, as gateways have it. `classifier` guesses the type of work of a call that does not say it,
    and `prospects` how likely models do a call well. `shares` are what makers have of the spend, where a rule asks it,
    and `makers_of` says who made what is served by a name.
    """

    rules: Rules
    classifier: Classifier | None
    prospects: Prospects | None
    shares: Mapping[str, int]
    makers_of: Callable[[str], Collection[str]]


class _Token(NamedTuple):
    """Which state is in what the answer follows from. What is served, and in which class, counts where a rule names
    classes of models.
    """

    rules: UUID | None
    owners: UUID | None
    upstreams: UUID | None
    tiers: UUID | None
    prices: tuple[UUID | None, UUID | None]
    classifier: int | None
    prospects: int | None


def rules(organization_id: int, *, retired: bool = False) -> QuerySet[RoutingRule]:
    """In the order they are asked, without policies."""
    rows = RoutingRule.objects.filter(organization_id=organization_id)
    if not retired:
        rows = rows.exclude(state=State.RETIRED)
    return rows.select_related("version").defer("version__policy").order_by("position", "id")


def rule(organization_id: int, rule_id: int) -> RoutingRule:
    """With its policy. Raises NotFound."""
    rows = RoutingRule.objects.filter(organization_id=organization_id, id=rule_id)
    found = rows.select_related("version").first()
    if found is None:
        raise NotFound("There is no such rule.")
    return found


def versions(organization_id: int, rule_id: int) -> QuerySet[RuleVersion]:
    """Newest first, without policies. Raises NotFound."""
    if not RoutingRule.objects.filter(organization_id=organization_id, id=rule_id).exists():
        raise NotFound("There is no such rule.")
    rows = RuleVersion.objects.filter(organization_id=organization_id, rule_id=rule_id)
    return rows.defer("policy").order_by("-number")


def proposals(organization_id: int) -> dict[int, int]:
    """How many wait to be decided, by the id of each rule that is not retired and has any."""
    rows = RuleVersion.objects.filter(organization_id=organization_id, state=RuleVersion.State.PROPOSED)
    rows = rows.exclude(rule__state=State.RETIRED)
    counted = rows.values("rule_id").annotate(waiting=Count("id")).order_by("rule_id")
    return dict(counted.values_list("rule_id", "waiting"))


def document_of(version: RuleVersion) -> Rule:
    """What a version says."""
    said = version.document if version.policy is None else version.document | {"policy": version.policy}
    return msgspec.convert(said, Rule)


def documents(organization_id: int) -> list[Rule]:
    """Of all rules that are not retired and have a version in force, in their order: what an export holds."""
    return [document_of(row.version) for row in _whole(organization_id) if row.version is not None]


def standing(organization_id: int, at: datetime) -> list[Standing]:
    """All rules that are not retired and have a version, in their order, with how far each holds, and with the models
    that serve where they name a class.
    """
    found = []
    rows = list(_whole(organization_id))
    said = _resolved(organization_id, [document_of(row.version) for row in rows if row.version is not None], at)
    for row, rule in zip(rows, said, strict=True):
        off = "" if row.state == State.IN_FORCE else "it is switched off"
        off = off or ("it was rolled back" if row.stage == Stage.ROLLED_BACK else "")
        share = 0.0 if row.stage == Stage.SHADOW else row.share
        found.append(Standing(rule, share, row.held_back, off))
    return found


def served(organization_id: int, rules: Iterable[Rule], day: date) -> dict[str, list[Served]]:
    """Where each model is had, by what clients say: deployments, and of models that rules name the upstreams that take
    any model and are known to sell it.
    """
    rows = {row.id: row for row in upstreams(organization_id)}
    register = makers(organization_id)
    found: dict[str, list[Served]] = {}
    for one in deployments_in_use(organization_id):
        if (at := rows.get(one.upstream_id)) is not None:
            at_it = _served(register, at, one.model, one.upstream_model, one.rank, one.weight * at.weight)
            found.setdefault(one.model, []).append(at_it)
    named = {model for rule in rules for model in (*rule.when.models, *(use.model for use in rule.use))}
    free = [row for row in rows.values() if row.any_model]
    pricer = load_pricer(organization_id) if free else None
    for model in sorted(named - found.keys() - {AUTO}):
        some = [
            _served(register, row, model, model, 0, row.weight)
            for row in free
            if pricer is not None and pricer.find(row.provider, model, "", "", day).priced
        ]
        if some:
            found[model] = some
    return found


def makers(organization_id: int) -> Register:
    """Who made which models: tiers, and so prices, are not asked."""
    return Register(tiers.entry_of(row) for row in tiers.entries(organization_id))


def _served(register: Register, row: Upstream, model: str, upstream_model: str, rank: int, weight: int) -> Served:
    known = register.of(upstream_model)
    return Served(
        model=model, upstream_model=upstream_model, upstream=row.name, dialect=row.dialect, base_url=row.base_url,
        provider=row.provider, host=row.host, auth=row.auth, region=row.region, labels=frozenset(row.labels),
        headers=row.headers, rank=rank, weight=weight, vendor=known.vendor, origin=known.origin,
    )  # fmt: skip


def published(organization_id: int, at: datetime) -> tuple[Published, ...]:
    """What gateways have: rules that are in force, in their order, with the ids of whom they name and, in place of a
    class of models, those that are served of it.
    """
    rows = _whole(organization_id).filter(state=State.IN_FORCE).exclude(stage=Stage.ROLLED_BACK)
    versions = [(row, row.version) for row in rows if row.version is not None]
    rules = _resolved(organization_id, [document_of(version) for _, version in versions], at)
    said = [(row, version, rule) for (row, version), rule in zip(versions, rules, strict=True)]
    named = _Named(organization_id, [rule.when for rule in rules])
    return tuple(
        Published(
            rule_id=row.id,
            version=version.number,
            rule=rule,
            owners=named.ids(rule.when),
            share=row.share,
            held_back=row.held_back,
            salt=row.salt,
            shadow=row.stage == Stage.SHADOW,
        )
        for row, version, rule in said
    )


def ready(organization_id: int, at: datetime) -> Ready:
    """What is in force, made ready; kept in the process while nothing has changed. Not to be changed."""
    # Before the rows: newer rows under an older token only cost another reading.
    token = _token(organization_id)
    with _lock:
        kept = _kept.get(organization_id)
        if kept is not None and kept[0] == token:
            _kept.move_to_end(organization_id)
            return kept[1]
    classifier = classify.published(organization_id) if token.classifier is not None else None
    foreseen = prospects.published(organization_id) if token.prospects is not None else None
    rows, had = published(organization_id, at), shares(organization_id)
    made = Ready(
        Rules(rows),
        Classifier.of(classifier) if classifier is not None else None,
        Prospects(foreseen) if foreseen is not None else None,
        had,
        _makers_of(organization_id, [row.rule for row in rows], at.astimezone(UTC).date()) if had else lambda name: (),
    )
    with _lock:
        _kept[organization_id] = token, made
        _kept.move_to_end(organization_id)
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return made


def shares(organization_id: int) -> dict[str, int]:
    """In percent, what each maker of models has of the spend (`concentration`), where a rule asks it."""
    row = Concentration.objects.filter(organization_id=organization_id).first()
    found: dict[str, int] = {} if row is None else row.shares
    return found


def limiting_shares() -> dict[int, list[float]]:
    """How much of the spend one maker may have, by each rule in force that says so, by organization."""
    rows = RoutingRule.objects.filter(state=State.IN_FORCE, version__document__within__has_key="most_share")
    rows = rows.exclude(stage=Stage.ROLLED_BACK).order_by("organization_id", "id")
    found: dict[int, list[float]] = {}
    for organization_id, most in rows.values_list("organization_id", "version__document__within__most_share"):
        found.setdefault(organization_id, []).append(float(most))
    return found


def measuring_keys(organization_id: int, prefixes: Collection[str]) -> frozenset[str]:
    """Those of these keys for whose calls no rule chooses."""
    if not prefixes:
        return frozenset()
    rows = VirtualKey.objects.filter(organization_id=organization_id, prefix__in=prefixes)
    rows = rows.filter(permissions__contains=[Permission.CALLS_MEASURE.value])
    return frozenset(rows.values_list("prefix", flat=True))


def rule_id_of(organization_id: int, name: str) -> int:
    """Of the rule that has this name, or else of the last one that had. Raises NotFound."""
    rows = RoutingRule.objects.filter(organization_id=organization_id, name=name)
    live_first = rows.order_by(Case(Where(state=State.RETIRED, then=1), default=0), "-id")
    found = live_first.values_list("id", flat=True).first()
    if found is None:
        raise NotFound("There is no such rule.")
    return found


def decisions(
    organization_id: int,
    *,
    reach: Mapping[str, frozenset[int]],
    rule_id: int | None = None,
    call_id: str = "",
    arm: str = "",
) -> QuerySet[Decision]:
    """Newest first; those within somebody's reach (`orgs.rules.Caller.reach`). Nothing here is of a person."""
    rows = Decision.objects.filter(organization_id=organization_id)
    for name, ids in reach.items():
        rows = rows.filter(**{f"{name}_id__in": ids}) if name in OWNERS else rows.none()
    if rule_id is not None:
        rows = rows.filter(rule_id=rule_id)
    if call_id:
        rows = rows.filter(call_id=call_id)
    if arm:
        rows = rows.filter(arm=arm)
    return rows.order_by("-at", "-id")


def unknown_owner(organization_id: int, when: When) -> tuple[str, str] | None:
    """The first condition that names an owner whom nobody here knows, and the name."""
    named = _Named(organization_id, [when])
    for field, (kind, _) in _OWNERS.items():
        for slug in getattr(when, field):
            if slug not in named.known[kind]:
                return field, slug
    return None


def unknown_vendor(organization_id: int, within: Within) -> tuple[str, str] | None:
    """The first limit that names a maker whom nobody here knows, and the name: a slip would let through whom it is to
    leave out.
    """
    named = [(field, name) for field in ("vendors", "never_vendors") for name in getattr(within, field)]
    if not named:
        return None
    known = {vendor for vendor, _ in Register().vendors()}
    known |= {row.vendor for row in tiers.entries(organization_id)}
    return next((one for one in named if one[1] not in known), None)


def _whole(organization_id: int) -> QuerySet[RoutingRule]:
    rows = RoutingRule.objects.filter(organization_id=organization_id, version__isnull=False)
    return rows.exclude(state=State.RETIRED).select_related("version").order_by("position", "id")


def _token(organization_id: int) -> _Token:
    mine = Organization.objects.filter(id=organization_id)
    rules_token, owners, upstreams_token, tiers_token = mine.values_list(
        "rulesversion__token", "attribution_stamp__value", "upstreamsversion__token", "tiersversion__token"
    ).get()
    classifier = classify.in_force(organization_id)
    foreseen = prospects.in_force(organization_id)
    return _Token(
        rules_token,
        owners,
        upstreams_token,
        tiers_token,
        price_state(organization_id),
        None if classifier is None else classifier.pk,
        None if foreseen is None else foreseen.pk,
    )


def _resolved(organization_id: int, rules: Sequence[Rule], at: datetime) -> list[Rule]:
    if not any(pins.pins(rule) for rule in rules):
        return list(rules)
    classes = _classes(organization_id, rules, at)
    return [pins.resolved(rule, classes) for rule in rules]


def classes_served(organization_id: int, at: datetime) -> dict[Tier, tuple[str, ...]]:
    """The models that a rule gets that names a class."""
    return {tier: tuple(models[: pins.MOST_OF_A_CLASS]) for tier, models in _classes(organization_id, (), at).items()}


def _classes(organization_id: int, rules: Iterable[Rule], at: datetime) -> dict[Tier, list[str]]:
    """Which models are served of each class, as clients call them, by list price, the cheapest first: those that are
    deployed by name, and of upstreams that take any model those that rules name.
    """
    register, day = tiers.register(organization_id, at), at.astimezone(UTC).date()
    price = tiers.list_prices(load_pricer(organization_id), day)
    found: dict[Tier, dict[str, Decimal]] = {}
    for model, places in served(organization_id, rules, day).items():
        for place in places:
            tier = register.of(place.upstream_model, place.provider).tier
            listed = price(place.provider, place.upstream_model)
            known = found.setdefault(tier, {})
            known[model] = min(known.get(model, Decimal("Infinity")), Decimal("Infinity") if listed is None else listed)
    return {tier: sorted(prices, key=lambda model: (prices[model], model)) for tier, prices in found.items()}


def _makers_of(organization_id: int, rules: Sequence[Rule], day: date) -> Callable[[str], frozenset[str]]:
    """Who made what is served by a name; where nobody is known to serve it, what is called so."""
    register = makers(organization_id)
    made = {name: frozenset(one.vendor for one in some) for name, some in served(organization_id, rules, day).items()}
    return lambda name: made.get(name) or frozenset({register.of(name).vendor})


class _Named:
    """The owners that some rules name, by one query for each kind that is named at all."""

    def __init__(self, organization_id: int, every: Iterable[When]) -> None:
        whens = list(every)
        self.known: dict[str, dict[str, int]] = {}
        for field, (kind, model) in _OWNERS.items():
            slugs = {slug for when in whens for slug in getattr(when, field)}
            rows = model._default_manager.filter(organization_id=organization_id, slug__in=slugs) if slugs else None
            self.known[kind] = dict(rows.values_list("slug", "id")) if rows is not None else {}
        self._parents = team_parents(organization_id) if self.known["team"] else {}

    def ids(self, when: When) -> dict[str, frozenset[int]]:
        """A kind that is named and of which nobody is known any more is there, and empty: it holds for nobody."""
        found = {}
        for field, (kind, _) in _OWNERS.items():
            if slugs := getattr(when, field):
                some = frozenset(self.known[kind][slug] for slug in slugs if slug in self.known[kind])
                found[kind] = below(self._parents, some) if kind == "team" else some
        return found
