"""What a capstan.toml means, and what is wrong with it. Pure: credentials and hosts are handed in."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from finops.budgets.rules.drafts import check_draft
from finops.budgets.types import Draft, Enforcement, Period
from finops.core.errors import Invalid
from finops.core.tokens import METERS, OUTPUT_METERS
from finops.pricing.rules import terms
from finops.pricing.types import StepRates
from routing.laptop.errors import Mistakes, SaidWrong
from routing.laptop.types import (
    ANY,
    BudgetSaid,
    ModelSaid,
    PriceSaid,
    Said,
    UpstreamSaid,
    Wanted,
    WantedBudget,
    WantedPrice,
    WantedUpstream,
)
from routing.upstreams import rules as upstreams
from routing.upstreams.presets import BY_NAME, Preset
from routing.upstreams.types import Auth, DeploymentDraft, Dialect, UpstreamDraft

# Gives the credential that an upstream names, '' where it names none. Raises SaidWrong.
Credential = Callable[[UpstreamSaid], str]
_HOST: Final = re.compile(r"[a-z0-9._:-]+")
# Endings of names that mean nothing outside a house.
_INSIDE: Final = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home", ".corp", ".private", ".home.arpa")
_SLUG: Final = re.compile(r"(?![0-9]+\Z)[a-z0-9][a-z0-9_-]{0,79}")
_MOST_OWNERS: Final = 1_000
# By which field of a price each meter is priced; what is counted apart from requests costs nothing here.
_FIELD_OF: Final = {meter: "output" if meter in OUTPUT_METERS else "input" for meter in METERS} | {
    "cache_read": "cache_read", "cache_read_audio": "cache_read", "cache_write_5m": "cache_write",
    "cache_write_1h": "cache_write", "requests": "request", "web_searches": "", "tool_calls": "",
}  # fmt: skip
Word = TypeVar("Word", bound=StrEnum)


def wanted(said: Said, *, credential: Credential, internal: Collection[str]) -> Wanted:
    """What the file asks for. `internal` are hosts of our own that were named elsewhere. Raises FileInvalid."""
    mistakes = Mistakes()
    near = frozenset(host for one in said.upstreams if (host := near_host(_address(one))))
    found = _upstreams(said.upstreams, credential, {*internal, *near}, mistakes)
    budgets = []
    for index, budget in enumerate(said.budgets):
        with mistakes.at(f"budgets[{index}]"):
            budgets.append(WantedBudget(f"budgets[{index}]", check_draft(_budget(budget))))
    prices: list[WantedPrice] = []
    for index, price in enumerate(said.prices):
        with mistakes.at(f"prices[{index}]"):
            prices += _prices(price, f"prices[{index}]", said.upstreams, found)
    currency = said.organization.currency
    with mistakes.at("organization"):
        currency = terms.currency(currency, field="currency")
    for kind in ("projects", "agents"):
        _slugs(getattr(said.attribution, kind), f"attribution.{kind}", mistakes)
    _once([(f"{one.place}.name", one.draft.name) for one in found], mistakes)
    _once([(f"{one.place}.name", one.draft.name) for one in budgets], mistakes)
    _once([(f"{one.place}.model", f"{one.provider}/{one.model}@{one.host}") for one in prices], mistakes)
    mistakes.refuse()
    return Wanted(
        organization=msgspec.structs.replace(said.organization, currency=currency),
        person=said.person,
        projects=said.attribution.projects,
        agents=said.attribution.agents,
        upstreams=tuple(found),
        budgets=tuple(budgets),
        prices=tuple(prices),
        near=near,
    )


def near_host(address: str) -> str:
    """The host (host or host:port) of an address that is this machine or one inside, by how it is written; else ''."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if not _HOST.fullmatch(host) or not _is_near(host.rstrip(".")):
        return ""
    return f"{host}:{port}" if port else host


def _is_near(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_INSIDE)


# --- upstreams ---


def _upstreams(
    said: Sequence[UpstreamSaid], credential: Credential, internal: Collection[str], mistakes: Mistakes
) -> list[WantedUpstream]:
    if not said:
        mistakes.add("upstreams", "name one at least: [[upstreams]] with a preset, or with a base_url")
    found = []
    for index, one in enumerate(said):
        place = f"upstreams[{index}]"
        with mistakes.at(place):
            draft = upstreams.check_upstream(_draft(one), internal=internal)
            deployments = _deployments(one, place, mistakes)
            found.append(WantedUpstream(place, draft, _credential(one, draft, credential), deployments))
    return found


def _draft(said: UpstreamSaid) -> UpstreamDraft:
    preset = _preset(said)
    name = said.name or (preset.name if preset else "")
    address = _address(said)
    if not name:
        raise SaidWrong("an upstream has a name, or a preset", field="name")
    if not address:
        raise SaidWrong("say where it is: https://host/v1, or http://localhost:port/v1", field="base_url")
    if "{" in address and preset is not None and preset.asks:
        raise SaidWrong(f"say which: it is the blank in {preset.base_url}", field=preset.asks)
    return UpstreamDraft(
        name=name,
        dialect=said.dialect or (preset.dialect if preset else Dialect.OPENAI),
        base_url=address,
        provider=said.provider or (preset.provider if preset else name),
        host=said.host or (preset.host if preset else ""),
        auth=_auth(said, preset),
        headers=said.headers,
        region=said.region,
        labels=said.labels or (preset.labels if preset else ()),
        any_model=_any(said, preset),
        weight=said.weight,
        connect_s=said.connect_s,
        first_byte_s=said.first_byte_s,
        total_s=said.total_s,
        bills_cancelled=said.bills_cancelled,
    )


