"""Which rule holds for a call, and what follows from it. Plain Python: a call waits for it.

Of rules that choose, the first one that matches decides. Rules that only say within what (`within`, and no model) hold
all together, whichever chose: what one of them leaves out stays out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from routing.classify.words import Counts
from routing.rules.arms import draw_of
from routing.rules.policy import Chooser
from routing.rules.types import Rule, Use, Within
from routing.upstreams.rules import AUTO

# Matches that are remembered, by everything about a call that is not its size or its text.
_REMEMBERED: Final = 20_000
OWNERS: Final = ("team", "project", "agent", "customer")
# A tag of charges that were made for a rule, beside the calls that it decides: judges, checkers, shadows.
FOR_RULE: Final = "for-rule"


class Arm(StrEnum):
    """Who went which way. `shadow` is what a rule would have done; what is `held_back` stays with the incumbent, so
    that savings can be told.
    """

    TREATED = "treated"
    CONTROL = "control"
    HELD_BACK = "held_back"
    SHADOW = "shadow"


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as gateways have it. `owners` are the ids of whom it names, teams with all below them. `share` of sessions
    are treated, and `held_back` of them never; `salt` says which.
    """

    rule_id: int
    version: int
    rule: Rule
    owners: dict[str, frozenset[int]] = {}
    share: float = 1.0
    held_back: float = 0.0
    salt: str = ""
    shadow: bool = False


def said_for(published: Published) -> str:
    """The tag's value as a gateway says it: the name for people, and the id, which no renaming changes. Names have no
    such sign; others may say the name alone.
    """
    return f"{published.rule.name}#{published.rule_id}"


class Subject(NamedTuple):
    """A call, as rules see it. Ids are 0 for nobody. `key` is what is drawn for: its session, or itself. `sensitive`
    and `words` are only asked where a rule wants to know: they read what was written.
    """

    model: str
    key: str
    sensitive: Callable[[], bool]
    words: Callable[[], Counts | None]
    task_type: str = ""
    team: int = 0
    project: int = 0
    agent: int = 0
    customer: int = 0
    key_prefix: str = ""
    tags: Mapping[str, str] = {}
    tokens: int = 0
    tools: int = 0
    depth: int = 0
    characters: int = 0
    # It measures the very model that it asks for: no rule chooses another. What limits holds as for any.
    measures: bool = False


class Decided(NamedTuple):
    """What follows for a call. `use` are models in the order to be tried, empty where it stays with the one it asks
    for. `limits` all hold. `propensity` is how likely a call like this goes the way this one does; `passed_over` says
    of other models why they were not chosen.
    """

    rule: Published | None = None
    arm: str = ""
    use: tuple[Use, ...] = ()
    limits: tuple[Within, ...] = ()
    propensity: float = 1.0
    why: str = ""
    passed_over: tuple[tuple[str, str], ...] = ()
    # What the rule would have used, where its arm did not.
    would: str = ""


NOTHING: Final = Decided()


