"""Sensitive calls never leave local upstreams, whatever rules say, whatever a call wishes, and whatever fails."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from routing.configuration import wire
from routing.gateway.attributed import Attribution
from routing.gateway.dialects.openai_chat import Chat
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
            elsewhere = ways.order(made.deployments.serving("openai", "openai", model, NOW.date()))
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
