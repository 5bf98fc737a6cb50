"""The rule that a recommendation would make. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

from routing.rules.document import exported
from routing.rules.policy import Policy
from routing.rules.rules import LONGEST_NAME, check
from routing.rules.types import Rule, Use, When, Within
from routing.upstreams.rules import TIER

# "model@low": the model, asked to reason so much.
_EFFORT: Final = re.compile(r"(.+)@(minimal|low|medium|high|xhigh|max|none)")
LOCAL: Final = "local"
_DIGEST: Final = 8


def effort_of(model: str) -> tuple[str, str]:
    """The model, and how much it is to reason; '' where its name does not say."""
    found = _EFFORT.fullmatch(model)
    return (found[1], found[2]) if found else (model, "")


def used(model: str) -> Use:
    name, effort = effort_of(model)
    return Use(model=name, effort=effort)


def moving(task_type: str, asked: Sequence[str], candidate: str, *, kind: str, local: bool = False) -> Rule:
    """Calls of one type that ask for the incumbent go to the candidate, and where that fails to the incumbent.

    What is local alone has no way back: the incumbent may be elsewhere.
    """
    name = named(kind, task_type, candidate)
    when = When(models=tuple(asked), task_types=(task_type,))
    if local:
        return check(Rule(name=name, when=when, use=(used(candidate),), within=Within(labels=(LOCAL,))))
    back = () if effort_of(candidate)[0] in asked else (Use(model=asked[0]),)
    return check(Rule(name=name, when=when, use=(used(candidate), *back)))


def pinned(task_type: str, asked: Sequence[str], tier: str) -> Rule:
    """Calls of one type that sub-agents make and that ask for the incumbent go to models of a class, and where those
    fail to the incumbent.
    """
    when = When(models=tuple(asked), task_types=(task_type,), subagent=True)
    use = (Use(model=f"{TIER}{tier}"), Use(model=asked[0]))
    return check(Rule(name=named("pin", task_type, tier), when=when, use=use))


def routed(asked: Sequence[str], task_types: Sequence[str], policy: Policy) -> Rule:
    """Calls of these types that ask for the incumbent go where the policy says. A policy names models as calls ask for
    them, so that what is measured under names of its own cannot be in one.
    """
    incumbent = policy.incumbent.model
    when = When(models=tuple(asked), task_types=tuple(sorted(task_types)))
    use = tuple(Use(model=one.model) for one in policy.candidates)
    return check(Rule(name=named("route", incumbent, *sorted(task_types)), when=when, use=use, policy=policy))


def hosted(model: str, place: str) -> Rule:
    """Calls of a model go to one place first. It names the model, so that it may hold for some sessions only."""
    within = Within(order=(place,))
    return check(
        Rule(name=named("host", model, place), when=When(models=(model,)), use=(Use(model=model),), within=within)
    )


def plain(rule: Rule) -> dict[str, Any]:
    """As JSON has it; bytes as base64."""
    made: dict[str, Any] = msgspec.to_builtins(rule)
    return made


def document(rule: Rule) -> str:
    return exported([rule])


def named(*words: str) -> str:
    """A rule's name: what may be read of the words, and a digest of all of them, so that no two share one."""
    said = re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")
    digest = blake2b("\0".join(words).encode(), digest_size=_DIGEST // 2).hexdigest()
    return f"{said[: LONGEST_NAME - _DIGEST - 1].rstrip('-')}-{digest}"