class Rules:
    """An organization's rules, in their order, made ready."""

    def __init__(self, published: Sequence[Published]) -> None:
        self._rules = tuple(_Ready(one) for one in published)
        self._index, self._rest = _indexed(self._rules)
        self._tags = sorted({name for one in self._rules for name in one.when.tags})
        self._matches: dict[tuple[object, ...], tuple[_Ready, ...]] = {}
        # Whether any of them was learned, and so asks what is said first.
        self.learned = any(one.rule.policy is not None for one in published)
        # Whether any of them asks how large a call is.
        self.sized = any(one.when.least_tokens is not None or one.when.most_tokens is not None for one in self._rules)
        # Models that a rule is written for by name.
        self.names = frozenset(model for one in self._rules for model in one.when.models)
        # Whether a limit is written for models by name.
        self._limits_models = any(one.limits and one.when.models for one in self._rules)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def decide(self, subject: Subject) -> Decided:
        found = NOTHING
        limits: list[Within] = []
        for one in self._static(subject):
            if not one.holds(subject):
                continue
            if one.limits:
                limits.append(one.published.rule.within)
            if one.chooses and found.rule is None:
                found = one.decided(subject)
        if subject.measures:
            found = NOTHING._replace(limits=found.limits)
        if not limits:
            return found
        return found._replace(limits=(*limits, *found.limits))

    def limits(self, subject: Subject, decided: Decided, model: str) -> tuple[Within, ...]:
        """Within what a call stays at this model, wherever it was sent from: what holds for the call as it was asked,
        and what would, had it asked for this one.
        """
        if model == subject.model or not self._limits_models:
            return decided.limits
        there = subject._replace(model=model)
        more = [one.published.rule.within for one in self._static(there) if one.limits and one.holds(there)]
        return (*decided.limits, *(one for one in more if one not in decided.limits))

    def unread(self, models: Collection[str], key_prefix: str) -> tuple[Within, ...]:
        """Within what goes what nobody has looked at, of these models and by this key: all that may hold for it."""
        return tuple(
            one.published.rule.within for one in self._rules if one.limits and one.may_hold(models, key_prefix)
        )

    def _static(self, subject: Subject) -> tuple[_Ready, ...]:
        """Rules whose conditions hold as far as they are of names; by what a call has in common with thousands."""
        tags = tuple([subject.tags.get(name) for name in self._tags]) if self._tags else ()
        key = (subject.model, subject.task_type, *subject[5:10], tags, subject.tools > 0, subject.depth > 0)
        known = self._matches.get(key)
        if known is None:
            if len(self._matches) >= _REMEMBERED:
                self._matches.clear()
            known = self._matches[key] = self._found(subject)
        return known

    def _found(self, subject: Subject) -> tuple[_Ready, ...]:
        places = list(self._rest)
        for name, value in _values(subject):
            places += self._index.get((name, value), ())
        return tuple(one for place in sorted(set(places)) if (one := self._rules[place]).matches(subject))


