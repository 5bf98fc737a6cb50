"""A class of models in place of a model: which are tried for it, and in which order."""

from __future__ import annotations

import pytest

from routing.rules.pins import pins, resolved, tier_of
from routing.rules.types import Rule, Use
from routing.tiers.types import Tier
from tests.factories.rules import triage

SERVED = {Tier.LIGHT: ["nano", "mini", "flash", "haiku"], Tier.FRONTIER: ["opus"]}


def names(rule: Rule) -> list[str]:
    return [one.model for one in rule.use]


def test_a_class_is_its_cheapest_models_each_used_as_the_class_was_to_be() -> None:
    rule = triage(use=(Use(model="tier:light", effort="low"), Use(model="tier:frontier")))
    assert pins(rule)
    found = resolved(rule, SERVED)
    assert names(found) == ["nano", "mini", "flash", "opus"]
    assert [one.effort for one in found.use] == ["low", "low", "low", ""]
    assert not pins(found)


def test_what_a_rule_names_itself_has_its_own_place_and_no_model_comes_twice() -> None:
    rule = triage(use=(Use(model="tier:light"), Use(model="nano", effort="high"), Use(model="tier:light")))
    found = resolved(rule, SERVED)
    assert names(found) == ["mini", "flash", "haiku", "nano"]
    assert found.use[3].effort == "high"


def test_a_class_of_which_nothing_is_served_keeps_its_place_so_that_the_rule_still_chooses() -> None:
    assert names(resolved(triage(use=(Use(model="tier:mid"), Use(model="opus"))), SERVED)) == ["tier:mid", "opus"]
    assert names(resolved(triage(use=(Use(model="tier:mid"),)), {})) == ["tier:mid"]


def test_a_rule_of_models_is_left_as_it_is() -> None:
    rule = triage()
    assert resolved(rule, SERVED) is rule
    assert tier_of("small") is None
    with pytest.raises(ValueError, match="tiny"):
        tier_of("tier:tiny")
