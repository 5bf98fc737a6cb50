"""Which rules LiteLLM's configuration has words for, and of the others why not."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Final, NamedTuple

from finops.core.errors import FinopsError
from routing.rules.rollout import chooses
from routing.rules.types import Rule, When, Within

# Conditions, as a sentence names them.
_CONDITIONS: Final = {
    "task_types": "types of task",
    "teams": "teams",
    "projects": "projects",
    "agents": "agents",
    "customers": "customers",
    "keys": "keys",
    "tags": "tags",
    "least_tokens": "how large a call is",
    "most_tokens": "how large a call is",
    "tools": "whether a call brings tools",
    "subagent": "whether a sub-agent makes it",
    "sensitive": "whether a call is sensitive",
}
_MOST_NAMED: Final = 20


class LimitUnsayable(FinopsError):
    """Limits are in force that LiteLLM's configuration cannot keep: without them it would send calls where they must
    not go.
    """

    code = "rules.limit_unsayable"
    status = 409


class Standing(NamedTuple):
    """A rule, and how far it holds: for `share` of sessions, never for `held_back` of them. `off` says why it is not in
    force; '' where it is.
    """

    rule: Rule
    share: float = 1.0
    held_back: float = 0.0
    off: str = ""

    @property
    def treated(self) -> float:
        return min(self.share, 1.0 - self.held_back)


class Told(NamedTuple):
    """Whether a rule is in the configuration; `why` not, and what of it is not as Capstan does it."""

    rule: str
    said: bool
    why: str = ""
    notes: tuple[str, ...] = ()


def limits(rule: Rule) -> bool:
    """What a limit says, and what is decided for sensitive calls, holds for all."""
    return not chooses(rule) or rule.when.sensitive is True


def why_no_limit(rule: Rule, served: Container[str]) -> str:
    """'' where its configuration can keep it. `served` are names of models that are deployed."""
    if (why := _of_one_place(rule, served)) is not None:
        return why
    if found := _beside_models(rule.when):
        return f"it is about {found}, which LiteLLM does not know"
    if rule.within.most_per_million is not None:
        return "it names a highest price, and LiteLLM would not notice when prices change"
    return ""


def why_no_choice(rule: Rule, served: Container[str]) -> str:
    """'' where there are words for it."""
    if (why := _of_one_place(rule, served)) is not None:
        return why
    if found := _beside_models(rule.when):
        return f"it is about {found}, which LiteLLM does not know"
    if not rule.when.models:
        return "it is for calls of any model, and LiteLLM's groups are of models by name"
    if rule.policy is not None:
        return "its choice was learned, and is made anew for each call"
    for one in rule.use:
        if one.gate is not None:
            return f"answers of {one.model} have to pass a gate"
        if one.effort or one.most_output_tokens is not None:
            return f"it says how {one.model} is used, and in LiteLLM what the caller says goes before"
    return "it names a highest price" if rule.within.most_per_million is not None else ""


def checked_limits(standing: Iterable[Standing], served: Container[str]) -> list[Rule]:
    """The limits that are in force. Raises LimitUnsayable, naming those that cannot be kept."""
    found = [one.rule for one in standing if not one.off and limits(one.rule)]
    found = [rule for rule in found if rule.within.leaves_out or chooses(rule)]
    unsayable = [(rule.name, why) for rule in found if (why := why_no_limit(rule, served))]
    if unsayable:
        named = "; ".join(f"{name}: {why}" for name, why in unsayable[:_MOST_NAMED])
        raise LimitUnsayable(
            "A configuration of LiteLLM cannot keep these limits, and would send calls where they must not go. "
            f"{named}. Let LiteLLM ask Capstan instead, with the plug-in, or switch them off."
        )
    return found


def matches(when: When, model: str) -> bool:
    """Whether a condition on models holds for a name, as it does in `hot`."""
    return not when.models or not {model, model.partition("/")[2]}.isdisjoint(when.models)


def notes_of(standing: Standing) -> list[str]:
    """What is other than in Capstan, of a rule that is said."""
    found = []
    if 0 < standing.treated < 1:
        found.append(
            f"{standing.treated:.0%} of calls are drawn, one by one and not by session: prompts are cached less, and "
            "what it saves is not verified"
        )
    return [*found, *unsaid(standing.rule.within)]


def unsaid(within: Within) -> list[str]:
    """What a limit says of the order in which models are tried: it leaves nothing out, and LiteLLM is not told."""
    found = ["its order of deployments is not said"] if within.order or within.sort else []
    if within.most_share is not None:
        found.append("how much of the spend a maker may have is not said: LiteLLM would not notice when that changes")
    return found


def _of_one_place(rule: Rule, served: Container[str]) -> str | None:
    """`upstream/model` names a model at one place; it may be a model's own name as well."""
    named = next((one for one in rule.when.models if "/" in one and one not in served), None)
    return None if named is None else f"{named} names a model at one place, and LiteLLM takes it for the model"


def _beside_models(when: When) -> str:
    empty = When()
    named = [word for name, word in _CONDITIONS.items() if getattr(when, name) != getattr(empty, name)]
    return _listed(list(dict.fromkeys(named)))


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