def _preset(said: UpstreamSaid) -> Preset | None:
    if said.preset and said.preset not in BY_NAME:
        raise SaidWrong(f"there is no preset {said.preset[:60]!r}; there are {', '.join(BY_NAME)}", field="preset")
    return BY_NAME.get(said.preset)


def _address(said: UpstreamSaid) -> str:
    preset = BY_NAME.get(said.preset)
    if said.base_url or preset is None:
        return said.base_url
    known = preset.base_url
    return known.replace(f"{{{preset.asks}}}", said.resource) if preset.asks and said.resource else known


def _auth(said: UpstreamSaid, preset: Preset | None) -> str:
    """As it is said, as the host is known to want it, and otherwise: a bearer's, where a credential is named."""
    if said.auth:
        return said.auth
    if preset is not None and preset.auth != Auth.NONE:
        return preset.auth
    return Auth.BEARER if said.credential_env or said.credential_file else Auth.NONE


def _any(said: UpstreamSaid, preset: Preset | None) -> bool:
    if said.models == ANY:
        return True
    if isinstance(said.models, str) and said.models:
        raise SaidWrong(f'a list of models, or "{ANY}"', field="models")
    takes_any = not said.models and preset is not None and preset.any_model
    if not said.models and not takes_any:
        raise SaidWrong(f'name the models it serves, or say "{ANY}"', field="models")
    return takes_any


def _credential(said: UpstreamSaid, draft: UpstreamDraft, credential: Credential) -> str:
    if said.credential_env and said.credential_file:
        raise SaidWrong("name one of credential_env and credential_file", field="credential_file")
    secret = credential(said)
    try:
        return upstreams.check_credential(secret, auth=draft.auth)
    except Invalid as refused:
        field = "credential_file" if said.credential_file else "credential_env"
        raise SaidWrong(refused.message, field=field) from None


def _deployments(said: UpstreamSaid, place: str, mistakes: Mistakes) -> tuple[DeploymentDraft, ...]:
    models = () if isinstance(said.models, str) else said.models
    found = []
    for index, one in enumerate(models):
        model = ModelSaid(name=one) if isinstance(one, str) else one
        with mistakes.at(f"{place}.models[{index}]"):
            draft = DeploymentDraft(model.name, model.upstream_model, model.rank, model.weight)
            found.append(upstreams.check_deployment(draft))
    _once([(f"{place}.models", one.model) for one in found], mistakes)
    return tuple(found)


# --- budgets and prices ---


def _budget(said: BudgetSaid) -> Draft:
    usual = Period.SESSION if said.each == "session" else Period.MONTH
    return Draft(
        name=said.name,
        limit_amount=said.limit,
        period=_word(said.period or usual, Period, field="period"),
        enforcement=_word(said.enforcement, Enforcement, field="enforcement"),
        each=said.each,
        downgrade_to=tuple(_model(one) for one in said.downgrade_to),
        downgrade_at=said.downgrade_at,
    )


def _model(said: str) -> tuple[str, str]:
    provider, _, model = said.partition("/")
    if not provider or not model:
        raise SaidWrong(f"provider/model, and not {said[:60]!r}", field="downgrade_to")
    return provider, model


def _prices(
    said: PriceSaid, place: str, named: Sequence[UpstreamSaid], found: Sequence[WantedUpstream]
) -> list[WantedPrice]:
    """One for each model it is of. Of an upstream that is refused itself, nothing more is said."""
    upstream = next((one for one in found if one.draft.name == said.upstream.strip().lower()), None)
    if upstream is None:
        if said.upstream in {one.name or one.preset for one in named}:
            return []
        raise SaidWrong(f"there is no upstream {said.upstream[:60]!r} in this file", field="upstream")
    called = {one.model: one.upstream_model for one in upstream.deployments}
    models = [called.get(said.model, said.model)] if said.model.strip() else sorted(set(called.values()))
    if not models:
        raise SaidWrong("say of which model, or name the upstream's models", field="model")
    steps = (_step(said),)
    return [WantedPrice(place, upstream.draft.provider, upstream.draft.host, model, steps) for model in models]


def _step(said: PriceSaid) -> StepRates:
    prices = {
        "input": said.input,
        "output": said.output,
        "cache_read": said.input if said.cache_read is None else said.cache_read,
        "cache_write": said.input if said.cache_write is None else said.cache_write,
        "request": said.request,
        "": said.input * 0,
    }
    step = StepRates(0, {meter: prices[field] for meter, field in _FIELD_OF.items()})
    try:
        terms.steps_as_kept([step])
    except Invalid as refused:
        meter = (refused.field or "").rpartition(".")[2]
        raise SaidWrong(refused.message, field=_FIELD_OF.get(meter)) from None
    return step


# --- words ---


def _word(said: str, kind: type[Word], *, field: str) -> Word:
    try:
        return kind(said)
    except ValueError:
        raise SaidWrong(f"one of {', '.join(kind)}, and not {said[:60]!r}", field=field) from None


def _slugs(said: Sequence[str], place: str, mistakes: Mistakes) -> None:
    if len(said) > _MOST_OWNERS:
        mistakes.add(place, f"at most {_MOST_OWNERS:,}")
    for index, slug in enumerate(said):
        if not _SLUG.fullmatch(slug):
            mistakes.add(f"{place}[{index}]", "1 to 80 of a-z, 0-9, _ and -, and not digits alone")
    _once([(place, slug) for slug in said], mistakes)


def _once(named: Iterable[tuple[str, str]], mistakes: Mistakes) -> None:
    """Names that stand there twice, at their last place."""
    places: dict[str, list[str]] = {}
    for place, name in named:
        places.setdefault(name, []).append(place)
    for name, found in places.items():
        if len(found) > 1:
            mistakes.add(found[-1], f"{name!r} is said {len(found)} times")
