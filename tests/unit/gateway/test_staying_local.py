"""Sensitive calls never leave local upstreams, whatever rules say, whatever a call wishes, and whatever fails."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.configuration import wire
from routing.gateway.attributed import Attribution
from routing.gateway.dialects.openai_chat import Chat
from routing.gateway.dialects.registry import DIALECTS
from routing.gateway.proxy.candidates import NoDeployment, Wishes
from routing.gateway.proxy.health import FAILURES, Health
from routing.gateway.proxy.whereabouts import Whereabouts
from routing.gateway.requests import Dimensions
from routing.gateway.routes import Router
from routing.rules.hot import Published
from routing.rules.types import Rule, Use, When, Within
from tests.factories.houses import KEY, house, upstream

NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
MODELS: Final = ("large", "medium", "small")
LOCAL: Final = Rule(name="local-only", when=When(sensitive=True), within=Within(labels=("local",)))
# What is sensitive for what is in it, for what is said of it, and because nobody can tell.
SENSITIVE: Final[list[tuple[Any, dict[str, str]]]] = [
    ("My card is 4111 1111 1111 1111.", {}),
    ("Nothing to see here.", {"sensitivity": "confidential"}),
    ("Nothing to see here.", {"sensitivity": "of some sort"}),
    ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}], {}),
    ("word " * 60_000, {}),
]
models = st.sampled_from(MODELS)
names = st.lists(st.sampled_from(["up-1", "up-2", "up-3", "up-4", "openai"]), max_size=3).map(tuple)
choices = st.builds(
    Rule,
    name=st.just("choice"),
    when=st.builds(
        When,
        models=st.lists(models, max_size=2).map(tuple),
        sensitive=st.sampled_from([None, True, False]),
        tools=st.sampled_from([None, True, False]),
    ),
    use=st.lists(st.builds(Use, model=models), max_size=3, unique_by=lambda use: use.model).map(tuple),
    within=st.builds(Within, order=names, sort=st.sampled_from(["", "floor", "nitro"])),
)
wishes = st.builds(Wishes, sort=st.sampled_from(["", "floor", "nitro"]), order=names, only=st.booleans())


@given(
    rules=st.lists(choices, max_size=4),
    place=st.integers(0, 4),
    local=st.sets(st.integers(1, 4)),
    deployed=st.lists(st.tuples(st.integers(1, 4), models, st.integers(0, 2)), max_size=8),
    failing=st.sets(st.tuples(st.integers(1, 4), models)),
    share=st.sampled_from([0.0, 0.5, 1.0]),
    asked=models,
    wished=wishes,
    said=st.sampled_from(SENSITIVE),
    follows=st.sampled_from(["", "resp_1"]),
)
def test_what_is_sensitive_stays_with_local_upstreams(
    rules: list[Rule], place: int, local: set[int], deployed: list[tuple[int, str, int]], failing: set[tuple[int, str]],
    share: float, asked: str, wished: Wishes, said: tuple[Any, dict[str, str]], follows: str,
) -> None:  # fmt: skip
    published = [Published(rule_id=n, version=1, rule=rule, share=share, salt=str(n)) for n, rule in enumerate(rules)]
    published.insert(place, Published(rule_id=99, version=1, rule=LOCAL))
    ours = [upstream(number, local=number in local) for number in range(1, 5)]
    made = house(ours, [_deployment(*one) for one in deployed], published)
    health, whereabouts = Health(lambda: 0.0), Whereabouts()
    for name in failing:
        for _ in range(FAILURES):
            health.failed(name)
    # What it goes on from was answered by somebody who is not ours.
    whereabouts.seen(made.id, "resp_1", next(iter({1, 2, 3, 4} - local), 1))
    content, tags = said
    body = {"model": asked, "messages": [{"role": "user", "content": content}]}
    call = Chat().read(json.dumps(body).encode())._replace(follows=follows)
    whose = Attribution(Dimensions(), None, tags, "s-1", "", 0, "", "")
    try:
        ways = Router(health, whereabouts).ways(made, KEY, "openai", call, whose, wished, asked, "call", NOW)
    except NoDeployment:
        return
    assert {one.upstream.upstream_id for one in ways.candidates} <= local
    # Nor does a budget send it elsewhere.
    for model in MODELS:
        try:
            elsewhere = ways.order(made.deployments.serving("openai", "openai", model, NOW.date()), model)
        except NoDeployment:
            continue
        assert {one.upstream.upstream_id for one in elsewhere} <= local


def _deployment(number: int, model: str, rank: int) -> wire.Deployment:
    return wire.Deployment(
        deployment_id=number * 100 + MODELS.index(model),
        upstream_id=number,
        model=model,
        upstream_model=model,
        rank=rank,
    )


# Where a body may hold what a model reads, beside what people say.
CARD: Final = "My card is 4111 1111 1111 1111."
TOOL: Final = {"type": "function", "function": {"name": "pay", "description": CARD}}
CALLED: Final = {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "pay", "arguments": CARD}}]}
CITED: Final = [{"type": "text", "text": "See there.", "citations": [{"cited_text": CARD}]}]
HI: Final = {"role": "user", "content": "Hi"}
PLACES: Final[list[tuple[str, dict[str, Any]]]] = [
    ("openai.chat", {"messages": [HI], "tools": [TOOL]}),
    ("openai.chat", {"messages": [HI], "prediction": {"type": "content", "content": CARD}}),
    ("openai.chat", {"messages": [HI], "response_format": {"type": "json_schema", "json_schema": {"name": CARD}}}),
    ("openai.chat", {"messages": [HI, CALLED]}),
    ("openai.chat", {"messages": [HI, {"role": "tool", "tool_call_id": "1", "content": CARD}]}),
    ("openai.chat", {"messages": [HI | {"note": CARD}]}),
    ("openai.completions", {"prompt": "Hi", "suffix": CARD}),
    ("openai.responses", {"input": [HI, {"type": "function_call", "call_id": "1", "name": "pay", "arguments": CARD}]}),
    ("openai.responses", {"input": [HI, {"type": "function_call_output", "call_id": "1", "output": CARD}]}),
    ("openai.responses", {"input": "Hi", "instructions": CARD}),
    ("anthropic.messages", {"messages": [HI], "max_tokens": 9, "system": CARD}),
    ("anthropic.messages", {"messages": [HI | {"content": CITED}], "max_tokens": 9}),
    ("anthropic.messages", {"messages": [HI], "max_tokens": 9, "tools": [{"name": "pay", "description": CARD}]}),
]


@pytest.mark.parametrize(("dialect", "said"), PLACES)
def test_what_is_sensitive_is_found_wherever_a_model_reads_it(dialect: str, said: dict[str, Any]) -> None:
    speaks = DIALECTS[dialect]
    family = [upstream(1, local=True, dialect=speaks.family), upstream(2, dialect=speaks.family)]
    deployments = [_deployment(2, "large", 0), _deployment(1, "large", 1)]
    made = house(family, deployments, [Published(rule_id=1, version=1, rule=LOCAL)])

    def goes(text: str) -> int:
        body = json.dumps({"model": "large"} | said).replace(CARD, text).encode()
        whose = Attribution(Dimensions(), None, {}, "s-1", "", 0, "", "")
        router = Router(Health(lambda: 0.0), Whereabouts())
        ways = router.ways(made, KEY, speaks.family, speaks.read(body), whose, Wishes(), "large", "call", NOW)
        return ways.candidates[0].upstream.upstream_id

    assert goes(CARD) == 1
    # What is harmless in the same place goes where it is asked for, or is not known to be.
    assert goes("Nothing.") == (1 if "function_call_output" in str(said) else 2)


def test_a_prefix_before_a_model_is_no_way_past_a_limit() -> None:
    only = Rule(name="only", when=When(models=("large",)), within=Within(only=("up-1",)))
    made = house(
        [upstream(1), upstream(2)], [_deployment(1, "large", 1), _deployment(2, "large", 0)],
        [Published(rule_id=1, version=1, rule=only)],
    )  # fmt: skip
    call = Chat().read(b'{"model": "large", "messages": [{"role": "user", "content": "Hi"}]}')
    whose = Attribution(Dimensions(), None, {}, "s-1", "", 0, "", "")
    for asked in ("large", "openai/large", "up-1/large"):
        ways = Router(Health(lambda: 0.0), Whereabouts()).ways(
            made, KEY, "openai", call, whose, Wishes(), asked, "call", NOW
        )
        assert [one.upstream.name for one in ways.candidates] == ["up-1"]


def test_what_a_rule_says_of_sensitive_calls_holds_whichever_rule_chose() -> None:
    first = Rule(name="first", use=(Use(model="large"),))
    local = Rule(name="local", when=When(sensitive=True), use=(Use(model="small"),), within=Within(labels=("local",)))
    made = house(
        [upstream(1, local=True), upstream(2)],
        [_deployment(1, "large", 1), _deployment(2, "large", 0)],
        [Published(rule_id=n, version=1, rule=rule) for n, rule in enumerate((first, local))],
    )
    body = {"model": "large", "messages": [HI | {"content": CARD}]}
    whose = Attribution(Dimensions(), None, {}, "s-1", "", 0, "", "")
    ways = Router(Health(lambda: 0.0), Whereabouts()).ways(
        made, KEY, "openai", Chat().read(json.dumps(body).encode()), whose, Wishes(), "large", "call", NOW
    )
    assert {one.upstream.name for one in ways.candidates} == {"up-1"}
    # Nor does a file that nobody has read leave, nor one of a model that may not.
    assert made.rules.unread(["large"], "cap_1") == (local.within,)
    elsewhere = Rule(name="eu", when=When(projects=("x",)), within=Within(regions=("eu",)))
    assert house(rules=[Published(rule_id=1, version=1, rule=elsewhere)]).rules.unread(["large"], "cap_1") != ()
