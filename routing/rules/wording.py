"""A rule in plain words, and what is different between two of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

from routing.rules.pins import tier_of
from routing.rules.policy import Policy
from routing.rules.types import Gate, GateKind, Rule, Use, When, Within

_OWNERS: Final = (("teams", "team"), ("projects", "project"), ("agents", "agent"), ("customers", "customer"))
_GATES: Final = {
    GateKind.JSON: "if it is JSON",
    GateKind.SCHEMA: "if it is as schema",
    GateKind.PATTERN: "if it matches {}",
    GateKind.CONSISTENT: "if it says the same twice",
    GateKind.CHECKER: "if {} calls it right",
}
_NOTHING: Final = "nothing"
# Of a list that is shown in a line.
_SHOWN: Final = 10


def in_words(rule: Rule) -> str:
    """One sentence: which calls, where they go, within what."""
    calls, limits = _calls(rule.when), _limits(rule.within)
    if rule.policy is not None:
        policy = rule.policy
        names = _listed([one.model for one in policy.candidates], "or")
        how = ", by what is expected of each by type, length and words" if policy.rarity is not None else ""
        said = f"{calls} go to {names} where that is expected to be worth it{how}, and else to {policy.incumbent.model}"
    elif rule.use:
        said = f"{calls} go to {_use(rule.use[0])}"
        if rule.use[1:]:
            said += f", and where that fails to {', then '.join(map(_use, rule.use[1:]))}"
    else:
        return f"{calls} are served {limits}."
    return f"{said}, served {limits}." if limits else f"{said}."


def differences(old: Rule | None, new: Rule | None) -> tuple[str, ...]:
    """A line for each field that is different: where, what it was, what it is. No rule at all is one without fields."""
    before, after = _flat(old), _flat(new)
    return tuple(
        f"{path}: {before.get(path, _NOTHING)} → {after.get(path, _NOTHING)}"
        for path in dict.fromkeys([*before, *after])
        if before.get(path) != after.get(path)
    )


def policy_in_short(policy: Policy) -> str:
    """Who is chosen among, and a mark by which two policies are told apart."""
    names = ", ".join(one.model for one in policy.candidates)
    reads = "reads texts" if policy.rarity is not None else "by type"
    mark = blake2b(msgspec.msgpack.encode(policy), digest_size=4).hexdigest()
    return f"learned, {policy.incumbent.model} or {names}, {reads}, {mark}"


def _flat(rule: Rule | None) -> dict[str, str]:
    """Fields that say anything, by their paths."""
    if rule is None:
        return {}
    found = {"name": rule.name}
    for name in When.__struct_fields__:
        value = getattr(rule.when, name)
        if name == "tags":
            found |= {f"when.tags.{tag}": _shown(values) for tag, values in sorted(value.items())}
        elif value not in (None, ()):
            found[f"when.{name}"] = _shown(value)
    if rule.use:
        found["use"] = ", then ".join(map(_use, rule.use))
    if rule.policy is not None:
        found["policy"] = policy_in_short(rule.policy)
    for name in Within.__struct_fields__:
        value = getattr(rule.within, name)
        if value not in (None, (), ""):
            found[f"within.{name}"] = _shown(value)
    return found


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _use(one: Use) -> str:
    how = [f"effort {one.effort}"] if one.effort else []
    if one.most_output_tokens is not None:
        how.append(f"at most {one.most_output_tokens:,} tokens out")
    if one.gate is not None:
        how.append(_gate(one.gate))
    tier = tier_of(one.model)
    name = one.model if tier is None else f"what is served of class {tier}"
    return f"{name} ({', '.join(how)})" if how else name


def _gate(gate: Gate) -> str:
    """What an answer has to be, with a mark by which two schemas or questions are told apart."""
    said = _GATES[gate.kind].format(gate.model or gate.pattern)
    if not gate.schema and not gate.question:
        return said
    mark = blake2b(msgspec.json.encode(gate, order="sorted"), digest_size=4).hexdigest()
    return f"{said} {mark}"


def _calls(when: When) -> str:
    """`Calls of triage or chat for gpt by project search`"""
    said = ["Sensitive calls" if when.sensitive else "Calls that are not sensitive" if when.sensitive is False else ""]
    said[0] = said[0] or "Calls"
    if when.task_types:
        said.append(f"of {_listed(when.task_types, 'or')}")
    if when.models:
        said.append(f"for {_listed(when.models, 'or')}")
    said += [f"by {name} {_listed(given, 'or')}" for field, name in _OWNERS if (given := getattr(when, field))]
    if when.keys:
        said.append(f"with key {_listed(when.keys, 'or')}")
    said += [f"tagged {name}={_listed(values, 'or')}" for name, values in sorted(when.tags.items())]
    if when.least_tokens is not None:
        said.append(f"of at least {when.least_tokens:,} tokens")
    if when.most_tokens is not None:
        said.append(f"of at most {when.most_tokens:,} tokens")
    if when.tools is not None:
        said.append("with tools" if when.tools else "without tools")
    if when.subagent is not None:
        said.append("from sub-agents" if when.subagent else "that no sub-agent makes")
    return " ".join(said) if len(said) > 1 or when.sensitive is not None else "All calls"


def _limits(within: Within) -> str:
    listed = (
        ("only by upstreams labelled", within.labels),
        ("only in", within.regions),
        ("only by", within.only),
        ("never by", within.never),
        ("only with models of", within.vendors),
        ("never with models of", within.never_vendors),
        ("only with models from", within.origins),
        ("never with models from", within.never_origins),
    )
    said = [f"{words} {_listed(names, 'or')}" for words, names in listed if names]
    if within.most_per_million is not None:
        said.append(f"at no more than {within.most_per_million:g} for a million tokens")
    if within.most_share is not None:
        said.append(f"last with models of a maker that has more than {within.most_share * 100:g} % of recent spend")
    if within.order:
        said.append(f"first by {', then '.join(within.order)}")
    if within.sort:
        said.append("the cheapest first" if within.sort == "floor" else "the fastest first")
    return ", ".join(said)


def _listed(values: Iterable[str], word: str) -> str:
    every: Sequence[str] = tuple(values)
    if len(every) > _SHOWN:
        return f"{', '.join(every[:_SHOWN])} {word} {len(every) - _SHOWN} more"
    return f" {word} ".join(part for part in (", ".join(every[:-1]), every[-1]) if part)
