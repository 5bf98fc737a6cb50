"""LiteLLM's configuration: a group for each model that may be asked for, by the first rule that decides its calls.

A group answers with what the rule chooses first; what comes next in its chain are groups of their own, to which calls
fall back. Groups of their own, because what a limit leaves of a model depends on what was asked for. Where a rule holds
for a share, the group has both, by weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import yaml

from routing.rules.litellm.sayable import (
    Standing,
    Told,
    checked_limits,
    limits,
    matches,
    notes_of,
    unsaid,
    why_no_choice,
)
from routing.rules.litellm.served import Part, Served, entries, left, variables
from routing.rules.types import Rule, Within
from routing.upstreams.rules import AUTO

_HEAD: Final = (
    "Made by Capstan from its routing rules, for LiteLLM 1.x. Rules and upstreams change: make it anew when they do.",
    "Take it into LiteLLM's configuration by `include: [this file]`, and leave router_settings to it. Models that are",
    "not in it have no rules and no limits there. Credentials are read from the environment: ",
)


class Generated(NamedTuple):
    """`config` is LiteLLM's own; `rules` say of each what became of it; `variables` are names of the environment, by
    upstream.
    """

    config: dict[str, Any]
    rules: tuple[Told, ...]
    variables: dict[str, str]


class _Group(NamedTuple):
    """What a name answers with, and on which other groups it falls back, in order."""

    parts: tuple[Part, ...] = ()
    then: tuple[tuple[str, tuple[Served, ...]], ...] = ()
    notes: tuple[str, ...] = ()


def generated(standing: Sequence[Standing], served: Mapping[str, Sequence[Served]]) -> Generated:
    """`served` are deployments by the model that clients say. Raises LimitUnsayable."""
    limiting = checked_limits(standing, served)
    choosing = [one for one in standing if not one.off and not limits(one.rule)]
    why_not = {one.rule.name: why_no_choice(one.rule, served) for one in choosing}
    chosen = (one.rule.when.models for one in choosing if not why_not[one.rule.name])
    asked = sorted((served.keys() - {AUTO}).union(*chosen))
    notes: dict[str, list[str]] = {one.rule.name: [] for one in standing}
    decides: dict[str, list[str]] = {one.rule.name: [] for one in choosing}
    models: list[dict[str, Any]] = []
    fallbacks: list[dict[str, list[str]]] = []
    credentials = variables(one for each in served.values() for one in each)
    for model in asked:
        holding = [rule for rule in limiting if matches(rule.when, model)]
        hold = [rule.within for rule in holding]
        one = next((each for each in choosing if matches(each.rule.when, model)), None)
        one = None if one is not None and why_not[one.rule.name] else one
        of_it = partial(_holding, limiting, model)
        group = _decided(model, one, of_it, served) if one else _Group((Part(left(served.get(model, ()), hold)),))
        if served.get(model) and not left(served[model], hold):
            for rule in holding:
                notes[rule.name].append(f"it leaves nobody who serves {model}")
        if one is not None:
            decides[one.rule.name].append(model)
            notes[one.rule.name] += [*notes_of(one), *group.notes]
        if group.parts and all(part.served for part in group.parts):
            models += entries(model, group.parts, credentials)
            for name, some in group.then:
                models += entries(name, [Part(some)], credentials)
            if group.then:
                fallbacks.append({model: [name for name, _ in group.then]})
    offered = {one["model_name"] for one in models}
    chained = {model for each in fallbacks for model in each}
    # LiteLLM takes `provider/model` for the model where it looks for a chain.
    fallbacks += [{name: []} for name in sorted(offered - chained) if name.partition("/")[2] in chained]
    # What a rule means by such a name is that one place.
    places = {name for one in standing if not one.off for name in one.rule.when.models}
    aliases = _aliases(sorted(offered & set(asked)), served, offered | places)
    fallbacks += [{alias: each[model]} for alias, model in aliases.items() for each in fallbacks if model in each]
    settings: dict[str, Any] = {"routing_strategy": "simple-shuffle", "fallbacks": fallbacks}
    if aliases:
        settings["model_group_alias"] = {name: {"model": model, "hidden": True} for name, model in aliases.items()}
    told = tuple(_told(one, limiting, decides, notes, why_not) for one in standing)
    return Generated({"model_list": models, "router_settings": settings}, told, credentials)


def shown(made: Generated) -> str:
    """As YAML, with what is not in it at its head."""
    head = [*_HEAD[:-1], _HEAD[-1] + (", ".join(sorted(made.variables.values())) or "none") + "."]
    left_out = [one for one in made.rules if not one.said]
    said = [one for one in made.rules if one.said]
    if left_out:
        head += ["", "NOT in this configuration:", *(f"- {one.rule}: {one.why}." for one in left_out)]
    if said:
        head += ["", "In it:", *(f"- {one.rule}{''.join(f'; {note}' for note in one.notes)}." for one in said)]
    comments = "".join(f"# {line}".rstrip() + "\n" for line in head)
    return comments + yaml.dump(made.config, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120)


def _holding(limiting: Sequence[Rule], *names: str) -> list[Within]:
    """Within what a call of the first of these names stays, when it is answered by the others."""
    return [rule.within for rule in limiting if any(matches(rule.when, name) for name in names)]


def _decided(
    model: str, one: Standing, holding: Callable[[str], list[Within]], served: Mapping[str, Sequence[Served]]
) -> _Group:
    """What calls of a model do by the first rule that is for them; `holding` are their limits at a model."""
    rule, notes = one.rule, []
    # Whoever leaves the choice to routing asks for no model to stay with.
    to_stay = rule.use[-1].model if model == AUTO else model
    stays = left(served.get(to_stay, ()), holding(to_stay))
    if one.treated <= 0:
        return _Group((Part(stays),), (), ("it holds for nobody yet: its models answer as they are asked for",))
    steps: dict[str, tuple[Served, ...]] = {}
    for name in dict.fromkeys([*(use.model for use in rule.use), *([] if model == AUTO else [model])]):
        some = left(served.get(name, ()), [*holding(name), rule.within])
        if some:
            steps[name] = some
        elif name != model:
            notes.append(f"{name} is left out, for nobody here is known to serve it to calls of {model}")
    if not steps:
        return _Group((), (), (*notes, f"nobody is left to answer calls of {model}"))
    (_, first), *rest = steps.items()
    then = tuple((f"{model}.then.{name}", some) for name, some in rest)
    if one.treated >= 1:
        return _Group((Part(first),), then, tuple(notes))
    if not stays:
        return _Group((), (), (*notes, f"{model} is left out, for nobody serves it to calls that are to stay with it"))
    if len(then) > 1:
        notes.append("while it holds for a share, its calls fall back on what they asked for alone")
    own = f"{model}.then.{to_stay}"
    back = tuple(each for each in then if each[0] == own)
    return _Group((Part(first, one.treated), Part(stays, 1.0 - one.treated)), back, tuple(notes))


def _aliases(asked: Sequence[str], served: Mapping[str, Sequence[Served]], taken: set[str]) -> dict[str, str]:
    """`provider/model`, as clients may write it too, where that names all there is of the model."""
    found: dict[str, str] = {}
    for model in asked:
        some = served.get(model, ())
        if not some:
            continue
        for word in sorted(frozenset.intersection(*(one.names for one in some))):
            if f"{word}/{model}" not in taken:
                found[f"{word}/{model}"] = model
    return found


def _told(
    one: Standing,
    limiting: Sequence[Rule],
    decides: Mapping[str, Sequence[str]],
    notes: Mapping[str, Sequence[str]],
    why_not: Mapping[str, str],
) -> Told:
    """`why_not` is of rules that choose and are in force, in their order."""
    rule = one.rule
    known = tuple(dict.fromkeys(notes[rule.name]))
    if one.off:
        return Told(rule.name, False, one.off)
    if limits(rule):
        if rule not in limiting:
            return Told(rule.name, False, "it only says in which order deployments are tried", known)
        return Told(rule.name, True, "", (*known, *unsaid(rule.within)))
    if why_not[rule.name]:
        return Told(rule.name, False, why_not[rule.name])
    if not decides[rule.name]:
        return Told(rule.name, False, "rules before it decide all calls of its models, or some of them")
    missed = [model for model in rule.when.models if model not in decides[rule.name]]
    return Told(rule.name, True, "", (*known, *(f"of {model} a rule before it decides" for model in missed)))
