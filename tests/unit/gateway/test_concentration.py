"""Of what a rule chose, models of a maker with too much of the spend are tried last; nobody is refused for it."""

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
from routing.gateway.house import House
from routing.gateway.proxy.candidates import NoDeployment, Wishes
from routing.gateway.proxy.health import Health
from routing.gateway.proxy.whereabouts import Whereabouts
from routing.gateway.requests import Dimensions
from routing.gateway.routes import Router, Ways
from routing.rules.hot import Published
from routing.rules.types import Gate, GateKind, Rule, Use, When, Within
from tests.factories.houses import KEY, house, upstream

NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
CLAUDE: Final = "claude-haiku-4-5"
GPT: Final = "gpt-5"
MISTRAL: Final = "mistral-large-3"
MADE: Final = {CLAUDE: "anthropic", GPT: "openai", MISTRAL: "mistral", "our-own": ""}
# What clients call them says nothing of who made them.
MODELS: Final = ("large", "medium", "small")
SHARES: Final = {"anthropic": 52, "openai": 40}
MOST: Final = Rule(name="not-all-with-one", within=Within(most_share=0.4))
WHY: Final = "anthropic has 52 % of the spend of 30 days, and 40 % is the most"


def at(number: int, model: str, upstream_model: str, rank: int = 0) -> wire.Deployment:
    return wire.Deployment(
        deployment_id=number * 100 + MODELS.index(model), upstream_id=number, model=model,
        upstream_model=upstream_model, rank=rank,
    )  # fmt: skip


SERVED: Final = [at(1, "small", CLAUDE), at(2, "medium", MISTRAL), at(3, "large", GPT)]


def having(deployments: list[wire.Deployment], *rules: Rule | Published, shares: dict[str, int] = SHARES) -> House:
    published = [
        one if isinstance(one, Published) else Published(rule_id=number, version=1, rule=one)
        for number, one in enumerate(rules, 1)
    ]
    return house([upstream(number) for number in range(1, 7)], deployments, published, shares=shares)


def chosen(*models: str, **given: Any) -> Rule:
    usual: dict[str, Any] = {"name": "choice", "use": tuple(Use(model=one) for one in models)}
    return Rule(**usual | given)


def ways(made: House, model: str = "large", **body: Any) -> Ways:
    said = {"model": model, "messages": [{"role": "user", "content": "Hi"}]} | body
    whose = Attribution(Dimensions(), None, {}, "s-1", "triage", 0, "", "")
    return Router(Health(lambda: 0.0), Whereabouts()).ways(
        made, KEY, "openai", Chat().read(json.dumps(said).encode()), whose, Wishes(), model, "call", NOW
    )


def tried(made: House, model: str = "large", **body: Any) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """Models as their upstreams call them, and what was passed over."""
    found = ways(made, model, **body)
    return [one.model for one in found.candidates], found.route.decided.passed_over


def test_what_a_rule_chose_comes_last_where_its_maker_has_too_much() -> None:
    found = ways(having(SERVED, chosen("small", "medium"), MOST))
    assert [one.model for one in found.candidates] == [MISTRAL, GPT, CLAUDE]
    assert found.route.decided.passed_over == (("small", WHY),)
    # Used as the rule wants it all the same.
    assert [one.use and one.use.model for one in found.candidates] == ["medium", None, "small"]
    # What was asked for, where that alone is another's.
    assert tried(having(SERVED, chosen("small"), MOST)) == ([GPT, CLAUDE], (("small", WHY),))


def test_a_call_that_no_rule_moves_stays_where_it_is() -> None:
    assert tried(having(SERVED, MOST), "small") == ([CLAUDE], ())
    for choice in (
        Published(rule_id=1, version=1, rule=chosen("medium"), share=0.0),
        Published(rule_id=1, version=1, rule=chosen("medium"), shadow=True),
        chosen("medium", when=When(models=("large",))),
    ):
        assert tried(having(SERVED, choice, MOST), "small") == ([CLAUDE], ())


def test_where_nothing_else_is_left_they_serve_as_the_rule_says() -> None:
    served = [at(1, "small", CLAUDE), at(2, "medium", "claude-sonnet-4-5"), at(3, "large", "claude-opus-4-5")]
    as_said = ["claude-sonnet-4-5", CLAUDE, "claude-opus-4-5"]
    assert tried(having(served, chosen("medium", "small"), MOST)) == (as_said, ())
    # Nor is anything moved for a model that nobody serves, or that another limit leaves out.
    only = Rule(name="only", within=Within(never_vendors=("mistral",)))
    made = having([*served[:1], at(2, "medium", MISTRAL), served[2]], chosen("small", "medium"), MOST, only)
    assert tried(made)[0] == [CLAUDE, "claude-opus-4-5"]


