"""Models of makers that rules leave out answer nothing, whatever they are called, who serves them, and what fails."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.configuration import wire
from routing.gateway.attributed import Attribution
from routing.gateway.batches.admitting import Admitting
from routing.gateway.dialects.openai_chat import Chat
from routing.gateway.house import House
from routing.gateway.proxy.candidates import NoDeployment, Wishes
from routing.gateway.proxy.health import FAILURES, Health
from routing.gateway.proxy.whereabouts import Whereabouts
from routing.gateway.requests import Dimensions
from routing.gateway.routes import Excluded, Router, Ways
from routing.rules.hot import Published
from routing.rules.types import Rule, Use, When, Within
from routing.tiers.types import Entry
from tests.factories.houses import KEY, house, upstream

NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
# What upstreams call their models, who made those, and where that is. One is of nobody that is known.
MADE: Final = {
    "claude-opus-5.5": ("anthropic", "US"),
    "us.anthropic.claude-haiku-5-5-v1:0": ("anthropic", "US"),
    "deepseek-ai/DeepSeek-V4": ("deepseek", "CN"),
    "mistral-large-3": ("mistral", "FR"),
    "our-own": ("", ""),
}
# What clients call them says nothing.
MODELS: Final = ("large", "medium", "small")
models = st.sampled_from(MODELS)
vendors = st.lists(st.sampled_from(["anthropic", "deepseek", "mistral"]), max_size=2, unique=True).map(tuple)
origins = st.lists(st.sampled_from(["US", "CN", "FR"]), max_size=2, unique=True).map(tuple)
limits = st.builds(Within, vendors=vendors, never_vendors=vendors, origins=origins, never_origins=origins)
choices = st.builds(
    Rule,
    name=st.just("choice"),
    use=st.lists(st.builds(Use, model=models), max_size=3, unique_by=lambda use: use.model).map(tuple),
)


def _may(limit: Within, upstream_model: str) -> bool:
    vendor, origin = MADE[upstream_model]
    return (
        (not limit.vendors or vendor in limit.vendors)
        and (not limit.origins or origin in limit.origins)
        and (not limit.never_vendors or (vendor != "" and vendor not in limit.never_vendors))
        and (not limit.never_origins or (origin != "" and origin not in limit.never_origins))
    )


def _deployed(number: int, model: str, upstream_model: str, rank: int = 0) -> wire.Deployment:
    return wire.Deployment(
        deployment_id=number * 100 + MODELS.index(model), upstream_id=number, model=model,
        upstream_model=upstream_model, rank=rank,
    )  # fmt: skip


def _house(deployments: list[wire.Deployment], *rules: Rule, entries: tuple[Entry, ...] = ()) -> House:
    published = [Published(rule_id=number, version=1, rule=rule) for number, rule in enumerate(rules, 1)]
    return house([upstream(number) for number in range(1, 5)], deployments, published, models=entries)


def _ways(made: House, model: str, health: Health | None = None, wished: Wishes | None = None, **body: Any) -> Ways:
    said = {"model": model, "messages": [{"role": "user", "content": "Hi"}]} | body
    whose = Attribution(Dimensions(), None, {}, "s-1", "", 0, "", "")
    return Router(health or Health(lambda: 0.0), Whereabouts()).ways(
        made, KEY, "openai", Chat().read(json.dumps(said).encode()), whose, wished or Wishes(), model, "call", NOW
    )


@given(
    chosen=st.lists(choices, max_size=2),
    limit=limits,
    deployed=st.lists(st.tuples(st.integers(1, 4), models, st.sampled_from(sorted(MADE))), max_size=8),
    failing=st.sets(st.tuples(st.integers(1, 4), st.sampled_from(sorted(MADE)))),
    asked=models,
    order=st.lists(st.sampled_from(["up-1", "up-2", "openai"]), max_size=2).map(tuple),
)
def test_a_call_goes_to_models_of_makers_that_are_left(
    chosen: list[Rule], limit: Within, deployed: list[tuple[int, str, str]], failing: set[tuple[int, str]], asked: str,
    order: tuple[str, ...],
) -> None:  # fmt: skip
    made = _house([_deployed(*one) for one in deployed], *chosen, Rule(name="makers", within=limit))
    health = Health(lambda: 0.0)
    for name in failing:
        for _ in range(FAILURES):
            health.failed(name)
    try:
        ways = _ways(made, asked, health, Wishes(order=order))
    except NoDeployment:
        assert not any(model == asked and _may(limit, there) for _, model, there in deployed)
        return
    assert ways.candidates
    assert all(_may(limit, one.model) for one in ways.candidates)
    # Nor does a budget, or a gate, send it elsewhere.
    for model in MODELS:
        try:
            elsewhere = ways.order(made.deployments.serving("openai", "openai", model, NOW.date()), model)
        except NoDeployment:
            continue
        assert all(_may(limit, one.model) for one in elsewhere)


def test_a_chain_goes_on_behind_who_is_left_out_and_says_why() -> None:
    chain = Rule(name="chain", use=(Use(model="small"), Use(model="medium")))
    made = _house(
        [
            _deployed(1, "small", "deepseek-chat"), _deployed(2, "medium", "mistral-large-3"),
            _deployed(3, "large", "our-own"),
        ],
        chain, Rule(name="makers", within=Within(never_origins=("CN",))),
    )  # fmt: skip
    ways = _ways(made, "large")
    assert [one.model for one in ways.candidates] == ["mistral-large-3"]
    assert [(model, why.partition(": ")[2]) for model, why in ways.route.decided.passed_over] == [
        ("small", "models from CN are left out"),
        ("large", "nobody knows where its maker sits"),
    ]


def test_where_nobody_is_left_the_refusal_says_why() -> None:
    made = _house([_deployed(1, "large", "deepseek-chat")], Rule(name="m", within=Within(vendors=("anthropic",))))
    with pytest.raises(Excluded, match="models of deepseek are left out"):
        _ways(made, "large")


def test_what_an_organization_says_of_a_model_is_what_its_limits_go_by() -> None:
    eu = Rule(name="eu", within=Within(origins=("DE",)))
    deployed = [_deployed(1, "large", "our-own")]
    with pytest.raises(Excluded):
        _ways(_house(deployed, eu), "large")
    said = _house(deployed, eu, entries=(Entry(model="our-own", vendor="acme", origin="DE"),))
    assert len(_ways(said, "large").candidates) == 1


def test_a_limit_for_a_model_holds_for_whoever_is_sent_there() -> None:
    cheaper = Rule(name="cheaper", when=When(models=("large",)), use=(Use(model="small"),))
    ours = Rule(name="ours", when=When(models=("small",)), within=Within(only=("up-2",)))
    deployed = [_deployed(1, "large", "claude-opus-5.5"), _deployed(1, "small", "deepseek-chat")]
    made = _house([*deployed, _deployed(2, "small", "deepseek-chat", 1)], cheaper, ours)
    ways = _ways(made, "large")
    assert [(one.upstream.name, one.model) for one in ways.candidates] == [
        ("up-2", "deepseek-chat"),
        ("up-1", "claude-opus-5.5"),
    ]
    # A budget that sends it there too.
    there = made.deployments.serving("openai", "openai", "small", NOW.date())
    assert [one.upstream.name for one in ways.order(there, "small")] == ["up-2"]
    with pytest.raises(Excluded):
        ways.order([one for one in there if one.upstream.name == "up-1"], "small")


@pytest.mark.parametrize("field", ["models", "fallbacks", "Preset", "plugins"])
def test_no_upstream_may_choose_where_makers_are_left_out(field: str) -> None:
    deployed = [_deployed(1, "large", "claude-opus-5.5")]
    body: dict[str, Any] = {field: ["deepseek/deepseek-chat"]}
    free, bound = _house(deployed), _house(deployed, Rule(name="m", within=Within(never_vendors=("deepseek",))))
    assert _ways(free, "large", **body).candidates
    with pytest.raises(Excluded, match="lets its upstream choose"):
        _ways(bound, "large", **body)


def test_a_batch_goes_where_every_model_of_its_file_is_left() -> None:
    deployed = [
        _deployed(number, model, there)
        for number in (1, 2)
        for model, there in (("large", "claude-opus-5.5"), ("small", "deepseek-chat"))
    ]
    # A file's lines pass as they are: upstreams have its models under the names it says.
    deployed = [wire.Deployment(**{**_fields(one), "model": one.upstream_model}) for one in deployed]
    places = Admitting(lambda organization_id, call: None, Health(lambda: 0.0), lambda: NOW)
    made = _house(deployed, Rule(name="m", within=Within(never_vendors=("deepseek",))))
    assert places.place(made, KEY, ["claude-opus-5.5"], {}).upstream_id in (1, 2)
    for some in (["claude-opus-5.5", "deepseek-chat"], ["deepseek-chat", "claude-opus-5.5"]):
        with pytest.raises(Excluded, match="models of deepseek"):
            places.place(made, KEY, some, {})


def _fields(one: wire.Deployment) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}
