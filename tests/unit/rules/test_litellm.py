"""Rules as a configuration of LiteLLM: what can be said in one, what not and why, and what must not be left out."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from routing.rules.litellm import Generated, LimitUnsayable, Served, Standing, generated, shown
from routing.rules.types import Gate, GateKind, Rule, Use, When, Within
from tests.factories.rules import by_type, local_only


def at(model: str, upstream: str = "openai", **given: Any) -> Served:
    usual: dict[str, Any] = {
        "upstream_model": model, "dialect": "openai", "base_url": f"https://{upstream}.example.com/v1",
        "provider": upstream,
    }  # fmt: skip
    return Served(model=model, upstream=upstream, **usual | given)


SERVED = {
    "large": [at("large"), at("large", "own", labels=frozenset({"local"}), region="eu", auth="none")],
    "small": [at("small"), at("small", "own", labels=frozenset({"local"}), region="eu", auth="none")],
    "tiny": [at("tiny")],
}


def rule(name: str = "cheaper", *use: str, models: tuple[str, ...] = ("large",), **given: Any) -> Rule:
    chain = tuple(Use(model=one) for one in use or ("small",))
    usual: dict[str, Any] = {"name": name, "when": When(models=models), "use": chain}
    return Rule(**usual | given)


def limit(name: str = "limit", models: tuple[str, ...] = (), **within: Any) -> Rule:
    return Rule(name=name, when=When(models=models), within=Within(**within))


def made(*rules: Rule | Standing, served: Any = None) -> Generated:
    standing = [one if isinstance(one, Standing) else Standing(one) for one in rules]
    return generated(standing, SERVED if served is None else served)


def group(found: Generated, name: str) -> list[tuple[str, float | None]]:
    """What a name answers with, and by which weights."""
    params = [one["litellm_params"] for one in found.config["model_list"] if one["model_name"] == name]
    return [(f"{one['model']} {one['api_base'][8:].partition('.')[0]}", one.get("weight")) for one in params]


def chain(found: Generated, name: str) -> list[str] | None:
    return next((each[name] for each in found.config["router_settings"]["fallbacks"] if name in each), None)


def test_a_chain_is_a_group_and_what_it_falls_back_on() -> None:
    found = made(rule("cheaper", "tiny", "small"))
    assert group(found, "large") == [("openai/tiny openai", None)]
    assert chain(found, "large") == ["large.then.small", "large.then.large"]
    assert group(found, "large.then.small") == [("openai/small openai", 0.5), ("openai/small own", 0.5)]
    assert group(found, "large.then.large")[0][0] == "openai/large openai"
    # Asked for by itself, a model is itself.
    assert (group(found, "tiny"), chain(found, "tiny")) == ([("openai/tiny openai", None)], None)
    assert [(one.rule, one.said, one.notes) for one in found.rules] == [("cheaper", True, ())]


def test_credentials_are_names_in_the_environment() -> None:
    found = made(rule(), served=SERVED | {"odd": [at("odd", "7-b", auth="api-key"), at("odd", "7_b")]})
    assert found.variables == {
        "openai": "OPENAI_API_KEY",
        "7-b": "UPSTREAM_7_B_API_KEY",
        "7_b": "UPSTREAM_7_B_API_KEY_2",
    }
    params = {one["model_info"]["id"]: one["litellm_params"] for one in found.config["model_list"]}
    assert params["small at openai as small"]["api_key"] == "os.environ/OPENAI_API_KEY"
    assert params["small at own as small"]["api_key"] == "none"
    assert params["odd at 7-b as odd"]["extra_headers"] == {"api-key": "os.environ/UPSTREAM_7_B_API_KEY"}
    assert len(params) == len(found.config["model_list"])


def test_each_dialect_and_provider_goes_by_litellms_word() -> None:
    found = made(
        rule(),
        served={
            "large": [at("large", "anthropic", dialect="anthropic", auth="x-api-key")],
            "small": [
                at("small", "azure", auth="api-key", upstream_model="mine"), at("small", "together"),
                at("small", "house"),
            ],
        },
    )  # fmt: skip
    params = [one["litellm_params"] for one in found.config["model_list"] if one["model_name"] == "small"]
    assert [one["model"] for one in params] == ["azure/mine", "together_ai/small", "openai/small"]
    assert params[0]["api_version"] == "v1"
    assert "extra_headers" not in params[0]
    assert group(found, "large.then.large")[0][0].startswith("anthropic/large")


@pytest.mark.parametrize(
    ("share", "held_back", "weights"), [(0.25, 0.05, (0.25, 0.75)), (1.0, 0.05, (0.95, 0.05)), (0.5, 0.5, (0.5, 0.5))]
)
def test_a_share_is_by_weight_and_says_what_it_is_not(
    share: float, held_back: float, weights: tuple[float, float]
) -> None:
    found = made(Standing(rule("cheaper", "tiny", "small"), share, held_back))
    treated, stays = weights
    assert group(found, "large") == [
        ("openai/tiny openai", treated), ("openai/large openai", stays / 2), ("openai/large own", stays / 2),
    ]  # fmt: skip
    # A call that stays never falls back on what the rule chooses.
    assert chain(found, "large") == ["large.then.large"]
    [told] = found.rules
    assert "not by session" in told.notes[0]
    assert "fall back on what they asked for" in told.notes[1]


def test_what_holds_for_nobody_moves_nobody() -> None:
    for one in (Standing(rule(), share=0.0), Standing(rule(), off="it is switched off")):
        assert group(made(one), "large")[0][0] == "openai/large openai"
    assert made(Standing(rule(), off="it is switched off")).rules[0].why == "it is switched off"
    # It is asked all the same, so that no later rule decides.
    later = made(Standing(rule("first", "tiny"), share=0.0), rule("second"))
    assert group(later, "large")[0][0] == "openai/large openai"
    assert (later.rules[1].said, later.rules[1].why[:12]) == (False, "rules before")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"when": When(models=("large",), task_types=("triage",))}, "types of task"),
        (
            {"when": When(models=("large",), tools=True, least_tokens=3)},
            "how large a call is and whether a call brings",
        ),
        ({"when": When()}, "any model"),
        ({"use": (), "policy": by_type()}, "learned"),
        ({"use": (Use(model="small", gate=Gate(kind=GateKind.JSON)),)}, "gate"),
        ({"use": (Use(model="small", effort="low"),)}, "how small is used"),
        ({"use": (Use(model="small", most_output_tokens=9),)}, "how small is used"),
        ({"within": Within(most_per_million=3.0)}, "highest price"),
        ({"when": When(models=("openai/large",))}, "at one place"),
    ],
)
def test_what_it_has_no_words_for_is_left_out_with_its_reason(given: dict[str, Any], why: str) -> None:
    found = made(rule(**given))
    [told] = found.rules
    assert (told.said, why in told.why) == (False, True), told
    assert group(found, "large")[0][0] == "openai/large openai"
    assert f"# - cheaper: {told.why}." in shown(found)


def test_a_rule_behind_one_that_cannot_be_said_decides_nothing_that_the_first_might() -> None:
    first = rule("first", "tiny", when=When(models=("large",), task_types=("triage",)))
    found = made(first, rule("second", models=("large", "tiny")))
    assert group(found, "large")[0][0] == "openai/large openai"
    assert group(found, "tiny")[0][0] == "openai/small openai"
    assert found.rules[1].notes == ("of large a rule before it decides",)


def test_limits_are_kept_by_every_group_a_call_may_reach() -> None:
    found = made(rule("cheaper", "tiny", "small"), limit(models=("large",), labels=("local",)))
    # `tiny` is nowhere local.
    assert group(found, "large") == [("openai/small own", None)]
    assert chain(found, "large") == ["large.then.large"]
    assert group(found, "large.then.large") == [("openai/large own", None)]
    assert len(group(found, "small")) == 2
    assert found.rules[0].notes == ("tiny is left out, for nobody here is known to serve it to calls of large",)


def test_a_limit_for_a_model_is_kept_where_a_chain_leads_to_it() -> None:
    found = made(rule("cheaper", "small"), limit(models=("small",), labels=("local",)))
    assert group(found, "large") == [("openai/small own", None)]
    # What was asked for stays as it was.
    assert len(group(found, "large.then.large")) == 2


@pytest.mark.parametrize(
    ("within", "left"),
    [
        ({"regions": ("eu",)}, ["own"]), ({"only": ("openai",)}, ["openai"]), ({"never": ("openai",)}, ["own"]),
        ({"labels": ("local",), "never": ("own",)}, []), ({"vendors": ("openai",)}, ["openai"]),
        ({"never_origins": ("CN",)}, ["openai"]), ({"origins": ("CN",)}, []),
    ],
)  # fmt: skip
def test_a_limit_on_every_call_leaves_only_what_it_allows(within: dict[str, Any], left: list[str]) -> None:
    # Nobody knows who made what its own machine has.
    served = SERVED | {
        "large": [
            at("large", vendor="openai", origin="US"),
            at("large", "own", labels=frozenset({"local"}), region="eu"),
        ]
    }
    found = made(limit(**within), served=served)
    assert [name.split()[1] for name, _ in group(found, "large")] == left
    assert ("it leaves nobody who serves large" in found.rules[0].notes) is (not left)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (local_only(), "whether a call is sensitive"),
        (rule(when=When(sensitive=True)), "whether a call is sensitive"),
        (limit(most_per_million=3.0), "highest price"),
        (limit(models=("own/large",), labels=("local",)), "at one place"),
        (Rule(name="limit", when=When(teams=("search",)), within=Within(labels=("local",))), "teams"),
    ],
)
def test_where_a_limit_cannot_be_kept_there_is_no_configuration(one: Rule, why: str) -> None:
    with pytest.raises(LimitUnsayable, match=f"{one.name}: .*{why}"):
        made(rule(), one)
    # Of one that is not in force nothing is missed.
    assert not made(Standing(one, off="it is switched off")).rules[0].said


def test_a_preference_is_no_limit() -> None:
    [told] = made(limit(order=("own",), sort="floor")).rules
    assert (told.said, told.why) == (False, "it only says in which order deployments are tried")


def test_what_a_maker_may_have_leaves_nothing_out_and_is_not_said() -> None:
    [told] = made(limit(most_share=0.4)).rules
    assert (told.said, told.why) == (False, "it only says in which order deployments are tried")
    both = made(rule(within=Within(most_share=0.4)), limit(labels=("local",), most_share=0.4))
    assert [one.said for one in both.rules] == [True, True]
    assert all("how much of the spend a maker may have" in " ".join(one.notes) for one in both.rules)


def test_a_rules_own_limits_are_of_what_it_chooses() -> None:
    found = made(Standing(rule(within=Within(labels=("local",))), 0.5))
    assert [name for name, _ in group(found, "large")] == [
        "openai/small own",
        "openai/large openai",
        "openai/large own",
    ]
    assert group(found, "large.then.large") == [("openai/large own", None)]


def test_auto_is_what_a_rule_makes_of_it() -> None:
    chooses = rule("choice", "tiny", "small", models=("auto",))
    found = made(chooses)
    assert (group(found, "auto")[0][0], chain(found, "auto")) == ("openai/tiny openai", ["auto.then.small"])
    half = made(Standing(chooses, 0.5))
    assert [name for name, _ in group(half, "auto")] == [
        "openai/tiny openai",
        "openai/small openai",
        "openai/small own",
    ]
    assert group(made(), "auto") == []


def test_ranks_are_orders_where_all_answer_alike() -> None:
    served = SERVED | {"small": [at("small"), at("small", "own", rank=3)]}
    orders = [
        one["litellm_params"].get("order")
        for one in made(rule(), served=served).config["model_list"]
        if one["model_name"] == "large"
    ]
    assert orders == [1, 2]
    mixed = made(Standing(rule(), 0.5), served=served)
    # While it is mixed, only what is tried first.
    assert [name for name, _ in group(mixed, "large")] == [
        "openai/small openai", "openai/large openai", "openai/large own",
    ]  # fmt: skip


def test_a_model_may_be_asked_for_by_its_provider_where_that_is_all_there_is_of_it() -> None:
    found = made(rule(models=("tiny",)))
    aliases = found.config["router_settings"]["model_group_alias"]
    assert aliases == {"openai/tiny": {"model": "tiny", "hidden": True}}
    assert chain(found, "openai/tiny") == chain(found, "tiny") == ["tiny.then.tiny"]
    # Another rule may mean just that place.
    place = rule("first", when=When(models=("openai/tiny",), task_types=("triage",)))
    assert "model_group_alias" not in made(place, rule(models=("tiny",))).config["router_settings"]


def test_a_model_whose_name_looks_like_a_provider_has_no_chain_of_anothers() -> None:
    served = SERVED | {"openai/large": [at("openai/large", "own")]}
    # The rule is for it as well; where another one might decide it has none.
    assert chain(made(rule(), served=served), "openai/large") == ["openai/large.then.openai/large"]
    other = rule("first", when=When(models=("openai/large",), task_types=("triage",)))
    assert chain(made(other, rule(), served=served), "openai/large") == []


def test_nobody_to_stay_with_is_said() -> None:
    [told] = made(Standing(rule(models=("ghost",)), 0.5)).rules
    assert "nobody serves it to calls that are to stay" in told.notes[-1]


def test_as_yaml_it_says_at_its_head_what_is_in_it_and_what_not() -> None:
    text = shown(made(rule(), Standing(rule("off"), off="it is switched off")))
    head = [line for line in text.splitlines() if line.startswith("#")]
    assert "# NOT in this configuration:" in head
    assert "# - off: it is switched off." in head
    assert any("OPENAI_API_KEY" in line for line in head)
    assert yaml.safe_load(text) == made(rule()).config