def test_what_stands_behind_anyway_is_not_passed_over() -> None:
    served = [at(1, "small", MISTRAL), at(2, "large", CLAUDE)]
    assert tried(having(served, chosen("small"), MOST)) == ([MISTRAL, CLAUDE], ())


@pytest.mark.parametrize(
    ("rules", "moved"),
    [
        ((chosen("small"), MOST), True),
        ((chosen("small"), Rule(name="more", within=Within(most_share=0.52))), False),
        ((chosen("small"), Rule(name="more", within=Within(most_share=0.6)), MOST), True),
        # A rule may say it of itself alone, and a limit of some calls, or of some models.
        ((chosen("small", within=Within(most_share=0.5)),), True),
        ((chosen("small"), Rule(name="chat", when=When(task_types=("chat",)), within=MOST.within)), False),
        ((chosen("small"), Rule(name="small", when=When(models=("small",)), within=MOST.within)), True),
        ((chosen("small"), Rule(name="medium", when=When(models=("medium",)), within=MOST.within)), False),
        ((chosen("small"), Rule(name="else", when=When(keys=("cap_2",)), within=MOST.within)), False),
    ],
)
def test_a_share_is_held_against_the_limits_of_the_call(rules: tuple[Rule, ...], moved: bool) -> None:
    models, passed_over = tried(having(SERVED, *rules))
    assert (models, bool(passed_over)) == (([GPT, CLAUDE], True) if moved else ([CLAUDE, GPT], False))


def test_who_has_as_much_as_is_allowed_or_is_not_known_stays_first() -> None:
    served = [at(1, "small", "our-own"), at(2, "medium", GPT), at(3, "large", MISTRAL)]
    assert tried(having(served, chosen("small", "medium"), MOST)) == (["our-own", GPT, MISTRAL], ())
    # Until anybody looked, nobody has too much.
    assert tried(having(SERVED, chosen("small"), MOST, shares={})) == ([CLAUDE, GPT], ())


def test_of_a_name_that_two_makers_stand_behind_only_the_one_comes_last() -> None:
    served = [at(1, "small", CLAUDE), at(2, "small", MISTRAL, rank=1), at(3, "large", GPT)]
    assert tried(having(served, chosen("small"), MOST)) == ([MISTRAL, GPT, CLAUDE], (("small", WHY),))
    assert tried(having(served, MOST), "small") == ([CLAUDE, MISTRAL], ())


def test_others_are_tried_however_many_places_have_what_comes_last() -> None:
    served = [*(at(number, "small", CLAUDE, number) for number in range(1, 5)), at(5, "medium", MISTRAL)]
    made = having([*served, at(6, "large", GPT)], chosen("small", "medium"), MOST)
    assert tried(made)[0] == [MISTRAL, GPT, CLAUDE, CLAUDE]


def test_a_stream_that_no_gate_can_look_at_stays_with_what_it_asks_for() -> None:
    gated = Use(model="medium", gate=Gate(kind=GateKind.JSON))
    served = [at(1, "large", CLAUDE), at(2, "medium", MISTRAL), at(3, "large", GPT, rank=1)]
    made = having(served, chosen(use=(gated,)), MOST)
    assert tried(made, stream=True) == ([CLAUDE, GPT], ())
    assert tried(made)[0] == [MISTRAL, GPT, CLAUDE]


@given(
    deployed=st.lists(st.tuples(st.integers(1, 6), st.sampled_from(MODELS), st.sampled_from(sorted(MADE))), max_size=3),
    use=st.lists(st.sampled_from(MODELS), max_size=3, unique=True),
    asked=st.sampled_from(MODELS),
    shares=st.dictionaries(st.sampled_from(["anthropic", "openai", "mistral"]), st.integers(1, 100)),
)
def test_the_same_serve_and_those_within_their_share_first(
    deployed: list[tuple[int, str, str]], use: list[str], asked: str, shares: dict[str, int]
) -> None:
    served = [at(*one) for one in dict.fromkeys(deployed)]
    try:
        before = ways(having(served, chosen(*use), shares=shares), asked).candidates
    except NoDeployment:
        with pytest.raises(NoDeployment):
            ways(having(served, chosen(*use), MOST, shares=shares), asked)
        return
    after = ways(having(served, chosen(*use), MOST, shares=shares), asked).candidates
    if not use:
        assert after == before
    else:
        assert after == sorted(before, key=lambda one: shares.get(MADE[one.model], 0) > 40)
