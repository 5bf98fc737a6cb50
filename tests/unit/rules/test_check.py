"""What may be said in a rule, how a rule is told in words, and how it comes into force."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.rules.policy import Cost, Expected, Learnt, Packed, Quality
from routing.rules.rollout import (
    BEGINNINGS,
    Stage,
    StageInvalid,
    StageRefused,
    beginning,
    check_held_back,
    following,
    in_parts,
    paused,
)
from routing.rules.rules import RuleInvalid, check, check_why, read
from routing.rules.types import Rule, Use, When, Within
from routing.rules.wording import differences, in_words
from tests.factories.rules import by_type, local_only, triage, words

NAN = float("nan")
FREE = Expected(loss=0.0, cost=Cost(0.0, 0.0, 0.0))


def model(name: str, **given: Any) -> Learnt:
    usual: dict[str, Any] = {"model": name, "types": {}, "other": FREE}
    return Learnt(**usual | given)


def quality(**given: Any) -> Quality:
    usual: dict[str, Any] = {"intercept": 0.0, "length": 0.0, "types": {}, "words": words()}
    return Quality(**usual | given)


def with_policy(**given: Any) -> Rule:
    return Rule(name="learned", policy=by_type(**given))


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (triage(name=""), "name"),
        (triage(name="a" * 61), "name"),
        (triage(name="a b"), "name"),
        (triage(use=(Use(model="small"), Use(model="tier:tiny"))), "use[1].model"),
        (triage(use=(Use(model="tier:light"),), policy=by_type()), "use"),
        (triage(when=When(models=("gpt\n",))), "when.models[0]"),
        (triage(when=When(models=tuple(map(str, range(51))))), "when.models"),
        (triage(when=When(task_types=("a", "a"))), "when.task_types"),
        (triage(when=When(teams=("a", "b c"))), "when.teams[1]"),
        (triage(when=When(keys=(" cap_1",))), "when.keys[0]"),
        (triage(when=When(tags={"env": ()})), "when.tags.env"),
        (triage(when=When(tags={"": ("a",)})), "when.tags"),
        (triage(when=When(tags={"env": ("a" * 201,)})), "when.tags.env[0]"),
        (triage(when=When(tags={str(number): ("a",) for number in range(21)})), "when.tags"),
        (triage(when=When(least_tokens=-1)), "when.least_tokens"),
        (triage(when=When(least_tokens=2, most_tokens=1)), "when.most_tokens"),
        (triage(use=tuple(Use(model=str(number)) for number in range(101))), "use"),
        (triage(use=(Use(model="a"), Use(model="a", effort="low"))), "use"),
        (triage(use=(Use(model="auto"),)), "use[0].model"),
        (triage(use=(Use(model="a", effort="very high"),)), "use[0].effort"),
        (triage(use=(Use(model="a", most_output_tokens=0),)), "use[0].most_output_tokens"),
        (triage(within=Within(labels=("Local",))), "within.labels[0]"),
        (triage(within=Within(regions=("",))), "within.regions[0]"),
        (triage(within=Within(vendors=("DeepSeek",))), "within.vendors[0]"),
        (triage(within=Within(never_vendors=("a" * 61,))), "within.never_vendors[0]"),
        (triage(within=Within(origins=("us",))), "within.origins[0]"),
        (triage(within=Within(origins=("US", "US"))), "within.origins"),
        (triage(within=Within(never_origins=("China",))), "within.never_origins[0]"),
        (triage(within=Within(most_per_million=NAN)), "within.most_per_million"),
        (triage(within=Within(most_per_million=-1.0)), "within.most_per_million"),
        *((triage(within=Within(most_share=one)), "within.most_share") for one in (NAN, -0.1, 0.0, 1.0, 40.0)),
        (triage(within=Within(sort="cheap")), "within.sort"),
        (Rule(name="nothing"), "use"),
        (local_only(when=When(models=("auto",))), "when.models"),
        (with_policy(candidates=()), "policy.candidates"),
        (with_policy(candidates=tuple(model(str(number)) for number in range(31))), "policy.candidates"),
        (with_policy(candidates=(model("a"), model("a"))), "policy.candidates"),
        (with_policy(candidates=(model("frontier"),)), "policy.candidates"),
        (with_policy(candidates=(model("auto"),)), "policy.candidates[0].model"),
        (with_policy(price=NAN), "policy.price"),
        (with_policy(price=1.0, floor=2.0), "policy.floor"),
        (with_policy(share=1.5), "policy.share"),
        (with_policy(trust=-0.1), "policy.trust"),
        (with_policy(rarity=Packed(1.0, b"no")), "policy.rarity.data"),
        (with_policy(rarity=Packed(1.0, zlib.compress(bytes(10)))), "policy.rarity.data"),
        (with_policy(rarity=Packed(1.0, bytes(200_000))), "policy.rarity.data"),
        (with_policy(rarity=Packed(NAN, words().data)), "policy.rarity.step"),
        (
            with_policy(candidates=(model("a", other=Expected(loss=NAN, cost=FREE.cost)),)),
            "policy.candidates[0].other.loss",
        ),
        (
            with_policy(candidates=(model("a", types={"x": Expected(loss=0.0, cost=Cost(0.0, 0.0, -1.0))}),)),
            "policy.candidates[0].types.x.cost.least",
        ),
        (
            with_policy(candidates=(model("a", quality=quality(intercept=1e300)),)),
            "policy.candidates[0].quality.intercept",
        ),
        (
            with_policy(candidates=(model("a", quality=quality(words=Packed(1.0, b""))),)),
            "policy.candidates[0].quality.words.data",
        ),
        (Rule(name="a", use=(Use(model="other"),), policy=by_type()), "policy.candidates[0].model"),
    ],
)
def test_what_cannot_be_names_its_field(rule: Rule, field: str) -> None:
    with pytest.raises(RuleInvalid) as refused:
        check(rule)
    assert refused.value.field == field


def test_what_can_be_stays_as_it_is() -> None:
    for rule in (
        triage(),
        local_only(),
        with_policy(),
        with_policy(rarity=words(), trust=0.5, candidates=(model("a", quality=quality()),)),
        Rule(name="a", when=When(models=("auto",)), use=(Use(model="small"),), policy=by_type()),
        local_only(within=Within(vendors=("01-ai",), never_vendors=("x.ai",), origins=("US",), never_origins=("CN",))),
        local_only(when=When(tags={"env": ("prod", "test")}, least_tokens=0, most_tokens=0)),
        Rule(name="shares", within=Within(most_share=0.4)),
    ):
        assert check(rule) is rule


def test_tables_of_words_are_bounded_together() -> None:
    many = with_policy(rarity=words(), candidates=tuple(model(f"m{n}", quality=quality()) for n in range(30)))
    assert many.policy is not None
    one = len(words().data)
    if one * 31 > 3 * 2**20:
        with pytest.raises(RuleInvalid):
            check(many)
    else:
        assert check(many) is many


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"name": 1}, "rule.name"),
        ({}, "rule.name"),
        ({"name": "a", "colour": "red"}, "rule.colour"),
        ({"name": "a", "when": {"models": "gpt"}}, "rule.when.models"),
        ({"name": "a", "policy": {"price": 1}}, "rule.policy.incumbent"),
        ({"name": "a", "use": [{}]}, "rule.use[0].model"),
        ("text", "rule"),
    ],
)
def test_what_is_no_rule_names_its_field(said: Any, field: str) -> None:
    with pytest.raises(RuleInvalid) as refused:
        read(said, field="rule")
    assert refused.value.field == field


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["name", "when", "use", "policy", "within", "models"]), inner)
        ),
    )
)
def test_anything_is_read_or_refused(said: Any) -> None:
    try:
        found = read(said)
    except RuleInvalid:
        return
    assert check(found) is found


def test_why_is_said() -> None:
    assert check_why("  Cheaper.\nTried. ") == "Cheaper.\nTried."
    for wrong in ("", " ", "a\0", "a" * 1_001):
        with pytest.raises(RuleInvalid):
            check_why(wrong)


@pytest.mark.parametrize(
    ("rule", "words_"),
    [
        (triage(), "Calls of triage for frontier go to small, and where that fails to frontier."),
        (local_only(), "Sensitive calls are served only by upstreams labelled local."),
        (
            Rule(name="a", when=When(subagent=True), use=(Use(model="tier:light", effort="low"),)),
            "Calls from sub-agents go to what is served of class light (effort low).",
        ),
        (
            Rule(
                name="a",
                when=When(
                    projects=("x", "y", "z"), tags={"env": ("prod",)}, most_tokens=5_000, tools=False, subagent=True
                ),
                use=(Use(model="small", effort="low", most_output_tokens=900),),
                within=Within(never=("openai",), most_per_million=2.5, sort="floor"),
            ),
            (
                "Calls by project x, y or z tagged env=prod of at most 5,000 tokens without tools from sub-agents go "
                "to small (effort low, at most 900 tokens out), served never by openai, at no more than 2.5 for a "
                "million tokens, the cheapest first."
            ),
        ),
        (
            Rule(
                name="makers",
                within=Within(vendors=("a", "b"), never_vendors=("c",), origins=("US", "FR"), never_origins=("CN",)),
            ),
            (
                "All calls are served only with models of a or b, never with models of c, only with models from US or "
                "FR, never with models from CN."
            ),
        ),
        (
            Rule(name="shares", when=When(teams=("search",)), within=Within(most_share=0.29)),
            "Calls by team search are served last with models of a maker that has more than 29 % of recent spend.",
        ),
        (
            with_policy(),
            "All calls go to small where that is expected to be worth it, and else to frontier.",
        ),
    ],
)
def test_a_rule_is_told_in_a_sentence(rule: Rule, words_: str) -> None:
    assert in_words(rule) == words_


def test_differences_name_each_field_before_and_after() -> None:
    old = triage(when=When(task_types=("triage",), least_tokens=5), within=Within(sort="floor"))
    new = triage(when=When(task_types=("triage", "chat")), use=(Use(model="tiny", effort="low"),))
    assert differences(old, new) == (
        "when.task_types: triage → triage, chat",
        "when.least_tokens: 5 → nothing",
        "use: small, then frontier → tiny (effort low)",
        "within.sort: floor → nothing",
    )
    assert differences(old, old) == ()
    assert differences(None, triage())[0] == "name: nothing → triage"
    [line] = differences(with_policy(), with_policy(price=0.2))
    assert line.startswith("policy: learned, frontier or small, by type, ")


def test_a_rollout_goes_up_to_full() -> None:
    step, seen = beginning("shadow", triage()), []
    while step.stage is not Stage.FULL:
        step = following(*step)
        seen.append(step)
    assert [tuple(one) for one in seen] == [("canary", 0.05), ("ramp", 0.25), ("ramp", 0.5), ("full", 1.0)]
    shares = [one.share for one in seen]
    assert shares == sorted(shares)
    assert following(*paused("full", triage())) == (Stage.RAMP, 0.5)
    for stage in (Stage.FULL, Stage.ROLLED_BACK):
        with pytest.raises(StageRefused):
            following(stage, 0.0)
    for stage in (Stage.SHADOW, Stage.ROLLED_BACK):
        with pytest.raises(StageRefused):
            paused(stage, triage())
    with pytest.raises(StageInvalid):
        beginning("ramp", triage())


def test_limits_and_sensitive_calls_are_for_all() -> None:
    here = triage(when=When(sensitive=True))
    assert [in_parts(one) for one in (triage(), with_policy(), local_only(), here)] == [True, True, False, False]
    for rule in (local_only(), here):
        assert beginning("full", rule) == BEGINNINGS[Stage.FULL]
        assert check_held_back(None, rule) == check_held_back(0.0, rule) == 0.0
        with pytest.raises(StageInvalid):
            check_held_back(0.05, rule)
        with pytest.raises(StageInvalid):
            beginning("canary", rule)
        with pytest.raises(StageRefused):
            paused("full", rule)
    assert check_held_back(None, triage()) == 0.05
    for wrong in (NAN, -0.1, 0.6):
        with pytest.raises(StageInvalid):
            check_held_back(wrong, triage())