class _Ready:
    def __init__(self, published: Published) -> None:
        self.published = published
        self.when = when = published.rule.when
        self.chooses = bool(published.rule.use) or published.rule.policy is not None
        # What a rule says of sensitive calls holds whichever rule chose.
        self.limits = not self.chooses or when.sensitive is True
        self._chooser = Chooser(published.rule.policy) if published.rule.policy is not None else None
        self._uses = {one.model: one for one in published.rule.use}
        self._models = frozenset(when.models)
        self._task_types = frozenset(when.task_types)
        self._keys = frozenset(when.keys)
        self._tags = {name: frozenset(values) for name, values in when.tags.items()}

    def conditions(self) -> dict[str, Iterable[object]]:
        """What it may be found by: of each of these, one has to be so."""
        named: dict[str, Iterable[object]] = {
            "model": self._models,
            "task_type": self._task_types,
            "key_prefix": self._keys,
            **{name: self.published.owners.get(name, ()) for name in OWNERS},
            **{f"tag:{name}": values for name, values in self._tags.items()},
        }
        return {name: values for name, values in named.items() if values}

    def matches(self, subject: Subject) -> bool:
        """What does not change from one call of somebody's to the next."""
        when, owners = self.when, self.published.owners
        return (
            (not self._models or not self._models.isdisjoint(_names(subject.model)))
            and (not self._task_types or subject.task_type in self._task_types)
            and (not self._keys or subject.key_prefix in self._keys)
            and all(getattr(subject, name) in ids for name, ids in owners.items())
            and all(subject.tags.get(name) in values for name, values in self._tags.items())
            and when.tools in (None, subject.tools > 0)
            and when.subagent in (None, subject.depth > 0)
        )

    def may_hold(self, models: Collection[str], key_prefix: str) -> bool:
        named = {name for model in models for name in _names(model)}
        return (not self._models or not self._models.isdisjoint(named)) and (not self._keys or key_prefix in self._keys)

    def holds(self, subject: Subject) -> bool:
        """What does."""
        when = self.when
        return (
            (when.least_tokens is None or subject.tokens >= when.least_tokens)
            and (when.most_tokens is None or subject.tokens <= when.most_tokens)
            and (when.sensitive is None or subject.sensitive() is when.sensitive)
        )

    def decided(self, subject: Subject) -> Decided:
        published, rule = self.published, self.published.rule
        use, why, propensity, passed_over = self._chosen(subject)
        arm, part = self._arm(subject)
        if arm is not Arm.TREATED:
            would = use[0].model if use else subject.model
            # Who leaves the choice to routing asks for no model to stay with.
            stays = (use[-1],) if subject.model == AUTO and use else ()
            named = stays[0].model if stays else subject.model
            return Decided(published, arm, stays, (), part, f"{arm.value}: stays with {named}", (), would)
        return Decided(published, arm, use, (rule.within,), part * propensity, why, passed_over)

    def _arm(self, subject: Subject) -> tuple[Arm, float]:
        published = self.published
        if published.shadow:
            return Arm.SHADOW, 1.0
        draw, treated = draw_of(published.salt, subject.key), min(published.share, 1.0 - published.held_back)
        if draw < treated:
            return Arm.TREATED, treated
        return Arm.HELD_BACK if draw >= 1.0 - published.held_back else Arm.CONTROL, 1.0 - treated

    def _chosen(self, subject: Subject) -> tuple[tuple[Use, ...], str, float, tuple[tuple[str, str], ...]]:
        """The models in order, why, how likely, and of others why not. No model: it stays as it asks."""
        rule = self.published.rule
        if self._chooser is None:
            return rule.use, f"rule {rule.name}", 1.0, ()
        words = subject.words() if self._chooser.reads else None
        draw = draw_of(f"{self.published.salt} policy", subject.key)
        choice = self._chooser.choose(subject.task_type, subject.characters, draw, words)
        if choice.model == self._chooser.policy.incumbent.model:
            kept = self._uses.get(choice.model, Use(model=choice.model))
            return (kept,), f"rule {rule.name}: no cheaper model is expected to be worth it", choice.propensity, ()
        why = f"rule {rule.name}: expected to lose {choice.loss:.3f} of a score and to save ${choice.saving:.6f}"
        incumbent = self._chooser.policy.incumbent.model
        use = (self._uses.get(choice.model, Use(model=choice.model)), Use(model=incumbent))
        return use, why, choice.propensity, ((incumbent, "dearer than what it is expected to be better by"),)


def _names(model: str) -> tuple[str, ...]:
    """A model goes by its own name too where an upstream or a provider is named before it."""
    _, _, own = model.partition("/")
    return (model, own) if own else (model,)


def _values(subject: Subject) -> list[tuple[str, object]]:
    named: list[tuple[str, object]] = [
        *(("model", name) for name in _names(subject.model)),
        ("task_type", subject.task_type),
        ("key_prefix", subject.key_prefix),
        *((name, getattr(subject, name)) for name in OWNERS),
        *((f"tag:{name}", value) for name, value in subject.tags.items()),
    ]
    return named


def _indexed(rules: Sequence[_Ready]) -> tuple[dict[tuple[str, object], list[int]], list[int]]:
    """Places of rules, each by the condition that fewest rules share; and of those that are for any call."""
    often: Counter[tuple[str, object]] = Counter()
    conditions = [one.conditions() for one in rules]
    for named in conditions:
        often.update((name, value) for name, values in named.items() for value in values)
    index: dict[tuple[str, object], list[int]] = {}
    rest = []
    for place, named in enumerate(conditions):
        if not named:
            rest.append(place)
            continue
        best = min(named, key=lambda name: max(often[name, value] for value in named[name]))
        for value in named[best]:
            index.setdefault((best, value), []).append(place)
    return index, rest
