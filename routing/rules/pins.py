"""`tier:light` in place of a rule's model: whichever models of that class are served, the cheapest first. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from routing.rules.types import Rule, Use
from routing.tiers.types import Tier
from routing.upstreams.rules import TIER

# Of a class that many models are in, these are tried: who is pinned to a class is to be served, not to wait for all.
MOST_OF_A_CLASS: Final = 3


def tier_of(model: str) -> Tier | None:
    """The class that is meant; None for a model. Raises ValueError for a class that there is not."""
    return Tier(model.removeprefix(TIER)) if model.startswith(TIER) else None


def pins(rule: Rule) -> bool:
    """Whether it names a class."""
    return any(one.model.startswith(TIER) for one in rule.use)


def resolved(rule: Rule, served: Mapping[Tier, Sequence[str]]) -> Rule:
    """With models in place of classes, each model once, used as the class was to be. A class of which nothing is served
    keeps its place: nobody serves a model of that name, so it is passed over, and the rule still chooses.
    """
    if not pins(rule):
        return rule
    named = {one.model for one in rule.use}
    use: dict[str, Use] = {}
    for one in rule.use:
        for model in _models(one, served, named):
            use.setdefault(model, msgspec.structs.replace(one, model=model))
    return msgspec.structs.replace(rule, use=tuple(use.values()))


def _models(one: Use, served: Mapping[Tier, Sequence[str]], named: Collection[str]) -> Sequence[str]:
    tier = tier_of(one.model)
    if tier is None:
        return (one.model,)
    # What the rule names itself has its place there.
    return [model for model in served.get(tier, ()) if model not in named][:MOST_OF_A_CLASS] or (one.model,)
